"""Where hookyard's CPU time goes, by `perf`: µs of an event, by thread and part."""

import re
import subprocess

from . import load
from .hookyard import hookyard, metric

HERTZ = 499
STACK_BYTES = 16_384
DONE = 'hookyard_deliveries{state="done"}'
# Thread, part, and what is on the stack of such a moment. The first that fits counts.
PARTS = [
    ("main", "HTTP: verify", r"hookyard::verify::"),
    ("main", "HTTP: compress the body", r"lz4_flex"),
    ("main", "HTTP: make, route, append", r"hookyard::(event|source|route|ledger|pointer|ingress::answer)|Ingress::(routes|identity)"),
    ("main", "HTTP: send the answer", r"writev|sock_write"),
    ("main", "HTTP: read and parse", r"poll_read|h1::role|recv"),
    ("main", "HTTP: all else", r""),
    ("ledger", "ledger: checkpoint", r"[cC]heckpoint"),
    ("ledger", "ledger: sync", r"fsync|fdatasync"),
    ("ledger", "ledger: append", r"apply::append|apply::enter"),
    # What the writer executes for a settlement stands in its caller, once that is inlined.
    ("ledger", "ledger: settle", r"settle|apply::record|execute_with_bound_parameters.*\n.*Group::commit"),
    ("ledger", "ledger: commit", r"sqlite3_step|sqlite3VdbeExec|execute_batch|pwrite"),
    ("ledger", "ledger: all else", r""),
    ("handlers", "handlers: instantiate", r"instantiate"),
    ("handlers", "handlers: free the instance", r"drop_in_place<wasmtime|deallocate|flush_fiber"),
    ("handlers", "handlers: guest and host calls", r"\[unknown\]|wasmtime_fiber|TypedFunc|call_raw|\[JIT\]"),
    ("handlers", "handlers: all else", r""),
]


def samples(text, pid):
    """Thread, and all symbols of its stack, of each sample. The main thread is HTTP's."""
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if lines[0]:
            name, thread = lines[0].split()[0], lines[0].split()[-1]
            yield "main" if thread == str(pid) else name, "\n".join(lines[1:])


def part_of(thread, stack):
    for own, part, pattern in PARTS:
        if thread.startswith(own) and re.search(pattern, stack):
            return part
    return "other threads"


def measure(seconds, bodies):
    with hookyard() as system:
        system.start_all()
        load.result(load.wrk(system, 1, 64, bodies))
        pid = next(pid for pid in system.pids("server"))
        data = system.folder / "perf.data"
        under = load.wrk(system, seconds + 2, 64, bodies)
        done, cpu = metric(DONE), system.cpu_of(pid)
        recorded = subprocess.run(
            ["perf", "record", "-q", "-F", str(HERTZ), "--call-graph", f"dwarf,{STACK_BYTES}", "-o", data,
             "-p", str(pid), "--", "sleep", str(seconds)], capture_output=True)
        done, cpu = metric(DONE) - done, system.cpu_of(pid) - cpu
        load.result(under)
        if recorded.returncode:
            raise SystemExit(f"perf cannot record here: {recorded.stderr.decode()}")
        text = subprocess.run(["perf", "script", "-i", data, "--no-inline", "-F", "comm,tid,ip,sym,dso"],
                              capture_output=True, text=True).stdout
    counts = dict.fromkeys([part for _, part, _ in PARTS] + ["other threads"], 0)
    for thread, stack in samples(text, pid):
        counts[part_of(thread, stack)] += 1
    whole = 1e6 * cpu / done
    total = sum(counts.values())
    return {"kind": "profile", "cpu_us": whole, "samples": total,
            "parts": {part: whole * count / total for part, count in counts.items()}}
