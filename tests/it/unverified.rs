//! Sources of which nothing proves who sends say so wherever they are shown.

use serde_json::Value;

use crate::senders::{Sending, hotglue};
use crate::yard::Yard;

const SOURCES: &str = r#"
[sources.open]
path = "/in/open"
scheme = { kind = "none" }
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "s" }]
"#;

#[test]
fn an_unverified_source_is_shown_as_such_everywhere() {
    let yard = Yard::start(SOURCES, &[]);
    let open = Sending::new("/in/open", "{}").to(&yard).json();
    let signed = hotglue("s", "{}").to(&yard).json();
    for (answer, verified) in [(&open, false), (&signed, true)] {
        let event = yard.event(answer["id"].as_str().unwrap());
        assert_eq!(event["verified"], verified, "{event}");
    }
    let events = yard.ask("/api/v1/events").json();
    assert_eq!(
        (&events["items"][0]["verified"], &events["items"][1]["verified"]),
        (&true.into(), &false.into())
    );
    assert_eq!(yard.metric(r#"hookyard_source_verified{source="open"}"#), 0.0);
    assert!(yard.ask("/metrics").body.contains(r#"hookyard_source_verified{source="open"} 0"#));
    yard.reads(r#"hookyard_source_verified{source="hotglue"}"#, 1.0);
    assert!(yard.log().contains("sources.open is unverified"), "{}", yard.log());
    assert!(!yard.log().contains("sources.hotglue is unverified"), "{}", yard.log());

    let check = yard.command(&["check"]).output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert_eq!(said, "ok: 2 sources (unverified: open), 0 routes, 0 handlers\n");
    let check = yard.command(&["check", "--json"]).output().unwrap();
    let said: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(said["unverified"], serde_json::json!(["open"]));

    yard.configure("");
    yard.reload();
    assert!(!yard.ask("/metrics").body.contains("hookyard_source_verified{"));
}
