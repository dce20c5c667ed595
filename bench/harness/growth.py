"""How hookyard's figures change as one thing grows and all else stays."""

from functools import partial

from . import events, load
from .hookyard import hookyard, install, route

CONNECTIONS = (1, 8, 64, 256, 1024)
# Bytes, connections that send such bodies, and how many different ones.
BODIES = ((200, 64, 200), (1_500, 64, 200), (16_000, 64, 200), (256_000, 32, 50),
          (2_000_000, 8, 8), (25_000_000, 4, 2))
ROUTES = (1, 100, 10_000)
HANDLERS = (1, 100, 1_000)
FAN_OUT = (1, 4, 16)


def of_connections(seconds, bodies):
    for connections in CONNECTIONS:
        with hookyard() as system:
            yield connections, load.measure(system, seconds, connections, bodies)


def of_bodies(seconds, bodies):
    for size, connections, count in BODIES:
        events.write_lua(bodies, partial(events.sized, size=size), count)
        with hookyard() as system:
            yield size, load.measure(system, seconds, connections, bodies)


def of_routes(seconds, bodies):
    """One takes all events, the others none."""
    for count in ROUTES:
        others = (route(f"other-{n}", event=f"OTHER_{n}") for n in range(1, count))
        with hookyard(route("all") + "".join(others)) as system:
            yield count, load.measure(system, seconds, 64, bodies)


def of_handlers(seconds, bodies):
    """Each event goes to one of them, all in turn. They are one file under many names, which is
    compiled once."""
    for count in HANDLERS:
        events.write_lua(bodies, partial(events.typed, kinds=count), max(count, events.DISTINCT))
        names = [f"handler-{n}" for n in range(count)]
        routes = (route(name, event=f"KIND_{n}", handler=name) for n, name in enumerate(names))
        with hookyard("".join(routes)) as system:
            for name in names:
                install(system, name)
            yield count, load.measure(system, seconds, 64, bodies)


def of_fan_out(seconds, bodies):
    """An event is handled when all routes that take it have."""
    for count in FAN_OUT:
        routes = (route(f"all-{n}") for n in range(count))
        with hookyard("".join(routes)) as system:
            yield count, load.measure(system, seconds, 64, bodies, count)


PARTS = {"connections": of_connections, "bytes of a body": of_bodies, "routes": of_routes,
         "handlers": of_handlers, "routes of an event": of_fan_out}


def measure(seconds, bodies):
    """What grows, how much of it there is, and the figures."""
    for what, part in PARTS.items():
        events.write_lua(bodies)
        for value, found in part(seconds, bodies):
            yield {"kind": "growth", "what": what, "value": value, **found}
    events.write_lua(bodies)
