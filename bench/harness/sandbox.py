"""The same wasi:http component under `wasmtime serve`, hookyard's host alone, and all of hookyard:
each request gets a fresh instance in all of them."""

from . import load
from .hookyard import hookyard, install, route
from .system import System

CONNECTIONS = 64
RIGHT = "200, right"
# What is kept of an instance's memory, tables and stack for the next one, in bytes, instead of being
# given back to the system page by page; and that the kernel is asked which pages were written.
# Concurrency cannot be switched off: it calls no other way.
BEST_FLAGS = ("-Opooling-allocator,pooling-memory-keep-resident=131072,pooling-table-keep-resident=16384,"
              "pooling-async-stack-keep-resident=16384,pooling-pagemap-scan=y -Wgc-support=n")


def wasmtime(flags=""):
    return System("wasmtime", FLAGS=flags)


def host():
    return System("host")


def durable():
    """hookyard with a sync route: verified, handled and synced to the disk before it is answered."""
    system = hookyard(route("job", handler="job", mode="sync"))
    install(system, "job", of="../wasmtime/job.wasm")
    system.roles.remove("counter")
    return system


SERVE = "wasmtime serve"
BEST = "wasmtime serve, best flags"
SYSTEMS = {
    SERVE: wasmtime,
    BEST: lambda: wasmtime(BEST_FLAGS),
    "hookyard's host, without the ledger": host,
    "hookyard, durable sync route": durable,
}


def measure(rounds, seconds, bodies):
    """Runs of all, in turn. For a second beforehand each reply is compared with the right one."""
    for turn in range(rounds):
        order = list(SYSTEMS.items())
        for name, make in order if turn % 2 == 0 else reversed(order):
            with make() as system:
                system.start_all()
                checked = load.result(load.wrk(system, 1, CONNECTIONS, bodies, REPLIES="1"))
                wrong = sum(count for reply, count in checked["statuses"].items() if reply != RIGHT)
                found = load.again(system, seconds, CONNECTIONS, bodies)
            yield {"kind": "sandbox", "name": name, "checked": checked["requests"],
                   "wrong": wrong + checked["broken"] + found["refused"] + found["broken"], **found}
