//! What an attempt calls: a handler, a URL that events are forwarded to, or one after the other.

mod forward;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::delivery::Outcome;
use crate::effects::Committed;
use crate::handler::{Call, Called, Handler, Turn};

pub use forward::Forward;

/// What forwards the events of routes, by their names.
pub type Forwards = HashMap<Arc<str>, Arc<Forward>>;

/// What a route's attempts call.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// A handler.
    Handler(&'a Arc<Handler>),
    /// A URL, with the event as it came.
    Forward(&'a Arc<Forward>),
    /// A handler, and a URL with what it replies.
    Then(&'a Arc<Handler>, &'a Arc<Forward>),
}

impl<'a> Target<'a> {
    /// The handler, if there is one.
    pub fn handler(self) -> Option<&'a Arc<Handler>> {
        match self {
            Self::Handler(handler) | Self::Then(handler, _) => Some(handler),
            Self::Forward(_) => None,
        }
    }

    /// The handler's version; empty where there is none.
    pub fn version(self) -> Arc<str> {
        self.handler().map_or_else(Arc::default, |handler| handler.version().clone())
    }

    /// Waits until an attempt may be made, beside others or alone.
    pub async fn turn(self, alone: bool) -> Option<Turn> {
        match self.handler() {
            Some(handler) => Some(handler.turn(alone).await),
            None => None,
        }
    }

    /// Makes one attempt, of at most `timeout` wall time, that reads `state`.
    pub async fn call(
        self,
        call: Call<'_>,
        state: Arc<dyn Committed>,
        timeout: Duration,
    ) -> Called {
        match self {
            Self::Handler(handler) => handler.call(call, state, timeout).await,
            Self::Forward(forward) => forward.event(call, timeout).await.into(),
            Self::Then(handler, forward) => {
                let began = Instant::now();
                let mut called = handler.call(call, state, timeout).await;
                if let Outcome::Reply(reply) = called.outcome {
                    let left = timeout.saturating_sub(began.elapsed());
                    called.outcome = forward.reply(call, reply, left).await;
                }
                called
            }
        }
    }
}
