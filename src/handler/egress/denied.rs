//! What a handler is told that asks for more than it was granted: the line that would grant it.

use std::fmt::Display;

use super::grants::{Grants, Hosts};
use super::target::Target;
use crate::address::NotPublic;

/// A request to where no grant leads.
pub fn target(handler: &str, grants: &Grants, target: &Target) -> String {
    let all = grants.egress.iter().map(ToString::to_string).chain([target.to_string()]);
    let line = format!("egress = {}", list(all));
    format!("not granted: requests to {target}; {}", write(handler, &line))
}

/// One request more than an attempt may send.
pub fn calls(handler: &str, grants: &Grants) -> String {
    let most = grants.calls;
    let line = format!("egress_calls = {}", u64::from(most) + 1);
    format!("not granted: more than {most} requests an attempt; {}", write(handler, &line))
}

/// A request to an address that is not public.
pub fn address(handler: &str, grants: &Grants, target: &Target, refused: NotPublic) -> String {
    let bits = if refused.address.is_ipv4() { 32 } else { 128 };
    let range = format!("{}/{bits}", refused.address);
    let all = grants.private.iter().map(ToString::to_string).chain([range]);
    let line = format!("egress_private = {}", list(all));
    format!("not granted: {target} has no public address ({refused}); {}", write(handler, &line))
}

/// A request to hookyard itself.
pub fn own(target: &Target) -> String {
    format!("not granted: {target} is hookyard itself, which no handler reaches")
}

/// A request that would take a secret where it does not belong.
pub fn secret(handler: &str, secret: &str, hosts: &[Hosts], target: &Target) -> String {
    let all = hosts.iter().map(ToString::to_string).chain([target.host.clone()]);
    let line = format!("hosts = {}", list(all));
    let table = table(handler);
    format!(
        "not granted: the secret `{secret}` does not go to {target}; to allow it, write in `secrets` under {table}, for `{secret}`: {line}"
    )
}

fn write(handler: &str, line: &str) -> String {
    format!("to allow it, write under {}: {line}", table(handler))
}

fn table(handler: &str) -> String {
    let quote = if handler.contains('.') { "\"" } else { "" };
    format!("[handlers.{quote}{handler}{quote}]")
}

/// A TOML array of strings, none of which holds a quote.
fn list(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.map(|item| format!("\"{item}\"")).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::egress::grants::Pattern;

    #[test]
    fn a_denial_is_the_line_that_would_allow_it() {
        let wanted = Target::of(&"https://api.example.com/v1".parse().unwrap()).unwrap();
        let none = Grants { calls: 8, ..Grants::default() };
        let some = Grants {
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
                r#"[handlers.crm]: egress = ["https://api.example.com"]"#,
            ),
            (
                target("crm.v2", &some, &wanted),
                r#"[handlers."crm.v2"]: egress = ["https://*.acme.dev:8443", "https://api.example.com"]"#,
            ),
            (calls("crm", &none), "[handlers.crm]: egress_calls = 9"),
            (
                address("crm", &some, &wanted, private),
                r#"[handlers.crm]: egress_private = ["10.0.0.0/8", "192.168.0.1/32"]"#,
            ),
            (
                address("crm", &none, &wanted, loopback),
                r#"[handlers.crm]: egress_private = ["::1/128"]"#,
            ),
            (
                secret("crm", "token", &[Hosts::parse("*.acme.dev").unwrap()], &wanted),
                r#"hosts = ["*.acme.dev", "api.example.com"]"#,
            ),
        ] {
            assert!(found.starts_with("not granted: ") && found.ends_with(line), "{found}");
            assert!(found.contains("https://api.example.com") || line.contains("calls"), "{found}");
        }
    }
}
