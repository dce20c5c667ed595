//! A body that can be looked into: JSON, or a form as an object of strings.

use std::borrow::Cow;

use crate::pointer::{self, Pointer, SCAN_BYTES, Unreadable};

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// A body of at most [`SCAN_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document<'a> {
    /// It should be JSON: that is found out when it is read.
    Json(&'a [u8]),
    /// `name=value&…`, percent-encoded.
    Form(&'a [u8]),
}

impl<'a> Document<'a> {
    /// The body as its content type says. What begins as JSON does is no form: some senders
    /// leave their HTTP client's default, which says form, on a JSON body.
    ///
    /// # Errors
    /// The body is too large.
    pub fn new(content_type: Option<&[u8]>, body: &'a [u8]) -> Result<Self, Unreadable> {
        if body.len() > SCAN_BYTES {
            return Err(Unreadable::TooLarge { bytes: body.len() });
        }
        let named = content_type.and_then(|value| value.split(|byte| *byte == b';').next());
        let is_form = named.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(FORM))
            && !matches!(body.trim_ascii_start(), [b'{' | b'[', ..]);
        Ok(if is_form { Self::Form(body) } else { Self::Json(body) })
    }

    /// The first of `pointers` that leads to a scalar, as its place in the list and the value.
    /// See [`pointer::first`] for JSON. In a form, `/name` leads to the field of that name, and to
    /// the first of several.
    ///
    /// # Errors
    /// The body is not JSON.
    pub fn first(self, pointers: &[&Pointer]) -> Result<Option<(usize, Cow<'a, str>)>, Unreadable> {
        let form = match self {
            Self::Json(body) => return pointer::first(body, pointers),
            Self::Form(form) => form,
        };
        let field = |pointer: &Pointer| {
            let (_, value) = fields(form).find(|(name, _)| pointer.leads_to_member(name))?;
            Some(value)
        };
        let mut ranked = pointers.iter().enumerate();
        Ok(ranked.find_map(|(rank, pointer)| Some((rank, field(pointer)?))))
    }
}

/// Names and values of a form, in order; what is no UTF-8 is replaced.
pub fn fields(form: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_and_the_first_byte_tell_a_form() {
        for (content_type, body, form) in [
            (Some("application/x-www-form-urlencoded"), "a=1", true),
            (Some("Application/X-WWW-Form-URLencoded ; charset=utf-8"), "a=1", true),
            (Some("application/x-www-form-urlencoded"), "", true),
            (Some("application/x-www-form-urlencoded"), " {\"a\":1}", false),
            (Some("application/x-www-form-urlencoded"), "[1]", false),
            (Some("application/x-www-form-urlencoded2"), "a=1", false),
            (Some("application/json"), "a=1", false),
            (None, "a=1", false),
        ] {
            let document = Document::new(content_type.map(str::as_bytes), body.as_bytes()).unwrap();
            assert_eq!(matches!(document, Document::Form(_)), form, "{content_type:?} {body}");
        }
    }

    #[test]
    fn a_pointer_leads_to_a_forms_field() {
        for (form, pointers, expected) in [
            ("type=a%20b+c&id=7", &["/type"][..], Some((0, "a b c"))),
            ("type=a&id=7", &["/kind", "/id"], Some((1, "7"))),
            ("id=7&type=a", &["/type", "/id"], Some((0, "a"))),
            ("type=first&type=second", &["/type"], Some((0, "first"))),
            ("type", &["/type"], Some((0, ""))),
            ("a%2Fb=1&c~d=2", &["/a~1b"], Some((0, "1"))),
            ("a%2Fb=1&c~d=2", &["/c~0d"], Some((0, "2"))),
            ("a=1", &["/a/b", "/b"], None),
            ("a/b=1", &["/a/b"], None),
            ("=1", &["/"], Some((0, "1"))),
            ("%ff=%ff", &["/\u{fffd}"], Some((0, "\u{fffd}"))),
            ("", &["/a"], None),
        ] {
            let pointers: Vec<_> =
                pointers.iter().map(|text| Pointer::parse(text).unwrap()).collect();
            let pointers: Vec<_> = pointers.iter().collect();
            let found = Document::Form(form.as_bytes()).first(&pointers);
            assert_eq!(found, Ok(expected.map(|(rank, value)| (rank, value.into()))), "{form}");
        }
    }

    #[test]
    fn a_large_body_is_not_read() {
        let body = vec![b'a'; SCAN_BYTES + 1];
        assert!(Document::new(Some(FORM), &body[..SCAN_BYTES]).is_ok());
        for content_type in [Some(FORM), None] {
            let read = Document::new(content_type, &body);
            assert_eq!(read, Err(Unreadable::TooLarge { bytes: SCAN_BYTES + 1 }));
        }
    }
}
