use super::super::presets::{self, Proof};
use super::*;
use crate::pointer::Pointer;

fn header(name: &'static str) -> Location {
    Location::Header(HeaderName::from_static(name))
}

fn pointer(text: &'static str) -> Location {
    Location::Pointer(Pointer::from_static(text))
}

#[test]
fn every_row_is_a_valid_scheme_under_a_name_of_its_own() {
    let names: Vec<_> = presets::names().collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    for name in names {
        let preset = presets::find(name).unwrap();
        assert!(preset.scheme(Some("https://hooks.example.com/in")).is_ok(), "{name}");
        assert!(!preset.title.is_empty() && !preset.event_type.is_empty(), "{name}");
    }
    assert!(presets::find("nobody").is_none());
}

#[test]
fn rows_say_where_type_and_id_are() {
    let row = |name| {
        presets::find(name)
            .map(|row| (row.event_type.clone(), row.event_id.clone(), row.proof))
            .unwrap()
    };
    let svix_id = || EventId::At(vec![header("svix-id"), header("webhook-id")]);
    assert_eq!(
        row("hotglue"),
        (vec![pointer("/status"), pointer("/event")], EventId::Body, Proof::Docs)
    );
    assert_eq!(row("supaglue"), (vec![pointer("/webhook_event_type")], svix_id(), Proof::Docs));
    assert_eq!(row("svix"), (vec![pointer("/type")], svix_id(), Proof::Vectors));
    let id = EventId::At(vec![header("webhook-id")]);
    assert_eq!(row("standard-webhooks"), (vec![pointer("/type")], id, Proof::Vectors));
    let id = EventId::At(vec![header("x-github-delivery")]);
    assert_eq!(row("github"), (vec![header("x-github-event")], id, Proof::Vectors));
}

fn preset(name: &str, secret: &str) -> Verifier {
    bind(presets::find(name).unwrap().scheme(None).unwrap(), &[secret])
}

#[test]
fn hotglue_takes_bare_hex_only() {
    let mut mac = ::hmac::Hmac::<sha1::Sha1>::new_from_slice(b"key").unwrap();
    mac.update(b"{}");
    let good = hex::encode(mac.finalize().into_bytes());
    let verdict = |value: &str| {
        check(&preset("hotglue", "key"), request(&[("X-Hub-Signature", value)], b"{}"), 0)
    };
    assert_eq!(verdict(&good), Ok(0));
    assert_eq!(verdict(&format!("sha1={good}")), Err(Refusal::MalformedSignature));
}

#[test]
fn an_id_is_covered_only_where_it_is_signed() {
    let covered =
        |verifier: &Verifier, name| verifier.covers_header(&HeaderName::from_static(name));
    assert!(!covered(&preset("github", "key"), "x-github-delivery"));
    let svix = preset("svix", "whsec_a2V5");
    assert!(covered(&svix, "svix-id") && covered(&svix, "webhook-id"));
    assert!(!covered(&preset("standard-webhooks", "a2V5"), "svix-id"));
}

#[test]
fn a_public_key_is_refused_at_load() {
    for name in ["standard-webhooks", "svix", "supaglue"] {
        let scheme = presets::find(name).unwrap().scheme(None).unwrap();
        let refused =
            scheme.secret("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", Window::default());
        assert_eq!(refused.unwrap_err(), SecretError::KeyPair);
    }
}
