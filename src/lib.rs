//! hookyard receives webhooks, verifies and stores them, and hands them to sandboxed WebAssembly
//! handlers. `ARCHITECTURE.md` is the map.

pub mod address;
pub mod admin;
pub mod app;
pub mod breaker;
pub mod cli;
pub mod clock;
pub mod condition;
pub mod config;
pub mod delivery;
pub mod destination;
pub mod dial;
pub mod dispatch;
pub mod document;
pub mod effects;
pub mod event;
pub mod fetch;
pub mod form;
#[cfg(test)]
mod fuzz;
pub mod handler;
pub mod handover;
pub mod ingress;
pub mod keys;
pub mod ledger;
pub mod metrics;
pub mod network;
pub mod outbox;
pub mod pointer;
pub mod quota;
pub mod refused;
pub mod reload;
pub mod route;
mod scheduling;
mod secret_file;
pub mod seldom;
pub mod server;
pub mod snapshot;
pub mod source;
pub mod target;
pub mod text;
pub mod verify;
pub mod watch;
