//! Native code: what the child that compiles hands over, and how it is loaded.

#![expect(unsafe_code, reason = "the engine has no safe way to load compiled code")]

use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::inspect::Kind;

/// What a file was compiled to: a byte for its kind, and native code. Only the child that compiles
/// makes it, and the cache gives it back.
pub struct Compiled(pub(super) Vec<u8>);

/// A program that can be linked.
pub enum Program {
    /// A component that exports `hookyard:handler/handler`.
    Typed(Component),
    /// A component that exports `wasi:http/incoming-handler`.
    Http(Component),
    /// A component that exports `wasi:cli/run`.
    CommandComponent(Component),
    /// A core module for `wasi_snapshot_preview1`.
    CommandModule(Module),
}

impl Compiled {
    pub(super) fn new(kind: Kind, mut code: Vec<u8>) -> Self {
        code.insert(0, tag(kind));
        Self(code)
    }

    /// Loads it.
    ///
    /// # Errors
    /// It was compiled for another version, configuration or CPU, or does not fit the pool.
    pub fn load(&self, engine: &Engine) -> wasmtime::Result<Program> {
        let Some((first, code)) = self.0.split_first() else { wasmtime::bail!("it is empty") };
        let kinds = [Kind::Typed, Kind::Http, Kind::CommandComponent, Kind::CommandModule];
        let Some(kind) = kinds.into_iter().find(|kind| tag(*kind) == *first) else {
            wasmtime::bail!("it is of no kind that is known")
        };
        // SAFETY: the code is what a child of this very program made of a file, handed over by a
        // pipe of their own, or kept since then where only this user can write, and unchanged by
        // its digest. The engine itself refuses the code of another version or configuration.
        Ok(unsafe {
            match kind {
                Kind::Typed => Program::Typed(Component::deserialize(engine, code)?),
                Kind::Http => Program::Http(Component::deserialize(engine, code)?),
                Kind::CommandComponent => {
                    Program::CommandComponent(Component::deserialize(engine, code)?)
                }
                Kind::CommandModule => Program::CommandModule(Module::deserialize(engine, code)?),
            }
        })
    }
}

fn tag(kind: Kind) -> u8 {
    match kind {
        Kind::Typed => b't',
        Kind::Http => b'h',
        Kind::CommandComponent => b'c',
        Kind::CommandModule => b'm',
    }
}
