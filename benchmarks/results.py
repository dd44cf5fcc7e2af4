"""What was measured: in memory, and in a file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import wampy
from wampy.peers.routers import find_crossbar

#: The last whole run.
LATEST: Final = Path(__file__).resolve().parent / "results" / "latest.json"

_PACKAGES: Final = ("autobahn", "txaio", "eventlet", "gevent", "greenlet", "websockets", "simplejson", "msgpack")


class Key(NamedTuple):
    """What a series is about."""

    row: str
    transport: str
    serializer: str
    level: int
    peer: str


@dataclass
class Series:
    """The figures of one thing, a value for each round.

    Attributes:
        figures: By name: ``cpu`` and ``wall`` (seconds an operation), ``median`` and ``p99`` (seconds of latency),
            ``kib`` (of memory), ``wakeups`` (a minute).
    """

    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, figures: dict[str, float | None]) -> None:
        """Add those of a round."""
        for name, value in figures.items():
            if value is not None:
                self.figures.setdefault(name, []).append(value)

    def last(self, name: str) -> float:
        """Give what was measured last."""
        return self.figures[name][-1]

    def median(self, name: str) -> float | None:
        """Give the median over the rounds, if there is any."""
        return median(self.figures[name]) if self.figures.get(name) else None

    def spread(self, name: str) -> tuple[float, float]:
        """Give the least and the most of the rounds."""
        return min(self.figures[name]), max(self.figures[name])


@dataclass
class Results:
    """A run, as it is kept.

    Attributes:
        about: Machine, versions, date and options.
        series: What was measured.
    """

    about: dict[str, Any]
    series: dict[Key, Series]

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        rows = [{**key._asdict(), "figures": _rounded(series)} for key, series in self.series.items()]
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n  ".join(json.dumps(row) for row in rows)
        about = json.dumps(self.about, indent=1).replace("\n", "\n ")
        path.write_text(f'{{\n "about": {about},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` has written."""
        content = json.loads(path.read_text(encoding="utf-8"))
        series = {Key(*(row[name] for name in Key._fields)): Series(row["figures"]) for row in content["rows"]}
        return cls(content["about"], series)


def _rounded(series: Series) -> dict[str, list[float]]:
    return {name: [float(f"{value:.5g}") for value in values] for name, values in series.figures.items()}


def describe(rounds: int, seconds: float, load: float) -> dict[str, Any]:
    """Describe this machine, what is installed, and the run.

    Args:
        rounds: How many there were.
        seconds: How long it took.
        load: The load average before it, which should be next to nothing.
    """
    return {
        "date": time.strftime("%Y-%m-%d"),
        "rounds": rounds,
        "minutes": round(seconds / 60, 1),
        "load": round(load, 1),
        "machine": f"{os.cpu_count()} cores, {_processor()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {"wampy": wampy.__version__, **_versions(), "crossbar": _crossbar()},
        "autobahn accelerated": _is_accelerated(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def _crossbar() -> str:
    python = Path(find_crossbar()).with_name("python")
    code = "from importlib.metadata import version; print(version('crossbar'))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _is_accelerated() -> bool:
    """Tell whether autobahn has its own native code (NVX) for masks and UTF-8, and MessagePack its extension."""
    try:
        from autobahn.websocket import USES_NVX
        from msgpack import Packer
    except ImportError:
        return False
    return bool(USES_NVX) and "cmsgpack" in Packer.__module__
