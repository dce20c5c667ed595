//! The whole program over real sockets, and the house's own rules.

mod compile;
mod layers;
mod letters;
mod main_job;
mod reload;
mod reload_config;
mod reload_often;
mod wat;
mod yard;
