"""What an integration does when Supaglue says that a sync is complete: of one that succeeded it
emits an event, for whoever goes on with the new records; one that failed it tries again later."""

import json

from wit_world import exports
from wit_world.imports import emit, logging
from wit_world.imports.hookyard_handler_types import (
    Event,
    Later,
    Outcome,
    Outcome_Ack,
    Outcome_Reject,
    Outcome_Retry,
)

EVENT = "sync.complete"


class Handler(exports.Handler):
    def handle(self, event: Event) -> Outcome:
        try:
            sync = parse(event.body)
        except ValueError as error:
            return Outcome_Reject(f"not a {EVENT}: {error}")
        title = f"{sync['provider_name']} {sync['object']} of {sync['customer_id']}"
        if sync["result"] == "ERROR":
            why = sync.get("error_message")
            reason = "no reason given" if why is None else why
            return Outcome_Retry(Later(None, f"{title}: {reason}"))
        records = sync.get("num_records_synced") or 0
        logging.log(logging.Level.INFO, "", f"{title}: {records} records are ready")
        succeeded = {name: sync[name] for name in ("customer_id", "provider_name", "object")}
        emit.emit("sync.succeeded", json.dumps(succeeded | {"records": records}).encode())
        return Outcome_Ack()


def parse(body: bytes) -> dict:
    """The body of a sync.complete event. Raises a ValueError if it is none."""
    sync = json.loads(body)
    if not isinstance(sync, dict):
        raise ValueError("no object")

    def check(name: str, is_good: bool) -> None:
        if not is_good:
            raise ValueError(f"{name} is {json.dumps(sync.get(name))}")

    def is_count(value: object) -> bool:
        return type(value) is int and value >= 0

    check("webhook_event_type", isinstance(sync.get("webhook_event_type"), str))
    if sync["webhook_event_type"] != EVENT:
        raise ValueError(sync["webhook_event_type"])
    for name in ("customer_id", "provider_name", "object"):
        check(name, isinstance(sync.get(name), str))
    check("result", sync.get("result") in ("SUCCESS", "ERROR"))
    records, reason = sync.get("num_records_synced"), sync.get("error_message")
    check("num_records_synced", records is None or is_count(records))
    check("error_message", reason is None or isinstance(reason, str))
    return sync
