//! Signing as these senders do, for `send`. What they sign is wrapped as they wrap it.

use super::{Code, Coded, contentful, form, plivo, twilio};
use crate::verify::place::set_header;
use crate::verify::secret::in_force;
use crate::verify::{Encoding, Refusal, Request, Secret, Unsignable};
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

impl Coded {
    /// Signs with the first secret in force. A nonce is `id`.
    pub(in crate::verify) fn sign(
        &self,
        secrets: &[Secret],
        request: &mut Request,
        id: &str,
        now_unix_ms: i64,
    ) -> Result<(), Unsignable> {
        let secret = in_force(secrets, now_unix_ms, Secret::window)?;
        self.wrap(request, id, now_unix_ms)?;
        // What is signed is read from a request that has a signature, if not yet the right one.
        self.write(request, &[vec![0; self.code.digest().length()]])?;
        let claims = self.claims(request, now_unix_ms)?;
        let contents = claims.iter().filter_map(|claim| claim.contents.first());
        let tags: Vec<_> = contents.map(|text| self.code.tag(secret.key(), text)).collect();
        self.write(request, &tags)
    }

    /// Puts the body, and what is signed beside it, where the sender has it.
    fn wrap(&self, request: &mut Request, id: &str, now_unix_ms: i64) -> Result<(), Unsignable> {
        match self.code {
            Code::AdyenStandard => {}
            Code::Braintree => enclose(request, "bt_payload", |body| Encoding::Base64.encode(body)),
            Code::DropboxSign => enclose(request, "json", text),
            Code::Mandrill => enclose(request, "mandrill_events", text),
            Code::Plivo => {
                flatten(request);
                set_header(request, &plivo::NONCE, id)?;
            }
            Code::PlivoV2 => set_header(request, &plivo::NONCE_V2, id)?,
            Code::Contentful => {
                let names = [contentful::SIGNED_HEADERS.as_str(), contentful::TIMESTAMP.as_str()];
                set_header(request, &contentful::SIGNED_HEADERS, &names.join(","))?;
                set_header(request, &contentful::TIMESTAMP, &now_unix_ms.to_string())?;
            }
            Code::Twilio => flatten(request),
        }
        Ok(())
    }

    /// Writes the signatures to where the sender has them; of one, to all places.
    fn write(&self, request: &mut Request, tags: &[Vec<u8>]) -> Result<(), Unsignable> {
        let tag = tags.first().map_or(&[][..], Vec::as_slice);
        match self.code {
            Code::AdyenStandard => adyen(request, tags),
            Code::Braintree => {
                let signature = ["public_key|", &hex::encode(tag)].concat();
                replace(request, "bt_signature", &signature)
            }
            Code::DropboxSign => dropbox_sign(request, tag),
            Code::Contentful => set_header(request, &contentful::SIGNATURE, &hex::encode(tag)),
            code => match code.headers().first() {
                Some(name) => set_header(request, name, &Encoding::Base64.encode(tag)),
                None => Ok(()),
            },
        }
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn make_form<'a>(request: &mut Request, pairs: impl IntoIterator<Item = (&'a str, String)>) {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(pairs);
    request.body = Bytes::from(form.finish());
    request.headers.insert(CONTENT_TYPE, FORM);
}

/// Makes a body the one field of a form, unless it is a form.
fn enclose(request: &mut Request, name: &str, write: impl Fn(&[u8]) -> String) {
    if matches!(form::any_fields(request), Ok(None)) {
        let value = write(&request.body);
        make_form(request, [(name, value)]);
    }
}

/// Makes an object of scalars a form.
fn flatten(request: &mut Request) {
    if let Ok(Value::Object(members)) = serde_json::from_slice(&request.body) {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        make_form(request, members.iter().map(|(name, value)| (name.as_str(), text(value))));
    } else if matches!(form::fields(request), Ok(None)) {
        let hash = twilio::hash_parameter(&request.body);
        let separator = if request.target.contains('?') { '&' } else { '?' };
        request.target = format!("{}{separator}{hash}", request.target);
    }
}

/// Puts a field into a form, in place of the one of its name.
fn replace(request: &mut Request, name: &str, value: &str) -> Result<(), Unsignable> {
    let fields = form::any_fields(request)?.ok_or(Refusal::UnreadableBody)?;
    let others = fields.iter().filter(|(known, _)| known != name);
    let mut fields: Vec<_> =
        others.map(|(k, v)| (k.clone().into_owned(), v.clone().into_owned())).collect();
    fields.push((name.to_owned(), value.to_owned()));
    make_form(request, fields.iter().map(|(name, value)| (name.as_str(), value.clone())));
    Ok(())
}

fn parsed(json: &[u8]) -> Result<Value, Unsignable> {
    serde_json::from_slice(json).map_err(|_| Refusal::UnreadableBody.into())
}

fn adyen(request: &mut Request, tags: &[Vec<u8>]) -> Result<(), Unsignable> {
    let mut body = parsed(&request.body)?;
    let items: Vec<&mut Value> = match body.get_mut("notificationItems") {
        Some(Value::Array(items)) => {
            items.iter_mut().filter_map(|item| item.get_mut("NotificationRequestItem")).collect()
        }
        _ => vec![&mut body],
    };
    for (index, item) in items.into_iter().enumerate() {
        let tag = tags.get(index).or(tags.first()).map_or(&[][..], Vec::as_slice);
        let Some(item) = item.as_object_mut() else { return Err(Refusal::UnreadableBody.into()) };
        let additional = item.entry("additionalData").or_insert_with(|| json!({}));
        let Some(additional) = additional.as_object_mut() else {
            return Err(Refusal::UnreadableBody.into());
        };
        additional.insert("hmacSignature".to_owned(), Encoding::Base64.encode(tag).into());
    }
    request.body = Bytes::from(body.to_string());
    Ok(())
}

fn dropbox_sign(request: &mut Request, tag: &[u8]) -> Result<(), Unsignable> {
    let json = {
        let fields = form::any_fields(request)?.ok_or(Refusal::UnreadableBody)?;
        form::need(&fields, "json")?.to_owned()
    };
    let mut payload = parsed(json.as_bytes())?;
    let event = payload.get_mut("event").and_then(Value::as_object_mut);
    let event = event.ok_or(Refusal::UnreadableBody)?;
    event.insert("event_hash".to_owned(), hex::encode(tag).into());
    replace(request, "json", &payload.to_string())
}
