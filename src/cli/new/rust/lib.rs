use hookyard_sdk::{Event, Outcome, handler, log};
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    id: u64,
    total: u64,
}

handler!(handle);

fn handle(event: Event) -> Result<Outcome, Outcome> {
    let order: Order =
        event.json().map_err(|error| Outcome::reject(format!("no order: {error}")))?;
    log::info(format!("order {}: {}", order.id, order.total));
    Ok(Outcome::Ack)
}
