//! The contracts between hookyard and a handler, one variant each.

use std::collections::BTreeMap;

use wasmtime::{Engine, Store};

use super::LoadError;
use super::attempt::Call;
use super::command::{self, Command};
use super::host::Host;
use super::inspect::{self, Kind};
use super::stdio::Streams;
use super::typed::Typed;
use crate::delivery::Outcome;

/// A handler's program, ready to be run by its contract.
pub enum Abi {
    /// A component that exports `hookyard:handler/handler`.
    Typed(Typed),
    /// A WASI command: JSON on stdin and stdout.
    Command(Command),
}

impl Abi {
    /// Looks at a file, compiles and links what is in it.
    ///
    /// # Errors
    /// It is no handler, is invalid, or imports what there is not.
    pub fn load(engine: &Engine, file: &[u8]) -> Result<Self, LoadError> {
        let (kind, binary) = inspect::program(file)?;
        Ok(match kind {
            Kind::Typed => Self::Typed(Typed::load(engine, &binary)?),
            Kind::CommandComponent => Self::Command(Command::component(engine, &binary)?),
            Kind::CommandModule => Self::Command(Command::module(engine, &binary)?),
        })
    }

    /// The contract's name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Typed(_) => "component",
            Self::Command(_) => "command",
        }
    }

    /// Where the guest's standard streams lead in an attempt.
    pub fn streams(&self, call: Call<'_>, config: &BTreeMap<String, String>) -> Streams {
        match self {
            Self::Typed(_) => Streams::Log,
            Self::Command(_) => Streams::Command { stdin: command::event_json(call, config) },
        }
    }

    /// Runs a fresh instance in the store.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn run(&self, store: &mut Store<Host>, call: Call<'_>) -> wasmtime::Result<Outcome> {
        match self {
            Self::Typed(typed) => typed.run(store, call).await,
            Self::Command(command) => command.run(store).await,
        }
    }
}
