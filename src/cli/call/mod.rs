//! `hookyard call`.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use self::report::Tried;
use super::answer::{Answer, Failed};
use super::{input, plugins};
use crate::clock::wall_ms;
use crate::config::{Config, duration};
use crate::delivery::Outcome;
use crate::effects::Scratch;
use crate::event::{Event, EventId, UNTYPED};
use crate::handler::{Call, Handler, LoadError, Notes};
use crate::outbox;
use crate::route::{Mode, Route};
use crate::verify::{Request, Scheme, Verifier};

/// The name of the route that there is not, and of the source unless one is given.
const CALL: &str = "call";

const EXAMPLES: &str = "\
Examples:
  echo '{\"tenant\":\"1414_1\",\"flow_id\":\"F\",\"status\":\"JOB_CREATED\"}' > job.json
  hookyard call job-report --body job.json
  hookyard call job-report --body job.json --source hotglue --timeout 1s
  hookyard call plugins/job-report.wasm --body job.json --header 'X-Try: yes' --json

With --json it prints {\"handler\", \"version\", \"outcome\", \"status\", \"after_ms\", \"error\", \"load_ms\",
\"wall_ms\", \"cpu_ms\", \"instructions\", \"peak_memory\", \"time\": {\"instantiate_ms\", \"own_ms\", \"waiting_ms\",
\"host\": {\"<log, config, state or emit>\": {\"calls\", \"ms\"}}}, \"requests\": [{\"to\", \"status\", \"error\",
\"ms\"}], \"logs\": [{\"level\", \"message\"}], \"state\": {\"<key>\": \"<new value>\"}, \"emit\": [{\"event_type\",
\"body\"}]}; peak_memory is in bytes, a deleted key is null, and a request without an answer has no ms.";

/// Call a handler once, here and now: no server, no signature, nothing stored.
///
/// It has the limits and the config of its table in router.toml. Shows the outcome, the log, where
/// the time went, the WebAssembly instructions that it executed, and the peak of its memories. To
/// count instructions takes time too: a server's attempt needs less. Exits with 0 if the outcome is
/// ack or reply.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name of a handler in `plugins`, or the path of a .wasm or .wat file.
    handler: String,
    /// The event's body, byte for byte; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// The event type. Default: what the source finds in the event, or `event`.
    #[arg(long, value_name = "TYPE")]
    event: Option<String>,
    /// The source that the event seems to come from.
    #[arg(long, default_value = CALL, value_name = "NAME")]
    source: String,
    /// A header of the event; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The handler's state: a JSON object of strings. Default: it is empty. Nothing is written back.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Wall time that it may take.
    #[arg(long, default_value = "5s", value_parser = duration)]
    timeout: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':').context("a header is `name: value`")?;
    Ok((name.trim().parse()?, value.trim().parse()?))
}

/// Makes one attempt, and shows what it came to.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    let (config, _) = input::config(config)?;
    let began = Instant::now();
    let handler = load(&config, &args.handler)?;
    let load = began.elapsed();
    let event = event(&config, args)?;
    let state = args.state.as_deref().map(state).transpose()?.unwrap_or_default();
    let id = EventId::new(event.received_at(), 0, 0).to_string();
    let (waits, notes) = (waits(&config, &args.handler), Notes::default());
    let call = Call {
        id: &id,
        event: &event,
        route: &Arc::from(CALL),
        attempt: 1,
        waits,
        notes: Some(&notes),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.context("cannot start")?;
    let began = Instant::now();
    let mut called = runtime.block_on(handler.call(call, Arc::new(state), args.timeout));
    called.effects = outbox::counting(called.effects, &called.outcome);
    let wall = began.elapsed();
    let tried = Tried { handler: &handler, called, spent: notes.spent(), load, wall };
    let is_good = matches!(tried.called.outcome, Outcome::Ack | Outcome::Reply(_));
    if args.json {
        Ok(Answer::json(&tried.as_json(&args.handler), is_good))
    } else {
        Ok(Answer::new(tried.shown(), is_good))
    }
}

/// The handler of that name, or in that file.
fn load(config: &Config, handler: &str) -> Result<Arc<Handler>, Failed> {
    let plugins = config.plugins();
    let path = Path::new(handler);
    let is_file = path.extension().is_some_and(|end| end == "wasm" || end == "wat");
    let (folder, name) = if is_file {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        (path.parent().unwrap_or(path), stem.into_owned())
    } else {
        (plugins.folder.as_path(), handler.to_owned())
    };
    let engines = plugins::engines(&plugins)?.counting();
    let handlers = plugins::load(&plugins, engines, folder, BTreeSet::from([name.clone()]))?;
    let file = plugins::file(folder, &name);
    match handlers.get(&name) {
        Some(Ok(handler)) => Ok(handler.clone()),
        // Whoever mends it calls it.
        Some(Err(LoadError::Selftests(_))) => {
            let engines = plugins::engines(&plugins)?.counting();
            Ok(Arc::new(plugins::named(&plugins, engines, &name.into(), &file)?))
        }
        Some(Err(error)) => Err(Failed::about(&file, &error.to_string())),
        None => Err(Failed::about(&file, "there is no such file, and no .wat beside it")),
    }
}

/// Whether a sender would wait for it: on some route of its own.
fn waits(config: &Config, handler: &str) -> bool {
    let calls = |route: &Route| route.to.handler().is_some_and(|name| **name == *handler);
    config.routes.iter().any(|route| calls(route) && route.mode == Mode::Sync)
}

/// An event that nobody signed: the operator says that it is one, as for an unsigned source.
fn event(config: &Config, args: &Args) -> Result<Event> {
    let source = config.sources.iter().find(|source| *source.name == args.source);
    let request = Request {
        method: Method::POST,
        target: source.map_or("/", |source| &source.path).to_owned(),
        headers: HeaderMap::from_iter(args.headers.iter().cloned()),
        body: input::body(&args.body)?,
        peer: Ipv4Addr::LOCALHOST.into(),
    };
    let found = || source.and_then(|source| source.kind(&request));
    let given = args.event.as_deref().map(Arc::from);
    let kind = given.or_else(found).unwrap_or_else(|| UNTYPED.into());
    let now = wall_ms();
    let operator = Verifier::new(Scheme::Unsigned, Vec::new())?;
    let verified = operator.verify(request, i64::try_from(now)?)?;
    Ok(Event::new(verified, args.source.as_str().into(), kind, now, None))
}

/// A state of the operator's own, for this attempt alone.
fn state(file: &Path) -> Result<Scratch> {
    let shown = file.display();
    let json = fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    let texts: BTreeMap<String, String> = serde_json::from_slice(&json)
        .with_context(|| format!("{shown} is no JSON object of strings"))?;
    Ok(Scratch(texts.into_iter().map(|(key, text)| (key, text.into_bytes())).collect()))
}
