//! The contracts between hookyard and a handler, one variant each.

use std::collections::BTreeMap;

use wasmtime::{Engine, Store};

use super::LoadError;
use super::attempt::Call;
use super::command::{self, Command};
use super::host::Host;
use super::http::Http;
use super::native::Program;
use super::stdio::Streams;
use super::typed::Typed;
use crate::delivery::Outcome;

/// A handler's program, ready to be run by its contract.
pub enum Abi {
    /// A component that exports `hookyard:handler/handler`.
    Typed(Typed),
    /// A component that exports `wasi:http/incoming-handler`.
    Http(Http),
    /// A WASI command: JSON on stdin and stdout.
    Command(Command),
}

impl Abi {
    /// Links a program.
    ///
    /// # Errors
    /// It imports what there is not, or what it exports is not its contract's.
    pub fn link(engine: &Engine, program: &Program) -> Result<Self, LoadError> {
        Ok(match program {
            Program::Typed(component) => Self::Typed(Typed::link(engine, component)?),
            Program::Http(component) => Self::Http(Http::link(engine, component)?),
            Program::CommandComponent(component) => {
                Self::Command(Command::component(engine, component)?)
            }
            Program::CommandModule(module) => Self::Command(Command::module(engine, module)?),
        })
    }

    /// The contract's name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Typed(_) => "component",
            Self::Http(_) => "http",
            Self::Command(_) => "command",
        }
    }

    /// Where the guest's standard streams lead in an attempt.
    pub fn streams(&self, call: Call<'_>, config: &BTreeMap<String, String>) -> Streams {
        match self {
            Self::Typed(_) | Self::Http(_) => Streams::Log,
            Self::Command(_) => Streams::Command { stdin: command::event_json(call, config) },
        }
    }

    /// Makes an instance in the store, and leaves it at that.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn instantiate(&self, store: &mut Store<Host>) -> wasmtime::Result<()> {
        match self {
            Self::Typed(typed) => typed.instantiate(store).await.map(drop),
            Self::Http(http) => http.instantiate(store).await.map(drop),
            Self::Command(command) => command.instantiate(store).await,
        }
    }

    /// Runs a fresh instance in the store.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn run(&self, store: &mut Store<Host>, call: Call<'_>) -> wasmtime::Result<Outcome> {
        match self {
            Self::Typed(typed) => typed.run(store, call).await,
            Self::Http(http) => http.run(store, call).await,
            Self::Command(command) => command.run(store).await,
        }
    }
}
