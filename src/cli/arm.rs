//! `hookyard presets arm`.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::answer::{Answer, Failed, say};
use super::ask::{Asked, Where};
use crate::config::duration;
use crate::text::printable;

/// How often it is asked whether a secret has come.
const LOOK: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
Examples:
  hookyard presets arm asana
  hookyard presets arm notion --for 10m

With --json it prints {\"source\", \"secret\"}; the secret is null if none came.";

/// Accept the secret that a sender hands over itself, as Asana and Notion do.
///
/// Asks the server that runs to accept it once, for a while, and waits for it. The secret is kept
/// in `data`, readable by its owner alone, is in force at once and after every restart, and is
/// shown here, once. Exits with 1 when none came.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A source of router.toml that has no secret yet.
    source: String,
    /// How long a secret is accepted.
    #[arg(long = "for", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    window: Duration,
    #[command(flatten)]
    at: Where,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Opens the window, and waits for the secret.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    let asked = Asked::open(config, &args.at)?;
    let path = format!("/api/v1/sources/{}", args.source);
    let seconds = args.window.as_secs().max(1);
    let armed = asked.post(&format!("{path}/arm?seconds={seconds}"))?;
    let posts_to = armed["path"].as_str().unwrap_or_default();
    say(&format!(
        "For {seconds} s, `{}` accepts a secret at {}: set up the webhook at its sender now.",
        args.source,
        printable(posts_to),
    ));
    let secret = wait(&asked, &format!("{path}/handed-over"), Duration::from_secs(seconds))?;
    let came = secret.is_string();
    if args.json {
        return Ok(Answer::json(&json!({ "source": args.source, "secret": secret }), came));
    }
    match secret.as_str() {
        Some(secret) => Ok(Answer::good(format!("{}\n", printable(secret)))),
        None => Ok(Answer::new("no secret was handed over\n", false)),
    }
}

/// The secret, or null when the window has closed.
fn wait(asked: &Asked, path: &str, window: Duration) -> Result<Value> {
    let until = Instant::now() + window;
    loop {
        let secret = asked.post(path)?["secret"].take();
        if secret.is_string() || Instant::now() >= until {
            return Ok(secret);
        }
        sleep(LOOK);
    }
}
