//! The benchmark's handler: reads a hotglue job's JSON, as every peer's worker does, and acks.

use hookyard_sdk::{Event, Outcome, handler};
use serde::Deserialize;

handler!(handle);

#[derive(Deserialize)]
struct Job {
    job_id: String,
    status: String,
}

fn handle(event: Event) -> Result<Outcome, Outcome> {
    let job: Job = event.json().map_err(Outcome::reject)?;
    if job.job_id.is_empty() || job.status.is_empty() {
        return Err(Outcome::reject("an empty job"));
    }
    Ok(Outcome::Ack)
}
