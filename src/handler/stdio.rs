//! A guest's standard streams. The engine's own adapter for output is not used: it keeps empty
//! writes in memory without a bound.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use thiserror::Error;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{WasiCtxBuilder, async_trait};

use super::limits::STDOUT_BYTES;
use super::log::{Log, Stream};

/// Bytes that a guest may write before it is asked to write again.
const WRITE_BYTES: usize = 64 * 1024;

/// A command's only argument: its own name.
const ARGUMENT: &str = "handler";

/// Where a guest's standard streams lead.
pub enum Streams {
    /// What it prints, to its log.
    Log,
    /// Those of a command: stdout is kept, stderr is its log.
    Command {
        /// What it reads.
        stdin: Bytes,
    },
}

impl Streams {
    /// Connects them, and gives what will be kept of stdout.
    pub fn connect(self, wasi: &mut WasiCtxBuilder, log: &Log) -> Stdout {
        let stdout = Stdout::default();
        let to_log = |stream| Output::Log(log.clone(), stream);
        match self {
            Self::Log => {
                wasi.stdout(to_log(Stream::Out)).stderr(to_log(Stream::Err));
            }
            Self::Command { stdin } => {
                wasi.arg(ARGUMENT)
                    .stdin(MemoryInputPipe::new(stdin))
                    .stdout(Output::Kept(stdout.clone()))
                    .stderr(to_log(Stream::Log));
            }
        }
        stdout
    }
}

/// The stdout of a command, up to [`STDOUT_BYTES`]. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Stdout(Arc<Mutex<Vec<u8>>>);

/// A command printed more than [`STDOUT_BYTES`].
#[derive(Debug, Error)]
#[error("stdout: the limit is {STDOUT_BYTES} bytes")]
pub struct StdoutFull;

impl Stdout {
    fn keep(&self, bytes: &[u8]) -> Result<(), StdoutFull> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len().saturating_add(bytes.len()) > STDOUT_BYTES {
            return Err(StdoutFull);
        }
        kept.extend_from_slice(bytes);
        Ok(())
    }

    /// What was printed, which is then forgotten.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a guest writes to.
#[derive(Debug, Clone)]
enum Output {
    Log(Log, Stream),
    Kept(Stdout),
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES {
            return Err(StreamError::trap("a write beyond what was permitted"));
        }
        match self {
            Self::Log(log, stream) => {
                log.printed(*stream, &bytes);
                Ok(())
            }
            Self::Kept(stdout) => {
                stdout.keep(&bytes).map_err(|full| StreamError::Trap(full.into()))
            }
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdout_is_kept_up_to_the_last_byte() {
        let stdout = Stdout::default();
        let mut output = Output::Kept(stdout.clone());
        let chunk = Bytes::from(vec![b'x'; WRITE_BYTES]);
        for _ in 0..STDOUT_BYTES / WRITE_BYTES {
            output.write(chunk.clone()).unwrap();
        }
        output.write(Bytes::new()).unwrap();
        let error = output.write(Bytes::from_static(b"x")).unwrap_err();
        let StreamError::Trap(error) = error else { panic!("{error}") };
        assert!(error.downcast_ref::<StdoutFull>().is_some(), "{error}");
        assert_eq!(stdout.take().len(), STDOUT_BYTES);
    }
}
