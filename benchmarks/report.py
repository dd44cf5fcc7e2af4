"""The results in words: a table for the screen, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.plan import ROWS, Row
from benchmarks.results import Key, Results, Series

#: What a figure is multiplied by to be in a unit.
UNITS: Final = {"us": 1e6, "ms": 1e3, "%": 100.0, "KiB": 1.0}


@dataclass(frozen=True)
class Line:
    """A line of the table: everybody's figures of one row.

    Attributes:
        name: The row's name, as `session_cpu`.
        row: Its row.
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

    def value(self, peer: str, figure: str = "") -> float | None:
        """Give a peer's median, in the unit."""
        figure = figure or self.figure
        found = self.series[peer].median(figure) if peer in self.series else None
        return None if found is None else found * (UNITS["us"] if figure in ("median", "p99") else UNITS[self.unit])

    def ratio(self, peer: str, other: str, figure: str = "") -> float | None:
        """Give the ratio of two peers' medians."""
        one, two = self.value(peer, figure), self.value(other, figure)
        return None if one is None or not two else one / two

    def spread(self, peer: str) -> str:
        """Give a peer's least and most, in the unit."""
        low, high = (value * UNITS[self.unit] for value in self.series[peer].spread(self.figure))
        return f"{number(low)}-{number(high)}"


def lines_of(results: Results) -> Iterator[Line]:
    """Give the lines of the table, in the order of the rows."""
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


def peers_of(results: Results) -> list[str]:
    """Give everybody's names, in the order in which they were measured first."""
    return list(dict.fromkeys(key.peer for key in results.series))


def number(value: float | None) -> str:
    """Write a figure with three digits that count."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def text_of(results: Results) -> str:
    """Make the table for the screen: processor time, ratios, and latencies."""
    peers = sorted(peers_of(results), key=lambda peer: (not peer.startswith("wampy"), peer != "autobahn"))
    reference = "autobahn" if "autobahn" in peers else peers[-1]
    measured = [peer for peer in peers if peer != reference]
    head = [*peers, *(f"{peer}:{reference}" for peer in measured if peer != "sockets")]
    latencies = [f"{what} {peer}" for what in ("median", "p99") for peer in peers if peer != "sockets"]
    table = [["", "", "", *head, *latencies]]
    for line in lines_of(results):
        size = f" {line.key.level}" if line.key.level else ""
        cells = [f"{line.name}{size}", f"{line.key.transport} {line.key.serializer}", line.unit]
        for peer in peers:
            cells.append(f"{number(line.value(peer))} ({line.spread(peer)})" if peer in line.series else "")
        cells += [number(line.ratio(peer, reference)) for peer in measured if peer != "sockets"]
        for what in ("median", "p99"):
            cells += [
                number(line.value(peer, what)) if line.figure == "cpu" else "" for peer in peers if peer != "sockets"
            ]
        table.append(cells)
    widths = [max(len(cells[place]) for cells in table) for place in range(len(table[0]))]
    lines = []
    for cells in table:
        left = [cell.ljust(width) for cell, width in zip(cells[:3], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True)]
        lines.append("  ".join([*left, *right]).rstrip())
    return "\n".join(["Processor time of an operation: the median (the least to the most) of the rounds.", *lines])
