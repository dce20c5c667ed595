"""The plots beside RESULTS.md: plots.py RESULTS FOLDER. It runs where matplotlib is."""

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
# The same figures give the same file.
matplotlib.rcParams.update({"svg.hashsalt": "hookyard", "font.size": 9, "axes.spines.top": False,
                            "axes.spines.right": False})
from matplotlib import pyplot

UNDATED = {"Date": None}
OWN, OTHERS = "#c4473a", "#8a94a3"


def throughput(results, folder):
    """Events handled a second by each system, its median run, least and most."""
    groups = {}
    for run in results:
        if run["kind"] == "throughput" and run["processed_per_second"]:
            groups.setdefault(run["name"], []).append(run["processed_per_second"])
    if not groups:
        return
    groups = sorted(groups.items(), key=lambda group: statistics.median(group[1]))
    middles = [statistics.median(runs) for _, runs in groups]
    spans = [[middle - min(runs) for middle, (_, runs) in zip(middles, groups)],
             [max(runs) - middle for middle, (_, runs) in zip(middles, groups)]]
    figure, axes = pyplot.subplots(figsize=(7, 0.4 * len(groups) + 0.8), layout="constrained")
    colours = [OWN if name == "hookyard" else OTHERS for name, _ in groups]
    axes.barh([name for name, _ in groups], middles, xerr=spans, color=colours, capsize=2)
    axes.set_xlabel("events verified, kept, answered and handled a second")
    figure.savefig(folder / "throughput.svg", metadata=UNDATED)


def growth(results, folder):
    """Events acked a second, and p99 of the answer, over what grows."""
    series = {}
    for run in results:
        if run["kind"] == "growth":
            series.setdefault(run["what"], []).append(run)
    if not series:
        return
    figure, grid = pyplot.subplots(2, len(series), figsize=(2.1 * len(series), 3.8), layout="constrained",
                                   squeeze=False)
    for (what, runs), (upper, lower) in zip(series.items(), grid.T):
        at = [str(f"{run['value']:,.0f}") for run in runs]
        upper.plot(at, [run["acked_per_second"] for run in runs], "o-", color=OWN)
        lower.plot(at, [run["p99"] for run in runs], "o-", color=OTHERS)
        lower.set_xlabel(what)
        for axes in upper, lower:
            axes.set_ylim(bottom=0)
            axes.tick_params("x", rotation=45)
    grid[0][0].set_ylabel("acked/s")
    grid[1][0].set_ylabel("p99 ms")
    figure.savefig(folder / "growth.svg", metadata=UNDATED)


if __name__ == "__main__":
    results, folder = Path(sys.argv[1]), Path(sys.argv[2])
    runs = [json.loads(line) for line in results.open()]
    throughput(runs, folder)
    growth(runs, folder)
