"""The results in the documentation: tables and a plot, made of a file that is kept.

    python -m benchmarks.docs

makes them anew from ``benchmarks/results/latest.json``; building the documentation needs neither matplotlib nor a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.plan import DEFAULT_PEERS, ROWS, SERIALIZERS, TRANSPORTS
from benchmarks.report import UNIT_NAMES, Line, lines_of, number
from benchmarks.results import LATEST, Results

#: Where they go.
FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "_bench"

_NAMES: Final = {"websocket": "WebSocket", "rawsocket": "RawSocket", "json": "JSON", "msgpack": "MessagePack"}
_COLOURS: Final = ("tab:blue", "tab:cyan", "tab:green", "tab:olive")


def write(results: Results, folder: Path = FOLDER) -> None:
    """Write the tables and the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.inc").write_text(tables(results), encoding="utf-8")
    plot(results, folder / "results.svg")


def tables(results: Results) -> str:
    """Make the tables, in reStructuredText."""
    lines = list(lines_of(results))
    parts = [_about(results)]
    for transport in TRANSPORTS:
        for serializer in SERIALIZERS:
            chosen = [line for line in lines if line.row.everywhere and line.key[1:3] == (transport, serializer)]
            if chosen:
                parts += [_heading(f"{_NAMES[serializer]} over {_NAMES[transport]}"), _operations(chosen)]
    single = [line for line in lines if not line.row.everywhere and not line.key.level]
    if single:
        parts += [_heading("A process, a session"), _operations(single, with_latency=False)]
    levels = [line for line in lines if line.key.level]
    if levels:
        parts += [_heading("How it grows"), _scaling(levels)]
    return "\n".join(parts)


def _about(results: Results) -> str:
    about = results.about
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    native = "with its native code" if about["autobahn accelerated"] else "without its native code"
    load = f" (load average before it: {about['load']})" if "load" in about else ""
    return (
        f"Measured on {about['date']} in {about['rounds']} rounds, {about['minutes']:g} minutes, on "
        f"{about['machine']}{load}, {about['system']}, {about['python']}: {versions}; autobahn {native}.\n"
    )


def _heading(text: str) -> str:
    return f"{text}\n{'~' * len(text)}\n"


def _operations(lines: Iterable[Line], with_latency: bool = True) -> str:
    head = ["row", "wampy", "±", "autobahn", "±", "sockets", "wampy : autobahn"]
    if with_latency:
        head += ["median", "autobahn's", "99 %", "autobahn's"]
    table = [head]
    for line in lines:
        cells = [line.name if line.unit == "us" else f"{line.name} ({UNIT_NAMES[line.unit]})"]
        for peer in ("wampy", "autobahn"):
            cells += [number(line.value(peer)), line.spread(peer)]
        cells += [number(line.value("sockets")), number(line.ratio("wampy", "autobahn"))]
        if with_latency:
            cells += [number(line.value(peer, what)) for what in ("median", "p99") for peer in ("wampy", "autobahn")]
        table.append(cells)
    return _simple_table(table)


def _scaling(lines: Iterable[Line]) -> str:
    table = [["row", "how many", "wampy", "±", "autobahn", "±", "wampy : autobahn"]]
    for line in lines:
        cells = [line.name, f"{line.key.level:,}"]
        for peer in ("wampy", "autobahn"):
            cells += [number(line.value(peer)), line.spread(peer)]
        table.append([*cells, number(line.ratio("wampy", "autobahn"))])
    return _simple_table(table)


def _simple_table(table: Sequence[Sequence[str]]) -> str:
    """Make a simple table; a cell that is empty would end its line, so a dash stands there."""
    filled = [[cell or "-" for cell in cells] for cells in table]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    head, *rest = (
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in filled
    )
    return "\n".join([rule, head, rule, *rest, rule, ""])


def plot(results: Results, path: Path) -> None:
    """Draw the ratios of processor time, and what grows with how many there are."""
    import matplotlib

    matplotlib.use("Agg")
    # Text stays text, and the same results give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "wampy"})
    from matplotlib import pyplot

    lines = list(lines_of(results))
    figure, (ratios, growth) = pyplot.subplots(1, 2, figsize=(13, 5), layout="constrained")
    _draw_ratios(ratios, [line for line in lines if line.row.everywhere])
    _draw_growth(growth, [line for line in lines if line.key.level])
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _draw_ratios(axis: Any, lines: Sequence[Line]) -> None:
    names = [name for name in ROWS if any(line.name == name for line in lines)]
    combinations = list(dict.fromkeys(line.key[1:3] for line in lines))
    for place, (transport, serializer) in enumerate(combinations):
        found = {
            line.name: line.ratio("wampy", "autobahn") or 0.0
            for line in lines
            if line.key[1:3] == (transport, serializer)
        }
        axis.bar(
            [names.index(name) + (place - (len(combinations) - 1) / 2) * 0.2 for name in found],
            list(found.values()),
            width=0.18,
            color=_COLOURS[place % len(_COLOURS)],
            label=f"{_NAMES[serializer]} over {_NAMES[transport]}",
        )
    axis.axhline(1.0, color="black", linewidth=0.8)
    axis.axhline(0.5, color="grey", linewidth=0.8, linestyle="--")
    axis.set_xticks(range(len(names)), names)
    axis.set_ylabel("processor time, wampy : autobahn")
    if combinations:
        axis.legend()


def _draw_growth(axis: Any, lines: Sequence[Line]) -> None:
    colours = dict(zip(dict.fromkeys(line.name for line in lines), _COLOURS, strict=False))
    for name, colour in colours.items():
        for peer, style in zip(DEFAULT_PEERS, ("-", ":"), strict=False):
            points = [(line.key.level, line.value(peer)) for line in lines if line.name == name and peer in line.series]
            if points:
                axis.plot(*zip(*points, strict=True), style, marker=".", color=colour, label=f"{name}, {peer}")
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("how many are pending, registered, or there")
    axis.set_ylabel("processor time, µs")
    if colours:
        axis.legend()


if __name__ == "__main__":
    write(Results.read(LATEST))
