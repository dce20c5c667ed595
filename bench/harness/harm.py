"""What bad company does to others: slow senders, a handler that never ends, floods, and more
events than can be handled."""

import asyncio
import time
from contextlib import contextmanager
from multiprocessing import Process

from . import events, load
from .hookyard import hookyard, install, metric, route, source, wait
from .system import PORT

CONNECTIONS = 8
SLOW_CLIENTS = 1_000
BURNED_A_SECOND = 20
FLOOD_CLIENTS = 100
FLOOD_BYTES = 25_000_000
FLOOD_SECONDS = 5
OVERLOAD_CONNECTIONS = 256
OVERLOAD_SECONDS = 60
OVERLOAD_BACKLOG = 100_000


@contextmanager
def company(client, count):
    """So many of these clients, again and again, in a process of their own until the block ends."""
    process = Process(target=lambda: asyncio.run(again_and_again(client, count)), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def head(path, job, body, length):
    return (f"POST /hooks/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"X-Event-Id: {job}\r\nX-Hub-Signature: {events.signature(body)}\r\n"
            f"Content-Length: {length}\r\n\r\n").encode()


async def again_and_again(client, count):
    async def one(number):
        turn = 0
        while True:
            turn += 1
            try:
                await client(f"{number}-{turn}")
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.1)
    await asyncio.gather(*(one(number) for number in range(count)))


async def slow(job):
    """Sends its body byte by byte, until it is told off."""
    body = events.body(job)
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    try:
        writer.write(head("hotglue", job, body, len(body)))
        for byte in body:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.5)
            if reader.at_eof():
                break
    finally:
        writer.close()


async def burned(job):
    """An event for the handler that never ends."""
    body = events.body(job)
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(head("burned", f"{time.time()}-{job}", body, len(body)) + body)
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await asyncio.sleep(1 / BURNED_A_SECOND)


async def unsigned(job):
    """A body of 25 MB without a signature."""
    await flood(head("hotglue", job, b"", FLOOD_BYTES).replace(b"X-Hub-Signature", b"X-Nothing"))


async def missigned(job):
    """A body of 25 MB under a signature of another."""
    await flood(head("hotglue", job, b"another", FLOOD_BYTES))


async def flood(head):
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(head)
    piece = b"x" * 250_000
    for _ in range(FLOOD_BYTES // len(piece)):
        writer.write(piece)
        await writer.drain()
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


COMPANY = {
    "1,000 senders of a byte each half second": (slow, SLOW_CLIENTS),
    "20 events a second for a handler that never ends": (burned, 1),
}
ROUTER = (source("burned") + source("waiting") + route("all") + route("burned", source="burned", handler="burn")
          + 'retry = { attempts = 1 }\n' + route("waiting", source="waiting", mode="sync"))


def neighbours(rounds, seconds, bodies):
    """p99 of senders to an async and to a sync route, alone and in bad company."""
    for name, others in COMPANY.items():
        for path in "hotglue", "waiting":
            for turn in range(rounds):
                with hookyard(ROUTER) as system:
                    install(system, "burn", of="burn.wat")
                    system.start_all()
                    system.url = system.url.replace("hotglue", path)
                    load.result(load.wrk(system, 1, CONNECTIONS, bodies))
                    alone = load.result(load.wrk(system, seconds, CONNECTIONS, bodies))
                    with company(*others):
                        time.sleep(1)
                        beside = load.result(load.wrk(system, seconds, CONNECTIONS, bodies))
                    yield {"kind": "neighbours", "name": f"{name}, {path}",
                           "alone": alone["p99"], "beside": beside["p99"],
                           "refused": beside["refused"] + beside["broken"]}


def memory():
    """MiB of an idle server with ten handlers, and the most under a flood of bodies that are not
    believed."""
    routes = (route(f"idle-{n}", handler=f"idle-{n}") for n in range(10))
    with hookyard("".join(routes)) as system:
        for n in range(10):
            install(system, f"idle-{n}", differ=True)
        system.start_all()
        wait(lambda: metric('hookyard_deliveries{state="pending"}') == 0)
        found = {"kind": "memory", "idle": system.memory("server")}
        for flood in unsigned, missigned:
            with company(flood, FLOOD_CLIENTS):
                found[flood.__name__] = most(lambda: system.memory("server"), FLOOD_SECONDS)
        time.sleep(1)
        return {**found, "after": system.memory("server")}


def most(value, seconds):
    """The largest value that it has in that time."""
    until, largest = time.time() + seconds, 0
    while time.time() < until:
        largest = max(largest, value())
        time.sleep(0.1)
    return largest


def pending():
    states = ("pending", "leased")
    return sum(metric(f'hookyard_deliveries{{state="{state}"}}') or 0 for state in states)


def overload(seconds, bodies):
    """More than can be handled by far: the backlog fills, and what has no room is refused."""
    backlog = f'backlog = {{ events = {OVERLOAD_BACKLOG}, bytes = "1GiB" }}\n'
    with hookyard(route("all", handler="busy") + backlog) as system:
        install(system, "busy", of="busy.wat")
        system.start_all()
        before = load.result(load.wrk(system, seconds, 64, bodies))
        wait(lambda: pending() == 0)
        done, memory = metric('hookyard_deliveries{state="done"}'), []
        under = load.wrk(system, OVERLOAD_SECONDS, OVERLOAD_CONNECTIONS, bodies, STATUSES="1")
        while under.poll() is None:
            memory.append(system.memory("server"))
            time.sleep(1)
        found = load.result(under)
        handled = metric('hookyard_deliveries{state="done"}') - done
        drained = wait(lambda: pending() == 0)
        after = load.result(load.wrk(system, seconds, 64, bodies))
        return {
            "kind": "overload", "handled_per_second": handled / found["seconds"],
            "sent_per_second": found["requests"] / found["seconds"], "statuses": found["statuses"],
            "broken": found["broken"], "p50": found["p50"], "p99": found["p99"], "max": found["max"],
            "memory": [memory[len(memory) // 3], max(memory)], "drained": drained,
            "before": before["requests"] / before["seconds"],
            "after": after["requests"] / after["seconds"],
        }
