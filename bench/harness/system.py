"""A system under test: the processes of a peer, what they use, and what they have handled."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import events

BENCH = Path(__file__).resolve().parent.parent
PORT = int(os.environ.get("PORT", 18080))
REDIS_PORT = int(os.environ.get("REDIS_PORT", 16379))
TICK = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 20
# Peers that verify nothing.
UNVERIFIED = ("floor", "wasmtime", "host")


class System:
    """A peer by its folder's name; `setting` is the mode of its Redis, or "" ."""

    def __init__(self, peer, setting="", **extra):
        self.run = BENCH / "peers" / peer / "run.sh"
        self.folder = Path(tempfile.mkdtemp(prefix="hookyard-bench-"))
        self.counts = self.folder / "counts"
        self.data = self.folder / "data"
        self.counts.mkdir()
        self.data.mkdir()
        self.environment = dict(
            os.environ, PORT=str(PORT), REDIS_PORT=str(REDIS_PORT), DATA=str(self.data),
            COUNT_DIR=str(self.counts), SECRET=events.SECRET.decode(), **extra)
        if setting:
            self.environment["REDIS_MODE"] = setting
        self.roles = self.ask("roles").split()
        self.url = self.ask("url")
        self.processes = {}

    def ask(self, what):
        asked = subprocess.run([self.run, what], env=self.environment, capture_output=True, text=True)
        return asked.stdout.strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for role in reversed(self.roles):
            self.kill(role)
        shutil.rmtree(self.folder)

    def start(self, role):
        log = open(self.folder / f"{role}.log", "a")
        self.processes[role] = subprocess.Popen(
            [self.run, role], env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True)

    def start_all(self, late=None):
        for port in PORT, REDIS_PORT:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    raise SystemExit(f"port {port} is in use: give PORT or REDIS_PORT another")
        for role in (role for role in self.roles if role != late):
            self.start(role)
            time.sleep(0.3)
        until = time.time() + READY_SECONDS
        while not 200 <= (status := self.post(0)) < 300:
            if time.time() > until:
                logs = "\n".join(file.read_text()[-2000:] for file in self.folder.glob("*.log"))
                raise SystemExit(f"{self.run.parent.name} is not ready, last status {status}\n{logs}")
            time.sleep(0.1)
        # What compiles or connects in the background is done by then.
        time.sleep(1.5)
        bad = self.post(1, signed=False)
        if bad < 400 and not self.run.parent.name.startswith(UNVERIFIED):
            raise SystemExit(f"{self.run.parent.name} answers {bad} to a wrong signature")

    def kill(self, role):
        """`kill -9` for every process of a role."""
        if role in self.processes:
            for pid in self.pids(role):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.processes.pop(role).wait()

    def post(self, n, signed=True):
        body = events.body(f"S{n:07}", n)
        signature = events.signature(body if signed else body + b" ")
        headers = {"Content-Type": "application/json", "X-Hub-Signature": signature}
        try:
            request = urllib.request.Request(self.url, body, headers)
            return urllib.request.urlopen(request, timeout=5).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def pids(self, role):
        """The processes of a role's session."""
        leader, found = self.processes[role].pid, []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader:
                found.append(int(stat.parent.name))
        return found

    def cpu(self):
        """Seconds of CPU time of all roles, with those of processes that have ended."""
        return sum(self.cpu_of(pid) for role in self.processes for pid in self.pids(role))

    def cpu_of(self, pid):
        """Seconds of CPU time of a process, with those of its children that have ended."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0
        return sum(int(field) for field in fields[11:15]) / TICK

    def memory(self, *roles):
        """MiB that these roles share out among them, or all."""
        kib = 0
        for role in roles or self.processes:
            for pid in self.pids(role):
                try:
                    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                except OSError:
                    continue
                kib += sum(int(line.split()[1]) for line in rollup.splitlines()
                           if line.startswith("Pss:"))
        return kib / 1024

    def written(self):
        """Bytes that all roles had written to the disk."""
        total = 0
        for role in self.processes:
            for pid in self.pids(role):
                try:
                    text = Path(f"/proc/{pid}/io").read_text()
                except OSError:
                    continue
                total += int(text.split("\nwrite_bytes: ")[1].split()[0])
        return total

    def handled(self):
        """How many events the workers say they have handled; `None`: nobody counts."""
        files = list(self.counts.glob("*.n"))
        return sum(int(file.read_text() or 0) for file in files) if files else None

    def handled_ids(self):
        """The ids of handled events, those repeated that were handled again."""
        return [line for file in self.counts.glob("*.ids") for line in file.read_text().split()]
