//! The example handler in every language: one file of events, and one answer to each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::yard::Yard;

const EXAMPLE: &str = "sync-complete";

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins")
}

/// The example's names: those of its folders in all languages.
fn examples() -> BTreeSet<String> {
    let entries = fs::read_dir(plugins()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let names = folders.map(|folder| folder.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(EXAMPLE) && !name.ends_with(".selftest")).collect()
}

/// A yard with these handlers as they were built, each with the golden events as its selftest.
fn yard(names: &[&str], golden: &str) -> Yard {
    let grants: String = names
        .iter()
        .map(|name| format!("[handlers.{name}]\nemit = [\"sync.succeeded\"]\n"))
        .collect();
    let yard = Yard::new(&grants);
    for name in names {
        let wasm = format!("{name}.wasm");
        yard.plugin(&wasm, fs::read(plugins().join(&wasm)).unwrap());
        let folder = yard.path(&format!("plugins/{name}.selftest"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("golden.json"), golden).unwrap();
    }
    yard
}

fn golden() -> String {
    fs::read_to_string(plugins().join("sync-complete.selftest/golden.json")).unwrap()
}

#[test]
fn the_example_in_rust_answers_the_golden_events() {
    let build = Command::new(plugins().join("build.sh")).arg(plugins().join(EXAMPLE)).output();
    let build = build.unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let golden = golden();
    let ran = yard(&[EXAMPLE], &golden).hookyard(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");

    let wrong = golden.replace("100 records are ready", "99 records are ready");
    let ran = yard(&[EXAMPLE], &wrong).hookyard(&["check"]);
    assert!(ran.code == Some(1) && ran.out.contains("a sync that succeeded: "), "{ran:?}");
}

/// With `HOOKYARD_BUILT="ts go"` these may not be missing.
#[test]
#[ignore = "needs the examples in other languages: plugins/build.sh all"]
fn all_languages_that_are_built_answer_the_golden_events_alike() {
    let examples = examples();
    let (built, missing): (Vec<&str>, Vec<&str>) = examples
        .iter()
        .map(String::as_str)
        .partition(|name| plugins().join(format!("{name}.wasm")).exists());
    println!("built: {}; not built, and skipped: {}", built.join(" "), missing.join(" "));
    for language in std::env::var("HOOKYARD_BUILT").unwrap_or_default().split_whitespace() {
        let name = format!("{EXAMPLE}-{language}");
        assert!(built.contains(&name.as_str()), "{name} is missing: {missing:?}");
    }
    let ran = yard(&built, &golden()).hookyard(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
