"""The end of a run in words, in a table and in a picture."""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

from soak.samples import SHARE, SMALL, WARM_UP, WINDOW, Verdict, judge

import wampy
from wampy.backends import get_async_adapter

if TYPE_CHECKING:
    from soak.orchestrator import Run

COLOURS = {"cut": "tab:orange", "reset": "tab:red", "freeze": "tab:blue", "delay": "tab:olive", "kill": "black"}


def write(run: Run) -> tuple[str, bool]:
    """Judge the samples, and write ``report.txt`` and ``samples.csv``.

    Returns:
        The report, and whether everything held.
    """
    verdicts = {
        (name, quantity): judge(quantity, series, run.begun, run.ended)
        for name, quantities in run.sampler.series.items()
        for quantity, series in quantities.items()
    }
    problems = run.accounts.problems
    for (name, quantity), verdict in verdicts.items():
        if verdict.holds is False:
            problems(f"{quantity} not flat", f"{name}: from {verdict.level:.1f} to {verdict.highest:.1f}")
    text = "\n".join([*_head(run), *_accounts(run), *_table(run, verdicts), *_problems(run)])
    (run.folder / "report.txt").write_text(text + "\n", encoding="utf-8")
    with (run.folder / "samples.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["process", "quantity", "seconds", "value"])
        for name, quantities in run.sampler.series.items():
            for quantity, series in quantities.items():
                for seconds, value in zip(series.seconds, series.values, strict=True):
                    table.writerow([name, quantity, round(seconds, 1), round(value, 3)])
    return text, not problems


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda each: -each[1])) or "none"


def _head(run: Run) -> list[str]:
    faults = run.accounts.fault_counts
    return [
        f"wampy {wampy.__version__} on {get_async_adapter().name}, Python {sys.version.split()[0]}",
        f"seed {run.seed}; {run.ended - run.begun:.0f} s of load from {len(run.everybody)} processes",
        f"faults     {faults.total()}: {_counted(faults)}",
    ]


def _accounts(run: Run) -> list[str]:
    accounts = run.accounts
    calls, events = accounts.calls, accounts.events
    lines = [
        f"calls      {calls.begun}: {calls.answered} answered right, {calls.raised.total()} raised "
        f"({calls.cut_short} were meant to)",
        f"           half of the answers within {calls.within(0.5)}, 99 % within {calls.within(0.99)}",
        f"           raised: {_counted(calls.raised)}",
        f"events     {events.published} published, {events.raised.total()} of them raised: {_counted(events.raised)}",
        f"           {events.received} received, {events.late} of them late",
        f"           missing: {_counted(events.missing)}",
        f"sessions   {accounts.losses.total()} lost; back again, once nothing was wrong any more, after",
    ]
    back: dict[str, list[float]] = defaultdict(list)
    for kind, seconds in accounts.back:
        back[kind or "no fault"].append(seconds)
    for kind, times in sorted(back.items()):
        lines.append(
            f"           {kind:8} {median(times):.2f} s (median), {max(times):.2f} s (longest) of {len(times)}"
        )
    return lines


def _table(run: Run, verdicts: Mapping[tuple[str, str], Verdict]) -> list[str]:
    """Tell of each process what it had after the warm-up, at most later, and in the end."""
    quantities = ("memory", "threads", "OS threads", "descriptors")
    lines = [
        "",
        f"After {WARM_UP:.0f} s, the most later, the last.",
        f"Of memory, in MiB, the medians of {WINDOW:.0f} s, which may grow by {SHARE:.0%}.",
        f"Of the others the least of {WINDOW:.0f} s, which may grow by {SHARE:.0%} or by {SMALL}.",
        "Threads are green or not, without the workers of the session; OS threads, which are not judged, with them.",
        "",
        f"{'process':14}{'lost':>5}" + "".join(f"{quantity:>26}" for quantity in quantities),
    ]
    for name in run.everybody:
        cells = []
        for quantity in quantities:
            verdict = verdicts.get((name, quantity))
            if verdict is None:
                cells.append("")
            elif quantity == "memory":
                numbers = f"{verdict.level:.1f} {verdict.highest:.1f} {verdict.last:.1f}"
                cells.append(f"{numbers} {verdict.percent:+.1f} %")
            else:
                cells.append(f"{verdict.level:.0f} {verdict.highest:.0f} {verdict.last:.0f}")
        lines.append(f"{name:14}{run.accounts.losses[name]:5}" + "".join(f"{cell:>26}" for cell in cells))
    if all(verdict.holds is None for verdict in verdicts.values()):
        lines.append(f"Too short to judge these: that takes {WARM_UP + 2 * WINDOW:.0f} s.")
    return lines


def _problems(run: Run) -> list[str]:
    problems = run.accounts.problems
    if not problems:
        return ["", "Everything held."]
    lines = ["", "DID NOT HOLD:"]
    for kind, count in problems.counts.items():
        lines.append(f"{kind}: {count}")
        lines += [f"    {text}" for text in problems.texts[kind]]
        if count > len(problems.texts[kind]):
            lines.append(f"    ... and {count - len(problems.texts[kind])} more")
    return lines


def plot(run: Run) -> None:
    """Draw ``report.png``: calls and events, memory, threads and descriptors, with the faults behind them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    figure, axes = pyplot.subplots(5, 1, figsize=(14, 18), sharex=True, layout="constrained")
    traffic, memory, threads, os_threads, descriptors = axes
    end = int(run.ended)
    for counts, label, colour in (
        (run.accounts.calls.answers, "calls answered", "tab:green"),
        (run.accounts.calls.errors, "calls raised", "tab:red"),
        (run.accounts.events.arrivals, "events received", "tab:blue"),
    ):
        traffic.plot(range(end), _rates(counts, end), label=label, color=colour, linewidth=0.8)
    traffic.set_ylabel("in each second")
    for axis, quantity in ((threads, "threads"), (os_threads, "OS threads"), (descriptors, "descriptors")):
        for name, quantities in run.sampler.series.items():
            axis.plot(quantities[quantity].seconds, quantities[quantity].values, label=name, linewidth=0.8)
        axis.set_ylabel(quantity)
    for name, quantities in run.sampler.series.items():
        series = quantities["memory"]
        level = judge("memory", series, run.begun, run.ended).level
        memory.plot(series.seconds, [100 * value / level for value in series.values], label=name, linewidth=0.8)
    memory.axhspan(100 * (1 - SHARE), 100 * (1 + SHARE), color="tab:green", alpha=0.1)
    memory.set_ylim(80, 120)
    memory.set_ylabel(f"memory, % of that after {WARM_UP:.0f} s")
    for axis in axes:
        _draw_faults(axis, run)
    for axis in (traffic, memory):
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    patches = [Patch(color=colour, alpha=0.25, label=kind) for kind, colour in COLOURS.items()]
    descriptors.legend(handles=patches, loc="upper left", bbox_to_anchor=(1, 1))
    descriptors.set_xlabel("seconds")
    figure.suptitle(f"wampy on {get_async_adapter().name}, seed {run.seed}")
    figure.savefig(run.folder / "report.png", dpi=80)
    pyplot.close(figure)


def _rates(counts: Counter[int], end: int) -> list[int]:
    return [counts[second] for second in range(end)]


def _draw_faults(axis: Any, run: Run) -> None:
    for begin, end, kind in run.accounts.fault_times:
        axis.axvspan(begin, max(end, begin + 0.2), color=COLOURS[kind], alpha=0.25, linewidth=0)
