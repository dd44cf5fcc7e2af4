"""What is measured of a section of work, and how a process under test tells of it."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def processor_time() -> float:
    """Give the seconds that this process has been on a processor, in user and system mode, in all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def waits() -> int:
    """Give how often this process has given up its processor to wait, in all its threads: so often it was woken."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def resident_kib() -> float:
    """Give the KiB of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


def summary(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Give the median and the 99th percentile, or nothing of nothing."""
    if not values:
        return None, None
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


@dataclass
class Meter:
    """A section of work.

    Attributes:
        operations: How many it was.
        latencies: Seconds of each of them, or of each hundred, as far as that is asked for.
        figures: What there is to tell of it.
    """

    operations: int
    latencies: list[float] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    _wall: float = 0.0
    _processor: float = 0.0
    _waits: int = 0

    def begin(self) -> None:
        """Begin; what was needed before is thrown away now and not in the middle of it."""
        gc.collect()
        self.latencies.clear()
        self._waits = waits()
        self._wall, self._processor = time.monotonic(), processor_time()

    def end(self) -> None:
        """End."""
        processor, wall = processor_time() - self._processor, time.monotonic() - self._wall
        median, high = summary(self.latencies)
        self.figures |= {
            "cpu": processor / self.operations,
            "wall": wall / self.operations,
            "median": median,
            "p99": high,
        }

    def end_idleness(self) -> None:
        """End, of a section in which nothing was to be done for so many seconds."""
        self.end()
        self.figures["wakeups"] = 60 * (waits() - self._waits) / self.operations

    def take_report(self, report: dict[str, Any]) -> None:
        """Take the latencies that the other end has measured."""
        self.figures |= {"median": report["median"], "p99": report["p99"]}
