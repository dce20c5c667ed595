//! WASI commands: the event is JSON on stdin; the exit code and JSON on stdout are the outcome.

mod input;
mod output;

use wasmtime::component::Component;
use wasmtime::{Engine, ExternType, InstancePre, Module, Store};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::CommandPre;

pub use self::input::event_json;
use super::attempt::fit;
use super::host::Host;
use super::inspect::START;
use super::{LoadError, link};
use crate::delivery::Outcome;

/// The exit code of a command that rejects the event: `EX_DATAERR` of `sysexits.h`.
const REJECT: i32 = 65;

/// A command, ready to be run.
pub enum Command {
    /// A core module for `wasi_snapshot_preview1`.
    Module(InstancePre<Host>),
    /// A component for `wasi:cli`.
    Component(CommandPre<Host>),
}

impl Command {
    /// Links a core module.
    ///
    /// # Errors
    /// It imports what there is not, or its `_start` has another type.
    pub fn module(engine: &Engine, module: &Module) -> Result<Self, LoadError> {
        let starts = matches!(module.get_export(START), Some(ExternType::Func(start))
            if start.params().len() == 0 && start.results().len() == 0);
        if !starts {
            return Err(LoadError::WrongEntry("`_start` has parameters or results".to_owned()));
        }
        Ok(Self::Module(link::module(engine, module)?))
    }

    /// Links a component.
    ///
    /// # Errors
    /// It imports what there is not, or its `run` has another type.
    pub fn component(engine: &Engine, component: &Component) -> Result<Self, LoadError> {
        let pre = CommandPre::new(link::component(engine, component)?)
            .map_err(|error| LoadError::WrongEntry(format!("{error:#}")))?;
        Ok(Self::Component(pre))
    }

    /// Makes an instance, and leaves it at that.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn instantiate(&self, store: &mut Store<Host>) -> wasmtime::Result<()> {
        match self {
            Self::Module(pre) => pre.instantiate_async(store).await.map(drop),
            Self::Component(pre) => pre.instantiate_async(store).await.map(drop),
        }
    }

    /// Runs a fresh instance.
    ///
    /// # Errors
    /// The guest broke, or was interrupted.
    pub async fn run(&self, store: &mut Store<Host>) -> wasmtime::Result<Outcome> {
        let code = match self.start(store).await {
            Ok(code) => code,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(code)) => *code,
                None => return Err(error),
            },
        };
        let host = store.data_mut();
        let said = || host.log.last_words().or_else(|| host.log.last_logged());
        Ok(if code == 0 { output::outcome(host) } else { failed(code, said()) })
    }

    /// Runs it to its end; the code with which it ends is the result, or an error [`I32Exit`].
    async fn start(&self, store: &mut Store<Host>) -> wasmtime::Result<i32> {
        match self {
            Self::Module(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                store.data().is_instantiated();
                let start = instance.get_typed_func::<(), ()>(&mut *store, START)?;
                start.call_async(store, ()).await?;
                Ok(0)
            }
            Self::Component(pre) => {
                let command = pre.instantiate_async(&mut *store).await?;
                store.data().is_instantiated();
                let ended = command.wasi_cli_run().call_run(store).await?;
                Ok(i32::from(ended.is_err()))
            }
        }
    }
}

/// What an exit code other than 0 means; why is what the command, or its runtime, said last.
fn failed(code: i32, said: Option<String>) -> Outcome {
    match (code, said) {
        (REJECT, Some(said)) => Outcome::Reject(fit(&said)),
        (REJECT, None) => Outcome::Reject(format!("exit code {REJECT}")),
        (code, Some(said)) => {
            Outcome::Retry { after: None, reason: format!("exit code {code}: {}", fit(&said)) }
        }
        (code, None) => Outcome::Retry { after: None, reason: format!("exit code {code}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_rejects_or_asks_for_another_attempt() {
        let retry = |reason: &str| Outcome::Retry { after: None, reason: reason.to_owned() };
        let reject = |reason: &str| Outcome::Reject(reason.to_owned());
        for (code, said, expected) in [
            (65, None, reject("exit code 65")),
            (65, Some("no tenant"), reject("no tenant")),
            (65, Some("\x1b[2J"), reject("\\u{1b}[2J")),
            (1, None, retry("exit code 1")),
            (66, Some("down"), retry("exit code 66: down")),
        ] {
            assert_eq!(failed(code, said.map(str::to_owned)), expected);
        }
    }
}
