use std::path::Path;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};

use crate::config::diagnostic::Diagnostics;
use crate::pointer::Pointer;
use crate::verify::{Givens, Request, Scheme, SecretError, SpecError, Verifier, Window, With};

use super::*;

fn scheme(name: &str) -> Scheme {
    let preset = find(name).unwrap();
    checked(preset).unwrap()
}

/// With some value for each name that the scheme gives.
fn checked(preset: &Preset) -> Result<Scheme, SpecError> {
    let mut with = With::default();
    preset.scheme.spec.names().filter(|name| *name != "certificate").for_each(|name| {
        with.insert(name, vec!["given".to_owned()]);
    });
    let public_url = Some("https://hooks.example.com/in");
    Scheme::new(&preset.scheme.spec, &Givens { public_url, with: Some(&with), ..Givens::default() })
}

#[test]
fn what_a_source_adds_is_never_shown() {
    const HUSH: &str = "hush-hush";
    for row in all() {
        let names = row.scheme.spec.names();
        let names = names.chain(row.scheme.handshakes.iter().flat_map(|one| one.names()));
        let mut with = With::default();
        let certificate = |name: &&str| *name == "certificate";
        names.filter(|name| !certificate(name)).for_each(|name| {
            with.insert(name, vec![HUSH.to_owned()]);
        });
        let public_url = Some("https://hooks.example.com/in");
        let givens = Givens { public_url, with: Some(&with), ..Givens::default() };
        let scheme = Scheme::new(&row.scheme.spec, &givens).unwrap();
        let filled: Vec<_> = row.scheme.handshakes.iter().map(|one| one.filled(&with)).collect();
        assert!(!format!("{scheme:?} {filled:?}").contains(HUSH), "{}", row.name);
    }
}

#[test]
fn no_row_has_a_mistake() {
    let (rows, found) = read(ROWS);
    let report = Diagnostics::new(Path::new("presets.toml"), ROWS, &[], found).to_string();
    assert_eq!(report, "");
    assert_eq!(rows.len(), all().count());
    for row in &rows {
        let scheme = checked(row);
        assert!(scheme.is_ok(), "{}: {scheme:?}", row.name);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(row.name.chars().all(plain) && !row.title.is_empty(), "{}", row.name);
    }
    assert!(names().is_sorted_by(|a, b| a < b));
}

#[test]
fn rows_say_where_type_and_id_are() {
    let header = |name| Location::Header(HeaderName::from_static(name));
    let pointer = |text| Location::Pointer(Pointer::from_static(text));
    let row = |name| {
        let row = find(name).unwrap();
        (row.event_type.clone(), row.event_id.clone(), row.proof)
    };
    let svix_id = || EventId::At(vec![header("svix-id"), header("webhook-id")]);
    let statuses = vec![pointer("/status"), pointer("/event")];
    assert_eq!(row("hotglue"), (statuses, EventId::Body, Proof::Docs));
    assert_eq!(row("supaglue"), (vec![pointer("/webhook_event_type")], svix_id(), Proof::Docs));
    assert_eq!(row("svix"), (vec![pointer("/type")], svix_id(), Proof::Vectors));
    let id = EventId::At(vec![header("x-github-delivery")]);
    assert_eq!(row("github"), (vec![header("x-github-event")], id, Proof::Vectors));
}

#[test]
fn what_is_signed_as_the_sender_does_is_verified_and_nothing_else() {
    const NOW: i64 = 1_700_000_000_000;
    const ITEM: &str = r#"{"notificationItems":[{"NotificationRequestItem":{"pspReference":"1","amount":{"currency":"EUR","value":1},"eventCode":"CAPTURE","success":"true"}}]}"#;
    const EVENT: &str = r#"{"event":{"event_time":"1","event_type":"sent"}}"#;
    const OBJECT: &str = r#"{"type":"a","n":1}"#;
    for (name, body) in [
        ("adyen", ITEM),
        ("braintree", OBJECT),
        ("contentful", OBJECT),
        ("dropbox-sign", EVENT),
        ("fusionauth", OBJECT),
        ("livekit", OBJECT),
        ("mandrill", "[1]"),
        ("messagebird", OBJECT),
        ("monday", OBJECT),
        ("netlify", OBJECT),
        ("plivo", OBJECT),
        ("plivo-v2", OBJECT),
        ("twilio", OBJECT),
        ("twilio", "[1]"),
        ("vonage", OBJECT),
    ] {
        let bind = |secret: &str| {
            let scheme = scheme(name);
            let secret = scheme.secret(secret, Window::default()).unwrap();
            Verifier::new(scheme, vec![secret]).unwrap()
        };
        let (ours, other) = (bind("00ff"), bind("00fe"));
        let mut request = unsigned(body);
        ours.sign(&mut request, "id-1", NOW).unwrap();
        assert_eq!(ours.precheck(&request.headers, &request.target), Ok(()), "{name}");
        assert!(other.verify(request.clone(), NOW).is_err(), "{name}");
        let mut changed = request.clone();
        changed.body = [&changed.body[..], b"&x=1"].concat().into();
        let covered = !["adyen", "braintree", "dropbox-sign", "monday", "plivo-v2"].contains(&name);
        assert!(!covered || ours.verify(changed, NOW).is_err(), "{name}");
        assert!(ours.verify(request, NOW).is_ok(), "{name}");
    }
}

fn unsigned(body: &'static str) -> Request {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Request {
        method: Method::POST,
        target: "/in".to_owned(),
        headers: headers.into_iter().collect(),
        body: body.into(),
        peer: [127, 0, 0, 1].into(),
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    const KEY: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    for name in ["svix", "supaglue"] {
        let refused = scheme(name).secret(KEY, Window::default());
        assert_eq!(refused.unwrap_err(), SecretError::KeyPair);
    }
    assert!(scheme("standard-webhooks").secret(KEY, Window::default()).is_ok());
    let private = scheme("standard-webhooks").secret("whsk_AAE=", Window::default());
    assert_eq!(private.unwrap_err(), SecretError::KeyPair);
}

#[test]
fn no_signature_is_an_id() {
    for row in all() {
        let secret = ["whsec_a2V5", "a2V5", "user:password", "abcd"];
        let secrets = secret.iter().filter_map(|text| {
            let scheme = checked(row).ok()?;
            let secret = scheme.secret(text, Window::default()).ok()?;
            Verifier::new(scheme, vec![secret]).ok()
        });
        let Some(verifier) = secrets.into_iter().next() else { continue };
        let EventId::At(places) = &row.event_id else { continue };
        for name in verifier.signature_names() {
            let is_signature =
                |place: &Location| matches!(place, Location::Header(at) if at == name);
            assert!(!places.iter().any(is_signature), "{}", row.name);
        }
    }
}
