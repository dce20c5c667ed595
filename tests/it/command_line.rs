//! The command line, and what `serve` says when it cannot begin.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use crate::yard::Yard;

fn run(yard: &Yard, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = yard.command(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A yard with this router.toml, and nothing before it.
fn with(config: &str) -> Yard {
    let yard = Yard::new("");
    fs::write(yard.path("router.toml"), config).unwrap();
    yard
}

#[test]
fn wrong_usage_exits_with_2() {
    let yard = Yard::new("");
    for arguments in [&[][..], &["server"], &["serve", "now"], &["serve", "--port", "80"]] {
        let (code, out, error) = run(&yard, arguments);
        assert_eq!((code, &*out), (Some(2), ""), "{arguments:?}");
        assert!(error.contains("Usage: hookyard"), "{error}");
    }
}

#[test]
fn every_help_has_examples() {
    let yard = Yard::new("");
    for arguments in [&["--help"][..], &["serve", "--help"]] {
        let (code, out, error) = run(&yard, arguments);
        assert_eq!((code, &*error), (Some(0), ""));
        let (_, examples) = out.split_once("Examples:\n").expect(&out);
        assert!(examples.contains("  hookyard serve"), "{out}");
        assert!(!out.contains('\x1b'), "{out}");
    }
}

#[test]
fn a_missing_router_toml_is_told() {
    let yard = Yard::new("");
    fs::remove_file(yard.path("router.toml")).unwrap();
    for (arguments, file) in
        [(&["serve"][..], "router.toml"), (&["serve", "--config", "other.toml"], "other.toml")]
    {
        let (code, out, error) = run(&yard, arguments);
        assert_eq!((code, &*out), (Some(1), ""));
        assert!(error.contains(file), "{error}");
    }
}

#[test]
fn all_mistakes_of_router_toml_are_told_at_once() {
    let mistakes = r#"
[server]
lisen = "127.0.0.1:0"
[sources.s]
scheme = "hotgleu"
secrets = [{ env = "NOT_SET_IN_TESTS" }]
[[routes]]
source = "nobody"
handler = "h"
"#;
    let yard = with(mistakes);
    let (code, error) = yard.fails_to_start();
    assert_eq!(code, Some(1));
    for (part, line) in [("listen", 3), ("hotglue", 5), ("NOT_SET_IN_TESTS", 6), ("nobody", 8)] {
        assert!(error.contains(part), "{part}: {error}");
        assert!(error.contains(&format!("router.toml:{line}:")), "{line}: {error}");
    }
    assert!(!yard.path("data").exists(), "nothing was begun");
}

#[test]
fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (listen, admin) in [(&*address, "127.0.0.1:0"), ("127.0.0.1:0", &*address)] {
        let yard = with(&format!("[server]\nlisten = \"{listen}\"\nadmin = \"{admin}\"\n"));
        let (code, error) = yard.fails_to_start();
        assert_eq!(code, Some(1));
        assert!(error.contains(&address), "{error}");
    }
}

#[test]
fn two_servers_on_one_ledger_are_one_too_many() {
    let mut yard = Yard::start("", &[]);
    let (code, error) = yard.fails_to_start();
    assert_eq!(code, Some(1));
    assert!(error.contains("another hookyard uses the ledger in data"), "{error}");
    assert_eq!(yard.ask("/readyz").status, 200);
    yard.kill();
    yard.run();
}

#[test]
fn a_data_folder_that_cannot_be_used_is_told() {
    for data in ["file", "file/data", "/proc/hookyard", "/dev/null"] {
        let yard = Yard::new(&format!("data = \"{data}\"\n"));
        fs::write(yard.path("file"), "").unwrap();
        let (code, error) = yard.fails_to_start();
        assert_eq!(code, Some(1), "{data}");
        assert!(error.contains(&format!("cannot use the data folder {data}: ")), "{error}");
    }
}

#[test]
fn a_ledger_of_a_later_version_is_told() {
    let mut yard = Yard::start("", &[]);
    yard.stop();
    let db = rusqlite::Connection::open(yard.path("data/ledger.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let (code, error) = yard.fails_to_start();
    assert_eq!(code, Some(1));
    assert!(error.contains("data/ledger.db") && error.contains("layout 99"), "{error}");
}
