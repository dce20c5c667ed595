//! Forms: `application/x-www-form-urlencoded` and `multipart/form-data` bodies.

use std::borrow::Cow;

const URLENCODED: &[u8] = b"application/x-www-form-urlencoded";
const MULTIPART: &[u8] = b"multipart/form-data";

/// Bytes of a multipart boundary at the most (RFC 2046).
const BOUNDARY_BYTES: usize = 70;

/// A body that is a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form<'a> {
    /// `name=value&…`, percent-encoded.
    UrlEncoded(&'a [u8]),
    /// Parts behind lines of `--` and the boundary.
    Multipart {
        /// All parts.
        body: &'a [u8],
        /// `\r\n--` and the boundary.
        delimiter: Vec<u8>,
    },
}

impl<'a> Form<'a> {
    /// The body as its content type says. What begins as JSON does is no form: some senders
    /// leave their HTTP client's default, which says form, on a JSON body.
    pub fn new(content_type: Option<&[u8]>, body: &'a [u8]) -> Option<Self> {
        let mut parameters = parameters(content_type?);
        let named = parameters.next()?;
        if named.eq_ignore_ascii_case(URLENCODED) {
            let is_json = matches!(body.trim_ascii_start(), [b'{' | b'[', ..]);
            return (!is_json).then_some(Self::UrlEncoded(body));
        }
        if !named.eq_ignore_ascii_case(MULTIPART) {
            return None;
        }
        let boundary = parameters.find_map(|parameter| parameter_of(parameter, b"boundary="))?;
        let fits = (1..=BOUNDARY_BYTES).contains(&boundary.len());
        fits.then(|| Self::Multipart { body, delimiter: [b"\r\n--", boundary].concat() })
    }

    /// Names and values, in order; what is no UTF-8 is replaced. Files of a multipart form are
    /// fields like any other.
    pub fn fields(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        let (pairs, parts) = match self {
            Self::UrlEncoded(body) => (Some(form_urlencoded::parse(body)), None),
            Self::Multipart { body, delimiter } => (None, Some(Parts::new(body, delimiter))),
        };
        pairs.into_iter().flatten().chain(parts.into_iter().flatten())
    }
}

/// What stands between semicolons, other than within quotes.
fn parameters(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let parameters = header.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == b';' && !quoted
    });
    parameters.map(<[u8]>::trim_ascii)
}

/// The value of a parameter whose name, with its `=`, is that in any case.
fn parameter_of<'a>(parameter: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = parameter.split_at_checked(name.len())?;
    found.eq_ignore_ascii_case(name).then_some(unquoted(value))
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// The parts of a multipart body that are fields.
struct Parts<'a, 'd> {
    /// What stands behind the delimiter that was found last.
    rest: Option<&'a [u8]>,
    delimiter: &'d [u8],
}

impl<'a, 'd> Parts<'a, 'd> {
    fn new(body: &'a [u8], delimiter: &'d [u8]) -> Self {
        // The first delimiter needs no line break before it.
        let rest = delimiter.get(2..).and_then(|first| body.strip_prefix(first));
        Self { rest: rest.or_else(|| after(body, delimiter)), delimiter }
    }
}

impl<'a> Iterator for Parts<'a, '_> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Two hyphens instead of a line break end the form.
            let part = self.rest.take()?.strip_prefix(b"\r\n")?;
            let end = find(part, self.delimiter)?;
            let (part, rest) = part.split_at(end);
            self.rest = rest.get(self.delimiter.len()..);
            let Some(end) = find(part, b"\r\n\r\n") else { continue };
            let (head, value) = part.split_at(end);
            if let Some(name) = name(head) {
                return Some((name, String::from_utf8_lossy(value.get(4..)?)));
            }
        }
    }
}

/// The name in a part's `Content-Disposition: form-data; name="…"`.
fn name(head: &[u8]) -> Option<Cow<'_, str>> {
    const FIELD: &[u8] = b"content-disposition:";
    let disposition = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (field, value) = line.split_at_checked(FIELD.len())?;
        field.eq_ignore_ascii_case(FIELD).then_some(value)
    })?;
    let mut parameters = parameters(disposition);
    let name = parameters.find_map(|parameter| parameter_of(parameter, b"name="))?;
    Some(String::from_utf8_lossy(name))
}

