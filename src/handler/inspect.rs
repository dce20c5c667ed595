//! What a file in `plugins/` is: found by looking inside it, never by its name.

use std::borrow::Cow;

use thiserror::Error;
use wasmparser::{BinaryReaderError, ExternalKind, Parser, Payload};
use wasmtime::Engine;

use crate::text::{head, printable};

/// The first bytes of WebAssembly in binary form.
const MAGIC: &[u8] = b"\0asm";
/// The version that follows in a component.
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
/// The version that follows in a core module.
const CORE: &[u8] = &[1, 0, 0, 0];
/// First bytes of native code: ELF, Mach-O and PE.
const NATIVE: [&[u8]; 4] = [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ"];

/// The interface that a typed component exports, without the last part of its version.
const HANDLER: &str = "hookyard:handler/handler@0.1.";
/// The interface that a command exports.
const RUN: &str = "wasi:cli/run@0.2.";
/// The interface that an HTTP server exports.
const HTTP: &str = "wasi:http/incoming-handler@0.2.";
/// All that a core module may import from.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// The function that a core module begins with.
pub const START: &str = "_start";

/// Names that a message tells, and how many bytes of each.
const NAMES: usize = 8;
const NAME_BYTES: usize = 128;

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
    /// WebAssembly of another version, or cut off inside its first bytes.
    #[error(
        "this begins like WebAssembly but has no version that is known: it is truncated or of a later kind"
    )]
    UnknownVersion,
    /// Text form with a mistake.
    #[error("this is WebAssembly text with a mistake: {0}")]
    BadText(String),
    /// It cannot be read to its end.
    #[error("it is invalid or truncated: {0}")]
    Broken(String),
    /// A component that keeps none of the contracts.
    #[error(
        "the component exports no handler (it exports {0}): export the interface hookyard:handler/handler@0.1.0 (see wit/hookyard.wit) or wasi:http/incoming-handler@0.2, or be a WASI command, which exports wasi:cli/run@0.2"
    )]
    NoExport(String),
    /// A component for the next WASI.
    #[error("it needs WASI 0.3 ({0}), which a later version runs: build it for WASI 0.2")]
    Wasi03(String),
    /// A core module that imports more than a command has.
    #[error(
        "this is a core module that imports {0}: one may import only wasi_snapshot_preview1; to import more, make it a component with `wasm-tools component new`"
    )]
    Imports(String),
    /// A core module without a beginning.
    #[error(
        "this is a core module without a function `_start`, so it is no WASI command: build a program, not a library (in Rust a binary for wasm32-wasip1, in Go one for GOOS=wasip1)"
    )]
    NoStart,
    /// Something else.
    #[error(
        "this is not WebAssembly: give a .wasm component or WASI command, or its text form (.wat)"
    )]
    SomethingElse,
}

/// What a file is, by the contract that it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A component that exports `hookyard:handler/handler`.
    Typed,
    /// A component that exports `wasi:http/incoming-handler`.
    Http,
    /// A component that exports `wasi:cli/run`.
    CommandComponent,
    /// A core module for `wasi_snapshot_preview1` that exports `_start`.
    CommandModule,
}

/// What a file is, and its binary form.
///
/// # Errors
/// It is no handler.
pub fn program(file: &[u8]) -> Result<(Kind, Cow<'_, [u8]>), NotAHandler> {
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
    let kind = match binary.get(MAGIC.len()..MAGIC.len() + 4) {
        Some(COMPONENT) => component(&binary)?,
        Some(CORE) => module(&binary)?,
        _ => return Err(NotAHandler::UnknownVersion),
    };
    Ok((kind, binary))
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

/// Which contract a component keeps, by the names of what it imports and exports.
fn component(binary: &[u8]) -> Result<Kind, NotAHandler> {
    let (mut typed, mut command, mut http) = (false, false, false);
    let mut exports = Names::default();
    // Components hold modules and components, whose names say nothing.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(binary) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    not_wasi_0_3(import?.name.name)?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let name = not_wasi_0_3(export?.name.name)?;
                    typed |= name.starts_with(HANDLER);
                    command |= name.starts_with(RUN);
                    http |= name.starts_with(HTTP);
                    exports.add(name);
                }
            }
            _ => {}
        }
    }
    if typed {
        Ok(Kind::Typed)
    } else if http {
        Ok(Kind::Http)
    } else if command {
        Ok(Kind::CommandComponent)
    } else {
        Err(NotAHandler::NoExport(exports.told()))
    }
}

fn not_wasi_0_3(name: &str) -> Result<&str, NotAHandler> {
    if name.starts_with("wasi:") && name.contains("@0.3.") {
        return Err(NotAHandler::Wasi03(fit(name)));
    }
    Ok(name)
}

/// Whether a core module is a command.
fn module(binary: &[u8]) -> Result<Kind, NotAHandler> {
    let (mut foreign, mut starts) = (Names::default(), false);
    for payload in Parser::new(0).parse_all(binary) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if import.module != PREVIEW1 {
                        foreign.add(&format!("{}.{}", import.module, import.name));
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    starts |= export.name == START && export.kind == ExternalKind::Func;
                }
            }
            _ => {}
        }
    }
    if foreign.count > 0 {
        Err(NotAHandler::Imports(foreign.told()))
    } else if starts {
        Ok(Kind::CommandModule)
    } else {
        Err(NotAHandler::NoStart)
    }
}

impl From<BinaryReaderError> for NotAHandler {
    fn from(error: BinaryReaderError) -> Self {
        Self::Broken(printable(&error.to_string()).into_owned())
    }
}

/// Names from a file, of which a message tells the first.
#[derive(Default)]
struct Names {
    first: Vec<String>,
    count: usize,
}

impl Names {
    fn add(&mut self, name: &str) {
        if self.first.len() < NAMES {
            self.first.push(fit(name));
        }
        self.count += 1;
    }

    fn told(&self) -> String {
        match self.count.saturating_sub(NAMES) {
            0 if self.count == 0 => "nothing".to_owned(),
            0 => self.first.join(", "),
            more => format!("{} and {more} more", self.first.join(", ")),
        }
    }
}

fn fit(name: &str) -> String {
    printable(head(name, NAME_BYTES)).into_owned()
}

#[cfg(test)]
mod tests;
