//! The whole program over real sockets, and the house's own rules.

mod admin;
mod bodies;
mod cli;
mod command_line;
mod crash;
mod duplicates;
mod events_api;
mod floods;
mod hostile_handlers;
mod hostile_senders;
mod http;
mod layers;
mod letters;
mod lifecycle;
mod main_job;
mod modules;
mod outcomes;
mod privacy;
mod sandbox;
mod senders;
mod sync;
mod transport;
mod unauthorized;
mod wat;
mod wire;
mod yard;
