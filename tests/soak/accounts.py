"""The accounts of a run: each call answered right or raised, each gap of events explained by a lost session.

Everything comes in the order of time, whoever has noted it. What happened is judged a little later, when it is known
what else happened round then.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable

from soak import calls, events
from soak.journal import Record
from soak.spans import Spans

#: How far apart, in seconds, the notes of two processes about the same thing may be.
SLACK = 2.0

#: Seconds within which a client must be back when nothing is wrong any more: the longest delay before an attempt and
#: the longest attempt, twice, as one may have begun too early.
BACK = 20.0

#: How much of the past, in seconds, may still explain something.
MEMORY = 120.0

#: How many problems of a kind are told in full.
TOLD = 20


class Problems:
    """What did not hold.

    Attributes:
        counts: How many of each kind.
        texts: The first of each kind.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.texts: dict[str, list[str]] = defaultdict(list)

    def __call__(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= TOLD:
            self.texts[kind].append(text)

    def __bool__(self) -> bool:
        return bool(self.counts)


class Accounts:
    """The accounts of all processes.

    Args:
        subscribers: Who is to get every event.

    Attributes:
        problems: What did not hold.
        faults: When the network or the router failed.
        outages: When clients had no session.
        calls: The calls.
        events: The events.
        joined: Who has joined and not left.
        losses: How many sessions each client has lost.
        back: How long clients took to be back once nothing was wrong any more: the kind of the last fault, and seconds.
        fault_counts: How many faults there were of each kind.
        fault_times: When each began and ended, and its kind.
        threads: The process, the time and the number of its threads.
    """

    def __init__(self, subscribers: list[str]) -> None:
        self.problems = Problems()
        self.faults = Spans()
        self.outages = Spans()
        self.calls = calls.Calls(self.problems, self._in_trouble)
        self.events = events.Events(self.problems, self.outages, self._in_trouble, subscribers, SLACK)
        self.joined: set[str] = set()
        self.losses: Counter[str] = Counter()
        self.back: list[tuple[str, float]] = []
        self.fault_counts: Counter[str] = Counter()
        self.fault_times: list[tuple[float, float, str]] = []
        self.threads: list[tuple[str, float, int]] = []
        self._reported: set[str] = set()
        self._to_judge: deque[tuple[float, Callable[[], None]]] = deque()

    def take(self, record: Record) -> None:
        """Take a note into account.

        Args:
            record: What a process has noted.
        """
        name, seconds, (what, *rest) = record
        self.judge(seconds)
        judge_later: Callable[[], None] | None = None
        if what in calls.NOTES:
            judge_later = self.calls.take(name, seconds, what, rest)
        elif what in events.NOTES:
            judge_later = self.events.take(name, seconds, what, rest)
        else:
            getattr(self, f"_take_{what}")(name, seconds, *rest)
        if judge_later is not None:
            self._to_judge.append((seconds + SLACK, judge_later))

    def judge(self, now: float) -> None:
        """Judge what is old enough.

        Args:
            now: Up to when everything has been taken.
        """
        while self._to_judge and self._to_judge[0][0] <= now:
            self._to_judge.popleft()[1]()
        for span in self.outages.open():
            healed, _ = self._healed(span.begin, now)
            if now - healed > BACK and span.whose not in self._reported:
                self._reported.add(span.whose)
                self.problems("not back", f"at {now:.1f} s {span.whose} is not back, {BACK:g} s after all was well")

    def forget(self, now: float) -> None:
        """Forget what is too old to explain anything."""
        for spans in (self.faults, self.outages):
            spans.forget(now - MEMORY)
        self.events.forget(now - MEMORY)

    def finish(self, now: float) -> None:
        """Judge all that is left, at the end of the run."""
        self.judge(now + SLACK)
        self.events.finish(now)
        self.calls.finish(now)

    def _in_trouble(self, begin: float, end: float) -> bool:
        """Say whether something was wrong somewhere within a stretch of time."""
        return any(
            True for spans in (self.faults, self.outages) for _ in spans.meeting(begin - SLACK, end + SLACK)
        )

    def _healed(self, begin: float, now: float) -> tuple[float, str]:
        """Return since when nothing is wrong any more, for somebody who is out since `begin`; and the last fault."""
        healed, kind = begin, ""
        for fault in self.faults.meeting(begin - SLACK, now):
            if min(fault.end, now) >= healed or not kind:
                healed, kind = max(healed, min(fault.end, now)), fault.kind
        return healed, kind

    # Sessions and faults.

    def _take_joined(self, name: str, seconds: float) -> None:
        self.joined.add(name)
        self._reported.discard(name)
        outage = self.outages.end(name, seconds)
        if outage is not None:
            healed, kind = self._healed(outage.begin, seconds)
            self.back.append((kind, seconds - healed))

    def _take_lost(self, name: str, seconds: float, why: str) -> None:
        self.losses[name] += 1
        self.outages.begin(name, seconds)

    def _take_ready(self, name: str, seconds: float) -> None:
        """Do nothing; whoever starts the processes waits for this."""

    def _take_left(self, name: str, seconds: float) -> None:
        self.joined.discard(name)

    def _take_threads(self, name: str, seconds: float, count: int) -> None:
        self.threads.append((name, seconds, count))

    def _take_fault(self, name: str, seconds: float, number: int, kind: str, text: str) -> None:
        self.fault_counts[kind] += 1
        self.faults.begin(str(number), seconds, kind)

    def _take_healed(self, name: str, seconds: float, number: int) -> None:
        fault = self.faults.end(str(number), seconds)
        if fault is not None:
            self.fault_times.append((fault.begin, fault.end, fault.kind))

