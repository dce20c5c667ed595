//! Requests that nobody is known to have signed.

use crate::senders::{Sending, acme, acme_source, github, hotglue, now, source, standard};
use crate::wire::Wire;
use crate::yard::{Answer, Yard};

const SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw==";
const OTHER: &str = "whsec_c2VjcmV0IG9mIGFub3RoZXIh";

fn sources() -> String {
    let presets = ["github", "hotglue", "svix", "supaglue", "standard-webhooks"];
    presets.map(|name| source(name, SECRET)).concat() + &acme_source(SECRET, "")
}

const BODY: &str = r#"{"type":"a"}"#;

/// The path of a source that signs as Standard Webhooks does, and its headers' prefix.
const STANDARD: [(&str, &str); 5] = [
    ("/hooks/svix", "svix"),
    ("/hooks/svix", "webhook"),
    ("/hooks/supaglue", "svix"),
    ("/hooks/supaglue", "webhook"),
    ("/hooks/standard-webhooks", "webhook"),
];

/// What every refusal must look like: all but the date.
fn shape(answer: &Answer) -> String {
    let headers = answer.headers.iter().filter(|(name, _)| name != "date");
    format!("{} {:?} {}", answer.status, headers.collect::<Vec<_>>(), answer.body)
}

fn all_refused_alike(yard: &Yard, sendings: &[Sending]) {
    let expected = shape(&Sending::new("/hooks/github", "{}").to(yard));
    assert!(expected.ends_with(r#" {"error":"unauthorized"}"#), "{expected}");
    for sending in sendings {
        let answer = sending.to(yard);
        assert_eq!(answer.status, 401, "{sending:?}");
        assert_eq!(shape(&answer), expected, "{sending:?}");
    }
    let events = yard.ask("/api/v1/events").json();
    assert_eq!(events["items"].as_array().unwrap().len(), 0);
}

/// All ways in which the header of a signature can be wrong.
fn wrong_signatures(good: &Sending, header: &str) -> Vec<Sending> {
    let value = good.header(header).to_owned();
    let flipped = if value.ends_with('0') { "1" } else { "0" };
    let prefix = value.find([',', '=']).map_or("", |at| &value[..=at]);
    let cut = |by: usize| value[..value.len() - by].to_owned();
    let mut all: Vec<Sending> = [
        String::new(),
        prefix.to_owned(),
        "nonsense".to_owned(),
        "é".to_owned(),
        cut(2),
        cut(4),
        format!("{value}0"),
        format!("{value}00"),
        format!("{}{flipped}", cut(1)),
        format!("x{value}"),
        format!("{prefix}{}", "0".repeat(value.len() - prefix.len())),
        "0".repeat(20_000),
    ]
    .into_iter()
    .map(|wrong| good.clone().with(header, wrong))
    .collect();
    all.push(good.clone().without(header));
    all.push(good.clone().body(""));
    all.push(good.clone().body(BODY.to_owned() + " "));
    all
}

#[test]
fn a_body_that_is_signed_wrongly_is_refused() {
    let yard = Yard::start(&sources(), &[]);
    let mut all = wrong_signatures(&hotglue(SECRET, BODY), "x-hub-signature");
    all.extend(wrong_signatures(&github(SECRET, "1", BODY), "x-hub-signature-256"));
    all.extend(wrong_signatures(&acme(SECRET, now(), BODY), "x-acme-signature"));
    all.extend([hotglue(OTHER, BODY), github(OTHER, "1", BODY), acme(OTHER, now(), BODY)]);
    all.push(hotglue("", BODY));
    // Another of the sender's headers, signed as well as can be.
    let older = github(SECRET, "1", BODY);
    let value = hotglue(SECRET, BODY).header("x-hub-signature").to_owned();
    all.push(older.without("x-hub-signature-256").with("x-hub-signature", value));
    all_refused_alike(&yard, &all);
    assert_eq!(hotglue(SECRET, BODY).to(&yard).status, 200);
    assert_eq!(github(SECRET, "1", BODY).to(&yard).status, 200);
    assert_eq!(acme(SECRET, now(), BODY).to(&yard).status, 200);
}

#[test]
fn a_standard_webhook_that_is_signed_wrongly_is_refused() {
    let yard = Yard::start(&sources(), &[]);
    for (path, names) in STANDARD {
        let [id, timestamp, signature] =
            ["id", "timestamp", "signature"].map(|name| format!("{names}-{name}"));
        let sent = |secret| standard(path, names, secret, "1", now(), BODY);
        let good = sent(SECRET);
        let mut all = wrong_signatures(&good, &signature);
        all.push(sent(OTHER));
        all.push(good.clone().with(&id, "2"));
        all.push(good.clone().without(&id));
        all.push(good.clone().without(&timestamp));
        all.push(good.clone().with(&timestamp, (now() - 100).to_string()));
        all.push(good.clone().with(&timestamp, format!("{}.0", now())));
        all_refused_alike(&yard, &all);
    }
    for (number, (path, names)) in STANDARD.into_iter().enumerate() {
        let good = standard(path, names, SECRET, &number.to_string(), now(), BODY);
        let signature = format!("{names}-signature");
        let several = format!("v1,AAAA v1a,AAAA {}", good.header(&signature));
        assert_eq!(good.with(&signature, several).to(&yard).status, 200, "{path} {names}");
    }
}

#[test]
fn what_was_signed_too_long_ago_or_too_far_ahead_is_refused() {
    let yard = Yard::start(&sources(), &[]);
    let late = [now() - 400, now() - 86_400, 0, now() + 400, now() * 1_000, u64::MAX];
    let mut all: Vec<Sending> = late.map(|at| acme(SECRET, at, BODY)).into();
    for (path, names) in STANDARD {
        all.extend(late.map(|at| standard(path, names, SECRET, "1", at, BODY)));
    }
    all_refused_alike(&yard, &all);
    for at in [now() - 200, now() + 200] {
        let id = at.to_string();
        for (path, names) in [STANDARD[0], STANDARD[3], STANDARD[4]] {
            let sending = standard(path, names, SECRET, &id, at, BODY);
            assert_eq!(sending.to(&yard).status, 200, "{sending:?}");
        }
    }
}

#[test]
fn what_can_be_refused_by_its_head_is_refused_before_its_body() {
    let yard = Yard::start(&sources(), &[]);
    let stale = standard("/hooks/svix", "svix", SECRET, "1", 0, BODY);
    for sending in [
        hotglue(SECRET, BODY).without("x-hub-signature"),
        hotglue(SECRET, BODY).with("x-hub-signature", "abc"),
        stale.clone().without("svix-id"),
        stale.with("svix-timestamp", "yesterday"),
    ] {
        let mut wire = Wire::to(yard.public());
        wire.send(sending.head("content-length: 12\r\n\r\n"));
        assert_eq!(wire.answer().status, 401, "{sending:?}");
    }
}

#[test]
fn the_cause_is_logged_and_counted_without_what_was_sent() {
    let yard = Yard::start(&sources(), &[]);
    let good = hotglue(SECRET, BODY);
    let signature = good.header("x-hub-signature").to_owned();
    for _ in 0..3 {
        assert_eq!(good.clone().body("another body").to(&yard).status, 401);
    }
    let log = crate::yard::wait("the refusal in the log", || {
        Some(yard.log()).filter(|log| log.contains("the signature does not match"))
    });
    assert!(log.contains(r#""source":"hotglue""#), "{log}");
    for secret in [&signature, SECRET, "another body"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
    let counted = r#"hookyard_requests_total{result="unauthorized",source="hotglue"}"#;
    yard.reads(counted, 3.0);
}
