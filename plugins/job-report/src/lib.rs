//! Says in one log line, fit for a chat message, what a hotglue job moved.
//!
//! `config = { top = "3" }` names the three largest streams; the default is five.

mod job;

use hookyard_sdk::{Event, Outcome, config, handler, log};
use job::Job;

const DEFAULT_TOP: usize = 5;

handler!(handle);

fn handle(event: Event) -> Result<Outcome, Outcome> {
    let job: Job =
        event.json().map_err(|error| Outcome::reject(format!("not a hotglue job: {error}")))?;
    let line = job.report(top());
    if job.error.is_some() {
        log::error(line);
    } else {
        log::info(line);
    }
    Ok(Outcome::Ack)
}

/// How many streams are named. A mistake in the configuration is no fault of the event's.
fn top() -> usize {
    let Some(top) = config("top") else {
        return DEFAULT_TOP;
    };
    top.parse().unwrap_or_else(|_| {
        log::warn(format!("config `top` is not a number: {top:?}; {DEFAULT_TOP} is used"));
        DEFAULT_TOP
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(body: &str) -> Event {
        Event {
            id: "evt_1".to_owned(),
            source: "hotglue".to_owned(),
            event_type: "JOB_COMPLETED".to_owned(),
            route: "hotglue/job-report".to_owned(),
            received_at: 0,
            attempt: 1,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn a_job_is_acknowledged() {
        let job = r#"{"tenant":"1414_1","flow_id":"F","status":"JOB_COMPLETED","error":null}"#;
        assert_eq!(handle(event(job)), Ok(Outcome::Ack));
    }

    #[test]
    fn what_is_no_job_is_rejected_with_a_reason() {
        for body in ["", "hello", "[]", r#"{"tenant":"1414_1","event":"LINK"}"#] {
            match handle(event(body)) {
                Err(Outcome::Reject(reason)) => {
                    assert!(reason.starts_with("not a hotglue job: "), "{reason}");
                }
                other => panic!("{body:?} gave {other:?}"),
            }
        }
    }
}
