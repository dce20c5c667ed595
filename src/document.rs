//! A body that can be looked into: JSON, or a form as an object of strings.

use std::borrow::Cow;

use crate::form::Form;
use crate::pointer::{self, Pointer, SCAN_BYTES, Unreadable};

/// A body of at most [`SCAN_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document<'a> {
    /// It should be JSON: that is found out when it is read.
    Json(&'a [u8]),
    /// Fields.
    Form(Form<'a>),
}

impl<'a> Document<'a> {
    /// The body as its content type says.
    ///
    /// # Errors
    /// The body is too large.
    pub fn new(content_type: Option<&[u8]>, body: &'a [u8]) -> Result<Self, Unreadable> {
        if body.len() > SCAN_BYTES {
            return Err(Unreadable::TooLarge { bytes: body.len() });
        }
        Ok(Form::new(content_type, body).map_or(Self::Json(body), Self::Form))
    }

    /// The first of `pointers` that leads to a scalar, as its place in the list and the value.
    /// See [`pointer::first`] for JSON. In a form, `/name` leads to the field of that name, and to
    /// the first of several; `/name/a` leads into it, if it holds JSON.
    ///
    /// # Errors
    /// The body is not JSON.
    pub fn first(
        &self,
        pointers: &[&Pointer],
    ) -> Result<Option<(usize, Cow<'a, str>)>, Unreadable> {
        let form = match self {
            Self::Json(body) => return pointer::first(body, pointers),
            Self::Form(form) => form,
        };
        let mut ranked = pointers.iter().enumerate();
        Ok(ranked.find_map(|(rank, pointer)| Some((rank, field(form, pointer)?))))
    }
}

fn field<'a>(form: &Form<'a>, pointer: &Pointer) -> Option<Cow<'a, str>> {
    form.fields().find_map(|(name, value)| match pointer.below_member(&name)? {
        None => Some(value),
        Some(inside) => {
            let found = pointer::first(value.as_bytes(), &[&inside]).ok().flatten();
            found.map(|(_, text)| Cow::Owned(text.into_owned()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &[u8] = b"application/x-www-form-urlencoded";

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
            (
                "payload=%7B%22a%22%3A%5B%7B%22b%22%3A7%7D%5D%7D",
                &["/payload/a/0/b"],
                Some((0, "7")),
            ),
            ("payload=%7B", &["/payload/a", "/payload"], Some((1, "{"))),
        ] {
            let pointers: Vec<_> =
                pointers.iter().map(|text| Pointer::parse(text).unwrap()).collect();
            let pointers: Vec<_> = pointers.iter().collect();
            let found = Document::new(Some(FORM), form.as_bytes()).unwrap().first(&pointers);
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
