//! Write hookyard handlers in Rust: a function from [`Event`] to [`Outcome`].
//!
//! ```
//! use hookyard_sdk::{Event, Outcome, config, handler, log};
//!
//! #[derive(serde::Deserialize)]
//! struct Order {
//!     id: u64,
//!     total: f64,
//! }
//!
//! handler!(handle);
//!
//! fn handle(event: Event) -> Result<Outcome, Outcome> {
//!     let order: Order = event.json().map_err(Outcome::reject)?;
//!     let currency = config("currency").unwrap_or("EUR".to_owned());
//!     log::info(format!("order {}: {} {currency}", order.id, order.total));
//!     Ok(Outcome::Ack)
//! }
//! ```
//!
//! The crate is a `cdylib`; `cargo build --release --target wasm32-wasip2` makes a component of
//! it, which imports only what it uses. The same code compiles natively, so that `cargo test`
//! tests it: there, log lines and emitted events go to stderr and no configuration is set.

pub mod bindings;
mod event;
pub mod log;
mod outcome;

pub use bindings::hookyard::handler::types::{Event, Header, Later, Outcome, Reply};

/// Makes a function the handler of this crate.
///
/// The function takes an [`Event`] and returns an [`Outcome`], or a `Result<Outcome, Outcome>`,
/// so that `?` can leave it early.
#[macro_export]
macro_rules! handler {
    ($handle:path) => {
        const _: () = {
            struct Handler;

            impl $crate::bindings::exports::hookyard::handler::handler::Guest for Handler {
                fn handle(event: $crate::Event) -> $crate::Outcome {
                    $crate::Outcome::from($handle(event))
                }
            }

    $crate::bindings::export!(Handler with_types_in $crate::bindings);
        };
    };
}

/// The value of `key` in this handler's `config` table in `router.toml`; `None` if it is not
/// there or cannot be had.
#[must_use]
pub fn config(key: &str) -> Option<String> {
    if cfg!(target_family = "wasm") {
        bindings::wasi::config::store::get(key).ok().flatten()
    } else {
        None
    }
}

/// Emits an event, which is stored together with this attempt's outcome if that is ack or reply.
///
/// # Errors
/// Why not, such as an event type that `router.toml` does not grant.
pub fn emit(event_type: &str, body: impl AsRef<[u8]>) -> Result<(), String> {
    if cfg!(target_family = "wasm") {
        bindings::hookyard::handler::emit::emit(event_type, body.as_ref())
    } else {
        eprintln!("Emit: {event_type}: {}", String::from_utf8_lossy(body.as_ref()));
        Ok(())
    }
}
