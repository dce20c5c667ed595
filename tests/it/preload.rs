//! Small C libraries that stand between the real program and the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `tests/fixtures/NAME/NAME.c`.
pub fn library(name: &str) -> PathBuf {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}/{name}.c"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = folder.join(format!("{name}-{}.so", std::process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&built);
    assert!(cc.arg(source).status().unwrap().success());
    let library = folder.join(format!("{name}.so"));
    fs::rename(built, &library).unwrap();
    library
}
