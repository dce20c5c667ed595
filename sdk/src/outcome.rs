use std::time::Duration;

use crate::{Later, Outcome, Reply};

impl Outcome {
    /// Done, and this is the answer to a sender that waits.
    pub fn reply(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Reply(Reply { status, headers: Vec::new(), body: body.into() })
    }

    /// Another attempt, when the route's schedule has one.
    pub fn retry(reason: impl ToString) -> Self {
        Self::Retry(Later { after_ms: None, reason: reason.to_string() })
    }

    /// Another attempt after `delay`, which the route's longest delay may shorten.
    pub fn retry_after(delay: Duration, reason: impl ToString) -> Self {
        let after_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        Self::Retry(Later { after_ms: Some(after_ms), reason: reason.to_string() })
    }

    /// No further attempt: the event becomes a dead letter, with the reason.
    pub fn reject(reason: impl ToString) -> Self {
        Self::Reject(reason.to_string())
    }
}

impl From<Result<Outcome, Outcome>> for Outcome {
    fn from(result: Result<Outcome, Outcome>) -> Self {
        match result {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Later, Outcome};

    #[test]
    fn delays_are_milliseconds_as_far_as_they_go() {
        let after_ms = |delay| match Outcome::retry_after(delay, "busy") {
            Outcome::Retry(Later { after_ms, .. }) => after_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(after_ms(Duration::from_secs(2)), Some(2000));
        assert_eq!(after_ms(Duration::MAX), Some(u32::MAX));
    }

    #[test]
    fn either_side_of_a_result_is_an_outcome() {
        assert_eq!(Outcome::from(Ok(Outcome::Ack)), Outcome::Ack);
        assert_eq!(Outcome::from(Err(Outcome::reject("no"))), Outcome::reject("no"));
    }
}
