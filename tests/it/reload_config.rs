//! Hot reload of router.toml and its secrets, and asking for a reload.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::letters::routes;
use crate::wat;
use crate::yard::{Yard, hotglue_signature, wait};

const SECRET_FILE: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ file = "secrets/hotglue" }]
"#;

/// A yard that verifies by a secret from a file.
fn with_secret_file(secret: &str) -> Yard {
    let mut yard = Yard::new(SECRET_FILE);
    fs::create_dir(yard.path("secrets")).unwrap();
    fs::write(yard.path("secrets/hotglue"), secret).unwrap();
    yard.run();
    yard
}

fn until_it_verifies(yard: &Yard, secret: &str) {
    wait(&format!("{secret} to be a secret"), || {
        (yard.hotglue(secret, r#"{"status":"x"}"#).status == 200).then_some(())
    });
}

#[test]
fn an_edited_router_toml_is_in_force_without_a_restart() {
    let yard = Yard::start(&routes(&["a"], ""), &[("a", &wat::log("a")), ("b", &wat::log("b"))]);
    assert_eq!(yard.post("/new", &[], b"{}").status, 404);
    let id = yard.send("b", "{}");
    assert_eq!(yard.event(&id)["deliveries"], json!([]));

    let config = routes(&["b"], "").replace("[sources.s]", "[sources.s]\npath = \"/new\"");
    yard.configure(&config);
    wait("the new path", || (yard.post("/new", &[], b"{}").status == 200).then_some(()));
    assert_eq!(yard.post("/hooks/s", &[], b"{}").status, 404);
    let answer = yard.post("/new", &[("x-for", "b")], b"{}");
    yard.until(answer.json()["id"].as_str().unwrap(), "done");
    assert_eq!(yard.handler("a"), json!(null));
}

#[test]
fn a_configuration_is_told_to_be_in_force_once_its_handlers_are() {
    let yard = Yard::start(&routes(&["a"], ""), &[("a", &wat::ack()), ("b", &wat::ack())]);
    yard.configure(&routes(&["a", "b"], ""));
    yard.reload();
    let log = yard.log();
    let line = |part: &str| log.lines().position(|line| line.contains(part)).unwrap();
    let loaded = r#""message":"loaded","handler":"b""#;
    assert!(line(loaded) < line("a new configuration is in force"), "{log}");
}

#[test]
fn a_broken_router_toml_leaves_all_of_the_last_one() {
    let yard = Yard::start(&routes(&["h"], ""), &[("h", &wat::log("one"))]);
    yard.configure(&routes(&["h"], "tiemout = \"1s\""));
    let failed = r#"hookyard_reloads_total{result="failed"}"#;
    wait("a failed reload", || (yard.metric(failed) == 1.0).then_some(()));
    assert_eq!(yard.said_by("h").0, "one");
    let errors = yard.reload()["errors"].clone();
    let error = errors[0].as_str().unwrap();
    assert!(error.starts_with("router.toml:15:1: unknown key `tiemout`"), "{error}");
    assert!(error.contains("timeout"), "{error}");
    assert_eq!(errors.as_array().unwrap().len(), 1);
    assert_eq!(yard.log().matches("unknown key `tiemout`").count(), 1);

    yard.rename_plugin("h.wat", wat::log("two"));
    yard.until_it_says("h", "two");
    fs::remove_file(yard.path("router.toml")).unwrap();
    assert_eq!(yard.reload()["result"], "failed");
    assert_eq!(yard.said_by("h").0, "two");
    yard.configure(&routes(&["h", "i"], ""));
    wait("the next route", || (yard.handler("i")["state"] == "missing").then_some(()));
}

#[test]
fn a_handlers_configuration_changes_without_its_file() {
    let config = |memory| routes(&["h"], "") + &format!("[handlers.h]\nmemory = \"{memory}\"\n");
    let yard = Yard::start(&config("1MiB"), &[("h", &wat::log("same"))]);
    let version = yard.handler("h")["version"].clone();
    yard.plugin("h.wat", "broken");
    yard.until_error("h");
    yard.configure(&config("64KiB"));
    assert_eq!(yard.reload()["changed"], json!(["router.toml", "handlers.h"]));
    assert_eq!(yard.handler("h")["version"], version);
    let id = yard.send("h", "{}");
    wait("the new limit", || {
        let event = yard.event(&id);
        let attempt = &event["deliveries"][0]["attempts"][0];
        (attempt["error"].as_str()?.contains("the limit is 65536")).then_some(())
    });
}

#[test]
fn a_changed_secret_counts_from_then_on() {
    let yard = with_secret_file("first");
    until_it_verifies(&yard, "first");
    fs::write(yard.path("secrets/hotglue"), "second").unwrap();
    until_it_verifies(&yard, "second");
    assert_eq!(yard.hotglue("first", "{}").status, 401);
    assert!(!yard.log().contains("second"), "{}", yard.log());

    fs::remove_file(yard.path("secrets/hotglue")).unwrap();
    let report = yard.reload();
    assert!(report["errors"][0].as_str().unwrap().contains("cannot read `secrets/hotglue`"));
    assert_eq!(yard.hotglue("second", "{\"a\":1}").status, 200);
    fs::write(yard.path("secrets/hotglue"), "third").unwrap();
    until_it_verifies(&yard, "third");
}

#[test]
fn a_secret_file_that_was_missed_is_noticed_when_it_comes() {
    let yard = Yard::start(&routes(&["h"], ""), &[]);
    yard.configure(SECRET_FILE);
    let failed = r#"hookyard_reloads_total{result="failed"}"#;
    wait("a failed reload", || (yard.metric(failed) == 1.0).then_some(()));
    fs::create_dir(yard.path("secrets")).unwrap();
    fs::write(yard.path("secrets/hotglue"), "late").unwrap();
    until_it_verifies(&yard, "late");
}

#[test]
fn a_mounted_secret_is_swapped_as_kubernetes_does() {
    let mut yard = Yard::new(SECRET_FILE);
    let folder = yard.path("secrets");
    for (version, secret) in [("..1", "first"), ("..2", "second")] {
        fs::create_dir_all(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("hotglue"), secret).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/hotglue", folder.join("hotglue")).unwrap();
    yard.run();
    until_it_verifies(&yard, "first");
    symlink("..2", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    until_it_verifies(&yard, "second");
    let signature = hotglue_signature("first", b"{}");
    let old = yard.post("/hooks/hotglue", &[("X-Hub-Signature", &signature)], b"{}");
    assert_eq!(old.status, 401);
}

#[test]
fn what_needs_a_restart_is_said_and_the_rest_is_applied() {
    let yard = Yard::start(&routes(&["h"], ""), &[("h", &wat::log("h"))]);
    assert_eq!(
        yard.reload(),
        json!({"result": "ok", "changed": [], "restart": [], "warnings": [], "errors": []})
    );
    let address = yard.public();
    let config = fs::read_to_string(yard.path("router.toml")).unwrap();
    let config = config.replace("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1:1\"");
    let server = "data = \"elsewhere\"\ndrain_timeout = \"1s\"\nceilings = { memory = \"1GiB\", \
        timeout = \"1m\" }\nthreads = { handlers = 3 }\nadmin_hosts = [\"hooks.internal\"]\n";
    let config = config.replace("[sources.s]", &format!("{server}[sources.s]\npath = \"/new\""));
    fs::write(yard.path("router.toml"), config).unwrap();
    let report = yard.reload();
    assert_eq!((&report["result"], &report["changed"]), (&json!("ok"), &json!(["router.toml"])));
    let waiting = ["listen", "data", "drain_timeout", "ceilings.memory", "threads.handlers"];
    assert_eq!(report["restart"], json!(waiting));
    for key in waiting {
        assert!(yard.log().contains(&format!("`{key}` waits for a restart")), "{key}");
    }
    assert_eq!(yard.public(), address);
    assert_eq!(yard.post("/new", &[], b"{}").status, 200);
    assert_eq!(yard.reload()["restart"], json!(waiting));
    assert_eq!(yard.log().matches("`listen` waits").count(), 1);
}

#[test]
fn the_admin_token_is_rotated_without_a_restart() {
    let token = |file: &str| format!("admin_token = {{ file = \"{file}\" }}\n{}", routes(&[], ""));
    let mut yard = Yard::new(&token("token"));
    fs::write(yard.path("token"), "first").unwrap();
    yard.run();
    let asked = |token: &str| {
        let authorization = format!("Bearer {token}");
        let answer =
            yard.admin_request("GET", "/api/v1/handlers", &[("authorization", &authorization)]);
        answer.status
    };
    assert_eq!((asked("first"), asked("second")), (200, 401));
    fs::write(yard.path("token"), "second").unwrap();
    wait("the new token", || (asked("second") == 200).then_some(()));
    assert_eq!(asked("first"), 401);
}

#[test]
fn a_reload_is_asked_for_by_post_with_json_alone() {
    let yard = Yard::start("", &[]);
    let path = "/api/v1/reload";
    let json = [("content-type", "application/json")];
    assert_eq!(yard.admin_request("POST", path, &[]).status, 415);
    for method in ["GET", "PUT", "DELETE"] {
        let answer = yard.admin_request(method, path, &json);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    assert_eq!(yard.admin_request("POST", "/api/v1/handlers", &json).status, 405);
    assert_eq!(yard.admin_request("POST", path, &json).json()["result"], "ok");
}
