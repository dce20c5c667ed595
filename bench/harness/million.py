"""What a million pending events cost: the acks of others meanwhile, memory, and the next start."""

import time

from . import events, load
from .hookyard import ask, hookyard, install, metric, route, says, source, wait

EVENTS = 1_000_000
CACHED = 100
DONE = 'hookyard_deliveries{state="done"}'
PARKED = 'hookyard_deliveries{state="parked"}'
BACKLOG = 'backlog = { events = 2_000_000, bytes = "16GiB" }\n'


def router(paused):
    """The benchmark's route, one of another source that can be paused, and handlers for neither."""
    idle = (route(f"idle-{n}", event=f"NEVER_{n}", handler=f"idle-{n}") for n in range(CACHED))
    return (source("later") + route("all") + route("later", source="later", paused=paused) + BACKLOG
            + "".join(idle))


def fill(system, bodies):
    own = system.url
    system.url = own.replace("hotglue", "later")
    while (metric(PARKED) or 0) < EVENTS:
        load.result(load.wrk(system, 5, 64, bodies))
    system.url = own
    return metric(PARKED)


def restart(system):
    """Kills the server and starts it with the route no longer paused: seconds until it is ready,
    and until the first of those events is handled."""
    done = metric(DONE)
    system.kill("server")
    says(system, router(paused=False))
    system.start("server")
    began = time.time()
    wait(lambda: ask("/readyz") is not None)
    ready = time.time() - began
    wait(lambda: (metric(DONE) or 0) > done)
    return ready, time.time() - began


def drain(system, pending):
    """Handled a second until none is left, and the most memory on the way."""
    began, most, done = time.time(), 0, metric(DONE)
    while metric('hookyard_deliveries{state="pending"}') or metric('hookyard_deliveries{state="leased"}'):
        most = max(most, system.memory())
        time.sleep(0.2)
    return (metric(DONE) - done) / (time.time() - began), most


def measure(seconds, bodies):
    """The acks of others as rows of growth, then what the start was like."""
    events.write_lua(bodies)
    with hookyard(router(paused=True)) as system:
        for n in range(CACHED):
            install(system, f"idle-{n}", differ=True)
        system.start_all()
        wait(lambda: len(list((system.data / "data" / "cache").iterdir())) > CACHED)
        for stored in 0, None:
            if stored is None:
                stored = fill(system, bodies)
            found = load.again(system, seconds, 64, bodies)
            yield {"kind": "growth", "what": "pending events", "value": stored, **found}
        memory = system.memory()
        ready, first = restart(system)
        rate, most = drain(system, stored)
        yield {"kind": "million", "pending": stored, "handlers": CACHED, "memory": memory,
               "ready": ready, "first": first, "drained_per_second": rate, "memory_draining": most}
