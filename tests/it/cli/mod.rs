//! The command line, each verb by the program itself.

mod backup;
mod call;
mod check;
mod events;
mod help;
mod languages;
mod new;
mod project;
mod replay;
mod selftests;
mod send;
mod shadow;
mod verify;

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::yard::Yard;

/// What a command came to.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Yard {
    /// Runs a command in the yard's folder.
    fn hookyard(&self, arguments: &[&str]) -> Ran {
        self.hookyard_reading("", arguments)
    }

    /// The same with something to read on stdin.
    fn hookyard_reading(&self, input: impl AsRef<[u8]>, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have ended by now.
        let _unread = child.stdin.take().unwrap().write_all(input.as_ref());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
