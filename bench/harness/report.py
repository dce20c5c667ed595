"""bench/RESULTS.md, from what was measured."""

import os
import platform
import statistics
import subprocess
from pathlib import Path

from .sandbox import BEST, BEST_FLAGS, SERVE

THROUGHPUT = """## {title}

{about}

| | acked/s | handled/s | p50 ms | p99 ms | max ms | not 2xx | CPU µs an event | bytes written an event | MiB | hookyard's acked/s : its |
|---|---|---|---|---|---|---|---|---|---|---|
{rows}
"""
LOSS = """## What a crash loses

`kill -9` of one process in mid-load, which is started again half a second later. Lost: answered
2xx, and never handled. Doubled: handled more than once. Where the worker is away, it starts after
the load, so that all events wait when the kill comes.

| | killed | acked | lost | doubled | s without an answer |
|---|---|---|---|---|---|
{rows}
"""


def spread(runs, key, form="{:,.0f}"):
    values = [run[key] for run in runs if run[key] is not None]
    if not values:
        return "-"
    middle = form.format(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} [{form.format(min(values))}..{form.format(max(values))}]"


def middle(runs, key):
    return statistics.median(run[key] for run in runs)


def grouped(results, kind):
    groups = {}
    for result in results:
        if result["kind"] == kind:
            groups.setdefault(result["name"], []).append(result)
    return groups


