//! `hookyard replay`.

mod difference;
mod report;
mod shadow;

use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use form_urlencoded::Serializer;
use serde_json::{Value, json};

use super::answer::{Answer, Failed, say};
use super::ask::{Asked, Where};
use super::events::{Filter, event_id, number};
use crate::event::EventId;

const REPLAY: &str = "/api/v1/replay";

const EXAMPLES: &str = "\
Examples:
  hookyard replay evt_01M8143EMWMKEWMR0000000001
  hookyard replay --route hotglue/job-report --cause 'crm answered 503' --dry-run
  hookyard replay --state dead --since 1d
  hookyard replay --state unrouted --type LINK --to links
  hookyard replay --shadow target/orders.wasm --route orders --since 1d

With --json it prints {\"matched\", \"replayed\", \"skipped\"}. Skipped are deliveries of sync routes: their
senders send them again. With --shadow it prints {\"candidate\", \"compared\", \"same\", \"different\",
\"skipped\", \"more\", \"kinds\": [{\"happened\", \"candidate\", \"differs\", \"count\"}], \"first\": [{\"event\", \"route\",
\"differs\", \"happened\": {\"outcome\", \"error\", \"reply\", \"emit\"}, \"candidate\"}]}.";

/// Make deliveries pending again: dead letters, unless --state says otherwise.
///
/// They begin their route's schedule anew, and keep what was tried before. With --to, each event goes
/// to that route instead. A server has to run; it goes on serving meanwhile, and Ctrl-C ends the
/// replay where it is.
///
/// With --shadow nothing is changed: a module is called with the stored events of deliveries that are
/// dead or done, and how that differs from what happened is shown. It has its handler's limits, config
/// and state, but sends no requests, and nothing that it writes or emits is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = "hookyard replay [OPTIONS] <ID | FILTER...>")]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["id", "source", "kind", "route", "state", "cause", "since", "until"])))]
pub struct Args {
    /// One event.
    #[arg(value_parser = event_id)]
    id: Option<EventId>,
    #[command(flatten)]
    filter: Filter,
    /// The route that the events go to, instead of the one that their deliveries are on.
    #[arg(long, value_name = "ROUTE")]
    to: Option<String>,
    /// Only count.
    #[arg(long)]
    dry_run: bool,
    /// Only show what this module, a .wasm or .wat file, would have made of them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "dry_run", "url"])]
    shadow: Option<PathBuf>,
    /// With --shadow: no more deliveries than this many, the oldest.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", requires = "shadow")]
    limit: usize,
    #[command(flatten)]
    at: Where,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was done so far.
#[derive(Default)]
struct Counts {
    matched: u64,
    replayed: u64,
    skipped: u64,
}

/// Replays step by step.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    if let Some(candidate) = &args.shadow {
        return shadow::run(config, args, candidate);
    }
    let asked = Asked::open(config, &args.at)?;
    let (mut counts, mut next) = (Counts::default(), None);
    loop {
        let step = asked.post(&format!("{REPLAY}?{}", query(args, next.as_deref())))?;
        counts.matched += number(&step, "matched");
        counts.replayed += number(&step, "replayed");
        counts.skipped += number(&step, "skipped");
        next = step.get("next").and_then(Value::as_str).map(str::to_owned);
        if next.is_none() {
            break;
        }
        if stderr().is_terminal() {
            say(&format!("{} of {} so far", counts.replayed, counts.matched));
        }
    }
    let is_good = counts.matched > 0;
    if args.json {
        let Counts { matched, replayed, skipped } = counts;
        let counts = json!({ "matched": matched, "replayed": replayed, "skipped": skipped });
        return Ok(Answer::json(&counts, is_good));
    }
    Ok(Answer::new(shown(&counts, args), is_good))
}

/// What a step is asked for.
fn query(args: &Args, cursor: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(args.filter.parameters());
    query.extend_pairs(args.id.map(|id| ("id", id.to_string())));
    query.extend_pairs(args.to.as_ref().map(|to| ("to", to)));
    query.extend_pairs(args.dry_run.then_some(("dry_run", "true")));
    query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
    query.finish()
}

fn shown(counts: &Counts, args: &Args) -> String {
    let Counts { matched, replayed, skipped } = counts;
    let deliveries = |n: u64| format!("{n} {}", if n == 1 { "delivery" } else { "deliveries" });
    let mut shown = match (args.dry_run, *matched) {
        (_, 0) if *skipped > 0 => "nothing that can be replayed matches\n".to_owned(),
        (_, 0) if args.filter.has_state() => "nothing matches\n".to_owned(),
        (_, 0) => "no dead letter matches; --state says which others do\n".to_owned(),
        (true, matched) => format!("{} would be replayed\n", deliveries(matched)),
        (false, _) => format!("{} replayed\n", deliveries(*replayed)),
    };
    if *skipped > 0 {
        let skipped = deliveries(*skipped);
        shown += &format!("{skipped} of sync routes left out: their senders send them again\n");
    }
    shown
}
