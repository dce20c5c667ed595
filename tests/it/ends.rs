//! Events of hotglue's that come to every end: handled at once, at the third attempt, and in vain.

use crate::wat;

pub const SECRET: &str = "a secret of the tests";

/// The source, and its routes.
pub const CONFIG: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "a secret of the tests" }]

[[routes]]
source = "hotglue"
handler = "acks"

[[routes]]
source = "hotglue"
handler = "retries"

[[routes]]
source = "hotglue"
handler = "rejects"
"#;

/// The handlers of the routes.
pub fn plugins() -> [(&'static str, String); 3] {
    [("acks", wat::ack()), ("retries", wat::ack_at(3)), ("rejects", wat::reject("no"))]
}
