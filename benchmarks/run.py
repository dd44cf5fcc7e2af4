"""A run from its beginning to its end: one Crossbar, the other ends, and the processes under test in turn."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import startup
from benchmarks.child import allow_many_descriptors
from benchmarks.other_end import READY
from benchmarks.plan import PEERS, ROWS, TRANSPORTS, Row
from benchmarks.report import UNITS
from benchmarks.results import Key, Series
from benchmarks.work import IN_FLIGHT, Job, WrongError
from wampy import Crossbar

ROOT: Final = Path(__file__).resolve().parents[1]
PYTHON: Final = (sys.executable, "-P", "-W", "ignore")

#: What runs first in each process under test. numpy is there for the plot only. But autobahn's serializers import it
#: where it is found, which takes 0.06 s and starts a thread that spins as long again: up to half of what `big` uses.
_HIDE_NUMPY: Final = """
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *args: None if name == "numpy" else find_spec(name, *args)
"""

#: Seconds that one process under test may take, and for an other end to join.
_LIMIT: Final = 300.0


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        rounds: How often.
        rows: Names of `plan.ROWS`.
        transports: Of `plan.TRANSPORTS`.
        serializers: Of `plan.SERIALIZERS`.
        peers: Of `plan.PEERS`; with ``@FOLDER`` behind it, the wampy of that source tree.
        scale: What to multiply the number of operations by.
    """

    rounds: int
    rows: tuple[str, ...]
    transports: tuple[str, ...]
    serializers: tuple[str, ...]
    peers: tuple[str, ...]
    scale: float = 1.0


