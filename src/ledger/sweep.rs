//! A thread that removes bodies' files: a large one takes a while, and nobody should wait for it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::read::ReadError;
use super::schema;
use super::spool::Spool;

/// How often the folder is searched for files that no event owns.
const SEARCH_EVERY: Duration = Duration::from_secs(3_600);

/// The thread. It has ended when this is dropped.
pub struct Sweeper {
    asks: Option<Sender<Ask>>,
    thread: Option<JoinHandle<()>>,
}

enum Ask {
    Remove(Vec<String>),
    Search,
}

impl Sweeper {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(file: &Path, spool: Arc<Spool>) -> io::Result<Self> {
        let (asks, asked) = mpsc::channel();
        let file = file.to_owned();
        let named = thread::Builder::new().name("sweeper".to_owned());
        let thread = named.spawn(move || sweep(&file, &spool, &asked))?;
        Ok(Self { asks: Some(asks), thread: Some(thread) })
    }

    /// Removes the files of events that are gone.
    pub fn remove(&self, names: Vec<String>) {
        if !names.is_empty() {
            self.ask(Ask::Remove(names));
        }
    }

    /// Searches for files that no event owns.
    pub fn search(&self) {
        self.ask(Ask::Search);
    }

    fn ask(&self, ask: Ask) {
        // The thread ends after the sender only, unless it broke; then the next start searches.
        let _broken = self.asks.as_ref().map(|asks| asks.send(ask));
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.asks = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that removes bodies broke");
        }
    }
}

fn sweep(file: &Path, spool: &Spool, asked: &Receiver<Ask>) {
    loop {
        match asked.recv_timeout(SEARCH_EVERY) {
            Ok(Ask::Remove(names)) => names.iter().for_each(|name| spool.remove(name)),
            Ok(Ask::Search) | Err(RecvTimeoutError::Timeout) => match search(file, spool) {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "bodies that no event owns were removed"),
                Err(problem) => {
                    tracing::warn!(%problem, "cannot search for bodies that no event owns")
                }
            },
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn search(file: &Path, spool: &Spool) -> Result<usize, ReadError> {
    let db = schema::open_reader(file)?;
    let mut owned = db.prepare("SELECT 1 FROM spooled WHERE name=?")?;
    spool.sweep(|name| Ok(owned.exists([name])?))
}
