//! Names and values of a form, as senders that sign them want them: sorted.

use crate::form::Form;
use crate::verify::{Refusal, Request};
use http::header::CONTENT_TYPE;
use std::borrow::Cow;

/// Fields of a form at the most; senders use some dozens.
const FIELDS: usize = 1_000;

pub(super) type Field<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The fields of a request whose body is a form as senders sign it: percent-encoded. Other
/// libraries may read other fields in a multipart form than we do, so none is taken for one.
pub(super) fn fields(request: &Request) -> Result<Option<Vec<Field<'_>>>, Refusal> {
    form(request).filter(|form| matches!(form, Form::UrlEncoded(_))).map(read).transpose()
}

/// The fields of a request whose body is a form of either kind.
pub(super) fn any_fields(request: &Request) -> Result<Option<Vec<Field<'_>>>, Refusal> {
    form(request).map(read).transpose()
}

fn form(request: &Request) -> Option<Form<'_>> {
    let content_type = request.headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    Form::new(content_type, &request.body)
}

fn read(form: Form<'_>) -> Result<Vec<Field<'_>>, Refusal> {
    let fields: Vec<_> = form.fields().take(FIELDS + 1).collect();
    if fields.len() > FIELDS { Err(Refusal::UnreadableBody) } else { Ok(fields) }
}

/// The one field of that name.
pub(super) fn need<'f>(fields: &'f [Field<'_>], name: &str) -> Result<&'f str, Refusal> {
    let mut values = fields.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(Refusal::Missing(format!("form field {name}"))),
        (Some(_), Some(_)) => Err(Refusal::Ambiguous(format!("form field {name}"))),
    }
}

/// All names and values behind each other, sorted by name; of a name that repeats, its values.
pub(super) fn sorted(mut fields: Vec<Field<'_>>) -> String {
    fields.sort();
    fields.iter().flat_map(|(name, value)| [&**name, &**value]).collect()
}