class Run:
    """One run.

    Args:
        options: What to measure.

    Attributes:
        series: What was measured, a value for each round.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.series: dict[Key, Series] = {}
        self._router_port = 0
        self._environments: dict[str, dict[str, str]] = {}
        self._begun = time.monotonic()

    def run(self) -> None:
        """Measure everything, and say how it goes.

        Raises:
            WrongError: Something did not come back as it should, or a process has failed.
        """
        allow_many_descriptors()
        with ExitStack() as stack:
            copies = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wampy-benchmarks-")))
            _install(ROOT, copies / "ours", "benchmarks", "wampy")
            (copies / "ours" / "sitecustomize.py").write_text(_HIDE_NUMPY, encoding="utf-8")
            self._environments = {peer: _environment(peer, copies, n) for n, peer in enumerate(self.options.peers)}
            router = stack.enter_context(Crossbar())
            self._router_port = router.port
            for transport in self.options.transports:
                for serializer in self.options.serializers:
                    stack.enter_context(self._other_end(transport, serializer))
            self._begun = time.monotonic()
            for number in range(self.options.rounds):
                for row in [ROWS[name] for name in self.options.rows if number < ROWS[name].rounds]:
                    for place, (transport, serializer, level) in enumerate(self._places(row)):
                        self._measure_all(row, transport, serializer, level, number, turn=number + place)

    def _places(self, row: Row) -> Iterator[tuple[str, str, int]]:
        for transport in self.options.transports if row.everywhere else self.options.transports[:1]:
            for serializer in self.options.serializers if row.everywhere else self.options.serializers[:1]:
                for level in row.levels:
                    if level <= max(1, max(row.levels) * self.options.scale):
                        yield transport, serializer, level

    def _measure_all(self, row: Row, transport: str, serializer: str, level: int, number: int, turn: int) -> None:
        """Measure all peers, one after the other; another one begins each time."""
        peers = [peer for peer in self.options.peers if peer.partition("@")[0] not in row.without]
        for peer in sorted(peers, key=lambda peer: (peers.index(peer) + turn) % len(peers)):
            figures = self._measure(row, self._job(row, peer, transport, serializer, level))
            self.series.setdefault(Key(row.name, transport, serializer, level, peer), Series()).add(figures)
        self._say(row, transport, serializer, level, number, peers)

    def _measure(self, row: Row, job: Job) -> dict[str, Any]:
        environment = self._environments[job.peer]
        if row.name == "import":
            return startup.measure_import(job, PYTHON, environment)
        if row.name == "first_answer":
            return startup.measure_first_answer(job, PYTHON, environment)
        command = [*PYTHON, "-m", "benchmarks.child", json.dumps(asdict(job))]
        with tempfile.TemporaryFile("w+") as log:
            try:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env={**os.environ, **environment},
                    timeout=_LIMIT,
                    check=True,
                )
            except subprocess.SubprocessError as error:
                log.seek(0)
                raise WrongError(f"{job}: {error}\n{log.read()}") from None
        figures: dict[str, Any] = json.loads(done.stdout)
        return figures

    def _job(self, row: Row, peer: str, transport: str, serializer: str, level: int) -> Job:
        operations, warm_up = row.operations, row.warm_up
        if self.options.scale != 1.0:
            operations, warm_up = (max(1, round(count * self.options.scale)) for count in (operations, warm_up))
        if row.name in ("conc", "green"):  # by the hundred
            operations, warm_up = (-(-count // IN_FLIGHT) * IN_FLIGHT for count in (operations, warm_up))
        return Job(
            row=row.name,
            peer=peer,
            url=self._url(transport),
            serializer=serializer,
            prefix=_prefix(transport, serializer),
            operations=operations,
            warm_up=max(warm_up, level) if row.name == "scaling_clients" else warm_up,
            level=level,
        )

    def _url(self, transport: str) -> str:
        return TRANSPORTS[transport].format(port=self._router_port)

    @contextmanager
    def _other_end(self, transport: str, serializer: str) -> Iterator[None]:
        """Run the other end of the pairs that use a transport and a serializer."""
        command = [*PYTHON, "-m", "benchmarks.other_end", self._url(transport), serializer]
        process = subprocess.Popen(
            [*command, _prefix(transport, serializer)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_path())},
        )
        assert process.stdout is not None
        try:
            if process.stdout.readline().strip() != READY:
                raise WrongError(f"the other end of {transport} and {serializer} has not joined")
            yield
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    def _say(self, row: Row, transport: str, serializer: str, level: int, number: int, peers: Sequence[str]) -> None:
        unit = UNITS[row.unit]
        keys = [(peer, Key(row.name, transport, serializer, level, peer)) for peer in peers]
        figures = ", ".join(f"{peer} {self.series[key].last('cpu') * unit:.3g}" for peer, key in keys)
        size = f" {level}" if level else ""
        print(
            f"{time.monotonic() - self._begun:5.0f} s  round {number + 1} of {min(self.options.rounds, row.rounds)}  "
            f"{row.name}{size} {transport} {serializer}: {figures} {row.unit}",
            flush=True,
        )


def _prefix(transport: str, serializer: str) -> str:
    return f"bench.{transport}.{serializer}"


def _path(*folders: Path) -> list[str]:
    return [*map(str, folders), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]


def _environment(peer: str, copies: Path, number: int) -> dict[str, str]:
    """Give the environment of a peer's processes.

    Args:
        peer: Its name, maybe with a folder that its wampy is in.
        copies: Where our packages have been copied to.
        number: The peer's, for a copy of its own.
    """
    name, _, folder = peer.partition("@")
    path = [copies / "ours"]
    if folder:
        if not (Path(folder) / "wampy" / "__init__.py").is_file():
            raise WrongError(f"{folder} has no wampy")  # or it would be ours that is measured
        path.insert(0, copies / str(number))
        _install(Path(folder), path[0], "wampy")
    return {"PYTHONPATH": os.pathsep.join(_path(*path)), **PEERS[name]}


def _install(source: Path, target: Path, *packages: str) -> None:
    """Copy packages and compile them, as pip does: others are measured as installed, and do not compile their sources.

    Processes may be told to write no bytecode, and then would compile each time what has none yet.
    """
    for package in packages:
        shutil.copytree(source.resolve() / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(target, quiet=2)
