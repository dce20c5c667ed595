//! Asking for a reload, and what it came to.

use tokio::sync::{mpsc, oneshot};

/// What a reload came to: the state of the files as they are now.
#[derive(Debug, Default)]
pub struct Report {
    /// Files of the configuration, and handlers as `handlers.<name>`, that are new or gone.
    pub changed: Vec<String>,
    /// Keys of `[server]` that wait for a restart.
    pub restart: Vec<&'static str>,
    /// What can be used, and somebody should have a look at.
    pub warnings: Vec<String>,
    /// What cannot be used: the last good version stays in its place.
    pub errors: Vec<String>,
}

impl Report {
    /// `ok` or `failed`.
    pub fn result(&self) -> &'static str {
        if self.errors.is_empty() { "ok" } else { "failed" }
    }
}

/// Asks that wait for an answer at the most.
const WAITING: usize = 64;

/// Where reloads are asked for. Clones ask the same.
#[derive(Debug, Clone)]
pub struct Asker(mpsc::Sender<oneshot::Sender<Report>>);

/// The other end: it gives back what each ask came to.
pub type Asks = mpsc::Receiver<oneshot::Sender<Report>>;

/// Both ends.
pub fn channel() -> (Asker, Asks) {
    let (asker, asks) = mpsc::channel(WAITING);
    (Asker(asker), asks)
}

impl Asker {
    /// Reloads at once; `None` when nobody reloads any more.
    pub async fn ask(&self) -> Option<Report> {
        let (reply, report) = oneshot::channel();
        self.0.send(reply).await.ok()?;
        report.await.ok()
    }
}
