"""A run from its beginning to its end: starts everything, keeps the accounts, says how it goes, stops everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from faults.forwarder import Forwarder
from soak.accounts import Accounts
from soak.calls import GRACE
from soak.faults import Faults, Plan, wait_until
from soak.journal import READY, Journal, Record, Tail
from soak.samples import Sampler
from soak.work import TIMEOUTS

from wampy import Crossbar

TESTS = Path(__file__).resolve().parents[1]

#: How many calls each caller makes and events each publisher publishes in a second, on the average.
RATES = {"service": 0, "subscriber": 0, "caller": 60, "publisher": 20}

#: Seconds that a journal may be behind. What follows from something else is never noted before that, whatever this is.
BEHIND = 1.0

#: Seconds for a process to join, to leave, and for the last events to come.
TO_JOIN, TO_LEAVE, TO_COME = 60.0, 20.0, 2.0

#: Seconds that clients may take to be back when the faults are over, and during which they work without faults then.
TO_COME_BACK, IN_PEACE = 30.0, 2.0

#: Seconds between two lines when they do not go to a terminal.
LINES = 10.0

#: How often, in seconds, the accounts forget.
FORGETTING = 30.0


class Run:
    """One run.

    Args:
        seconds: How long there is load with faults.
        seed: What chance begins with.
        folder: Where everything is noted.
        each: How many processes each role has.

    Attributes:
        accounts: The accounts.
        sampler: The samples.
        begun: When the load began, in seconds since the processes were started.
        ended: When it ended.
    """

    def __init__(self, seconds: float, seed: int, folder: Path, each: int) -> None:
        self.seconds = seconds
        self.seed = seed
        self.folder = folder
        self.names = {role: [f"{role}-{number}" for number in range(1, each + 1)] for role in RATES}
        self.accounts = Accounts(self.names["subscriber"])
        self.sampler = Sampler()
        self.begun = self.ended = 0.0
        self._epoch = time.monotonic()
        self._tails = [Tail(folder / f"{name}.jsonl") for name in [*self.everybody, "faults"]]
        self._unread: list[Record] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._url = ""
        self._next_sample = self._next_line = 0.0
        self._next_forgetting = FORGETTING

    @property
    def everybody(self) -> list[str]:
        """The names of all processes under test."""
        return [name for names in self.names.values() for name in names]

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._epoch

    def run(self) -> None:
        """Do everything; an interruption by Ctrl-C ends the load early."""
        with ExitStack() as stack:
            router = stack.enter_context(Crossbar())
            forwarder = Forwarder(router.port)
            stack.callback(forwarder.close)
            stack.callback(self._kill_all)
            self._url = f"ws://127.0.0.1:{forwarder.port}/"
            faults = Faults(
                Plan(self.seed, self.seconds), router, forwarder, Journal(self.folder, "faults", self._epoch)
            )
            stack.callback(faults.stop)
            for roles in (("service", "subscriber"), ("caller", "publisher")):
                self._start([name for role in roles for name in self.names[role]])
            self.begun = self.now
            faults.start()
            try:
                self._watch(self.begun + self.seconds, faults)
            except KeyboardInterrupt:
                self._say("interrupted")
            faults.stop()
            if faults.error is not None:
                self.accounts.problems("the run itself", f"faults ended: {faults.error!r}")
            self._end()

    def _start(self, names: list[str]) -> None:
        """Start processes, and wait until they have joined."""
        for name in names:
            spec: dict[str, Any] = {
                "name": name,
                "url": self._url,
                "folder": str(self.folder),
                "epoch": self._epoch,
                "seed": self.seed,
                "rate": RATES[name.split("-")[0]],
                "services": self.names["service"],
                "publishers": self.names["publisher"],
            }
            path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
            with (self.folder / f"{name}.stderr").open("wb") as stderr:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, "-W", "ignore", "-m", "soak.roles", json.dumps(spec)],
                    stdin=subprocess.DEVNULL,
                    stderr=stderr,
                    start_new_session=True,  # Ctrl-C is not for them
                    env={**os.environ, "PYTHONPATH": path},
                )
            self.sampler.watch(name, self._processes[name].pid)

        def are_ready() -> bool:
            journals = [self.folder / f"{name}.jsonl" for name in names]
            return all(each.exists() and READY in each.read_text() for each in journals) or self._has_lost_a_process()

        if not wait_until(are_ready, TO_JOIN) or self._has_lost_a_process():
            raise SystemExit(f"not all of {', '.join(names)} have begun: see {self.folder}")

    # While it runs.

    def _watch(self, until: float, faults: Faults | None = None) -> None:
        """Keep the accounts up to a time."""
        while self.now < until and not self._has_lost_a_process() and (faults is None or faults.error is None):
            self._look()
            time.sleep(0.25)

    def _look(self) -> None:
        self._read()
        now = self.now
        if now >= self._next_sample:
            self._next_sample = now + 1.0
            self.sampler.sample(now)
            self._say()
        if now >= self._next_forgetting:
            self._next_forgetting = now + FORGETTING
            self.accounts.forget(now)

    def _read(self, until: float | None = None) -> None:
        """Take into account what has been noted up to a time, or up to where everybody has surely noted it."""
        until = self.now - BEHIND if until is None else until
        for tail in self._tails:
            self._unread.extend(tail.read())
        self._unread.sort(key=lambda record: record[1])
        taken = 0
        for record in self._unread:
            if record[1] > until:
                break
            self.accounts.take(record)
            taken += 1
        del self._unread[:taken]
        self.accounts.judge(until)
        for name, seconds, count in self.accounts.threads:
            self.sampler.series[name]["threads"].add(seconds, count)
        self.accounts.threads.clear()

    def _has_lost_a_process(self) -> bool:
        return any(process.poll() is not None for process in self._processes.values())

    def _say(self, what: str = "") -> None:
        on_terminal = sys.stdout.isatty()
        if not on_terminal and not what:
            if self.now < self._next_line:
                return
            self._next_line = self.now + LINES
        text = f"{max(0.0, self.now - self.begun):5.0f} s of {self.seconds:.0f}: {what or self._state()}"
        if on_terminal:
            print(f"\r\x1b[K{text[: os.get_terminal_size().columns - 1]}", end="", flush=True)
        else:
            print(text, flush=True)

    def _state(self) -> str:
        calls, events, problems = self.accounts.calls, self.accounts.events, self.accounts.problems
        overdue = calls.overdue(self.now - BEHIND)
        parts = [
            f"{calls.answered} calls answered, {calls.raised.total()} raised, {calls.under_way} under way",
            f"{events.received} events",
            f"{self.accounts.losses.total()} sessions lost",
            f"{sum(each['memory'].values[-1] for each in self.sampler.series.values()):.0f} MiB",
            *([f"overdue: {overdue[0]}"] if overdue else []),
            *([f"DOES NOT HOLD: {', '.join(problems.counts)}"] if problems else []),
            *[str(span.kind) for span in self.accounts.faults.open()],
        ]
        return "; ".join(parts)

    # Its end.

    def _end(self) -> None:
        """Let everything come to rest without faults, and judge."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                self.accounts.problems("process", f"{name} ended before its time, at {self.now:.0f} s")
        self._wait_for_all()
        self._watch(self.now + IN_PEACE)
        self.ended = self.now
        (self.folder / "quiet").touch()
        longest = max(TIMEOUTS.values()) + GRACE

        def are_quiet() -> bool:
            self._look()
            return not self.accounts.calls.under_way

        time.sleep(BEHIND)  # nobody begins anything any more, and that is known then
        wait_until(are_quiet, longest + BEHIND)
        self._watch(self.now + TO_COME)
        (self.folder / "stop").touch()
        wait_until(lambda: all(each.poll() is not None for each in self._processes.values()), TO_LEAVE)
        self._close_processes()
        self._read(self.now + 1.0)
        self.accounts.finish(self.now)
        if sys.stdout.isatty():
            print()

    def _wait_for_all(self) -> None:
        def are_back() -> bool:
            self._look()
            return not self.accounts.outages.open() or self._has_lost_a_process()

        # What was noted just before the end of the faults is taken into account by then.
        self._watch(self.now + 1.5 * BEHIND)
        if not wait_until(are_back, TO_COME_BACK):
            who = ", ".join(span.whose for span in self.accounts.outages.open())
            self.accounts.problems("not back", f"in the end {who} had no session")

    def _close_processes(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is None:
                self.accounts.problems("process", f"{name} did not end within {TO_LEAVE:g} s of being told")
            elif process.returncode:
                self.accounts.problems("process", f"{name} ended with {process.returncode}")
            said = (self.folder / f"{name}.stderr").read_text(errors="replace").strip()
            if said:
                self.accounts.problems("process", f"{name} said on stderr: {said[-2000:]}")
        self._kill_all()

    def _kill_all(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
