//! One attempt, whatever its handler's contract: within which limits the guest runs, and what it
//! comes to when it breaks.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use wasmtime::component::ResourceTableError;
use wasmtime::{Engine, Store, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::FieldMapError;

use super::host::Host;
use super::limits::{FIELD_BYTES, HANDLES, HOST_CALL_BYTES, Limits};
use super::log::{About, Level};
use super::pace;
use super::spent::Notes;
use super::stdio::{StdoutFull, Streams};
use super::ticker::Ticker;
use super::{Handler, LoadError};
use crate::delivery::Outcome;
use crate::effects::{Committed, Effects, Scratch, Staging};
use crate::event::Event;
use crate::text::{head, printable};

/// Bytes of a handler's reason, or of a trap's message, that are kept.
const REASON_BYTES: usize = 2 * 1024;

/// How long instantiating may take when a handler is tried.
const TRIAL: Duration = Duration::from_secs(10);

/// What a handler is told of an event.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The event's id.
    pub id: &'a str,
    /// The event.
    pub event: &'a Event,
    /// The route's name.
    pub route: &'a Arc<str>,
    /// The attempt's number; 1 is the first.
    pub attempt: u32,
    /// Whether the sender waits for a reply.
    pub waits: bool,
    /// Where to note what it spends; nowhere while hookyard serves.
    pub notes: Option<&'a Notes>,
}

/// How an attempt ended, and what it left behind.
#[derive(Debug)]
pub struct Called {
    /// What it came to.
    pub outcome: Outcome,
    /// CPU time that it used.
    pub cpu: Duration,
    /// Bytes of all its linear memories together, at their largest.
    pub peak_memory: usize,
    /// Its log lines, a JSON array.
    pub logs: Option<String>,
    /// What it did to its handler's state, and what it emitted.
    pub effects: Effects,
}

impl From<Outcome> for Called {
    /// What no guest had a part in.
    fn from(outcome: Outcome) -> Self {
        let (cpu, effects) = (Duration::ZERO, Effects::default());
        Self { outcome, cpu, peak_memory: 0, logs: None, effects }
    }
}

impl Handler {
    /// Makes one attempt, of at most `timeout` wall time, that reads `state`.
    pub async fn call(
        &self,
        call: Call<'_>,
        state: Arc<dyn Committed>,
        timeout: Duration,
    ) -> Called {
        // A mistake of the host's own must not take the other attempts of its thread with it.
        AssertUnwindSafe(self.attempt(call, state, timeout)).catch_unwind().await.unwrap_or_else(
            |_| Outcome::Trap("hookyard's own side of the call broke".to_owned()).into(),
        )
    }

    /// Instantiates it once within an attempt's limits, and throws the instance away.
    ///
    /// # Errors
    /// It breaks, or goes beyond its limits, before it could be called.
    pub(super) async fn try_out(&self) -> Result<(), LoadError> {
        let about =
            About { event: String::new(), handler: self.name.clone(), route: Arc::default() };
        let staging = self.staging(Arc::new(Scratch::default()), 0);
        let instantiate = self.within(about, Streams::Log, staging, None, TRIAL);
        let Ok(Called { outcome, .. }) = AssertUnwindSafe(instantiate).catch_unwind().await else {
            return Err(LoadError::Host("it broke while it was instantiated".to_owned()));
        };
        match outcome.error() {
            None => Ok(()),
            Some(error) => Err(LoadError::Trial(format!("{} ({error})", outcome.name()))),
        }
    }

    async fn attempt(
        &self,
        call: Call<'_>,
        state: Arc<dyn Committed>,
        timeout: Duration,
    ) -> Called {
        let about = About {
            event: call.id.to_owned(),
            handler: self.name.clone(),
            route: call.route.clone(),
        };
        let streams = self.abi.streams(call, &self.config);
        let staging = self.staging(state, call.event.depth());
        self.within(about, streams, staging, Some(call), timeout).await
    }

    fn staging(&self, state: Arc<dyn Committed>, depth: u32) -> Staging {
        Staging::new(self.name.clone(), self.settings.grants.clone(), state, depth)
    }

    /// Runs a fresh instance within the limits: what it makes of a call, if there is one.
    async fn within(
        &self,
        about: About,
        streams: Streams,
        staging: Staging,
        call: Option<Call<'_>>,
        timeout: Duration,
    ) -> Called {
        let limits = &self.settings.limits;
        // Nothing is sent while it is tried.
        let client = call.map(|_| self.client.clone());
        let notes = call.and_then(|call| call.notes);
        let config = self.config.clone();
        let host = Host::new(about, limits, config, client, staging, streams, notes.cloned());
        let _under_way = self.ticker.begin();
        let mut store = store(&self.engine, &self.ticker, host, limits);
        let meter = store.data().cpu.clone();
        let ended = {
            // Pinned where it is: it is large, and would be moved into each future around it.
            let running = pin!(async {
                match call {
                    Some(call) => self.abi.run(&mut store, call).await,
                    None => self.abi.instantiate(&mut store).await.map(|()| Outcome::Ack),
                }
            });
            tokio::time::timeout(timeout, meter.run(running)).await
        };
        let cpu = meter.total();
        if let Some(notes) = notes {
            notes.lock().instructions = executed(&store);
        }
        pace::ended(cpu).await;
        let outcome = match ended {
            Err(_elapsed) => Outcome::Timeout(timeout),
            Ok(Ok(outcome)) => within_reply(outcome, limits),
            Ok(Err(error)) => broken(&error, store.data(), cpu, limits),
        };
        let Host { limiter, log, staging, .. } = store.into_data();
        let (peak_memory, effects) = (limiter.memory(), staging.into_effects());
        Called { outcome, cpu, peak_memory, logs: log.finish(), effects }
    }
}

