//! Secrets that a sender hands over itself.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;
use sha2::Sha256;

use crate::senders::Sending;
use crate::yard::{Yard, wait};

const CONFIG: &str = "[sources.asana]\nscheme = \"asana\"\n[sources.notion]\nscheme = \"notion\"\n\
                      [sources.github]\nscheme = \"github\"\nsecrets = [{ value = \"s\" }]\n";

fn arm(yard: &Yard, source: &str) -> u16 {
    let json = [("content-type", "application/json")];
    yard.admin_request("POST", &format!("/api/v1/sources/{source}/arm"), &json).status
}

fn shown(yard: &Yard, source: &str) -> serde_json::Value {
    let json = [("content-type", "application/json")];
    let path = format!("/api/v1/sources/{source}/handed-over");
    yard.admin_request("POST", &path, &json).json()["secret"].take()
}

fn hook(secret: &str) -> Sending {
    Sending::new("/hooks/asana", "").with("x-hook-secret", secret)
}

/// As Asana signs.
fn event(secret: &str, body: &str) -> Sending {
    use hmac::{Hmac, KeyInit, Mac};
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let tag = hex::encode(mac.chain_update(body).finalize().into_bytes());
    Sending::new("/hooks/asana", body).with("x-hook-signature", tag)
}

#[test]
fn a_secret_is_taken_only_while_somebody_waits_and_never_twice() {
    let yard = Yard::start(CONFIG, &[]);
    assert_eq!(hook("early").to(&yard).status, 401);
    assert_eq!(event("early", "{}").to(&yard).status, 401);
    assert_eq!(arm(&yard, "asana"), 200);
    let answer = hook("b537207f20cbfa02357cf448134da559").to(&yard);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-hook-secret"), Some("b537207f20cbfa02357cf448134da559"));
    // In force with the answer.
    assert_eq!(event("b537207f20cbfa02357cf448134da559", "{}").to(&yard).status, 200);
    assert_eq!(hook("late").to(&yard).status, 401);
    assert_eq!(arm(&yard, "asana"), 409);
    assert_eq!(event("late", "{}").to(&yard).status, 401);
    assert_eq!(shown(&yard, "asana"), "b537207f20cbfa02357cf448134da559");
    assert_eq!(shown(&yard, "asana"), json!(null));
    let log = yard.log();
    assert!(log.contains("was handed over, and is in force") && !log.contains("b537207f"), "{log}");
}

#[test]
fn a_secret_outlives_reload_and_restart_readable_by_its_owner_alone() {
    let mut yard = Yard::start(CONFIG, &[]);
    assert_eq!(arm(&yard, "asana"), 200);
    assert_eq!(hook("kept").to(&yard).status, 200);
    let path = yard.path("data/handed-over/asana");
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    yard.reload();
    assert_eq!(event("kept", "1").to(&yard).status, 200);
    yard.stop();
    yard.run();
    assert_eq!(event("kept", "2").to(&yard).status, 200);
    assert_eq!((arm(&yard, "asana"), hook("other").to(&yard).status), (409, 401));
}

#[test]
fn a_secret_that_comes_while_router_toml_is_broken_is_kept_and_not_said_to_be_in_force() {
    const IN_FORCE: &str = "was handed over, and is in force";
    let yard = Yard::start(CONFIG, &[]);
    assert_eq!(arm(&yard, "asana"), 200);
    yard.configure(&format!("{CONFIG}nonsense"));
    assert_eq!(hook("kept").to(&yard).status, 200);
    assert_eq!(event("kept", "1").to(&yard).status, 401);
    let log = yard.log();
    assert!(
        log.contains("when router.toml can be loaded again") && !log.contains(IN_FORCE),
        "{log}"
    );
    yard.configure(CONFIG);
    yard.reload();
    assert_eq!(event("kept", "2").to(&yard).status, 200);
}

#[test]
fn only_a_sender_that_hands_over_a_secret_can_be_waited_for() {
    let yard = Yard::start(CONFIG, &[]);
    assert_eq!((arm(&yard, "github"), arm(&yard, "nobody")), (409, 404));
    let get = yard.ask("/api/v1/sources/asana/arm");
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    let json = [("content-type", "application/json")];
    for (seconds, status) in [("0", 400), ("86401", 400), ("x", 400), ("86400", 200)] {
        let path = format!("/api/v1/sources/asana/arm?seconds={seconds}");
        assert_eq!(yard.admin_request("POST", &path, &json).status, status, "{seconds}");
    }
}

#[test]
fn the_operator_sees_what_notion_hands_over() {
    let yard = Yard::start(CONFIG, &[]);
    let admin = format!("http://{}", yard.admin());
    let mut command = yard.command(&["presets", "arm", "notion", "--for", "5m", "--url", &admin]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let body = r#"{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}"#;
    let token = Sending::new("/hooks/notion", body).with("content-type", "application/json");
    wait("the window to open", || (token.to(&yard).status == 200).then_some(()));
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(told, "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(shown(&yard, "notion"), json!(null));
}
