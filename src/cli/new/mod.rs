//! `hookyard new`.

mod files;

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::files::{EVENT, README, ROUTER, SELFTESTS};
use super::answer::{Answer, Failed};
use super::input;
use crate::handler;

/// Bytes of a name, which becomes a package's.
const NAME_BYTES: usize = 64;

/// The folder of projects where there is no router.toml that says otherwise.
const PLUGINS: &str = "plugins";

const EXAMPLES: &str = "\
Examples:
  hookyard new rust orders
  hookyard new js orders
  hookyard new python orders
  hookyard new go orders";

/// Begin a handler: a project that builds into plugins/NAME.wasm, with selftests and a README.
///
/// Where there is no router.toml, it writes one that hands events to the handler. What is there
/// already is never changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What it is written in.
    language: Language,
    /// The handler's name: small letters, digits and `-`, beginning with a letter.
    #[arg(value_parser = name)]
    name: String,
}

/// A language that there is a project for. Others build handlers as well: see docs/handlers.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Rust, with hookyard's SDK.
    Rust,
    /// JavaScript, by componentize-js.
    #[value(alias = "javascript")]
    Js,
    /// Python, by componentize-py.
    #[value(alias = "py")]
    Python,
    /// Go, as a WASI command.
    Go,
}

fn name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.len() <= NAME_BYTES
        && text.bytes().all(is_plain);
    is_name.then(|| text.to_owned()).ok_or_else(|| {
        format!(
            "allowed: up to {NAME_BYTES} small letters, digits and `-`, beginning with a letter"
        )
    })
}

/// Writes the project, and tells its files.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    let root = config.parent().unwrap_or(Path::new(""));
    let is_first = !config.try_exists().with_context(|| config.display().to_string())?;
    let plugins = match is_first {
        true => root.join(PLUGINS),
        false => input::config(config)?.0.plugins().folder,
    };
    let project = project(&plugins, args, is_first);
    refuse_to_change(&plugins, &args.name)?;
    let mut told = String::new();
    let router = is_first.then(|| (config.to_owned(), filled(ROUTER, args, is_first)));
    for (path, text) in project.into_iter().chain(router) {
        write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        told += &format!("{}\n", path.display());
    }
    let readme = plugins.join(&args.name).join("README.md");
    told += &format!("\n{} says how it is built, called and given a route\n", readme.display());
    Ok(Answer::good(told))
}

/// What is there is somebody's.
fn refuse_to_change(plugins: &Path, name: &str) -> Result<()> {
    let [binary, text] = handler::files(plugins, name);
    for path in [plugins.join(name), selftests(plugins, name), binary, text] {
        if path.symlink_metadata().is_ok() {
            bail!("{} is there already: choose another name", path.display());
        }
    }
    Ok(())
}

fn selftests(plugins: &Path, name: &str) -> PathBuf {
    plugins.join(format!("{name}.selftest"))
}

/// All files of a project, with their texts.
fn project(plugins: &Path, args: &Args, is_first: bool) -> Vec<(PathBuf, String)> {
    let folder = plugins.join(&args.name);
    let own = [("README.md", README), ("event.json", EVENT)];
    let own = own.into_iter().chain(args.language.files());
    let tests = selftests(plugins, &args.name);
    let tests = SELFTESTS.map(|(path, text)| (tests.join(path), text));
    own.map(|(path, text)| (folder.join(path), text))
        .chain(tests)
        .map(|(path, text)| (path, filled(text, args, is_first)))
        .collect()
}

/// A template's text, for this project.
fn filled(template: &str, Args { language, name }: &Args, is_first: bool) -> String {
    let about = language.about();
    let route = format!(
        "Give it a route in `router.toml`: `[[routes]]` with `source = \"SOURCE\"`, the name of one \
         of your `[sources]`, and `handler = \"{name}\"`."
    );
    let (route, source) = match is_first {
        true => ("`router.toml` has a source `try`, whose events go to this handler.", "try"),
        false => (&*route, "SOURCE"),
    };
    [
        ("{language}", about.name),
        ("{main}", about.main),
        ("{needs}", about.needs),
        ("{build}", about.build),
        ("{route}", route),
        ("{source}", source),
        ("{name}", name),
    ]
    .into_iter()
    .fold(template.to_owned(), |text, (place, value)| text.replace(place, value))
}

/// Writes a file that is not there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).create(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_name_is_one_for_every_language() {
        for good in ["a", "orders", "crm-sync-2", &"x".repeat(NAME_BYTES)] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        let long = "x".repeat(NAME_BYTES + 1);
        for bad in ["", "Orders", "2nd", "-x", "a_b", "a.b", "a/b", "..", "größe", &long] {
            assert!(name(bad).unwrap_err().starts_with("allowed: up to 64 "), "{bad}");
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for language in Language::value_variants() {
            let args = Args { language: *language, name: "orders".to_owned() };
            for is_first in [true, false] {
                for (path, text) in project(Path::new("p"), &args, is_first) {
                    for place in ["{name}", "{language}", "{main}", "{needs}", "{build}", "{route}"]
                    {
                        assert!(!text.contains(place), "{}: {text}", path.display());
                    }
                }
            }
        }
    }

    /// The files below a folder of the repository, as paths in a project.
    fn files(folder: &str, end: &str) -> Vec<String> {
        let mut folders = vec![PathBuf::from(folder)];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(path.to_str().unwrap().to_owned()),
                }
            }
        }
        found.retain(|path| path.ends_with(end));
        found.sort();
        found
    }

    #[test]
    fn the_world_and_the_sdk_are_whole() {
        let paths = |templates: &[files::Template]| {
            let mut paths: Vec<_> = templates.iter().map(|(path, _)| path.to_string()).collect();
            paths.sort();
            paths
        };
        assert_eq!(paths(&files::WIT), files("wit", ".wit"));
        let mut sdk = files("sdk/src", ".rs");
        sdk.insert(0, "sdk/Cargo.toml".to_owned());
        assert_eq!(paths(&files::SDK), sdk);
    }
}