/// A store in which a guest runs within these limits.
fn store(engine: &Engine, ticker: &Arc<Ticker>, host: Host, limits: &Limits) -> Store<Host> {
    let mut store = Store::new(engine, host);
    store.limiter(|host| &mut host.limiter);
    store.set_hostcall_fuel(HOST_CALL_BYTES);
    store.set_max_component_handles(HANDLES);
    store.set_epoch_deadline(1);
    if engine.get_consume_fuel() {
        // It is refused only by an engine that does not count.
        let _set = store.set_fuel(u64::MAX);
    }
    let (cpu, ticker) = (limits.cpu, ticker.clone());
    store.epoch_deadline_callback(move |store| {
        let used = store.data().cpu.used();
        if used < cpu {
            pace::interrupted(used);
            ticker.interrupted(used);
            Ok(UpdateDeadline::Yield(1))
        } else {
            Ok(UpdateDeadline::Interrupt)
        }
    });
    store
}

/// Instructions that were executed, if they were counted.
fn executed(store: &Store<Host>) -> Option<u64> {
    let counted = store.engine().get_consume_fuel();
    counted.then(|| store.get_fuel().ok()).flatten().map(|left| u64::MAX - left)
}

/// The outcome, if its reply is no larger than a reply may be.
fn within_reply(outcome: Outcome, limits: &Limits) -> Outcome {
    let limit = limits.reply_bytes;
    match &outcome {
        Outcome::Reply(reply) if reply.body.len() > limit => {
            Outcome::Limit(format!("reply: {} bytes, the limit is {limit}", reply.body.len()))
        }
        _ => outcome,
    }
}

/// What a call that gave no outcome came to. Where the guest was goes to its log.
fn broken(error: &wasmtime::Error, host: &Host, cpu: Duration, limits: &Limits) -> Outcome {
    if let Some(stack) = error.downcast_ref::<WasmBacktrace>() {
        host.log.line(Level::Debug, &in_one_line(stack));
    }
    let refused = host.held.refused().or_else(|| host.limiter.refused().map(str::to_owned));
    match (error.downcast_ref::<Trap>(), refused) {
        (Some(Trap::Interrupt), _) => Outcome::Limit(format!(
            "cpu: {} ms used, the limit is {} ms",
            cpu.as_millis(),
            limits.cpu.as_millis()
        )),
        (Some(Trap::StackOverflow), _) => {
            Outcome::Limit(format!("stack: the limit is {} bytes", limits.stack))
        }
        (_, Some(refused)) => Outcome::Limit(refused),
        _ => match limit(error) {
            Some(limit) => Outcome::Limit(limit),
            None => Outcome::Trap(fit(&cause(error, host))),
        },
    }
}

/// Why a guest broke: as its language says, where that gave up of its own will.
fn cause(error: &wasmtime::Error, host: &Host) -> String {
    let gave_up =
        matches!(error.downcast_ref(), Some(Trap::UnreachableCodeReached)) || error.is::<I32Exit>();
    let said = if gave_up { host.log.last_words() } else { None };
    said.unwrap_or_else(|| match error.is::<WasmBacktrace>() {
        true => error.root_cause().to_string(),
        false => format!("{error:#}"),
    })
}

/// The functions of a stack, innermost first, without the engine's headline.
fn in_one_line(stack: &WasmBacktrace) -> String {
    let stack = stack.to_string();
    let functions = stack.lines().skip(1).map(|line| {
        let (_number_and_place, function) = line.split_once(" - ").unwrap_or(("", line));
        function.trim_start_matches("<unknown>!")
    });
    format!("stack: {}", functions.collect::<Vec<_>>().join(", "))
}

/// The limit of the host's own that a guest ran into, if it was one.
fn limit(error: &wasmtime::Error) -> Option<String> {
    if let Some(full) = error.downcast_ref::<StdoutFull>() {
        return Some(full.to_string());
    }
    if let Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields) =
        error.downcast_ref()
    {
        return Some(format!("header fields: the limit is {FIELD_BYTES} bytes"));
    }
    let is_full = matches!(error.downcast_ref(), Some(ResourceTableError::Full));
    is_full.then(|| format!("handles: the limit is {HANDLES}"))
}

/// Text from a guest, cut to a bounded length and fit for a log.
pub fn fit(text: &str) -> String {
    printable(head(text, REASON_BYTES)).into_owned()
}
