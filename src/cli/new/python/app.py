import json

from wit_world import exports
from wit_world.imports import logging
from wit_world.imports.hookyard_handler_types import Event, Outcome, Outcome_Ack, Outcome_Reject


class Handler(exports.Handler):
    def handle(self, event: Event) -> Outcome:
        try:
            order = json.loads(event.body)
        except ValueError as error:
            return Outcome_Reject(f"no order: {error}")
        logging.log(logging.Level.INFO, "", f"order {order['id']}: {order['total']}")
        return Outcome_Ack()
