//! Linking a program with what it may import.

use wasmtime::component::{self, Component, HasSelf};
use wasmtime::{Engine, Module};
use wasmtime_wasi::p1;

use super::LoadError;
use super::bindings::hookyard::handler::{emit, types};
use super::bindings::wasi::{config, keyvalue, logging};
use super::host::{Asking, Host, Noted};
use super::spent::What;

/// Links a component with the whole world.
///
/// # Errors
/// It imports what there is not.
pub fn component(
    engine: &Engine,
    component: &Component,
) -> Result<component::InstancePre<Host>, LoadError> {
    let linker = world(engine).map_err(|error| LoadError::Host(format!("{error:#}")))?;
    linker.instantiate_pre(component).map_err(|error| LoadError::Import(format!("{error:#}")))
}

/// Links a core module with `wasi_snapshot_preview1`.
///
/// # Errors
/// It imports what there is not.
pub fn module(engine: &Engine, module: &Module) -> Result<wasmtime::InstancePre<Host>, LoadError> {
    let mut linker = wasmtime::Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |host: &mut Host| &mut host.wasi)
        .map_err(|error| LoadError::Host(format!("{error:#}")))?;
    linker.instantiate_pre(module).map_err(|error| LoadError::Import(format!("{error:#}")))
}

/// All that a component may import.
fn world(engine: &Engine) -> wasmtime::Result<component::Linker<Host>> {
    let mut linker = component::Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    logging::logging::add_to_linker::<_, Noted>(&mut linker, |host| Asking::new(host, What::Log))?;
    config::store::add_to_linker::<_, Noted>(&mut linker, |host| Asking::new(host, What::Config))?;
    keyvalue::store::add_to_linker::<_, Noted>(&mut linker, |host| Asking::new(host, What::State))?;
    types::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    emit::add_to_linker::<_, Noted>(&mut linker, |host| Asking::new(host, What::Emit))?;
    Ok(linker)
}