def throughput(results, kind, title, about):
    groups = grouped(results, kind)
    if not groups:
        return ""
    own = groups.get("hookyard")
    rows = []
    for name, runs in groups.items():
        ratio = f"{middle(own, 'acked_per_second') / middle(runs, 'acked_per_second'):.2f}" if own else "-"
        cells = [
            name, spread(runs, "acked_per_second"), spread(runs, "processed_per_second"),
            spread(runs, "p50", "{:.1f}"), spread(runs, "p99", "{:.1f}"), spread(runs, "max", "{:.0f}"),
            str(sum(run["refused"] + run["broken"] for run in runs)),
            spread(runs, "cpu_us", "{:.1f}"), spread(runs, "written"), spread(runs, "memory"), ratio,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return THROUGHPUT.format(title=title, about=about, rows="\n".join(rows))


def loss(results):
    groups = grouped(results, "loss")
    if not groups:
        return ""
    rows = []
    for name, runs in groups.items():
        for run in runs:
            role = run["role"] + (f", {run['late']} away" if run["late"] else "")
            cells = [name, role, f"{run['acked']:,}", f"{run['lost']:,}", f"{run['doubled']:,}",
                     spread([run], "pause", "{:.1f}")]
            rows.append(f"| {' | '.join(cells)} |")
    return LOSS.format(rows="\n".join(rows))


def sandbox(results):
    groups = grouped(results, "sandbox")
    rows = []
    for name, runs in groups.items():
        ratios = [f"{middle(runs, 'acked_per_second') / middle(groups[serve], 'acked_per_second'):.2f}"
                  for serve in (SERVE, BEST)]
        rows.append([name, spread(runs, "acked_per_second"), spread(runs, "cpu_us", "{:.1f}"),
                     spread(runs, "p50", "{:.1f}"), spread(runs, "p99", "{:.1f}"), spread(runs, "max", "{:.0f}"),
                     str(sum(run["wrong"] for run in runs)), spread(runs, "memory"), *ratios])
    head = ["", "requests/s", "CPU µs a request", "p50 ms", "p99 ms", "max ms", "not 200 or wrong", "MiB",
            "requests/s : `wasmtime serve`'s", ": best flags'"]
    return (f"""## Against `wasmtime serve`

The same `wasi:http` component, a fresh instance for each request. {runs_of(results, "sandbox")}
The best flags are `{BEST_FLAGS}`.

""" + table(head, rows)) if rows else ""


def only(results, kind):
    return [result for result in results if result["kind"] == kind]


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def profile(results):
    found = only(results, "profile")
    if not found:
        return ""
    found = found[0]
    rows = [[part, f"{cost:.1f}", f"{100 * cost / found['cpu_us']:.0f} %"]
            for part, cost in found["parts"].items()]
    return (f"## Where hookyard's CPU time goes\n\n{found['samples']:,} samples of `perf`, under the load of "
            f"*Throughput*: {found['cpu_us']:.1f} µs an event.\n\n"
            + table(["thread and part", "µs an event", "of all"], rows))


def growth(results):
    found, text = only(results, "growth"), []
    for what in dict.fromkeys(result["what"] for result in found):
        connections = [] if what == "connections" else ["connections"]
        rows = [[f"{run['value']:,.0f}", *(f"{run[key]:,}" for key in connections)]
                + [f"{run[key]:,.0f}" for key in ("acked_per_second", "processed_per_second")]
                + [f"{run[key]:,.1f}" for key in ("p50", "p99", "max", "cpu_us")]
                + [f"{run[key]:,.0f}" for key in ("written", "memory")]
                for run in found if run["what"] == what]
        head = [what, *connections, "acked/s", "handled/s", "p50 ms", "p99 ms", "max ms",
                "CPU µs an event", "bytes written an event", "MiB"]
        text.append(f"### {what[0].upper()}{what[1:]}\n\n" + table(head, rows))
    if not text:
        return ""
    return ("## What grows\n\nhookyard alone, one run each.\n\n![acked/s and p99, over what grows](growth.svg)\n\n"
            + "\n".join(text))


def million(results):
    return "".join(f"""## A million pending events

{run["pending"]:,.0f} events of 1.5 KB wait on a paused route, and there are {run["handlers"]} handlers whose compiled
code is kept. Then the server is killed with `kill -9`, and started with the route no longer paused.

{table(["", ""], [
    ["MiB while they wait, after a run of *Throughput* beside them", f"{run['memory']:.0f}"],
    ["s from the start until ready", f"{run['ready']:.2f}"],
    ["s from the start until the first of them is handled", f"{run['first']:.2f}"],
    ["handled/s until none is left", f"{run['drained_per_second']:,.0f}"],
    ["MiB at the most meanwhile", f"{run['memory_draining']:.0f}"],
])}""" for run in only(results, "million"))


def memory(results):
    return "".join(f"""## Memory

{table(["", "MiB"], [
    ["idle, with ten handlers in Rust", f"{run['idle']:.0f}"],
    ["100 clients post 25 MB again and again: unsigned", f"{run['unsigned']:.0f}"],
    ["the same, with a signature that is wrong", f"{run['missigned']:.0f}"],
    ["a second later", f"{run['after']:.0f}"],
])}""" for run in only(results, "memory"))


def neighbours(results):
    groups = grouped(results, "neighbours")
    rows = []
    for name, runs in groups.items():
        ratio = statistics.median(run["beside"] / run["alone"] for run in runs)
        rows.append([name, spread(runs, "alone", "{:.1f}"), spread(runs, "beside", "{:.1f}"), f"{ratio:.1f}",
                     str(sum(run["refused"] for run in runs))])
    head = ["beside them", "p99 ms alone", "p99 ms beside them", "ratio", "not 2xx"]
    return ("## Bad company\n\n8 connections to an async route (`hotglue`) or to a sync one (`waiting`), "
            "alone and then beside others.\n\n" + table(head, rows)) if rows else ""


def overload(results):
    return "".join(f"""## Overload

256 connections for a minute, to a handler that computes for a quarter of a millisecond; the route's
backlog has room for 100,000 events.

{table(["", ""], [
    ["requests/s", f"{run['sent_per_second']:,.0f}"],
    ["handled/s meanwhile", f"{run['handled_per_second']:,.0f}"],
    ["answers", "; ".join(f"{status}: {count:,}" for status, count in sorted(run["statuses"].items()))],
    ["connections broken", str(run["broken"])],
    ["p50, p99, max ms of all answers", f"{run['p50']:.1f}, {run['p99']:.1f}, {run['max']:.0f}"],
    ["MiB after a third of the time, and at the most", " and ".join(f"{mib:.0f}" for mib in run["memory"])],
    ["s until the backlog is handled", f"{run['drained']:.1f}"],
    ["requests/s at 64 connections before, and then", f"{run['before']:,.0f} and {run['after']:,.0f}"],
])}""" for run in only(results, "overload"))


def machine():
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    here = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", "/tmp"], capture_output=True, text=True)
    return (f"{os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Linux {platform.release()}, "
            f"data on {here.stdout.strip() or 'an unknown file system'}")


def runs_of(results, kind):
    """How the table's runs were made."""
    runs = [result for result in results if result["kind"] == kind]
    if not runs:
        return ""
    rounds = max(len(group) for group in grouped(results, kind).values())
    return (f"{runs[0]['connections']:,} keep-alive connections, {rounds} runs of "
            f"{runs[0]['seconds']} s, the systems in turn: median [least..most].")


def write(path, results, versions, command):
    text = [
        "# Results\n",
        f"Written by `{command}`; what is measured, and how, stands in [README.md](README.md).\n",
        f"Machine: {machine()}. Load and server share it, so only ratios within one run hold.\n",
        "Versions: " + "; ".join(f"{name}: {version}" for name, version in versions.items()) + ".\n",
        throughput(results, "throughput", "Throughput", runs_of(results, "throughput")),
        "![Events handled a second, by system](throughput.svg)\n" if only(results, "throughput") else "",
        throughput(results, "crowd", "A crowd", runs_of(results, "crowd")),
        *(part(results) for part in (loss, sandbox, profile, growth, million, memory, neighbours, overload)),
    ]
    path.write_text("\n".join(part for part in text if part))
