use crate::Event;

impl Event {
    /// The body, read as JSON.
    ///
    /// # Errors
    /// The body is not JSON, or not of the form of `T`.
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The first header of this name, in whatever case; `None` too if its value is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(&header.value).ok()
    }

    /// A further fact about the event, such as `path` or `peer`.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().find(|(key, _)| key == name)?;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Event, Header};

    fn event(body: &str) -> Event {
        Event {
            id: "evt_1".to_owned(),
            source: "acme".to_owned(),
            event_type: "order".to_owned(),
            route: "acme/orders".to_owned(),
            received_at: 0,
            attempt: 1,
            headers: vec![
                Header { name: "x-acme".to_owned(), value: b"one".to_vec() },
                Header { name: "x-raw".to_owned(), value: vec![0xff] },
            ],
            body: body.as_bytes().to_vec(),
            attributes: vec![("path".to_owned(), "/hooks/acme".to_owned())],
        }
    }

    #[test]
    fn a_json_body_is_read_into_a_type() {
        assert_eq!(event("[1, 2]").json::<Vec<u8>>().unwrap(), [1, 2]);
        assert!(event("[1, 2").json::<Vec<u8>>().is_err());
    }

    #[test]
    fn headers_are_found_in_any_case() {
        assert_eq!(event("").header("X-Acme"), Some("one"));
        assert_eq!(event("").header("x-raw"), None);
        assert_eq!(event("").header("x-other"), None);
    }

    #[test]
    fn attributes_are_found_by_name() {
        assert_eq!(event("").attribute("path"), Some("/hooks/acme"));
        assert_eq!(event("").attribute("peer"), None);
    }
}
