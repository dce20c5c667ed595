//! `hookyard check`.

use std::collections::BTreeSet;
use std::io::stdout;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::answer::{Answer, Failed, colored};
use super::plugins;
use crate::config::{Config, Diagnostic, Diagnostics, Plugins, Reading, Severity, nearest};
use crate::handler::{self, WRITABLE};
use crate::server::acceptor;

const TLS: &str = "`cert` is a chain of certificates and `key` its private key, both in PEM";

const EXAMPLES: &str = "\
Examples:
  hookyard check
  hookyard check --json
  hookyard check --config router.toml

With --json it prints {\"ok\", \"unverified\": [source], \"diagnostics\": [{\"severity\", \"file\", \"line\", \"column\", \"message\", \"help\"}]}.
A severity is \"error\" or \"warning\". Lines and columns count from 1, columns in characters; both are
null where the finding is about the whole file, and help is null where there is none.";

/// Report all mistakes of router.toml and of the handlers in its `plugins`, without serving.
///
/// Secrets are looked up, and every .wasm and .wat file is compiled and linked, also those that no
/// route names. Exits with 1 if there is an error; a warning alone is no failure.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Checks the file and the modules, and reports on all of it.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    let reading = Reading::of(config);
    let mut found = vec![reading.found().clone()];
    let plugins = reading.plugins();
    let modules = plugins.as_ref().map(modules).transpose()?.unwrap_or_default();
    if let Some(plugins) = &plugins {
        found.extend(examine(plugins, &modules)?);
    }
    if let Some(tls) = reading.tls()
        && let Err(error) = acceptor(&tls.cert, &tls.key)
    {
        let message = format!("`server.tls` cannot be used: {error}");
        found.push(Diagnostics::about(config, Severity::Error, &message, TLS));
    }
    let is_good = !found.iter().any(Diagnostics::has_errors);
    if args.json {
        let unverified = reading.unverified();
        return Ok(Answer::json(&as_json(&found, &unverified, is_good), is_good));
    }
    let reports = found.iter().map(|found| found.render(colored(&stdout())));
    let mut parts: Vec<String> = reports.filter(|report| !report.is_empty()).collect();
    if let (true, Ok((config, _))) = (is_good, reading.accept()) {
        parts.push(summary(&config, modules.len()));
    }
    Ok(Answer::new(parts.join("\n\n") + "\n", is_good))
}

/// The names of the handlers whose modules are in the folder.
fn modules(plugins: &Plugins) -> Result<BTreeSet<String>> {
    let folder = &plugins.folder;
    if !folder.exists() {
        return Ok(BTreeSet::new());
    }
    let list = || std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let files: std::io::Result<Vec<PathBuf>> = list();
    let mut files = files.with_context(|| format!("cannot list {}", folder.display()))?;
    files.retain(|file| file.extension().is_some_and(|end| end == "wasm" || end == "wat"));
    let name = |file: PathBuf| Some(file.file_stem()?.to_str()?.to_owned());
    Ok(files.into_iter().filter_map(name).collect())
}

/// What is wrong with the handlers, a report for each that is not fine.
fn examine(plugins: &Plugins, modules: &BTreeSet<String>) -> Result<Vec<Diagnostics>> {
    let names: BTreeSet<String> = plugins.named.keys().chain(modules).cloned().collect();
    let engines = plugins::engines(plugins)?;
    let handlers = plugins::load(plugins, engines, &plugins.folder, names.clone())?;
    let finding = |name: &String| {
        let file = plugins::file(&plugins.folder, name);
        match handlers.get(name) {
            Some(Ok(_)) => None,
            Some(Err(error)) => {
                Some(Diagnostics::about(&file, Severity::Error, &error.to_string(), ""))
            }
            None => {
                let message = format!("the handler `{name}` has no file");
                let meant = nearest(name, modules.iter().map(String::as_str));
                let meant = meant.map(|name| format!("; did you mean `{name}`?"));
                let help = "its deliveries are parked until the file is there".to_owned();
                let help = help + &meant.unwrap_or_default();
                Some(Diagnostics::about(&file, Severity::Warning, &message, &help))
            }
        }
    };
    let writable = handler::writable_by_others(&plugins.folder);
    let writable =
        writable.iter().map(|path| Diagnostics::about(path, Severity::Warning, WRITABLE, ""));
    Ok(names.iter().filter_map(finding).chain(writable).collect())
}

fn summary(config: &Config, modules: usize) -> String {
    let count = |n: usize, what| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let [sources, routes, modules] = [
        count(config.sources.len(), "source"),
        count(config.routes.len(), "route"),
        count(modules, "handler"),
    ];
    let unverified: Vec<&str> = config.unverified().map(|source| &*source.name).collect();
    let unverified = match unverified[..] {
        [] => String::new(),
        _ => format!(" (unverified: {})", unverified.join(", ")),
    };
    format!("ok: {sources}{unverified}, {routes}, {modules}")
}

fn as_json(found: &[Diagnostics], unverified: &[&str], is_good: bool) -> Value {
    let one = |file: &Diagnostics, finding: &Diagnostic| {
        let (line, column) = file.place(finding).unzip();
        json!({
            "severity": match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "file": file.path().to_string_lossy(),
            "line": line,
            "column": column,
            "message": finding.message,
            "help": finding.help,
        })
    };
    let all = found.iter().flat_map(|file| file.iter().map(move |finding| one(file, finding)));
    json!({ "ok": is_good, "unverified": unverified, "diagnostics": all.collect::<Vec<Value>>() })
}
