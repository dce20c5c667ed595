//! The house: a file imports only from floors below its own, or from its own folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors of `src/`, by folder or file.
const FLOORS: &[(&str, i32)] = &[
    ("main", 12),
    ("cli", 11),
    ("app", 10),
    ("watch", 9),
    ("config", 8),
    ("ingress", 7),
    ("dispatch", 7),
    ("admin", 7),
    ("snapshot", 6),
    ("target", 5),
    ("outbox", 5),
    ("source", 4),
    ("ledger", 4),
    ("handler", 4),
    ("route", 4),
    ("effects", 3),
    ("delivery", 3),
    ("breaker", 3),
    ("condition", 3),
    ("keys", 3),
    ("event", 2),
    ("refused", 2),
    ("destination", 2),
    ("fetch", 2),
    ("verify", 1),
    ("handover", 1),
    ("server", 1),
    ("dial", 1),
    ("document", 1),
    ("address", 0),
    ("form", 0),
    ("clock", 0),
    ("metrics", 0),
    ("network", 0),
    ("pointer", 0),
    ("quota", 0),
    ("reload", 0),
    ("scheduling", 0),
    ("secret_file", 0),
    ("seldom", 0),
    ("text", 0),
    // For tests alone, of any floor.
    ("fuzz", -1),
];

/// Production files may have this many lines, tests apart.
const LINES: usize = 450;

fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    files
}

/// The folder or file of `src/` that a path belongs to.
fn part(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// What a file names of the crate's other parts, in `use` lines and elsewhere.
fn imports(text: &str) -> BTreeSet<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .collect()
}

#[test]
fn files_import_only_from_the_floors_below() {
    let floors: BTreeMap<&str, i32> = FLOORS.iter().copied().collect();
    let mut seen = 0;
    for (path, text) in sources() {
        let own = part(&path);
        if own == "lib" {
            continue;
        }
        let floor = floors.get(&*own).unwrap_or_else(|| panic!("{own} has no floor"));
        for import in imports(&text).into_iter().filter(|import| *import != own) {
            let below = floors.get(import).unwrap_or_else(|| panic!("{import} has no floor"));
            assert!(below < floor, "{} (floor {floor}) imports {import} ({below})", path.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} imports found: the reader of imports is broken");
}

#[test]
fn no_file_is_too_long_to_read_in_one_sitting() {
    for (path, text) in sources() {
        let lines = text.split("#[cfg(test)]\nmod tests {").next().unwrap().lines().count();
        assert!(lines <= LINES, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_part_is_in_the_house_that_the_architecture_shows() {
    let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let shown = fs::read_to_string(shown).unwrap();
    let (_, house) = shown.split_once("```\nfloor").unwrap();
    let (house, _) = house.split_once("```").unwrap();
    let is_in = |room: String| house.split([' ', '\n']).any(|word| word == room);
    for (part, _) in FLOORS.iter().filter(|(part, _)| *part != "fuzz") {
        assert!(["/", ".rs", ".rs,"].iter().any(|end| is_in(format!("{part}{end}"))), "{part}");
    }
}
