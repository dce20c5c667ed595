//! Who may send, how much, and what becomes of those who are refused too often.

use std::time::Instant;

use crate::senders::{Sending, acme, acme_source, github, hotglue, now};
use crate::yard::{Answer, Yard};

const SECRET: &str = "a secret";

const BEHIND_A_PROXY: &str = r#"
trusted_proxies = ["127.0.0.1"]
refusal_limit = "3/h"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "a secret" }]
[sources.github]
scheme = "github"
secrets = [{ value = "a secret" }]
allow = ["192.30.252.0/22", "2001:db8::/32"]
"#;

fn from(address: &str, sending: &Sending) -> Sending {
    sending.clone().with("x-forwarded-for", address)
}

fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[test]
fn a_source_lets_in_only_whom_it_allows_and_tells_the_others_nothing() {
    let yard = Yard::start(BEHIND_A_PROXY, &[]);
    let good = github(SECRET, "1", "{}");
    for (number, address) in
        ["192.30.252.9", "6.6.6.6, 192.30.255.1", "[2001:db8::1]:443"].into_iter().enumerate()
    {
        let sending = github(SECRET, &number.to_string(), "{}");
        assert_eq!(from(address, &sending).to(&yard).status, 200, "{address}");
    }
    let wrong = from("192.30.252.9", &good).body("[]").to(&yard);
    assert_eq!(wrong.status, 401);
    for address in ["1.1.1.1", "192.30.252.9, 1.1.1.2", "192.30.252.9, nonsense"] {
        let answer = from(address, &good).to(&yard);
        assert_eq!((answer.status, &answer.body), (401, &wrong.body), "{address}");
    }
    assert_eq!(good.to(&yard).status, 401);
    let counted = r#"hookyard_refusals_total{cause="not_allowed",source="github"}"#;
    yard.reads(counted, 4.0);
}

#[test]
fn whom_a_source_does_not_allow_is_refused_before_the_body() {
    let yard = Yard::start(BEHIND_A_PROXY, &[]);
    let mut wire = crate::wire::Wire::to(yard.public());
    wire.send(github(SECRET, "1", "{}").head("content-length: 1000000\r\n\r\n"));
    assert_eq!(wire.answer().status, 401);
}

#[test]
fn an_event_knows_who_really_sent_it() {
    let config = "trusted_proxies = [\"127.0.0.0/8\"]\n[sources.s]\nscheme = { kind = \"none\" }\n";
    let yard = Yard::start(config, &[]);
    for (forwarded, peer) in
        [("6.6.6.6, 1.1.1.1, 127.0.0.9", "1.1.1.1"), ("who?", "127.0.0.1"), ("", "127.0.0.1")]
    {
        let answer = from(forwarded, &Sending::new("/hooks/s", forwarded)).to(&yard);
        let event = yard.event(answer.json()["id"].as_str().unwrap());
        assert_eq!(event["attributes"]["peer"], peer, "{forwarded}");
    }
    yard.configure("[sources.s]\nscheme = { kind = \"none\" }\n");
    assert_eq!(yard.reload()["result"], "ok");
    let answer = from("1.1.1.1", &Sending::new("/hooks/s", "")).to(&yard);
    let event = yard.event(answer.json()["id"].as_str().unwrap());
    assert_eq!(event["attributes"]["peer"], "127.0.0.1");
}

#[test]
fn verified_events_above_the_rate_limit_wait_and_nothing_else_counts() {
    let yard = Yard::start(&acme_source(SECRET, "rate_limit = \"2/h\""), &[]);
    for _ in 0..9 {
        assert_eq!(acme("another", now(), "{}").to(&yard).status, 401);
    }
    for _ in 0..2 {
        assert_eq!(acme(SECRET, now(), "{}").to(&yard).status, 200);
    }
    let answer = acme(SECRET, now(), "{}").to(&yard);
    assert_eq!((answer.status, &*answer.body), (429, r#"{"error":"too many requests"}"#));
    assert!((1..=1_800).contains(&retry_after(&answer)), "{answer:?}");
    // Who is not verified does not learn that the source is busy.
    assert_eq!(acme("another", now(), "{}").to(&yard).status, 401);
    let counted = r#"hookyard_requests_total{result="rate_limited",source="acme"}"#;
    yard.reads(counted, 1.0);
}

#[test]
fn who_is_refused_too_often_waits_and_others_do_not() {
    let yard = Yard::start(BEHIND_A_PROXY, &[]);
    let forged = hotglue("guessed", "{}");
    for _ in 0..3 {
        assert_eq!(from("6.6.6.6", &forged).to(&yard).status, 401);
    }
    for sending in [forged.clone(), forged.clone().without("x-hub-signature")] {
        let answer = from("6.6.6.6", &sending).to(&yard);
        assert_eq!(answer.status, 429, "{sending:?}");
        assert!((1..=1_200).contains(&retry_after(&answer)), "{answer:?}");
    }
    assert_eq!(from("6.6.6.7", &forged).to(&yard).status, 401);
    for host in 0..3 {
        assert_eq!(from(&format!("2001:db8::{host}"), &forged).to(&yard).status, 401);
    }
    assert_eq!(from("2001:db8::ffff", &forged).to(&yard).status, 429);
    assert_eq!(from("2001:db8:0:1::1", &forged).to(&yard).status, 401);
    let counted = r#"hookyard_requests_total{result="shunned",source="hotglue"}"#;
    yard.reads(counted, 3.0);
}

#[test]
fn a_signed_request_passes_although_its_address_is_refused_too_often() {
    let yard = Yard::start(BEHIND_A_PROXY, &[]);
    let flood = || {
        for _ in 0..4 {
            hotglue("guessed", "{}").to(&yard);
        }
        assert_eq!(hotglue("guessed", "{}").to(&yard).status, 429);
    };
    flood();
    let large = "x".repeat(64 * 1024 + 1);
    // A large body is not read on the word of an address like that...
    assert_eq!(hotglue(SECRET, &large).to(&yard).status, 429);
    assert_eq!(hotglue(SECRET, &large[1..]).to(&yard).status, 200);
    // ...unless something from there was verified.
    flood();
    assert_eq!(hotglue(SECRET, &large).to(&yard).status, 200);
}

#[test]
fn the_usual_limit_of_refusals_is_a_thousand_a_minute() {
    let yard = Yard::start(
        "[sources.hotglue]\nscheme = \"hotglue\"\nsecrets = [{ value = \"s\" }]\n",
        &[],
    );
    let mut wire = crate::wire::Wire::to(yard.public());
    let forged = hotglue("guessed", "{}").bytes("");
    let begun = Instant::now();
    let mut refused = 0;
    loop {
        wire.send(&forged);
        match wire.answer().status {
            401 => refused += 1,
            status => break assert_eq!(status, 429),
        }
    }
    let most = 1_001 + begun.elapsed().as_millis() / 60;
    assert!((1_000..=most).contains(&refused), "{refused}");
}
