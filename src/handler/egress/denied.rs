//! What a handler is told that asks for more than it was granted: the line that would grant it.

use std::fmt::Display;

use super::reach::{Hosts, Reach};
use super::target::Target;
use crate::address::NotPublic;

/// A request to where no grant leads.
pub fn target(handler: &str, reach: &Reach, target: &Target) -> String {
    let all = reach.egress.iter().map(ToString::to_string).chain([target.to_string()]);
    let line = format!("egress = {}", list(all));
    format!("not granted: requests to {target}; {}", grant(&["handlers", handler], &line))
}

/// One request more than an attempt may send.
pub fn calls(handler: &str, reach: &Reach) -> String {
    let most = reach.calls;
    let line = format!("egress_calls = {}", u64::from(most) + 1);
    format!(
        "not granted: more than {most} requests an attempt; {}",
        grant(&["handlers", handler], &line)
    )
}

/// A request to an address that is not public.
pub fn address(handler: &str, reach: &Reach, target: &Target, refused: NotPublic) -> String {
    let grant = grant(&["handlers", handler], &private(reach, refused));
    format!("not granted: {target} has no public address ({refused}); {grant}")
}

/// An event that is forwarded to an address that is not public.
pub fn forward(route: &str, reach: &Reach, target: &Target, refused: NotPublic) -> String {
    let line = private(reach, refused);
    format!(
        "not granted: {target} has no public address ({refused}); router.toml would grant it with \
         {line} beside `forward` in the route `{route}`"
    )
}

/// The line that names an address too.
fn private(reach: &Reach, refused: NotPublic) -> String {
    let bits = if refused.address.is_ipv4() { 32 } else { 128 };
    let range = format!("{}/{bits}", refused.address);
    let all = reach.private.iter().map(ToString::to_string).chain([range]);
    format!("egress_private = {}", list(all))
}

/// A request to hookyard itself.
pub fn own(target: &Target) -> String {
    format!("not granted: {target} is hookyard itself, which no handler reaches")
}

/// A request that would take a secret where it does not belong.
pub fn secret(handler: &str, secret: &str, hosts: &[Hosts], target: &Target) -> String {
    let all = hosts.iter().map(ToString::to_string).chain([target.host.clone()]);
    let line = format!("hosts = {}", list(all));
    format!(
        "not granted: the secret `{secret}` does not go to {target}; {}",
        grant(&["handlers", handler, "secrets", secret], &line)
    )
}

/// The line of router.toml, and the table that it belongs to.
fn grant(table: &[&str], line: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let key = |key: &&str| match key.bytes().all(is_bare) {
        true => (*key).to_owned(),
        false => format!("{key:?}"),
    };
    let table: Vec<String> = table.iter().map(key).collect();
    format!("router.toml would grant it with {line} in [{}]", table.join("."))
}

/// A TOML array of strings, none of which holds a quote.
fn list(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.map(|item| format!("\"{item}\"")).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::egress::reach::Pattern;

    #[test]
    fn a_denial_is_the_line_that_would_allow_it() {
        let wanted = Target::of(&"https://api.example.com/v1".parse().unwrap()).unwrap();
        let none = Reach { calls: 8, ..Reach::default() };
        let some = Reach {
            egress: vec![Pattern::parse("https://*.acme.dev:8443").unwrap()],
            private: vec!["10.0.0.0/8".parse().unwrap()],
            calls: 8,
        };
        let private = NotPublic { address: [192, 168, 0, 1].into(), kind: "a private address" };
        let loopback =
            NotPublic { address: [0, 0, 0, 0, 0, 0, 0, 1].into(), kind: "a loopback address" };
        for (found, line) in [
            (
                target("crm", &none, &wanted),
                r#"egress = ["https://api.example.com"] in [handlers.crm]"#,
            ),
            (
                target("crm.v2", &some, &wanted),
                r#"egress = ["https://*.acme.dev:8443", "https://api.example.com"] in [handlers."crm.v2"]"#,
            ),
            (calls("crm", &none), "egress_calls = 9 in [handlers.crm]"),
            (
                address("crm", &some, &wanted, private),
                r#"egress_private = ["10.0.0.0/8", "192.168.0.1/32"] in [handlers.crm]"#,
            ),
            (
                address("crm", &none, &wanted, loopback),
                r#"egress_private = ["::1/128"] in [handlers.crm]"#,
            ),
            (
                secret("crm", "token", &[Hosts::parse("*.acme.dev").unwrap()], &wanted),
                r#"hosts = ["*.acme.dev", "api.example.com"] in [handlers.crm.secrets.token]"#,
            ),
        ] {
            assert!(found.starts_with("not granted: ") && found.ends_with(line), "{found}");
            assert!(found.contains("https://api.example.com") || line.contains("calls"), "{found}");
        }
    }
}
