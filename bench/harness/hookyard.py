"""hookyard under test, with other sources, routes and handlers beside the benchmark's own."""

import json
import time
import urllib.error
import urllib.request

from .system import BENCH, PORT, System

OWN = BENCH / "peers" / "hookyard"
ADMIN = f"http://127.0.0.1:{PORT + 1}"
READY_SECONDS = 120
# A component's section that is for nobody, which makes one file differ from another.
CUSTOM = 0


def source(name):
    """A source at /hooks/NAME that signs as the benchmark's own does."""
    return (f'[sources.{name}]\nscheme = "hotglue"\nsecrets = [{{ env = "SECRET" }}]\n'
            'event_id = { header = "X-Event-Id" }\n')


def route(name, **keys):
    """A route; what is given of it as TOML writes it, which of JSON's is the same."""
    keys = {"source": "hotglue", "handler": "count", **keys}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(["[[routes]]", f'name = "{name}"', *lines]) + "\n"


def hookyard(router=""):
    """The system; its router.toml says this instead of the benchmark's route."""
    system = System("hookyard")
    if router:
        says(system, router)
    return system


def says(system, router):
    """What router.toml says when the server starts next. A file: there may be 10,000 routes."""
    file = system.folder / "router.toml"
    file.write_text(router)
    system.environment["ROUTER"] = str(file)


def install(system, name, of="count.wasm", differ=False):
    """Puts a handler of that name in place; `differ`: as a file of its own, to be compiled."""
    plugins = system.data / "plugins"
    plugins.mkdir(exist_ok=True)
    file = OWN / of
    content = file.read_bytes()
    if differ:
        label = name.encode()
        content += bytes([CUSTOM, len(label) + 1, len(label)]) + label
    (plugins / f"{name}{file.suffix}").write_bytes(content)


def ask(path):
    """What the admin side answers; `None`: nothing, or that it is not ready."""
    try:
        return urllib.request.urlopen(ADMIN + path, timeout=5).read().decode()
    except (OSError, urllib.error.HTTPError):
        return None


def metric(name):
    """The value of a metric, by its name and labels as the page has them."""
    page = ask("/metrics") or ""
    return next((float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
                 if line.startswith(name + " ")), None)


def wait(what, seconds=READY_SECONDS):
    """Seconds until that holds."""
    began = time.time()
    while not what():
        if time.time() - began > seconds:
            raise SystemExit(f"waited for {seconds} s in vain")
        time.sleep(0.01)
    return time.time() - began
