"""What is lost: a role is killed in mid-load and started again; then every event that was
answered 2xx has to be handled."""

import asyncio
import time

from . import events

CLIENTS = 32
LOAD_SECONDS = 8
KILL_AFTER = 3
START_AFTER = 0.5
ANSWER_SECONDS = 5
STILL_SECONDS = 5
DRAIN_SECONDS = 60


class Load:
    """Keep-alive clients, each of whose events has an id of its own."""

    def __init__(self, url):
        host, _, path = url.removeprefix("http://").partition("/")
        self.address, self.path = host.split(":"), f"/{path}"
        self.sent, self.acked, self.acked_at = 0, set(), []

    def request(self, job):
        body = events.body(job)
        head = (f"POST {self.path} HTTP/1.1\r\nHost: {':'.join(self.address)}\r\n"
                f"Content-Type: application/json\r\nX-Event-Id: {job}\r\n"
                f"X-Hub-Signature: {events.signature(body)}\r\nContent-Length: {len(body)}\r\n\r\n")
        return head.encode() + body

    async def answer(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        if length := int(fields.get(b"content-length", 0)):
            await reader.readexactly(length)
        elif fields.get(b"transfer-encoding") == b"chunked":
            await reader.readuntil(b"0\r\n\r\n")
        return int(head.split()[1]), fields.get(b"connection") == b"close"

    async def client(self, until):
        writer = None
        while time.time() < until:
            self.sent += 1
            job, closes = f"L{self.sent:07}", True
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(*self.address)
                writer.write(self.request(job))
                status, closes = await asyncio.wait_for(self.answer(reader), ANSWER_SECONDS)
                if 200 <= status < 300:
                    self.acked.add(job)
                    self.acked_at.append(time.time())
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
                await asyncio.sleep(0.05)
            if closes and writer:
                writer.close()
                writer = None


async def under_load(system, role):
    load, began = Load(system.url), time.time()

    async def kill():
        await asyncio.sleep(KILL_AFTER)
        system.kill(role)
        await asyncio.sleep(START_AFTER)
        system.start(role)

    clients = [load.client(began + LOAD_SECONDS) for _ in range(CLIENTS)]
    await asyncio.gather(kill(), *clients)
    return load


def measure(system, role, late):
    """Kills a role in mid-load; what was acked and never handled, or handled again. The role `late`
    starts only after the load, so that all of it waits at the kill."""
    system.start_all(late)
    load = asyncio.run(under_load(system, role))
    if late:
        system.start(late)
    began = since = time.time()
    known = -1
    while time.time() - since < STILL_SECONDS and time.time() - began < DRAIN_SECONDS:
        time.sleep(0.5)
        count = len(system.handled_ids())
        if count != known:
            known, since = count, time.time()
    handled = [job for job in system.handled_ids() if job.startswith("L")]
    at = sorted(load.acked_at)
    pause = max((after - before for before, after in zip(at, at[1:])), default=None)
    return {
        "acked": len(load.acked),
        "lost": len(load.acked - set(handled)),
        "doubled": len(handled) - len(set(handled)),
        "pause": pause,
    }
