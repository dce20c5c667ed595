//! Dropbox Sign (HelloSign): <https://developers.hellosign.com/docs/events/walkthrough/>. The event is JSON in a
//! form's field `json`, and holds its own hash, which covers its time and type alone.

use super::{Claim, form};
use crate::verify::{Encoding, Refusal, Request};
use serde::Deserialize;

#[derive(Deserialize)]
struct Payload {
    event: Event,
}

/// A field that repeats is an error: nobody could say which was signed.
#[derive(Deserialize)]
struct Event {
    event_time: String,
    event_type: String,
    event_hash: String,
}

pub(super) fn claim(request: &Request) -> Result<Claim, Refusal> {
    let event = match form::any_fields(request)? {
        Some(fields) => event(form::need(&fields, "json")?.as_bytes())?,
        None => event(&request.body)?,
    };
    let signature = Encoding::Hex.decode(&event.event_hash).filter(|bytes| bytes.len() == 32);
    Ok(Claim {
        contents: vec![(event.event_time + &event.event_type).into_bytes()],
        signatures: vec![signature.ok_or(Refusal::MalformedSignature)?],
    })
}

fn event(json: &[u8]) -> Result<Event, Refusal> {
    let payload: Payload = serde_json::from_slice(json).map_err(|_| Refusal::UnreadableBody)?;
    Ok(payload.event)
}
