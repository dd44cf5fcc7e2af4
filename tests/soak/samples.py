"""Memory, threads and descriptors of the processes under test, once a second, and whether they stay what they were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import psutil

#: Seconds after which a process has taken what it needs.
WARM_UP = 60.0

#: Seconds whose samples are seen together, so that a moment does not count.
WINDOW = 30.0

#: How much more it may be than the level after the warm-up.
SHARE = 0.05

#: What counts of a window. What has leaked never goes, and so is in the least of it too, while much else comes and
#: goes. OS threads as the system counts them are not judged: workers are among them, which go with their session.
OF_WINDOW: dict[str, Callable[[list[float]], float]] = {"memory": median, "threads": min, "descriptors": min}

#: How much more of what comes in small numbers. A client between two sessions has a descriptor less, and so on.
SMALL = 3


@dataclass
class Series:
    """The samples of one quantity of one process."""

    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, seconds: float, value: float) -> None:
        """Note a sample."""
        self.seconds.append(seconds)
        self.values.append(value)

    def windows(self, begin: float, end: float) -> list[list[float]]:
        """Return the samples of each whole window between two times."""
        found: list[list[float]] = [[] for _ in range(int((end - begin) // WINDOW))]
        for seconds, value in zip(self.seconds, self.values, strict=True):
            place = int((seconds - begin) // WINDOW)
            if seconds >= begin and place < len(found):
                found[place].append(value)
        return [window for window in found if window]


@dataclass(frozen=True)
class Verdict:
    """Whether a quantity stayed what it was.

    Attributes:
        level: What it was after the warm-up.
        highest: The most it was later.
        last: What it was in the end.
        holds: Whether that is within the limit; ``None`` when that is not judged, as in a run that is too short.
    """

    level: float
    highest: float
    last: float
    holds: bool | None

    @property
    def percent(self) -> float:
        """How much more the most was than the level."""
        return 100 * (self.highest / self.level - 1) if self.level else 0.0


def judge(quantity: str, series: Series, begin: float, end: float) -> Verdict:
    """Judge a series. Only growth counts.

    Args:
        quantity: One of `OF_WINDOW`; others are only told.
        series: The samples.
        begin: When the load began, in seconds.
        end: When it ended.
    """
    windows = series.windows(begin + WARM_UP, end)
    levels = [OF_WINDOW.get(quantity, min)(window) for window in windows]
    if len(levels) < 2:
        last = series.values[-1] if series.values else 0.0
        return Verdict(last, max(series.values, default=0.0), last, None)
    highest = max(levels[1:])
    allowed = levels[0] * SHARE if quantity == "memory" else max(levels[0] * SHARE, SMALL)
    holds = highest - levels[0] <= allowed if quantity in OF_WINDOW else None
    return Verdict(levels[0], highest, levels[-1], holds)


class Sampler:
    """Looks at processes.

    Attributes:
        series: The samples, by process and quantity: ``memory`` in MiB, ``descriptors`` and ``OS threads``; whoever
            knows them adds ``threads``, green or not and without workers.
    """

    def __init__(self) -> None:
        self.series: dict[str, dict[str, Series]] = defaultdict(lambda: defaultdict(Series))
        self._processes: dict[str, psutil.Process] = {}

    def watch(self, name: str, pid: int) -> None:
        """Look at a process too, from now on."""
        self._processes[name] = psutil.Process(pid)

    def sample(self, seconds: float) -> None:
        """Look at all of them.

        Args:
            seconds: The time.
        """
        for name, process in list(self._processes.items()):
            try:
                with process.oneshot():
                    memory, threads, descriptors = process.memory_info().rss, process.num_threads(), process.num_fds()
            except psutil.Error:
                del self._processes[name]  # it has ended, which others notice
                continue
            series = self.series[name]
            series["memory"].add(seconds, memory / 2**20)
            series["OS threads"].add(seconds, threads)
            series["descriptors"].add(seconds, descriptors)
