//! The project as it is cloned: its configuration, its handlers, and what its pages do with them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::yard::{Yard, wait};

/// Where the project is.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project's router.toml on free ports, with its handlers.
fn project() -> Yard {
    let root = root();
    let built = Command::new(root.join("plugins/build.sh")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let yard = Yard::new("");
    let text = fs::read_to_string(root.join("router.toml")).unwrap();
    let text =
        text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:8081", "127.0.0.1:0");
    fs::write(yard.path("router.toml"), text).unwrap();
    for entry in fs::read_dir(root.join("plugins")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|end| end == "wasm") {
            fs::copy(&file, yard.path("plugins").join(file.file_name().unwrap())).unwrap();
        }
    }
    yard
}

impl Yard {
    /// The event that `hookyard send` makes with these arguments.
    fn sends_as(&self, source: &str, arguments: &[&str], body: &str) -> String {
        let url = format!("http://{}/hooks/{source}", self.public());
        let send = ["send", source, "--url", &url];
        let ran = self.hookyard_reading(body, &[&send, arguments].concat());
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
        let (_, answer) = ran.out.split_once("\n\n").unwrap();
        let answer: Value = serde_json::from_str(answer).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }
}

#[test]
fn both_senders_are_served_by_the_projects_own_handlers() {
    let mut yard = project();
    let ran = yard.hookyard(&["check"]);
    // Where there is no Go, a warning about the handler that was not built comes first.
    let last = ran.out.lines().last();
    assert!(ran.code == Some(0) && last.is_some_and(|line| line.starts_with("ok: ")), "{ran:?}");
    yard.run();
    let job = yard.until(&yard.sends_as("hotglue", &[], ""), "done");
    assert_eq!(job["deliveries"][0]["handler"], "job-report");
    let sync = yard.until(&yard.sends_as("supaglue", &[], ""), "done");
    assert_eq!(sync["deliveries"][0]["handler"], "sync-complete");
    let line = sync["deliveries"][0]["attempts"][0]["logs"][0]["message"].as_str().unwrap();
    assert!(line.ends_with(": 100 records are ready"), "{line}");

    let failed = r#"{"webhook_event_type":"sync.complete","customer_id":"c","provider_name":"hubspot","object":"contact","result":"ERROR","error_message":"rate limit"}"#;
    let id = yard.sends_as("supaglue", &["--body", "-"], failed);
    wait("a first attempt", || {
        let delivery = yard.event(&id)["deliveries"][0].take();
        let attempt = delivery["attempts"].get(0)?;
        assert_eq!((&delivery["state"], &attempt["outcome"]), (&"pending".into(), &"retry".into()));
        assert_eq!(attempt["error"], "hubspot contact of c: rate limit");
        Some(())
    });
}

#[test]
fn the_capture_in_the_docs_is_explained_as_they_say() {
    let docs = fs::read_to_string(root().join("docs/operate.md")).unwrap();
    let verify = "\n$ hookyard verify hotglue --request captured.http\n";
    let (before, after) = docs.split_once(verify).unwrap();
    let (_, print) = before.rsplit_once("\n$ ").unwrap();
    let (shown, _) = after.split_once("```\n").unwrap();
    let yard = Yard::new("");
    fs::copy(root().join("router.toml"), yard.path("router.toml")).unwrap();
    let printed = Command::new("sh").args(["-c", print]).current_dir(yard.folder.path()).status();
    assert!(printed.unwrap().success());
    let ran = yard.hookyard(&["verify", "hotglue", "--request", "captured.http"]);
    assert_eq!((ran.code, &*ran.out), (Some(1), shown));
}
