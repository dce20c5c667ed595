//! Why a handler may not do what it asked for.

use std::sync::Arc;

use thiserror::Error;

use super::{
    DEPTH, EMITTED_BYTES, EMITTED_EVENTS, KEY_BYTES, KEYS, TOUCHED_KEYS, VALUE_BYTES, WRITTEN_BYTES,
};

/// What a handler is told, and its log.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No state is granted to it.
    #[error(
        "not granted: this handler has no state; router.toml would grant it with state = {{ bytes = \"16MiB\" }} in [handlers.{0}]"
    )]
    NoState(Arc<str>),
    /// The event type is not granted to it.
    #[error(
        "not granted: this handler may not emit events of type {kind}; router.toml would grant it with emit = [\"{kind}\"] in [handlers.{handler}]"
    )]
    MayNotEmit {
        /// The handler's name.
        handler: Arc<str>,
        /// The event type, fit to be shown.
        kind: String,
    },
    /// The key is empty or too long.
    #[error("state: a key has {0} bytes, it may have 1 to {KEY_BYTES}")]
    Key(usize),
    /// The value is too long.
    #[error("state: a value has {0} bytes, the limit is {VALUE_BYTES}")]
    Value(usize),
    /// The attempt reads and writes too many keys.
    #[error("state: an attempt may read and write {TOUCHED_KEYS} keys")]
    Touched,
    /// The attempt writes too much.
    #[error("state: an attempt may write {WRITTEN_BYTES} bytes of keys and values")]
    Written,
    /// The state would be larger than is granted.
    #[error(
        "state: it would hold {bytes} bytes in {keys} keys, the limit is {limit} bytes in {KEYS} keys"
    )]
    Full {
        /// Bytes that it would hold.
        bytes: u64,
        /// Keys that it would hold.
        keys: u64,
        /// Bytes that it may hold.
        limit: u64,
    },
    /// The event that is handled was emitted in answer to one that was emitted, and so on.
    #[error("emit: this event is {DEPTH} emitted events away from its request: it may emit none")]
    TooDeep,
    /// The attempt emits too many events.
    #[error("emit: an attempt may emit {EMITTED_EVENTS} events")]
    Events,
    /// The events are too large.
    #[error("emit: the bodies of an attempt's events may have {EMITTED_BYTES} bytes together")]
    EventBytes,
}
