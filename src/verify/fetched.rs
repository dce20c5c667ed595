//! Keys that must be fetched from their owner: which are at hand, and which may be fetched when.
//! Fetching itself is done elsewhere; verification never waits.

use super::Refusal;
use super::asymmetric::NamedKey;
use super::trace::{self, Step};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long fetched keys count without being fetched again, in milliseconds.
const FRESH_MS: i64 = 3_600_000;
/// How long they count when they cannot be fetched again.
const STALE_MS: i64 = 24 * 3_600_000;
/// Keys that were fetched within this time are all that there are: one that is not among them is
/// not fetched.
const SETTLED_MS: i64 = 10_000;
/// How long after a failure nothing is fetched from the same place.
const FAILED_MS: i64 = 2_000;
/// How long a place is left alone that has no key.
const ABSENT_MS: i64 = 60_000;
/// Fetches of one source within [`WINDOW_MS`] at the most: a forger who names keys that do not
/// exist cannot make us fetch without end.
const FETCHES: usize = 10;
const WINDOW_MS: i64 = 60_000;
/// Places of one source that are remembered.
const PLACES: usize = 64;

/// What must be fetched before a request can be verified.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Want {
    pub url: String,
    /// JSON to be posted, with secrets in it; without, it is a GET.
    pub post: Option<String>,
}

impl fmt::Debug for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Want").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The keys of a source, as far as they have been fetched.
#[derive(Debug, Default)]
pub(super) struct Store(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    places: HashMap<Want, Place>,
    fetches: VecDeque<i64>,
}

#[derive(Debug)]
struct Place {
    keys: Arc<[NamedKey]>,
    /// When the keys were fetched.
    fetched_ms: i64,
    /// When fetching failed last since.
    failed_ms: Option<i64>,
    looked_ms: i64,
}

/// What is known of the keys at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// They are at hand.
    Have(Arc<[NamedKey]>),
    /// They must be fetched.
    Fetch,
}

/// Whether one of the keys that were looked up has signed.
pub(super) fn verdict(
    found: Result<Look, Refusal>,
    has_signed: impl Fn(&[NamedKey]) -> bool,
) -> Result<(), Refusal> {
    let verdict = match found {
        Ok(Look::Have(keys)) if has_signed(&keys) => Ok(()),
        Ok(Look::Have(_)) => Err(Refusal::Mismatch),
        Ok(Look::Fetch) => Err(Refusal::KeyUnavailable),
        Err(refusal) => Err(refusal),
    };
    tell_verdict(&verdict);
    verdict
}

/// Tells whether a signature is of one of the sender's keys.
pub(super) fn tell_verdict(verdict: &Result<(), Refusal>) {
    let found = || verdict.as_ref().map_or_else(Refusal::to_string, |()| "it is".to_owned());
    trace::tell(|| Step::new("signature", "of one of the sender's keys", found(), verdict.is_ok()));
}

impl Store {
    /// The keys at a place, if the one that is looked for is among them.
    ///
    /// # Errors
    /// There is no such key, or it cannot be known now.
    pub fn look(
        &self,
        want: &Want,
        is_it: impl Fn(&NamedKey) -> bool,
        now_ms: i64,
    ) -> Result<Look, Refusal> {
        let mut state = self.lock();
        let may_fetch = state.may_fetch(now_ms);
        let Some(place) = state.places.get_mut(want) else {
            return if may_fetch { Ok(Look::Fetch) } else { Err(Refusal::KeyUnavailable) };
        };
        place.looked_ms = now_ms;
        place.look(is_it, may_fetch, now_ms)
    }

    /// Counts a fetch that begins. It may never end: who caused it may hang up.
    pub fn begin(&self, now_ms: i64) {
        let mut state = self.lock();
        state.fetches.push_back(now_ms);
        if state.fetches.len() > FETCHES {
            state.fetches.pop_front();
        }
    }

    /// Keeps what was fetched.
    pub fn keep(&self, want: &Want, keys: Vec<NamedKey>, now_ms: i64) {
        let place =
            Place { keys: keys.into(), fetched_ms: now_ms, failed_ms: None, looked_ms: now_ms };
        self.lock().insert(want, place);
    }

