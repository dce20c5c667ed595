//! Quotas: so many in such a time, as a bucket that fills up evenly.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many in such a time. All of them may come at once; then each comes back in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub amount: NonZeroU32,
    pub per: Duration,
}

/// What of a quota is taken, as the moment at which all of it has come back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken(Option<Instant>);

impl Quota {
    /// Takes one at this moment. Where there is none, says how long until there is.
    pub fn take(self, taken: Taken, now: Instant) -> Result<Taken, Duration> {
        let full = taken.0.map_or(now, |full| full.max(now)) + self.per / self.amount.get();
        match full.duration_since(now).checked_sub(self.per) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(Taken(Some(full))),
        }
    }

    /// How long until one can be taken; `None`: now.
    pub fn wait(self, taken: Taken, now: Instant) -> Option<Duration> {
        self.take(taken, now).err()
    }
}

/// A quota, and what is taken of it.
#[derive(Debug)]
pub struct Bucket {
    quota: Quota,
    taken: Mutex<Taken>,
}

impl Bucket {
    /// Nothing is taken yet.
    pub fn new(quota: Quota) -> Self {
        Self { quota, taken: Mutex::default() }
    }

    /// Takes one at this moment. Where there is none, says how long until there is.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = self.quota.take(*taken, now)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quota(amount: u32, per: Duration) -> Quota {
        Quota { amount: NonZeroU32::new(amount).unwrap(), per }
    }

    #[test]
    fn all_of_it_at_once_and_then_each_in_its_turn() {
        let bucket = Bucket::new(quota(4, Duration::from_secs(1)));
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for (ms, expected) in [
            (0, None),
            (0, None),
            (0, None),
            (0, None),
            (0, Some(250)),
            (100, Some(150)),
            (249, Some(1)),
            (250, None),
            (250, Some(250)),
            // After a rest all of it is there again, and no more.
            (9_000, None),
            (9_000, None),
            (9_000, None),
            (9_000, None),
            (9_000, Some(250)),
        ] {
            let expected = expected.map_or(Ok(()), |ms| Err(Duration::from_millis(ms)));
            assert_eq!(bucket.take(at(ms)), expected, "{ms}");
        }
    }

    #[test]
    fn looking_takes_nothing() {
        let (quota, now) = (quota(1, Duration::from_secs(60)), Instant::now());
        assert_eq!(quota.wait(Taken::default(), now), None);
        let taken = quota.take(Taken::default(), now).unwrap();
        assert_eq!(quota.wait(taken, now), Some(Duration::from_secs(60)));
        assert_eq!(quota.wait(taken, now + Duration::from_secs(60)), None);
    }

    proptest! {
        #[test]
        fn every_stretch_of_time_gives_its_share_and_no_more(
            amount in 1..50u32,
            pauses in prop::collection::vec(0..400u64, 1..200),
        ) {
            let quota = quota(amount, Duration::from_secs(1));
            let (slot, nanosecond) = (quota.per / amount, Duration::from_nanos(1));
            let (mut taken, mut now) = (Taken::default(), Instant::now());
            let mut given: Vec<Instant> = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                match quota.take(taken, now) {
                    Ok(after) => {
                        taken = after;
                        given.push(now);
                    }
                    // It is there when it was said to be, and not before.
                    Err(wait) => {
                        prop_assert_eq!(quota.wait(taken, now + wait), None);
                        prop_assert_eq!(quota.wait(taken, now + wait - nanosecond), Some(nanosecond));
                    }
                }
            }
            for (from, first) in given.iter().enumerate() {
                for (count, last) in (1_u32..).zip(&given[from..]) {
                    prop_assert!(slot * count <= *last - *first + quota.per);
                }
            }
        }
    }
}
