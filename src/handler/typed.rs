//! Typed components: the event is an argument, the outcome a result.

use std::time::Duration;

use wasmtime::{Engine, Store};

use super::LoadError;
use super::attempt::{Call, fit};
use super::bindings::WebhookHandlerPre;
use super::bindings::exports::hookyard::handler::handler as guest;
use super::bindings::hookyard::handler::types::HeaderParam;
use super::host::Host;
use super::{compile, link};
use crate::delivery::Outcome;

/// A component, ready to be called.
pub struct Typed(WebhookHandlerPre<Host>);

impl Typed {
    /// Compiles and links a component.
    ///
    /// # Errors
    /// It is invalid, imports what there is not, or exports a handler of other types.
    pub fn load(engine: &Engine, binary: &[u8]) -> Result<Self, LoadError> {
        let component = compile::component(engine, binary)?;
        let pre = WebhookHandlerPre::new(link::component(engine, &component)?)
            .map_err(|error| LoadError::WrongExport(format!("{error:#}")))?;
        Ok(Self(pre))
    }

    /// Calls a fresh instance.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn run(&self, store: &mut Store<Host>, call: Call<'_>) -> wasmtime::Result<Outcome> {
        let instance = self.0.instantiate_async(&mut *store).await?;
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
            reason: fit(&later.reason),
        },
        guest::Outcome::Reject(reason) => Outcome::Reject(fit(&reason)),
    }
}
