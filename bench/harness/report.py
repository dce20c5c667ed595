"""bench/RESULTS.md, from what was measured."""

import os
import platform
import statistics
import subprocess
from pathlib import Path

THROUGHPUT = """## {title}

{about}

| | acked/s | handled/s | p50 ms | p99 ms | max ms | not 2xx | CPU µs an event | MiB | hookyard's acked/s : its |
|---|---|---|---|---|---|---|---|---|---|
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
            spread(runs, "cpu_us", "{:.1f}"), spread(runs, "memory"), ratio,
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
        throughput(results, "overload", "Overload", runs_of(results, "overload")),
        loss(results),
    ]
    path.write_text("\n".join(part for part in text if part))
