//! What an integration does when Supaglue says that a sync is complete: of one that succeeded it
//! emits an event, for whoever goes on with the new records; one that failed it tries again later.

use std::fmt;

use hookyard_sdk::{Event, Outcome, emit, handler, log};
use serde::Deserialize;
use serde_json::json;

/// The event that this handler is for.
const EVENT: &str = "sync.complete";
/// The event that it emits.
const SUCCEEDED: &str = "sync.succeeded";

/// What is read of a `sync.complete` event.
#[derive(Deserialize)]
struct Sync {
    webhook_event_type: String,
    customer_id: String,
    provider_name: String,
    object: String,
    result: SyncResult,
    num_records_synced: Option<u64>,
    error_message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum SyncResult {
    Success,
    Error,
}

handler!(handle);

fn handle(event: Event) -> Result<Outcome, Outcome> {
    let sync: Sync =
        event.json().map_err(|error| Outcome::reject(format!("not a {EVENT}: {error}")))?;
    if sync.webhook_event_type != EVENT {
        return Err(Outcome::reject(format!("not a {EVENT}: {}", sync.webhook_event_type)));
    }
    match sync.result {
        SyncResult::Success => {
            let records = sync.num_records_synced.unwrap_or(0);
            log::info(format!("{sync}: {records} records are ready"));
            let succeeded = json!({
                "customer_id": sync.customer_id,
                "provider_name": sync.provider_name,
                "object": sync.object,
                "records": records,
            });
            emit(SUCCEEDED, succeeded.to_string()).map_err(Outcome::retry)?;
            Ok(Outcome::Ack)
        }
        SyncResult::Error => {
            let why = sync.error_message.as_deref().unwrap_or("no reason given");
            Ok(Outcome::retry(format!("{sync}: {why}")))
        }
    }
}

/// Whose sync of what it is.
impl fmt::Display for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.provider_name, self.object, self.customer_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(body: &str) -> Event {
        Event {
            id: "evt_1".to_owned(),
            source: "supaglue".to_owned(),
            event_type: EVENT.to_owned(),
            route: "supaglue/sync-complete".to_owned(),
            received_at: 0,
            attempt: 1,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            attributes: Vec::new(),
        }
    }

    fn sync(rest: &str) -> Event {
        event(&format!(
            r#"{{"webhook_event_type":"sync.complete","customer_id":"c1","provider_name":"hubspot","object":"contact",{rest}}}"#
        ))
    }

    #[test]
    fn a_sync_that_succeeded_is_acknowledged() {
        assert_eq!(
            handle(sync(r#""result":"SUCCESS","num_records_synced":100"#)),
            Ok(Outcome::Ack)
        );
    }

    #[test]
    fn a_sync_that_failed_is_tried_again_with_its_reason() {
        let told = sync(r#""result":"ERROR","error_message":"rate limit""#);
        assert_eq!(handle(told), Ok(Outcome::retry("hubspot contact of c1: rate limit")));
        let untold = sync(r#""result":"ERROR","error_message":null"#);
        assert_eq!(handle(untold), Ok(Outcome::retry("hubspot contact of c1: no reason given")));
    }

    #[test]
    fn what_is_no_such_event_is_rejected_with_a_reason() {
        let other = sync(r#""result":"SUCCESS""#);
        let other = String::from_utf8(other.body).unwrap().replace(EVENT, "sync.other");
        for body in ["", "[]", r#"{"webhook_event_type":"connection.created"}"#, &other] {
            match handle(event(body)) {
                Err(Outcome::Reject(reason)) => {
                    assert!(reason.starts_with("not a sync.complete: "), "{reason}");
                }
                outcome => panic!("{body:?} gave {outcome:?}"),
            }
        }
    }
}
