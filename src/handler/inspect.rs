//! What a file in `plugins/` is: found by looking inside it, never by its name.

use std::borrow::Cow;

use thiserror::Error;
use wasmtime::Engine;

use crate::text::printable;

/// The first bytes of WebAssembly in binary form.
const MAGIC: &[u8] = b"\0asm";
/// The version that follows in a component.
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
/// The version that follows in a core module.
const CORE: &[u8] = &[1, 0, 0, 0];
/// First bytes of native code: ELF, Mach-O and PE.
const NATIVE: [&[u8]; 4] = [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ"];

/// Why a file is no handler: what it is, and what to do.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NotAHandler {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Compiled by wasmtime ahead of time.
    #[error(
        "this is precompiled native code (.cwasm), which is never loaded from here: give the .wasm that it was made from"
    )]
    Precompiled,
    /// An executable or library.
    #[error("this is native code, not WebAssembly: build it for the target wasm32-wasip2")]
    Native,
    /// A core module.
    #[error(
        "this is a core WebAssembly module, which this version does not run yet: build a component (target wasm32-wasip2, or `wasm-tools component new`)"
    )]
    CoreModule,
    /// WebAssembly of another version, or cut off inside its first bytes.
    #[error(
        "this begins like WebAssembly but has no version that is known: it is truncated or of a later kind"
    )]
    UnknownVersion,
    /// Text form with a mistake.
    #[error("this is WebAssembly text with a mistake: {0}")]
    BadText(String),
    /// Something else.
    #[error("this is not WebAssembly: give a .wasm component, or its text form (.wat)")]
    SomethingElse,
}

/// The component's binary form.
///
/// # Errors
/// It is no component.
pub fn component(file: &[u8]) -> Result<Cow<'_, [u8]>, NotAHandler> {
    if file.is_empty() {
        return Err(NotAHandler::Empty);
    }
    if Engine::detect_precompiled(file).is_some() {
        return Err(NotAHandler::Precompiled);
    }
    if NATIVE.iter().any(|magic| file.starts_with(magic)) {
        return Err(NotAHandler::Native);
    }
    let binary = if file.starts_with(MAGIC) { Cow::Borrowed(file) } else { from_text(file)? };
    match binary.get(MAGIC.len()..MAGIC.len() + 4) {
        Some(COMPONENT) => Ok(binary),
        Some(CORE) => Err(NotAHandler::CoreModule),
        _ => Err(NotAHandler::UnknownVersion),
    }
}

fn from_text(file: &[u8]) -> Result<Cow<'_, [u8]>, NotAHandler> {
    let text = str::from_utf8(file).map_err(|_| NotAHandler::SomethingElse)?;
    let code = text.trim_start();
    if !(code.starts_with('(') || code.starts_with(";;")) {
        return Err(NotAHandler::SomethingElse);
    }
    wat::parse_str(text).map(Cow::Owned).map_err(|error| NotAHandler::BadText(on_one_line(&error)))
}

/// What is wrong and where. The parser also draws the place, over several lines.
fn on_one_line(error: &wat::Error) -> String {
    let drawn = error.to_string();
    let mut lines = drawn.lines();
    let what = printable(lines.next().unwrap_or_default());
    match lines.next().and_then(|line| line.rsplit_once("<anon>:")) {
        Some((_, place)) => format!("{what} (line and column {place})"),
        None => what.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_is_inside_it() {
        let mistake = "expected valid component field (line and column 2:2)".to_owned();
        let cases: [(&[u8], NotAHandler); 10] = [
            (b"(component\n(oops))", NotAHandler::BadText(mistake)),
            (b"", NotAHandler::Empty),
            (b"\x7fELF\x02\x01\x01", NotAHandler::Native),
            (b"MZ\x90\0", NotAHandler::Native),
            (b"\0asm\x01\0\0\0", NotAHandler::CoreModule),
            (b"(module)", NotAHandler::CoreModule),
            (b"\0asm\x0d", NotAHandler::UnknownVersion),
            (b"\0asm\x02\0\0\0", NotAHandler::UnknownVersion),
            (b"#!/bin/sh\n", NotAHandler::SomethingElse),
            (b"\xff\xfe\0", NotAHandler::SomethingElse),
        ];
        for (file, expected) in cases {
            assert_eq!(component(file), Err(expected));
        }
    }

    #[test]
    fn both_forms_of_a_component_are_accepted() {
        let binary = component(b"  ;; nothing in it\n(component)").unwrap().into_owned();
        assert_eq!(component(&binary).unwrap(), binary);
    }

    #[test]
    fn precompiled_code_is_told_from_other_native_code() {
        let engine = Engine::default();
        let code = engine
            .precompile_component(b"(component)")
            .or_else(|_| engine.precompile_component(&component(b"(component)").unwrap()));
        assert_eq!(component(&code.unwrap()), Err(NotAHandler::Precompiled));
    }
}
