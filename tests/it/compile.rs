//! Compiling: in a child, within limits, and once.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::letters::routes;
use crate::wat;
use crate::yard::{Yard, wait};

/// A command of a few hundred KiB that takes a compiler more than anyone has: every variable is
/// looked for behind every branch.
fn too_hard() -> Vec<u8> {
    const VARIABLES: usize = 20_000;
    const BRANCHES: usize = 20_000;
    let branches = "(if (local.get $p) (then))".repeat(BRANCHES);
    let locals = "(local i32)".repeat(VARIABLES);
    let uses: String = (1..VARIABLES).map(|n| format!("(drop (local.get {n}))")).collect();
    let hard = format!("(func (param $p i32) {locals} {branches} {uses})");
    ::wat::parse_str(format!("(module (func (export \"_start\")) {hard})")).unwrap()
}

/// The folder in `/proc` of the program's child, while one compiles.
fn child(yard: &Yard) -> Option<PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{}/task", yard.pid())).unwrap().flatten();
    let mut children =
        tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pid = children.find_map(|pids| Some(pids.split_whitespace().next()?.to_owned()))?;
    Some(PathBuf::from(format!("/proc/{pid}")))
}

/// How far a process stands back for others.
fn niceness(process: &Path) -> Option<i32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
}

/// Whether a process has the limits of one that compiles a small module, and stands back for us.
fn is_limited(process: &Path) -> Option<bool> {
    let limits = fs::read_to_string(process.join("limits")).ok()?;
    let soft = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let limits = ["Max cpu time", "Max data size", "Max core file size"].map(soft);
    let ours = niceness(Path::new("/proc/self"))?;
    let stands_back = niceness(process)? == (ours + 10).min(19);
    Some(limits == [Some(5), Some(1 << 30), Some(0)] && stands_back)
}

/// The files of compiled code, with their inodes.
fn kept(yard: &Yard) -> Vec<(PathBuf, u64)> {
    let files = fs::read_dir(yard.path("data/cache")).unwrap().map(Result::unwrap);
    let mut files: Vec<_> =
        files.map(|file| (file.path(), file.metadata().unwrap().ino())).collect();
    files.sort();
    files
}

#[test]
fn a_module_that_is_too_hard_to_compile_is_given_up_and_all_else_goes_on() {
    let yard = Yard::start(&routes(&["h", "hard"], ""), &[("h", &wat::log("one"))]);
    yard.rename_plugin("hard.wasm", too_hard());
    wait("a child with limits", || is_limited(&child(&yard)?)?.then_some(()));
    let mut handled = 0;
    while child(&yard).is_some() {
        assert_eq!(yard.said_by("h").0, "one");
        handled += 1;
    }
    assert!(handled > 0);
    let error = yard.until_error("hard");
    assert!(
        error.starts_with("it cannot be compiled within 5 s of CPU time and 1024 MiB"),
        "{error}"
    );
    yard.rename_plugin("h.wat", wat::log("two"));
    yard.until_it_says("h", "two");
    assert_eq!(yard.handler("hard")["error"], *error);
}

#[test]
fn a_child_says_what_is_wrong_and_is_not_in_the_help() {
    let yard = Yard::new("");
    let compile = |module: &[u8]| {
        let mut command = yard.command(&["compile"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(module).unwrap();
        child.wait_with_output().unwrap()
    };
    let good = compile(wat::ack().as_bytes());
    assert!(good.status.success());
    assert!(good.stdout.starts_with(b"t\x7fELF"));
    let bad = compile(b"#!/bin/sh");
    assert_eq!((bad.status.code(), bad.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8(bad.stderr).unwrap().starts_with("this is not WebAssembly"));
    let help = yard.command(&["--help"]).output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("compile"));
}

#[test]
fn code_is_compiled_once_and_kept_for_the_next_start() {
    let mut yard = Yard::start(&routes(&["h"], ""), &[("h", &wat::log("one"))]);
    let mode = fs::metadata(yard.path("data/cache")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let first = kept(&yard);
    assert_eq!(first.len(), 1);
    yard.rename_plugin("h.wat", wat::log("two"));
    yard.until_it_says("h", "two");
    let both = kept(&yard);
    assert_eq!(both.len(), 2);
    yard.rename_plugin("h.wat", wat::log("one"));
    yard.until_it_says("h", "one");
    yard.kill();
    yard.run();
    assert_eq!(yard.said_by("h").0, "one");
    assert_eq!(kept(&yard), both);
}

#[test]
fn damaged_code_is_compiled_anew() {
    let mut yard = Yard::start(&routes(&["h"], ""), &[("h", &wat::log("one"))]);
    yard.kill();
    let [(file, _)] = &kept(&yard)[..] else { panic!() };
    let whole = fs::read(file).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&whole[..whole.len() / 2], &[], &flipped] {
        fs::write(file, damaged).unwrap();
        yard.run();
        assert_eq!(yard.said_by("h").0, "one");
        yard.kill();
        assert_eq!(fs::metadata(file).unwrap().len(), whole.len() as u64);
        assert_ne!(fs::read(file).unwrap(), damaged);
    }
}

#[test]
fn a_folder_that_others_may_write_to_is_not_trusted_with_code() {
    let yard = Yard::new("");
    fs::create_dir_all(yard.path("data/cache")).unwrap();
    fs::set_permissions(yard.path("data/cache"), Permissions::from_mode(0o770)).unwrap();
    let (code, says) = yard.fails_to_start();
    assert_eq!(code, Some(1));
    assert!(says.contains("data/cache must be this user's, with mode 0700"), "{says}");
}