fn after<'a>(text: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    text.get(find(text, what)? + what.len()..)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let first = *what.first()?;
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| *byte == first)?;
        if text.get(at..)?.starts_with(what) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(content_type: &str, body: &str) -> Option<Vec<(String, String)>> {
        let form = Form::new(Some(content_type.as_bytes()), body.as_bytes())?;
        let fields = form.fields().map(|(name, value)| (name.into(), value.into()));
        Some(fields.collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn the_content_type_and_the_first_byte_tell_a_form() {
        let urlencoded = "Application/X-WWW-Form-URLencoded ; charset=utf-8";
        assert_eq!(
            fields(urlencoded, "a=b+c%21&d&a="),
            pairs(&[("a", "b c!"), ("d", ""), ("a", "")])
        );
        assert_eq!(fields(urlencoded, " {\"a\":1}"), None);
        assert_eq!(fields("application/json", "a=1"), None);
        assert_eq!(fields("multipart/form-data", "a=1"), None);
        assert_eq!(Form::new(None, b"a=1"), None);
    }

    #[test]
    fn the_parts_of_a_multipart_form_are_fields() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{\"a\":\r\n1}\r\n\
                    --x\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; filename=\"; name=a\"; Name=b\r\n\r\n\r\n\
                    --x\r\nContent-Type: text/plain\r\n\r\nno name\r\n--x--\r\n";
        let expected = pairs(&[("json", "{\"a\":\r\n1}"), ("b", "")]);
        for content_type in
            ["multipart/form-data; boundary=x", "Multipart/Form-Data;BOUNDARY=\"x\""]
        {
            assert_eq!(fields(content_type, body), expected);
        }
        let preamble = format!("to be ignored\r\n{body}");
        assert_eq!(fields("multipart/form-data; boundary=x", &preamble), expected);
    }

    #[test]
    fn a_multipart_form_that_breaks_off_ends_there() {
        let whole = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--";
        let content_type = "multipart/form-data; boundary=x";
        assert_eq!(fields(content_type, whole), pairs(&[("a", "1")]));
        for end in 0..whole.len() - 2 {
            let found = fields(content_type, &whole[..end]).unwrap();
            assert!(found.is_empty() || end >= whole.len() - 4, "{end}: {found:?}");
        }
    }

    /// The fields as parts behind a boundary that stands in none of them.
    fn parts(fields: &[(String, String)]) -> (String, String) {
        let is_free = |boundary: &String| {
            fields.iter().all(|(k, v)| !k.contains(boundary) && !v.contains(boundary))
        };
        let boundary = (0..).map(|n| format!("b{n}")).find(is_free).unwrap();
        let part = |(name, value): &(String, String)| {
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let body = fields.iter().map(part).chain([format!("--{boundary}--\r\n")]).collect();
        (format!("multipart/form-data; boundary={boundary}"), body)
    }

    #[test]
    fn fuzzed_forms_are_read_as_they_are_written() {
        crate::fuzz::fuzz("form", |input| {
            let end = find(input, b"\n").unwrap_or(input.len());
            let (content_type, body) = input.split_at(end);
            let Some(form) = Form::new(Some(content_type), body) else { return };
            let read: Vec<(String, String)> =
                form.fields().map(|(name, value)| (name.into(), value.into())).collect();
            let written =
                form_urlencoded::Serializer::new(String::new()).extend_pairs(&read).finish();
            assert_eq!(fields("application/x-www-form-urlencoded", &written), Some(read.clone()));
            // Names that need escapes of their own are not written by any sender.
            let is_plain = |(name, _): &(String, String)| !name.contains(['"', '\r', '\n']);
            if read.iter().all(is_plain) {
                let (content_type, written) = parts(&read);
                assert_eq!(fields(&content_type, &written), Some(read));
            }
        });
    }
}
