//! `hookyard verify`, of captured requests.

use std::fs;

use crate::senders::{Sending, acme, acme_source, github, hotglue, now, sha256, source};
use crate::yard::Yard;

const SOURCES: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "hush one" }, { value = "hush two" }]
body_limit = 64
[sources.github]
scheme = "github"
secrets = [{ value = "hush three" }]
[sources.gitlab]
scheme = "gitlab"
secrets = [{ value = "hush token" }]
[sources.open]
scheme = { kind = "none" }
"#;

const BODY: &str = "{\"status\": \"JOB_COMPLETED\"}";

fn yard() -> Yard {
    Yard::new(&(SOURCES.to_owned() + &acme_source("hush one", "")))
}

fn verify(yard: &Yard, source: &str, sending: &Sending, more: &[&str]) -> super::Ran {
    let arguments = [&["verify", source, "--request", "-"], more].concat();
    let ran = yard.hookyard_reading(sending.bytes(""), &arguments);
    assert!(!ran.out.contains("hush") && !ran.err.contains("hush"), "{ran:?}");
    ran
}

#[test]
fn a_request_that_is_signed_right_is_verified_step_by_step() {
    let yard = yard();
    let ran = verify(&yard, "hotglue", &hotglue("hush two", BODY), &[]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    for part in [
        "ok     path\n       expected  /hooks/hotglue\n       found     /hooks/hotglue\n",
        "ok     header x-hub-signature\n       expected  20 bytes in hex\n       found     `",
        "ok     signed text\n       expected  {body}\n       found     27 bytes, SHA-256 ",
        "FAILS  secret 0\n",
        "ok     secret 1\n",
        "\nverified, with secret 1\n",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let ran = verify(&yard, "github", &github("hush three", "1", BODY), &["--json"]);
    let shown = ran.json();
    assert_eq!((&shown["verified"], &shown["secret"]), (&true.into(), &0.into()), "{shown}");
    assert_eq!((&shown["source"], &shown["likely_cause"]), (&"github".into(), &().into()));
    assert!(shown["at"].as_u64().unwrap() >= now() - 60, "{shown}");
}

#[test]
fn a_request_that_is_signed_wrong_is_refused_with_its_likely_cause() {
    let yard = yard();
    let bare = github("hush three", "1", BODY).header("x-hub-signature-256").replace("sha256=", "");
    for (source, sending, likely) in [
        (
            "hotglue",
            hotglue("hush one", r#"{"status":"JOB_COMPLETED"}"#).body(BODY),
            "the same JSON without white space",
        ),
        ("hotglue", hotglue("hush three", BODY), "signed with the secret of source `github`"),
        ("hotglue", hotglue("another", BODY), "none of the usual mistakes"),
        (
            "github",
            github("hush three", "1", BODY).with("x-hub-signature-256", bare),
            "has no `sha256=` before it",
        ),
        (
            "github",
            hotglue("hush one", BODY),
            "as source `hotglue` is: it was posted to the wrong path",
        ),
        (
            "github",
            Sending::new("/hooks/github", BODY),
            "many senders sign only when a secret is set",
        ),
        (
            "gitlab",
            Sending::new("/hooks/gitlab", BODY).with("x-gitlab-token", "hush three"),
            "the secret of source `github`",
        ),
        ("acme", acme("hush one", 1_600_000_000, BODY), "the signature is right, but not its time"),
        ("acme", acme("hush one", now() * 1_000, BODY), "is in milliseconds"),
    ] {
        let ran = verify(&yard, source, &sending, &[]);
        assert_eq!((ran.code, &*ran.err), (Some(1), ""), "{ran:?}");
        assert!(ran.out.contains("\nrefused: ") && ran.out.contains("FAILS  "), "{}", ran.out);
        let (_, said) = ran.out.split_once("likely:  ").unwrap();
        assert!(said.contains(likely), "{likely}: {said}");
    }
}

#[test]
fn a_capture_is_verified_as_of_its_own_time() {
    let yard = yard();
    let old = acme("hush one", 1_600_000_000, BODY);
    for (at, code) in
        [("1600000000", 0), ("1600000300", 0), ("1600000301", 1), ("1599999699", 1), ("-5", 1)]
    {
        assert_eq!(verify(&yard, "acme", &old, &["--at", at]).code, Some(code), "{at}");
    }
    fs::write(yard.path("captured.http"), old.bytes("")).unwrap();
    let ran = yard.hookyard(&[
        "verify",
        "acme",
        "--request",
        "captured.http",
        "--at",
        "1600000000",
        "--json",
    ]);
    assert_eq!((ran.code, &ran.json()["at"]), (Some(0), &1_600_000_000.into()));
}

#[test]
fn what_is_signed_right_and_would_not_be_taken_is_not_verified() {
    let yard = yard();
    let whole = String::from_utf8(hotglue("hush two", BODY).bytes("")).unwrap();
    let longer = format!("content-length: {}", BODY.len() + 1);
    let large = hotglue("hush two", format!("{BODY:<65}")).bytes("");
    for (captured, check) in [
        (whole.replacen("/hooks/hotglue", "/hooks/hotglu", 1), "path"),
        (whole.replacen("POST", "PUT", 1), "method"),
        (whole.replacen("POST", "GET", 1), "method"),
        (whole.replacen(&format!("content-length: {}", BODY.len()), &longer, 1), "body"),
        (String::from_utf8(large).unwrap(), "body"),
    ] {
        assert_ne!(captured, whole);
        let arguments = ["verify", "hotglue", "--request", "-", "--json"];
        let ran = yard.hookyard_reading(&captured, &arguments[..4]);
        let end = "\nthe signature matches, but it would not be taken: see FAILS\n";
        assert!(ran.code == Some(1) && ran.out.ends_with(end), "{check}: {ran:?}");
        assert!(ran.out.contains(&format!("FAILS  {check}\n")), "{check}: {ran:?}");
        let ran = yard.hookyard_reading(&captured, &arguments);
        let shown = ran.json();
        assert_eq!((ran.code, &shown["verified"]), (Some(1), &false.into()), "{check}: {shown}");
        assert_eq!((&shown["secret"], &shown["refusal"]), (&1.into(), &().into()), "{check}");
    }
}

#[test]
fn a_method_is_right_where_the_server_takes_it() {
    let yard = Yard::new(&source("dropbox", "hush"));
    let signature = hex::encode(sha256(b"hush", &[]));
    for (line, code) in [
        ("GET /hooks/dropbox?challenge=x", 0),
        ("POST /hooks/dropbox", 0),
        ("GET /hooks/dropbox", 1),
        ("PUT /hooks/dropbox?challenge=x", 1),
    ] {
        let captured = format!("{line} HTTP/1.1\nx-dropbox-signature: {signature}\n\n");
        let ran = yard.hookyard_reading(captured, &["verify", "dropbox", "--request", "-"]);
        assert_eq!(ran.code, Some(code), "{line}: {ran:?}");
        assert_eq!(ran.out.contains("ok     method\n"), code == 0, "{line}: {ran:?}");
    }
}

#[test]
fn what_does_not_even_fit_is_told() {
    let yard = yard();
    let open = verify(&yard, "open", &Sending::new("/hooks/open", BODY), &[]);
    assert!(open.out.contains("unverified: the source takes what anybody sends"), "{open:?}");
    for (arguments, code, what) in [
        (&["verify", "hotgleu", "--request", "-"][..], 1, "there is no source `hotgleu`"),
        (&["verify", "hotglue", "--request", "-"], 1, "- is no HTTP request: it does not begin"),
        (&["verify", "hotglue", "--request", "gone"], 1, "cannot read"),
        (&["verify", "hotglue"], 2, "--request"),
        (&["verify", "hotglue", "--request", "-", "--at", "now"], 2, "--at"),
    ] {
        let ran = yard.hookyard_reading("{}", arguments);
        assert!(ran.code == Some(code) && ran.err.contains(what), "{what}: {ran:?}");
    }
}
