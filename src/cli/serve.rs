//! `hookyard serve`.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::answer::Failed;
use super::{input, log};
use crate::app::App;
use crate::config::{Config, Diagnostics};

pub const EXAMPLES: &str = "\
Examples:
  hookyard serve
  hookyard serve --config router.toml";

/// The exit code of a process that a second signal ended.
const INTERRUPTED: i32 = 130;

/// Serves until a signal comes.
pub fn run(config: &Path) -> Result<(), Failed> {
    let (config, read) = input::config(config)?;
    log::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    Ok(runtime.block_on(serve(config, &read))?)
}

async fn serve(config: Config, read: &Diagnostics) -> Result<()> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let hang_up = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let unverified: Vec<_> = config.unverified().map(|source| source.path.clone()).collect();
    let app = tokio::select! {
        app = App::start(config, read) => app?,
        // Nothing has been promised to anyone yet: there is nothing to finish.
        () = signals.next() => std::process::exit(INTERRUPTED),
    };
    announce(&app, scheme, &unverified).context("cannot print the addresses")?;
    tokio::select! {
        () = signals.next() => {}
        () = reload_on(hang_up, &app) => {}
    }
    tracing::info!("ending: a second signal ends at once");
    tokio::spawn(async move {
        signals.next().await;
        std::process::exit(INTERRUPTED);
    });
    app.stop().await;
    Ok(())
}

/// Reloads on every SIGHUP; what comes of it is in the log.
async fn reload_on(mut hang_up: Signal, app: &App) {
    while hang_up.recv().await.is_some() {
        let _logged = app.reload.ask().await;
    }
    std::future::pending::<()>().await
}

/// `scheme` is the public side's; the admin side speaks plain HTTP. Whoever reads may stop after
/// the addresses, so all is written at once.
fn announce(app: &App, scheme: &str, unverified: &[String]) -> io::Result<()> {
    let mut lines = format!("public {scheme}://{}\nadmin  http://{}\n", app.public, app.admin);
    for path in unverified {
        lines += &format!("unverified {scheme}://{}{path}\n", app.public);
    }
    let mut out = io::stdout().lock();
    out.write_all(lines.as_bytes())?;
    out.flush()
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
