//! `hookyard check`.

use serde_json::json;

use crate::wat;
use crate::yard::Yard;

const HOTGLUE: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "first" }]

[[routes]]
source = "hotglue"
handler = "h"
"#;

#[test]
fn what_is_fine_is_summed_up() {
    let yard = Yard::new(HOTGLUE);
    yard.plugin("h.wat", wat::ack());
    yard.plugin("unrouted.wat", wat::trap());
    yard.plugin("notes.txt", "no module");
    let ran = yard.hookyard(&["check"]);
    assert_eq!((ran.code, &*ran.out), (Some(0), "ok: 1 source, 1 route, 2 handlers\n"));
    assert_eq!(ran.err, "");
    assert!(!yard.path("data").exists());
}

#[test]
fn the_file_and_all_modules_are_reported_at_once() {
    let config = HOTGLUE.replace("scheme", "shceme");
    let yard = Yard::new(&config);
    yard.plugin("core.wat", "(module)");
    yard.plugin("empty.wasm", "");
    yard.plugin("fine.wat", wat::ack());
    yard.plugin("twice.wat", wat::ack());
    yard.plugin("twice.wasm", wat::ack());
    let ran = yard.hookyard(&["check"]);
    assert_eq!(ran.code, Some(1));
    let expected = [
        "error: `sources.hotglue` has no `scheme`\n",
        "error: unknown key `shceme` in `sources.hotglue`\n --> router.toml:7:1\n  |\n7 | shceme",
        "  = help: did you mean `scheme`?\n",
        "\nerror: this is a core module without a function `_start`",
        "\n--> plugins/core.wat\n",
        "\nerror: the file is empty\n--> plugins/empty.wasm\n",
        "\nwarning: the handler `h` has no file\n--> plugins/h.wasm\n",
        "\nerror: there are both twice.wasm and twice.wat: remove one\n--> plugins/twice.wasm\n",
    ];
    let mut rest = &*ran.out;
    for part in expected {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part}\nin {}", ran.out));
        rest = after;
    }
    assert!(!ran.out.contains("fine") && !ran.out.contains("ok:"), "{}", ran.out);
}

#[test]
fn a_warning_is_no_failure() {
    let ran = Yard::new(HOTGLUE).hookyard(&["check"]);
    let expected = "\
warning: the handler `h` has no file
--> plugins/h.wasm
 = help: its deliveries are parked until the file is there

ok: 1 source, 1 route, 0 handlers
";
    assert_eq!((ran.code, &*ran.out), (Some(0), expected));
}

#[test]
fn json_has_a_place_for_each_finding() {
    let yard = Yard::new(&format!("{HOTGLUE}ähm = 1\n"));
    yard.plugin("h.wat", "(component (oops))");
    let ran = yard.hookyard(&["check", "--json"]);
    assert_eq!((ran.code, &*ran.err), (Some(1), ""));
    let report = ran.json();
    assert_eq!(report["ok"], false);
    let found = report["diagnostics"].as_array().unwrap();
    let mut syntax = found[0].clone();
    syntax["message"].take();
    let place = json!({
        "severity": "error", "file": "router.toml", "line": 13, "column": 1,
        "message": null, "help": null,
    });
    assert_eq!(syntax, place);
    // Without its structure the file does not say where the plugins are.
    assert_eq!(found.len(), 1);

    yard.configure(&HOTGLUE.replace("handler = \"h\"", "handler = \"h\"\nevnet = \"ä\""));
    let report = yard.hookyard(&["check", "--json"]).json();
    let found = report["diagnostics"].as_array().unwrap();
    assert_eq!(
        found[0],
        json!({
            "severity": "error", "file": "router.toml", "line": 13, "column": 1,
            "message": "unknown key `evnet` in `routes`", "help": "did you mean `event`?",
        })
    );
    let module = &found[1];
    assert_eq!((&module["severity"], &module["file"]), (&"error".into(), &"plugins/h.wat".into()));
    assert_eq!((&module["line"], &module["column"]), (&json!(null), &json!(null)));
    assert!(
        module["message"].as_str().unwrap().contains("expected valid component field"),
        "{module}"
    );

    yard.plugin("h.wat", wat::ack());
    yard.configure(HOTGLUE);
    assert_eq!(
        yard.hookyard(&["check", "--json"]).json(),
        json!({ "ok": true, "unverified": [], "diagnostics": [] })
    );
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let ran = Yard::new("").hookyard(&["check", "--config", "nowhere.toml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.starts_with("error: cannot read the file: "), "{ran:?}");
    assert!(ran.out.contains("--> nowhere.toml"), "{ran:?}");
}

#[test]
fn a_files_name_cannot_write_to_the_terminal() {
    let yard = Yard::new("");
    yard.plugin("\u{1b}[31mred.wat", "(module)");
    let ran = yard.hookyard(&["check"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("\\u{1b}[31mred.wat"), "{ran:?}");
    assert!(!ran.out.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_reported_as_serve_would() {
    let tls = "tls = { cert = \"no.pem\", key = \"no.key\" }\n";
    let yard = Yard::new(&format!("{tls}{HOTGLUE}"));
    yard.plugin("h.wat", wat::ack());
    let expected = "error: `server.tls` cannot be used: ";
    let ran = yard.hookyard(&["check"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains(expected) && ran.out.contains("no.pem: "), "{ran:?}");
    let ran = yard.hookyard(&["serve"]);
    assert!(ran.err.contains(expected) && ran.err.contains("no.pem: "), "{ran:?}");
}

#[test]
fn a_file_of_a_similar_name_is_suggested_for_one_that_is_missing() {
    let yard = Yard::new(HOTGLUE);
    yard.plugin("hh.wat", wat::ack());
    let ran = yard.hookyard(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let help = "help: its deliveries are parked until the file is there; did you mean `hh`?";
    assert!(ran.out.contains(help), "{ran:?}");
}
