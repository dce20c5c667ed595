//! `hookyard backup`.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use serde_json::json;

use super::answer::{Answer, Failed, say};
use crate::config::Reading;
use crate::ledger::backup::{self, BackupError, Copied};

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  hookyard backup backups/2026-01-31
  hookyard backup /mnt/other/hookyard --json

To restore one, stop hookyard and put the copy where `data` was:
  mv data data.old; cp -a backups/2026-01-31 data

With --json it prints {\"backup\", \"bytes\", \"bodies\"}.";

/// Copy the ledger to a new folder, while a server serves or none does.
///
/// The copy holds every event that was acknowledged before, all of them as of one moment, with their
/// deliveries, state and large bodies, secrets that senders have handed over, and the key that signs
/// what is forwarded. It is compacted, and can be used as `data` as it is. Nothing is ever replaced.
/// While it is made, no old event is removed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The folder that is to be made.
    #[arg(value_name = "FOLDER")]
    to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Makes the copy, and says how large it is.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    let reading = Reading::of(config);
    let found = reading.found().clone();
    let Some(config) = reading.as_far_as_read() else { return Err(Failed::Report(found)) };
    let server = &config.server;
    let copied = while_telling(&args.to, || backup::copy(&server.data, &args.to, server.min_free));
    let Copied { bodies, bytes } = copied.map_err(|error| anyhow!(error))?;
    let to = args.to.display().to_string();
    if args.json {
        return Ok(Answer::json(&json!({ "backup": to, "bytes": bytes, "bodies": bodies }), true));
    }
    Ok(Answer::good(format!("{to}: {bytes} bytes, {bodies} large bodies beside the ledger\n")))
}

/// Tells a terminal how large the ledger's copy has become.
fn while_telling(
    to: &Path,
    copy: impl FnOnce() -> Result<Copied, BackupError> + Send,
) -> Result<Copied, BackupError> {
    if !stderr().is_terminal() {
        return copy();
    }
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let file = backup::unfinished(to).join("ledger.db");
            while is_done.recv_timeout(TELL_EVERY) == Err(RecvTimeoutError::Timeout) {
                let bytes = fs::metadata(&file).map_or(0, |file| file.len());
                say(&format!("{} MiB so far", bytes >> 20));
            }
        });
        let copied = copy();
        drop(done);
        copied
    })
}
