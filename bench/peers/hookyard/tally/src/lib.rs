//! The benchmark's handler where it matters which events were handled: counts in its state how
//! often each was.

use hookyard_sdk::bindings::wasi::keyvalue::store::{self, Error};
use hookyard_sdk::{Event, Outcome, handler};
use serde::Deserialize;

handler!(handle);

#[derive(Deserialize)]
struct Job {
    job_id: String,
}

fn handle(event: Event) -> Result<Outcome, Outcome> {
    let job: Job = event.json().map_err(Outcome::reject)?;
    count(&job.job_id).map_err(|error| Outcome::reject(format!("{error:?}")))?;
    Ok(Outcome::Ack)
}

fn count(id: &str) -> Result<(), Error> {
    let state = store::open("default")?;
    let before = state.get(id)?.and_then(|count| String::from_utf8(count).ok()?.parse().ok());
    state.set(id, (before.unwrap_or(0u64) + 1).to_string().as_bytes())
}
