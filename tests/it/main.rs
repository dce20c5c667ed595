//! The whole program over real sockets, and the house's own rules.

mod conditions;
mod layers;
mod main_job;
mod wat;
mod yard;
