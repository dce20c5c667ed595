//! What of a verified request is what its sender signed.

use super::certified::Certifier;
use super::code::Code;
use super::*;

fn spec(name: &str) -> Spec {
    match Code::from_name(name) {
        Some(code) => Spec::Code(code),
        None => Spec::Certified(Certifier::from_name(name).unwrap()),
    }
}

fn scheme_of(name: &str) -> Scheme {
    let spec = spec(name);
    let mut with = With::default();
    spec.names().for_each(|name| with.insert(name, vec!["given".to_owned()]));
    with.insert("certificate", Vec::new());
    let public_url = Some("https://h.example/in/");
    Scheme::new(&spec, &Givens { public_url, with: Some(&with), ..Givens::default() }).unwrap()
}

fn verifier_of(name: &str) -> Verifier {
    let scheme = scheme_of(name);
    let secrets: &[&str] = if Code::from_name(name).is_some() { &["6b6579"] } else { &[] };
    bind(scheme, secrets)
}

#[test]
fn an_id_is_signed_only_where_its_place_is() {
    const ITEM: &str = "/notificationItems/0/NotificationRequestItem";
    for (name, pointer, signed) in [
        ("adyen-standard", format!("{ITEM}/pspReference"), true),
        ("adyen-standard", format!("{ITEM}/amount/value"), true),
        ("adyen-standard", format!("{ITEM}/eventDate"), false),
        ("adyen-standard", format!("{ITEM}/additionalData/success"), false),
        ("adyen-standard", "/notificationItems/0/a/NotificationRequestItem/success".into(), false),
        ("adyen-standard", "/pspReference".into(), false),
        ("braintree", "/bt_payload".into(), true),
        ("braintree", "/bt_payload/id".into(), false),
        ("braintree", "/id".into(), false),
        ("contentful", "/sys/id".into(), true),
        ("dropbox-sign", "/json/event/event_hash".into(), false),
        ("mandrill", "/mandrill_events/0/_id".into(), false),
        ("plivo", "/MessageUUID".into(), false),
        ("plivo-v2", "/MessageUUID".into(), false),
        ("twilio", "/MessageSid".into(), false),
        ("aws-sns", "/MessageId".into(), true),
        ("aws-sns", "/MessageAttributes/id/Value".into(), false),
        ("aws-sns", "/Subject".into(), false),
        ("paypal", "/id".into(), false),
    ] {
        let place = Location::Pointer(Pointer::parse(&pointer).unwrap());
        assert_eq!(verifier_of(name).covers(&place), signed, "{name} {pointer}");
        let joined = Location::Joined(vec![place, Location::Pointer(Pointer::from_static("/x"))]);
        assert_eq!(verifier_of(name).covers(&joined), name == "contentful", "{name} {pointer}");
    }
}

/// The same form, with its fields the other way round, written in other words, and one more.
fn respelled(request: &Request, more: &str) -> Request {
    let pairs: Vec<_> = form_urlencoded::parse(&request.body).collect();
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let fields = pairs.iter().rev().map(|(k, v)| format!("{}={}", escaped(k), escaped(v)));
    let body = fields.chain([more.to_owned()]).collect::<Vec<_>>().join("&");
    Request { body: body.into(), ..request.clone() }
}

#[test]
fn a_form_in_another_spelling_is_the_same() {
    for (name, more) in [("twilio", ""), ("plivo", ""), ("mandrill", ""), ("braintree", "x=1")] {
        let verifier = verifier_of(name);
        let mut first = request(&[], br#"{"a":"1 2","b":"3"}"#);
        verifier.sign(&mut first, "id", NOW_MS).unwrap();
        let second = respelled(&first, more);
        assert_ne!(first.body, second.body);
        assert_eq!(verifier.signed_body(&first), verifier.signed_body(&second), "{name}");
        assert_eq!(check(&verifier, first, NOW_MS), Ok(0), "{name}");
        assert_eq!(check(&verifier, second, NOW_MS), Ok(0), "{name}");
    }
}

#[test]
fn what_says_nothing_of_the_event_is_not_all_that_tells_it_from_others() {
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for name in ["twilio", "plivo-v2", "dropbox-sign", "contentful", "adyen-standard"] {
        let verifier = verifier_of(name);
        for body in ["=", "&", "{}"] {
            let request = request(&[form], body.as_bytes());
            assert_eq!(&*verifier.signed_body(&request), body.as_bytes(), "{name}");
        }
    }
}
