//! Outgoing requests of handlers: where they may go, what they may take, and what is theirs alone.
//!
//! They run on a thread of their own, so that they hold up neither the senders' connections nor
//! the guests.

mod body;
mod call;
mod client;
mod connect;
mod denied;
mod failure;
mod outside;
mod pool;
mod reach;
mod secrets;
mod target;

#[cfg(test)]
mod tests;

pub use self::call::Outgoing;
pub use self::client::{Client, Received};
pub use self::outside::Outside;
pub use self::reach::{BadPattern, Hosts, Pattern, Reach};
pub use self::secrets::{Secret, Use, given};
pub use self::target::{IDEMPOTENCY_KEY, can_be_reached};
