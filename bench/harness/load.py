"""Throughput: one system under wrk, until it has handled all that it took."""

import json
import os
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DRAIN_SECONDS = 30
STILL_SECONDS = 2


def wrk(system, seconds, connections, bodies, **extra):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
               "-s", str(HERE / "post.lua"), system.url]
    environment = dict(os.environ, BODIES=str(bodies), **extra)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def result(load):
    text = load.communicate()[0]
    lines = (line.split(" ", 2) for line in text.splitlines() if line.startswith("STATUS "))
    found = json.loads(text.split("RESULT ")[1].splitlines()[0])
    return {**found, "statuses": {status: int(count) for _, count, status in lines}}


def drained(system, wanted):
    """Waits until so many are handled, or no more are; gives how many, and since when."""
    began = since = time.time()
    last = system.handled()
    while last is not None and last < wanted and time.time() - began < DRAIN_SECONDS:
        time.sleep(0.05)
        count = system.handled()
        if count != last:
            last, since = count, time.time()
        elif time.time() - since > STILL_SECONDS:
            break
    return last, since


def measure(system, seconds, connections, bodies, times=1):
    """One run of a system that is not running yet, after one second of warming up. Each event is
    handled so many times."""
    system.start_all()
    return again(system, seconds, connections, bodies, times)


def again(system, seconds, connections, bodies, times=1):
    """One run of a system that is running."""
    handled = system.handled()
    warm = result(wrk(system, 1, connections, bodies))
    before, _ = drained(system, (handled or 0) + times * warm["requests"])
    time.sleep(0.3)
    cpu, written, began = system.cpu(), system.written(), time.time()
    load = wrk(system, seconds, connections, bodies)
    time.sleep(seconds * 0.8)
    memory = system.memory()
    found = result(load)
    acked = found["requests"] - found["refused"]
    after, ended = drained(system, (before or 0) + times * acked)
    processed = None if after is None else (after - before) / times
    cpu, written = system.cpu() - cpu, system.written() - written
    done = max(1, acked if processed is None else min(acked, processed))
    return {
        "seconds": seconds, "connections": connections, "acked": acked, "acked_per_second": acked / found["seconds"],
        "processed": processed,
        "processed_per_second": None if processed is None else processed / (ended - began),
        "cpu_us": 1e6 * cpu / done,
        "written": written / done,
        "memory": max(memory, system.memory()),
        **{key: found[key] for key in ("p50", "p99", "max", "refused", "broken")},
    }
