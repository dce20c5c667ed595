//! The whole program over real sockets, and the house's own rules.

mod commands;
mod layers;
mod letters;
mod main_job;
mod wat;
mod wat_commands;
mod yard;
