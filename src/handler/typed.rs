//! Calling a typed component: one fresh instance an attempt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

use super::bindings::WebhookHandlerPre;
use super::bindings::exports::hookyard::handler::handler as guest;
use super::bindings::hookyard::handler::types::HeaderParam;
use super::host::{self, Host};
use super::limits::{HANDLES, HOST_CALL_BYTES, Limits};
use super::log::About;
use super::{LoadError, Settings};
use crate::delivery::Outcome;
use crate::event::Event;
use crate::text::{head, printable};

/// The interface that a typed component exports.
const EXPORT: &str = "hookyard:handler/handler@0.1.0";

/// Bytes of a handler's reason, or of a trap's message, that are kept.
const REASON_BYTES: usize = 2 * 1024;

/// How long instantiating may take when a component is tried.
const TRIAL: Duration = Duration::from_secs(10);

/// A component, ready to be called.
#[derive(Clone)]
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
    /// Its log lines, a JSON array.
    pub logs: Option<String>,
}

impl Typed {
    /// Links a component.
    ///
    /// # Errors
    /// It imports what there is not, or does not export a handler.
    pub fn load(engine: &Engine, component: &Component) -> Result<Self, LoadError> {
        if component.get_export_index(None, EXPORT).is_none() {
            return Err(LoadError::NoExport { found: exports(component, engine) });
        }
        let linker = host::linker(engine).map_err(|error| LoadError::Host(format!("{error:#}")))?;
        let linked = linker
            .instantiate_pre(component)
            .map_err(|error| LoadError::Import(format!("{error:#}")))?;
        let pre = WebhookHandlerPre::new(linked)
            .map_err(|error| LoadError::WrongExport(format!("{error:#}")))?;
        Ok(Self { engine: engine.clone(), pre })
    }

    /// Instantiates it once within an attempt's limits, and throws the instance away.
    ///
    /// # Errors
    /// It traps, or goes beyond its limits, before it could be called.
    pub async fn try_out(&self, handler: &Arc<str>, settings: &Settings) -> Result<(), LoadError> {
        let about = About { event: String::new(), handler: handler.clone(), route: Arc::default() };
        let mut store = self.store(about, &settings.limits, settings.config.clone());
        let meter = store.data().cpu.clone();
        let instance = self.pre.instantiate_async(&mut store);
        let tried = tokio::time::timeout(TRIAL, meter.run(instance)).await;
        let outcome = match tried {
            Ok(Ok(_instance)) => return Ok(()),
            Ok(Err(error)) => broken(&error, store.data(), meter.total(), &settings.limits),
            Err(_elapsed) => Outcome::Timeout(TRIAL),
        };
        let error = outcome.error().unwrap_or_default();
        Err(LoadError::Trial(format!("{} ({error})", outcome.name())))
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
        Called { outcome, cpu, logs: store.data().log.finish() }
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

fn translated(outcome: guest::Outcome) -> Outcome {
    match outcome {
        guest::Outcome::Ack => Outcome::Ack,
        guest::Outcome::Reply(reply) => Outcome::Reply { status: reply.status },
        guest::Outcome::Retry(later) => Outcome::Retry {
            after: later.after_ms.map(|ms| Duration::from_millis(ms.into())),
            reason: short(&later.reason),
        },
        guest::Outcome::Reject(reason) => Outcome::Reject(short(&reason)),
    }
}

/// What a call that gave no outcome came to.
fn broken(error: &wasmtime::Error, host: &Host, cpu: Duration, limits: &Limits) -> Outcome {
    if let Some(refused) = host.limiter.refused() {
        return Outcome::Limit(refused.to_owned());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Outcome::Limit(format!(
            "cpu: {} ms used, the limit is {} ms",
            cpu.as_millis(),
            limits.cpu.as_millis()
        )),
        Some(Trap::StackOverflow) => Outcome::Limit("stack: the guest's stack is full".to_owned()),
        _ => Outcome::Trap(short(&format!("{error:#}"))),
    }
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
