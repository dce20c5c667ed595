//! Where the time of one attempt goes, for whoever looks into it. While hookyard serves, nobody does,
//! and nothing is noted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests of an attempt that are noted.
const REQUESTS: usize = 100;

/// What an attempt spent, and on what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// CPU time until there was an instance.
    pub instantiating: Duration,
    /// WebAssembly instructions executed, as wasmtime's fuel counts them: one each, but nothing for
    /// the beginnings and ends of blocks and what else makes no code. A function that is cut off adds
    /// its own when it calls another, or not at all. `None` where the engine does not count.
    pub instructions: Option<u64>,
    /// What it asked of the host.
    pub asked: BTreeMap<What, Asked>,
    /// Its requests, in the order in which they were made.
    pub requests: Vec<Exchange>,
}

/// A part of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// `wasi:logging`.
    Log,
    /// `wasi:config`.
    Config,
    /// `wasi:keyvalue`.
    State,
    /// `hookyard:handler/emit`.
    Emit,
}

/// How often, and how much CPU time it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Calls.
    pub times: u32,
    /// CPU time of all of them.
    pub cpu: Duration,
}

/// One request of a handler's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Scheme, host and port.
    pub to: String,
    /// What came of it, if anything did.
    pub answer: Option<Answer>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How long it took, to the end of the answer's head.
    pub after: Duration,
    /// The answer's status, or why there is none.
    pub status: Result<u16, String>,
}

impl What {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Config => "config",
            Self::State => "state",
            Self::Emit => "emit",
        }
    }
}

/// Where an attempt's parts note what they spend. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Mutex<Spent>>);

impl Notes {
    /// What was noted until now.
    pub fn spent(&self) -> Spent {
        self.lock().clone()
    }

    /// Whoever changes it holds up the attempt.
    pub(super) fn lock(&self) -> MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and gives what its answer is to be noted with.
    pub(super) fn request(&self, to: String) -> impl FnOnce(Result<u16, String>) + Send + use<> {
        let (notes, began) = (self.clone(), Instant::now());
        let mut spent = self.lock();
        let place = spent.requests.len();
        if place < REQUESTS {
            spent.requests.push(Exchange { to, answer: None });
        }
        drop(spent);
        move |status| {
            let after = began.elapsed();
            if let Some(request) = notes.lock().requests.get_mut(place) {
                request.answer = Some(Answer { after, status });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_noted_up_to_their_limit_each_with_its_own_answer() {
        let notes = Notes::default();
        let mut answers: Vec<_> = (0..=REQUESTS).map(|n| notes.request(n.to_string())).collect();
        let (beyond, second) = (answers.remove(REQUESTS), answers.remove(1));
        beyond(Ok(500));
        second(Ok(201));
        let requests = notes.spent().requests;
        assert_eq!(requests.len(), REQUESTS);
        for (n, request) in requests.iter().enumerate() {
            assert_eq!(request.to, n.to_string());
            let status = request.answer.as_ref().map(|answer| answer.status.clone());
            assert_eq!(status, (n == 1).then_some(Ok(201)), "{n}");
        }
    }
}
