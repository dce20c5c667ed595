"""The same wasi:http component under `wasmtime serve`, hookyard's host alone, and all of hookyard:
each request gets a fresh instance in all of them."""

from . import load
from .hookyard import hookyard, install, route
from .system import System

CONNECTIONS = 64
RIGHT = "200, right"
# The pool, which is its default; what an instance's memory and tables keep for the next one, in bytes,
# instead of giving it back to the system; and that the kernel tells which pages were written. To keep
# stacks, more warm slots, batches of decommits, and to do without GC or WASI 0.3 shows no difference;
# without copy-on-write it is slower; and it does not serve without concurrency support.
BEST_FLAGS = ("-Opooling-allocator,pooling-memory-keep-resident=131072,pooling-table-keep-resident=16384,"
              "pooling-pagemap-scan=y")


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
