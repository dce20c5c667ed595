//! From a handler's bytes to machine code.

use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::LoadError;

/// Compiles a component in binary form.
///
/// # Errors
/// It does not validate.
pub fn component(engine: &Engine, binary: &[u8]) -> Result<Component, LoadError> {
    Component::from_binary(engine, binary).map_err(|error| LoadError::Invalid(format!("{error:#}")))
}

/// Compiles a core module in binary form.
///
/// # Errors
/// It does not validate.
pub fn module(engine: &Engine, binary: &[u8]) -> Result<Module, LoadError> {
    Module::from_binary(engine, binary).map_err(|error| LoadError::Invalid(format!("{error:#}")))
}
