"""The accounts of calls: none is lost, none hangs, none is answered wrong, and none raises without a reason."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import Any

from soak import work

NOTES = frozenset({"call", "answered", "raised"})

#: Seconds beyond its timeout after which a call hangs; there are two cores for all.
GRACE = 5.0

#: Milliseconds, for how long calls took.
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class Calls:
    """The calls of all callers.

    Args:
        problem: Called with a kind and a text for what did not hold.
        in_trouble: Says whether something was wrong within a stretch of time.

    Attributes:
        begun: How many there were.
        answered: How many were answered right.
        raised: How many raised, by class.
        cut_short: How many raised because they were meant to.
        answers: How many were answered in each second.
        errors: How many raised in each second, and were not meant to.
        took: How many of those answered took how long; see `STEPS`.
    """

    def __init__(self, problem: Callable[[str, str], None], in_trouble: Callable[[float, float], bool]) -> None:
        self.begun = 0
        self.answered = 0
        self.raised: Counter[str] = Counter()
        self.cut_short = 0
        self.answers: Counter[int] = Counter()
        self.errors: Counter[int] = Counter()
        self.took: Counter[int] = Counter()
        self._problem = problem
        self._in_trouble = in_trouble
        self._open: dict[tuple[str, int], tuple[float, str]] = {}

    @property
    def under_way(self) -> int:
        """How many are under way."""
        return len(self._open)

    def take(self, caller: str, seconds: float, what: str, rest: list[Any]) -> Callable[[], None] | None:
        """Take a note into account; return what is to be judged later, if anything."""
        number = rest[0]
        if what == "call":
            self.begun += 1
            self._open[caller, number] = seconds, rest[1]
            return None
        if (caller, number) not in self._open:
            self._problem("answered twice", f"{caller}'s call {number} has ended again at {seconds:.1f} s: {rest[1:]}")
            return None
        begun, kind = self._open.pop((caller, number))
        about = f"{caller}'s call {number} ({kind}), from {begun:.1f} s to {seconds:.1f} s"
        if seconds - begun > work.TIMEOUTS[kind] + GRACE:
            self._problem("hanging call", f"{about}: longer than its timeout of {work.TIMEOUTS[kind]:g} s")
        if what == "answered":
            self._take_answer(caller, number, kind, rest[1], about)
            self.answers[int(seconds)] += 1
            self.took[bisect_left(STEPS, (seconds - begun) * 1000)] += 1
            return None
        _, error, text, is_ours = rest
        self.raised[error] += 1
        if not is_ours:
            self._problem("foreign error", f"{about}: {error}: {text}")
            return None
        if kind in work.CUT_SHORT:
            self.cut_short += 1
            return None
        self.errors[int(seconds)] += 1

        def judge() -> None:
            if not self._in_trouble(begun, seconds):
                self._problem("raised for no reason", f"{about}: {error}: {text}")

        return judge

    def _take_answer(self, caller: str, number: int, kind: str, answer: Any, about: str) -> None:
        right = work.right_answer(caller, number, kind)
        if answer == right:
            self.answered += 1
        else:
            self._problem("wrong answer", f"{about}: {answer!r} instead of {right!r}")

    def overdue(self, now: float) -> list[str]:
        """Return which calls should have ended, by their timeout."""
        return [
            f"{caller}'s call {number} ({kind}), since {begun:.1f} s"
            for (caller, number), (begun, kind) in self._open.items()
            if now - begun > work.TIMEOUTS[kind] + GRACE
        ]

    def finish(self, now: float) -> None:
        """Count as lost what is still under way, at the end of the run."""
        for (caller, number), (begun, kind) in self._open.items():
            self._problem("lost call", f"{caller}'s call {number} ({kind}), begun at {begun:.1f} s, has no end")

    def within(self, share: float) -> str:
        """Say within which time a share of the answers came."""
        wanted, counted = share * sum(self.took.values()), 0
        for place, step in enumerate(STEPS):
            counted += self.took[place]
            if counted >= wanted:
                return f"{step} ms"
        return f"more than {STEPS[-1]} ms"
