//! Several secrets at once, each in its time.

use crate::senders::{github, hotglue};
use crate::yard::Yard;

const ROTATION: &str = r#"
[sources.github]
scheme = "github"
secrets = [
  { value = "long gone", not_after = "2020-01-01T00:00:00Z" },
  { value = "hush old", not_before = "2020-01-01T00:00:00Z" },
  { value = "hush new" },
  { value = "to come", not_before = "2100-01-01T00:00:00Z" },
]
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "long gone", not_after = "2020-01-01T00:00:00Z" }]
"#;

#[test]
fn any_secret_in_its_time_matches_and_it_is_said_which() {
    let yard = Yard::start(ROTATION, &[]);
    for (secret, index) in [("hush old", 1), ("hush new", 2)] {
        let answer = github(secret, secret, "{}").to(&yard);
        let event = yard.event(answer.json()["id"].as_str().unwrap());
        assert_eq!(event["secret"], index);
        let counted =
            format!(r#"hookyard_secret_matches_total{{secret="{index}",source="github"}}"#);
        yard.reads(&counted, 1.0);
    }
    for secret in ["long gone", "to come", "another"] {
        assert_eq!(github(secret, "3", "{}").to(&yard).status, 401, "{secret}");
    }
    assert_eq!(hotglue("long gone", "{}").to(&yard).status, 401);
    let counted = r#"hookyard_refusals_total{cause="no_secret_in_force",source="hotglue"}"#;
    yard.reads(counted, 1.0);
    assert!(!yard.log().contains("hush") && !yard.ask("/metrics").body.contains("hush"));
}

#[test]
fn a_source_without_a_secret_in_its_time_is_warned_of() {
    let yard = Yard::start(ROTATION, &[]);
    let warning = "none of these secrets is in its time";
    assert_eq!(yard.log().matches(warning).count(), 1, "{}", yard.log());
    let check = yard.command(&["check"]).output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && said.contains(warning), "{said}");
    assert!(said.contains("secrets = ["), "{said}");
    let report = yard.reload();
    assert!(report["warnings"][0].as_str().unwrap().contains(warning), "{report}");
}
