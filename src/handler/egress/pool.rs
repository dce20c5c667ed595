//! Connections that wait for the next request. They belong to one handler and its grants, so that
//! none is ever used by another, or after a grant was taken back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;
use wasmtime_wasi_http::WasiBody;

use super::target::Target;

/// A connection, as whoever sends sees it. It is closed when this is dropped.
pub type Connection = SendRequest<WasiBody>;

/// Connections that wait; the oldest make room.
const IDLE: usize = 16;

/// How long they wait.
pub const IDLE_TIME: Duration = Duration::from_secs(30);

/// The waiting connections of one handler.
#[derive(Default)]
pub struct Pool(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Oldest first.
    idle: Vec<Idle>,
    /// Whether somebody sees to it that none waits too long.
    is_swept: bool,
}

struct Idle {
    target: Target,
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// The connection to there that was used last, if one is open.
    pub fn take(&self, target: &Target) -> Option<Connection> {
        let idle = &mut self.waiting().idle;
        idle.retain(|idle| idle.connection.is_ready());
        let place = idle.iter().rposition(|idle| idle.target == *target)?;
        Some(idle.remove(place).connection)
    }

    /// Keeps a connection; true when the caller has to [`sweep`](Self::sweep) from now on.
    pub fn put(&self, target: Target, connection: Connection) -> bool {
        let mut waiting = self.waiting();
        if waiting.idle.len() >= IDLE {
            waiting.idle.remove(0);
        }
        waiting.idle.push(Idle { target, connection, since: Instant::now() });
        !std::mem::replace(&mut waiting.is_swept, true)
    }

    /// Closes those that have waited long enough; true while the caller has to go on.
    pub fn sweep(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.idle.retain(|idle| idle.connection.is_ready() && idle.since.elapsed() < IDLE_TIME);
        waiting.is_swept = !waiting.idle.is_empty();
        waiting.is_swept
    }

    #[cfg(test)]
    pub fn is_waiting(&self) -> bool {
        !self.waiting().idle.is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
