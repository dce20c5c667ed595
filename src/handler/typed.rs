//! Typed components: the event is an argument, the outcome a result.

use std::time::Duration;

use wasmtime::component::{Component, InstancePre, types::ComponentItem};
use wasmtime::{Engine, Store};

use super::LoadError;
use super::attempt::{Call, fit};
use super::bindings::exports::hookyard::handler::handler as guest;
use super::bindings::hookyard::handler::types::HeaderParam;
use super::bindings::{WebhookHandler, WebhookHandlerPre};
use super::host::Host;
use super::link;
use crate::delivery::{Outcome, Reply};

/// The interface that a typed component exports.
const EXPORT: &str = "hookyard:handler/handler@0.1.0";

/// A component, ready to be called.
pub struct Typed(WebhookHandlerPre<Host>);

impl Typed {
    /// Links a component.
    ///
    /// # Errors
    /// It imports what there is not, or exports a handler of other types.
    pub fn link(engine: &Engine, component: &Component) -> Result<Self, LoadError> {
        let linked = link::component(engine, component)?;
        let pre = check_types(&linked)
            .and_then(|()| WebhookHandlerPre::new(linked))
            .map_err(|error| LoadError::WrongExport(format!("{error:#}")))?;
        Ok(Self(pre))
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn instantiate(&self, store: &mut Store<Host>) -> wasmtime::Result<WebhookHandler> {
        let instance = self.0.instantiate_async(&mut *store).await?;
        store.data().is_instantiated();
        Ok(instance)
    }

    /// Calls a fresh instance.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn run(&self, store: &mut Store<Host>, call: Call<'_>) -> wasmtime::Result<Outcome> {
        let instance = self.instantiate(store).await?;
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
            reason: fit(&later.reason),
        },
        guest::Outcome::Reject(reason) => Outcome::Reject(fit(&reason)),
    }
}
