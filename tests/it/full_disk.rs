//! A disk that takes no more.

use crate::wat;
use crate::yard::{Yard, wait};

const SOURCE: &str = r#"
[sources.open]
scheme = { kind = "none" }

[[routes]]
source = "open"
handler = "acks"
"#;

#[test]
fn below_min_free_events_are_refused_until_there_is_space() {
    let config = |min_free| format!("min_free = {min_free}\n{SOURCE}");
    let mut yard = Yard::start(&config("'1TiB'"), &[("acks", &wat::ack())]);
    let refused = yard.post("/hooks/open", &[], b"{}");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    let ready = yard.ask("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("min_free"), "{ready:?}");
    assert!(yard.metric("hookyard_free_bytes") > 0.0);
    assert!(yard.log().contains("min_free"), "{}", yard.log());
    yard.stop();
    yard.configure(&config("0"));
    yard.run();
    assert_eq!(yard.post("/hooks/open", &[], b"{}").status, 200);
    wait("readiness", || (yard.ask("/readyz").status == 200).then_some(()));
}
