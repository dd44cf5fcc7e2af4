"""The results in words: the lines of all tables, and those for the screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.plan import ROWS, Row
from benchmarks.results import Key, Results, Series

#: What a figure is multiplied by to be in a unit, and how the unit is written.
UNITS: Final = {"us": 1e6, "ms": 1e3, "%": 100.0, "KiB": 1.0, "1/min": 1.0}
UNIT_NAMES: Final = {"us": "µs", "ms": "ms", "%": "% of a core", "KiB": "KiB", "1/min": "a minute"}


@dataclass(frozen=True)
class Line:
    """A line of a table: everybody's figures of one thing.

    Attributes:
        name: The row's name, as ``session_cpu``.
        row: Where it comes from.
        key: What it is about; the peer is left empty.
        figure: Which figure it is.
        unit: Its unit.
        series: Everybody's.
    """

    name: str
    row: Row
    key: Key
    figure: str
    unit: str
    series: dict[str, Series]

    def value(self, peer: str, latency: str = "") -> float | None:
        """Give a peer's median over the rounds, in the unit, or of ``median`` or ``p99``, which are in microseconds."""
        found = self.series[peer].median(latency or self.figure) if peer in self.series else None
        return None if found is None else found * UNITS["us" if latency else self.unit]

    def ratio(self, peer: str, other: str, latency: str = "") -> float | None:
        """Give the ratio of two peers' values."""
        one, two = self.value(peer, latency), self.value(other, latency)
        return None if one is None or not two else one / two

    def spread(self, peer: str) -> str:
        """Give half the way from a peer's least to its most, in percent of the median."""
        middle = self.series[peer].median(self.figure) if peer in self.series else None
        if not middle or len(self.series[peer].figures[self.figure]) < 2:
            return ""
        low, high = self.series[peer].spread(self.figure)
        return f"{50 * (high - low) / middle:.0f} %"


def lines_of(results: Results) -> Iterator[Line]:
    """Give the lines of the tables, in the order of the rows."""
    found: dict[Key, dict[str, Series]] = {}
    for key, series in results.series.items():
        found.setdefault(key._replace(peer=""), {})[key.peer] = series
    order = list(ROWS)
    for key in sorted(found, key=lambda key: order.index(key.row)):
        row = ROWS[key.row]
        if key.row == "session":
            yield Line("session_cpu", row, key, "cpu", "us", found[key])
            yield Line("session_kib", row, key, "kib", "KiB", found[key])
        else:
            yield Line(key.row, row, key, "cpu", row.unit, found[key])
        if any("wakeups" in series.figures for series in found[key].values()):
            yield Line("idle_wakeups", row, key, "wakeups", "1/min", found[key])


def number(value: float | None) -> str:
    """Write a figure with three digits that count, or two of what is next to nothing."""
    if value is None:
        return ""
    if abs(value) < 0.05:
        return f"{value:.2g}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def text_of(results: Results) -> str:
    """Make the tables for the screen."""
    peers = list(dict.fromkeys(key.peer for key in results.series))
    peers.sort(key=lambda peer: (peer == "sockets", peer == "autobahn"))
    lines = list(lines_of(results))
    latencies = [line for line in lines if any(line.value(peer, "median") for peer in peers)]
    parts = [
        "Processor time of an operation, medians of the rounds, and half the way from the least to the most:",
        _table(lines, peers, ""),
    ]
    if latencies:
        parts += [
            "",
            "Latency, in microseconds (conc: of a hundred calls), median:",
            _table(latencies, peers, "median"),
        ]
        parts += ["", "99th percentile:", _table(latencies, peers, "p99")]
    return "\n".join(parts)


def _table(lines: Sequence[Line], peers: Sequence[str], latency: str) -> str:
    compared = [peer for peer in peers if peer not in ("autobahn", "sockets")] if "autobahn" in peers else []
    table = [["", "", "", *peers, *(f"{peer} : autobahn" for peer in compared)]]
    for line in lines:
        size = f" {line.key.level}" if line.key.level else ""
        cells = [f"{line.name}{size}", f"{line.key.transport} {line.key.serializer}", "us" if latency else line.unit]
        for peer in peers:
            spread = line.spread(peer) and f" ±{line.spread(peer):>5}" if not latency else ""
            cells.append(f"{number(line.value(peer, latency))}{spread}" if peer in line.series else "")
        table.append([*cells, *(number(line.ratio(peer, "autobahn", latency)) for peer in compared)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 3 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in table
    )