    /// Notes that fetching failed. Keys that were fetched before stay.
    pub fn fail(&self, want: &Want, now_ms: i64) {
        let mut state = self.lock();
        if let Some(place) = state.places.get_mut(want) {
            place.failed_ms = Some(now_ms);
        } else {
            let never = now_ms.saturating_sub(STALE_MS + 1);
            let place = Place {
                keys: Arc::new([]),
                fetched_ms: never,
                failed_ms: Some(now_ms),
                looked_ms: now_ms,
            };
            state.insert(want, place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_fetch(&mut self, now_ms: i64) -> bool {
        self.fetches.retain(|at| now_ms.abs_diff(*at) < WINDOW_MS.unsigned_abs());
        self.fetches.len() < FETCHES
    }

    /// Makes room by forgetting a place without keys, or else the one that was not looked at for
    /// longest.
    fn insert(&mut self, want: &Want, place: Place) {
        if self.places.len() >= PLACES && !self.places.contains_key(want) {
            let least = self.places.iter().min_by_key(|(_, p)| (!p.keys.is_empty(), p.looked_ms));
            if let Some(least) = least.map(|(want, _)| want.clone()) {
                self.places.remove(&least);
            }
        }
        self.places.insert(want.clone(), place);
    }
}

impl Place {
    fn look(
        &self,
        is_it: impl Fn(&NamedKey) -> bool,
        may_fetch: bool,
        now_ms: i64,
    ) -> Result<Look, Refusal> {
        let age = now_ms.abs_diff(self.fetched_ms);
        let within = |limit: i64| age < limit.unsigned_abs();
        let has_it = self.keys.iter().any(is_it);
        let settled = if self.keys.is_empty() { ABSENT_MS } else { SETTLED_MS };
        let failed = |at: i64| now_ms.abs_diff(at) < FAILED_MS.unsigned_abs();
        match has_it {
            true if within(FRESH_MS) => Ok(Look::Have(self.keys.clone())),
            false if within(settled) => Err(Refusal::UnknownKey),
            _ if may_fetch && !self.failed_ms.is_some_and(failed) => Ok(Look::Fetch),
            true if within(STALE_MS) => Ok(Look::Have(self.keys.clone())),
            _ => Err(Refusal::KeyUnavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::public_key::PublicKey;
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn want(url: &str) -> Want {
        Want { url: url.to_owned(), post: None }
    }

    fn key(id: &str) -> NamedKey {
        NamedKey { id: Some(id.to_owned()), key: PublicKey::Ed25519(vec![0; 32]) }
    }

    fn look(store: &Store, url: &str, id: &str, now_ms: i64) -> Result<bool, Refusal> {
        let look = store.look(&want(url), |key| key.id.as_deref() == Some(id), now_ms)?;
        Ok(matches!(look, Look::Have(_)))
    }

    #[test]
    fn a_key_is_fetched_once_and_again_when_it_is_old() {
        let store = Store::default();
        assert_eq!(look(&store, "a", "k", NOW), Ok(false));
        store.keep(&want("a"), vec![key("k")], NOW);
        assert_eq!(look(&store, "a", "k", NOW + FRESH_MS - 1), Ok(true));
        assert_eq!(look(&store, "a", "k", NOW + FRESH_MS), Ok(false));
    }

    #[test]
    fn an_old_key_counts_while_it_cannot_be_fetched_again() {
        let store = Store::default();
        store.keep(&want("a"), vec![key("k")], NOW);
        for (at, expected) in [
            (FRESH_MS, Ok(true)),
            (STALE_MS - 1, Ok(true)),
            (STALE_MS, Err(Refusal::KeyUnavailable)),
        ] {
            store.fail(&want("a"), NOW + at);
            assert_eq!(look(&store, "a", "k", NOW + at), expected, "{at}");
        }
        assert_eq!(look(&store, "a", "k", NOW + STALE_MS + FAILED_MS), Ok(false));
    }

    #[test]
    fn a_key_that_is_not_there_is_not_fetched_again_at_once() {
        let store = Store::default();
        store.keep(&want("a"), vec![key("k")], NOW);
        assert_eq!(look(&store, "a", "other", NOW + SETTLED_MS - 1), Err(Refusal::UnknownKey));
        assert_eq!(look(&store, "a", "other", NOW + SETTLED_MS), Ok(false));
        store.keep(&want("b"), Vec::new(), NOW);
        assert_eq!(look(&store, "b", "k", NOW + ABSENT_MS - 1), Err(Refusal::UnknownKey));
        assert_eq!(look(&store, "b", "k", NOW + ABSENT_MS), Ok(false));
    }

    #[test]
    fn a_forger_cannot_make_us_fetch_without_end() {
        let store = Store::default();
        store.begin(NOW);
        store.keep(&want("real"), vec![key("k")], NOW);
        for n in 1..FETCHES {
            let url = n.to_string();
            assert_eq!(look(&store, &url, "k", NOW), Ok(false));
            store.begin(NOW);
            store.keep(&want(&url), Vec::new(), NOW);
        }
        assert_eq!(look(&store, "more", "k", NOW), Err(Refusal::KeyUnavailable));
        assert_eq!(look(&store, "real", "k", NOW), Ok(true));
        assert_eq!(look(&store, "more", "k", NOW + WINDOW_MS), Ok(false));
    }

    #[test]
    fn real_keys_outlive_a_crowd_of_made_up_places() {
        let store = Store::default();
        store.keep(&want("real"), vec![key("k")], NOW);
        for n in 0..10 * PLACES {
            store.keep(&want(&n.to_string()), Vec::new(), NOW + 1);
        }
        assert_eq!(store.lock().places.len(), PLACES);
        assert_eq!(look(&store, "real", "k", NOW + 1), Ok(true));
    }
}
