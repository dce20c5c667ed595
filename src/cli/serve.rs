//! `hookyard serve`.

use std::fmt;
use std::io::{self, IsTerminal, Write, stderr};
use std::path::Path;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::log;
use crate::app::App;
use crate::config::{Config, Diagnostics};

/// The exit code of a process that a second signal ended.
const INTERRUPTED: i32 = 130;

/// What a user reads when `serve` fails.
pub enum Failed {
    /// Mistakes in router.toml, as a report.
    Config(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(report) => write!(f, "{report}"),
            Self::Other(error) => write!(f, "error: {error:#}"),
        }
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Serves until a signal comes.
pub fn run(config: &Path) -> Result<(), Failed> {
    let color = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (config, warnings) =
        Config::load(config).map_err(|mistakes| Failed::Config(mistakes.render(color)))?;
    eprint!("{}", warnings.render(color));
    log::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    Ok(runtime.block_on(serve(config, &warnings))?)
}

async fn serve(config: Config, read: &Diagnostics) -> Result<()> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let hang_up = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let app = App::start(config, read).await?;
    announce(&app).context("cannot print the addresses")?;
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

fn announce(app: &App) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "public http://{}", app.public)?;
    writeln!(out, "admin  http://{}", app.admin)?;
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
