//! Forms that senders sign.

use super::code::Code;
use super::*;
use crate::form::Form;
use http::header::CONTENT_TYPE;
use sha2::Digest as _;

const URL: &str = "https://h.example/in/";

fn coded(code: Code) -> Verifier {
    let givens = Givens { public_url: Some(URL), ..Givens::default() };
    bind(Scheme::new(&Spec::Code(code), &givens).unwrap(), &["key"])
}

/// The same fields, as parts.
fn as_multipart(request: &Request) -> Request {
    let content_type = request.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let form = Form::new(content_type, &request.body).unwrap();
    let parts = form.fields().map(|(name, value)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    let body = parts.chain(["--b--\r\n".to_owned()]).collect::<String>();
    let mut multipart = Request { body: body.into(), ..request.clone() };
    let content_type = HeaderValue::from_static("multipart/form-data; boundary=b");
    multipart.headers.insert(CONTENT_TYPE, content_type);
    multipart
}

#[test]
fn the_parts_of_a_form_count_only_where_the_sender_sends_parts() {
    const OBJECT: &str = r#"{"a":"1"}"#;
    const EVENT: &str = r#"{"event":{"event_time":"1","event_type":"sent"}}"#;
    for (code, body, sends_parts) in [
        (Code::Twilio, OBJECT, false),
        (Code::Plivo, OBJECT, false),
        (Code::Mandrill, OBJECT, false),
        (Code::Braintree, OBJECT, false),
        (Code::DropboxSign, EVENT, true),
    ] {
        let verifier = coded(code);
        let mut signed = request(&[], body.as_bytes());
        verifier.sign(&mut signed, "id", NOW_MS).unwrap();
        let parts = as_multipart(&signed);
        assert_eq!(check(&verifier, signed, NOW_MS), Ok(0), "{code:?}");
        assert_eq!(check(&verifier, parts, NOW_MS).is_ok(), sends_parts, "{code:?}");
    }
}

#[test]
fn a_body_that_adds_nothing_to_what_is_signed_needs_a_hash() {
    let verifier = coded(Code::Twilio);
    let mut mac = ::hmac::Hmac::<sha1::Sha1>::new_from_slice(b"key").unwrap();
    mac.update(URL.as_bytes());
    let of_the_url = Encoding::Base64.encode(&mac.finalize().into_bytes());
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for body in ["=", "&", "=&=", "==", "a="] {
        let sent = request(&[form, ("X-Twilio-Signature", &of_the_url)], body.as_bytes());
        let refusal = match body {
            "==" | "a=" => Refusal::Mismatch,
            _ => Refusal::Missing("query parameter bodySHA256".to_owned()),
        };
        assert_eq!(check(&verifier, sent, NOW_MS), Err(refusal), "{body}");
        let hash = hex::encode(sha2::Sha256::digest(body));
        let mut hashed = request(&[form], body.as_bytes());
        hashed.target += &format!("?bodySHA256={hash}");
        verifier.sign(&mut hashed, "id", NOW_MS).unwrap();
        assert_eq!(check(&verifier, hashed, NOW_MS), Ok(0), "{body}");
    }
    let bare = request(&[form, ("X-Twilio-Signature", &of_the_url)], b"");
    assert_eq!(check(&verifier, bare, NOW_MS), Ok(0));
}
