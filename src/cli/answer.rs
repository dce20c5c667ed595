//! What a verb comes to: an answer on stdout, or a failure on stderr.

use std::io::{self, ErrorKind, IsTerminal, Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use crate::config::{Diagnostics, Severity};
use crate::text::printable;

/// What a verb found out.
pub struct Answer {
    text: Vec<u8>,
    is_good: bool,
}

/// Why a verb has no answer.
pub enum Failed {
    /// Mistakes in a file.
    Report(Diagnostics),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl Answer {
    /// All is well.
    pub fn good(text: impl Into<Vec<u8>>) -> Self {
        Self::new(text, true)
    }

    /// An answer for people. `is_good` decides over the exit code.
    pub fn new(text: impl Into<Vec<u8>>, is_good: bool) -> Self {
        Self { text: text.into(), is_good }
    }

    /// An answer for programs.
    pub fn json(value: &Value, is_good: bool) -> Self {
        Self::new(format!("{value:#}\n"), is_good)
    }

    /// Prints it. Who reads it may stop when they have seen enough.
    pub fn print(self) -> ExitCode {
        let mut out = stdout().lock();
        match out.write_all(&self.text).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Failed::Other(error.into()).print()
            }
            _ if self.is_good => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

impl Failed {
    /// One finding about a file.
    pub fn about(file: &Path, message: &str) -> Self {
        Self::Report(Diagnostics::about(file, Severity::Error, message, ""))
    }

    /// Prints it.
    pub fn print(self) -> ExitCode {
        match self {
            Self::Report(report) => say(&report.render(colored(&stderr()))),
            Self::Other(error) => say(&format!("error: {}", printable(&format!("{error:#}")))),
        }
        ExitCode::FAILURE
    }
}

/// Prints a part of a long answer at once; false when nobody reads it any more.
pub fn print_now(text: &str) -> io::Result<bool> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        printed => printed.map(|()| true),
    }
}

/// Prints lines to stderr, if anybody is there to read them.
pub fn say(lines: &str) {
    let _unheard: io::Result<()> = writeln!(stderr(), "{lines}");
}

/// Whether that stream is a terminal whose user has nothing against colors.
pub fn colored(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused
}
