//! Gets the keys that a request needs before it can be verified, one fetch at a time for each source.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::clock::wall_ms;
use crate::fetch::{FetchError, Fetcher};
use crate::verify::{Refusal, Request, Verifier, Want};

/// How long a request waits for fetches that others need.
const TURN: Duration = Duration::from_secs(10);

/// Fetches the keys of one source.
#[derive(Debug)]
pub struct Keys {
    fetcher: Fetcher,
    turn: Mutex<()>,
}

impl Keys {
    pub fn new(fetcher: Fetcher) -> Self {
        Self { fetcher, turn: Mutex::new(()) }
    }

    /// Sees to it that the request can be verified. A key that is at hand costs nothing.
    ///
    /// # Errors
    /// The key does not exist, or cannot be fetched now.
    pub async fn prepare(&self, verifier: &Verifier, request: &Request) -> Result<(), Refusal> {
        if verifier.want(request, now_ms())?.is_none() {
            return Ok(());
        }
        let Ok(_turn) = timeout(TURN, self.turn.lock()).await else {
            return Err(Refusal::KeyUnavailable);
        };
        // Whoever had the turn before may have fetched it.
        let Some(want) = verifier.want(request, now_ms())? else { return Ok(()) };
        verifier.fetching(now_ms());
        match self.fetcher.fetch(&want.url, want.post.as_deref()).await {
            Ok(document) => {
                verifier.keep(&want, Some(&document), self.fetcher.roots(), now_ms());
            }
            Err(error) if error.is_absence() => verifier.keep(&want, None, &[], now_ms()),
            Err(error) => {
                tracing::warn!(url = want.url, cause = %error, "a key cannot be fetched");
                verifier.lacks(&want, now_ms());
            }
        }
        match verifier.want(request, now_ms())? {
            None => Ok(()),
            Some(_) => Err(Refusal::KeyUnavailable),
        }
    }

    /// Asks for something whose answer does not matter.
    ///
    /// # Errors
    /// It was not answered with 200.
    pub async fn visit(&self, want: &Want) -> Result<(), FetchError> {
        self.fetcher.fetch(&want.url, want.post.as_deref()).await.map(drop)
    }
}

fn now_ms() -> i64 {
    wall_ms().cast_signed()
}
