//! Calling a typed component: one fresh instance an attempt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, InstancePre, types::ComponentItem};
use wasmtime::{Engine, Store, Trap, UpdateDeadline, WasmBacktrace};

use super::LoadError;
use super::bindings::WebhookHandlerPre;
use super::bindings::exports::hookyard::handler::handler as guest;
use super::bindings::hookyard::handler::types::HeaderParam;
use super::host::{self, Host};
use super::limits::{HANDLES, HOST_CALL_BYTES, Limits};
use super::log::About;
use crate::delivery::{Outcome, Reply};
use crate::event::Event;
use crate::text::{head, printable};

/// The interface that a typed component exports.
const EXPORT: &str = "hookyard:handler/handler@0.1.0";

/// Bytes of a handler's reason, or of a trap's message, that are kept.
const REASON_BYTES: usize = 2 * 1024;

/// A component, ready to be called.
pub struct Typed {
    engine: Engine,
    pre: WebhookHandlerPre<Host>,
}

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
}

impl Called {
    /// An attempt that ended in a panic of the host's.
    pub(super) fn host_broke() -> Self {
        let outcome = Outcome::Trap("hookyard's own side of the call broke".to_owned());
        Self { outcome, cpu: Duration::ZERO, peak_memory: 0, logs: None }
    }
}

impl Typed {
    /// Compiles and links a component.
    ///
    /// # Errors
    /// It is invalid, imports what there is not, or does not export a handler.
    pub fn load(engine: &Engine, binary: &[u8]) -> Result<Self, LoadError> {
        let component = Component::from_binary(engine, binary)
            .map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        if component.get_export_index(None, EXPORT).is_none() {
            return Err(LoadError::NoExport { found: exports(&component, engine) });
        }
        let linker = host::linker(engine).map_err(|error| LoadError::Host(format!("{error:#}")))?;
        let linked = linker
            .instantiate_pre(&component)
            .map_err(|error| LoadError::Import(format!("{error:#}")))?;
        let pre = check_types(&linked)
            .and_then(|()| WebhookHandlerPre::new(linked))
            .map_err(|error| LoadError::WrongExport(format!("{error:#}")))?;
        Ok(Self { engine: engine.clone(), pre })
    }

    /// Makes one attempt, of at most `timeout` wall time.
    pub async fn call(
        &self,
        handler: &Arc<str>,
        call: Call<'_>,
        limits: &Limits,
        config: Arc<BTreeMap<String, String>>,
        timeout: Duration,
    ) -> Called {
        let about = About {
            event: call.id.to_owned(),
            handler: handler.clone(),
            route: call.route.clone(),
        };
        let mut store = self.store(about, limits, config);
        let meter = store.data().cpu.clone();
        let called = tokio::time::timeout(timeout, meter.run(self.run(&mut store, call))).await;
        let cpu = meter.total();
        let outcome = match called {
            Err(_elapsed) => Outcome::Timeout(timeout),
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => broken(&error, store.data(), cpu, limits),
        };
        let host = store.data();
        let peak_memory = host.limiter.memory();
        Called { outcome, cpu, peak_memory, logs: host.log.finish() }
    }

    fn store(
        &self,
        about: About,
        limits: &Limits,
        config: Arc<BTreeMap<String, String>>,
    ) -> Store<Host> {
        let mut store = Store::new(&self.engine, Host::new(about, limits, config));
        store.limiter(|host| &mut host.limiter);
        store.set_hostcall_fuel(HOST_CALL_BYTES);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        let cpu = limits.cpu;
        store.epoch_deadline_callback(move |store| {
            if store.data().cpu.used() < cpu {
                Ok(UpdateDeadline::Yield(1))
            } else {
                Ok(UpdateDeadline::Interrupt)
            }
        });
        store
    }

    async fn run(&self, store: &mut Store<Host>, call: Call<'_>) -> wasmtime::Result<Outcome> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let event = call.event;
        let headers: Vec<HeaderParam<'_>> =
            event.headers().iter().map(|(name, value)| HeaderParam { name, value }).collect();
        let attributes: Vec<(&str, &str)> = event
            .attributes()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let event = guest::Event {
            id: call.id,
            source: event.source(),
            event_type: event.kind(),
            route: call.route,
            received_at: event.received_at(),
            attempt: call.attempt,
            headers: &headers,
            body: event.body(),
            attributes: &attributes,
        };
        let outcome = instance.hookyard_handler_handler().call_handle(store, event).await?;
        Ok(translated(outcome))
    }
}

/// Checks the exported function's types. The generated code looks for its name alone, and would
/// find other types at the first call.
fn check_types(linked: &InstancePre<Host>) -> wasmtime::Result<()> {
    let component = linked.component();
    let handler = component.get_export_index(None, EXPORT);
    match component.get_export(handler.as_ref(), "handle") {
        Some((ComponentItem::ComponentFunc(handle), _)) => {
            handle.typecheck::<(guest::Event<'_>,), (guest::Outcome,)>(&linked.instance_type())
        }
        _ => wasmtime::bail!("it has no function `handle`"),
    }
}

fn translated(outcome: guest::Outcome) -> Outcome {
    match outcome {
        guest::Outcome::Ack => Outcome::Ack,
        guest::Outcome::Reply(reply) => Outcome::Reply(Reply {
            status: reply.status,
            headers: reply.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: reply.body,
        }),
        guest::Outcome::Retry(later) => Outcome::Retry {
            after: later.after_ms.map(|ms| Duration::from_millis(ms.into())),
            reason: short(&later.reason),
        },
        guest::Outcome::Reject(reason) => Outcome::Reject(short(&reason)),
    }
}

/// What a call that gave no outcome came to.
fn broken(error: &wasmtime::Error, host: &Host, cpu: Duration, limits: &Limits) -> Outcome {
    match (error.downcast_ref::<Trap>(), host.limiter.refused()) {
        (Some(Trap::Interrupt), _) => Outcome::Limit(format!(
            "cpu: {} ms used, the limit is {} ms",
            cpu.as_millis(),
            limits.cpu.as_millis()
        )),
        (Some(Trap::StackOverflow), _) => {
            Outcome::Limit("stack: the guest's stack is full".to_owned())
        }
        (_, Some(refused)) => Outcome::Limit(refused.to_owned()),
        _ => Outcome::Trap(short(&cause_first(error))),
    }
}

/// An error on one line: its cause, then the frames of the guest's stack, innermost first. The
/// engine tells it the other way around, so that a deep stack would hide the cause.
fn cause_first(error: &wasmtime::Error) -> String {
    let Some(stack) = error.downcast_ref::<WasmBacktrace>() else { return format!("{error:#}") };
    let stack = stack.to_string();
    let frames: Vec<&str> = stack.lines().skip(1).map(str::trim).collect();
    format!("{}, at {}", error.root_cause(), frames.join(", "))
}

fn short(reason: &str) -> String {
    printable(head(reason, REASON_BYTES)).into_owned()
}

/// What the component exports, for the message that it is not a handler.
fn exports(component: &Component, engine: &Engine) -> String {
    let kind = component.component_type();
    let names: Vec<&str> = kind.exports(engine).map(|(name, _)| name).take(8).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
