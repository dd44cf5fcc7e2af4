"""Stretches of time in which something was not as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf


@dataclass
class Span:
    """One of them.

    Attributes:
        whose: The client that had no session, or the number of the fault.
        begin: When it began, in seconds of the run.
        end: When it was over; infinite while it is not.
        kind: Of the fault.
    """

    whose: str
    begin: float
    end: float = inf
    kind: str = ""


class Spans:
    """Those of a kind, in the order in which they began."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._open: dict[str, Span] = {}

    def begin(self, whose: str, seconds: float, kind: str = "") -> None:
        """Begin one, unless there is one of the same owner already."""
        if whose not in self._open:
            self._open[whose] = Span(whose, seconds, kind=kind)
            self._spans.append(self._open[whose])

    def end(self, whose: str, seconds: float) -> Span | None:
        """End it, if there is one; return it."""
        span = self._open.pop(whose, None)
        if span is not None:
            span.end = seconds
        return span

    def open(self) -> list[Span]:
        """Return those that are not over."""
        return list(self._open.values())

    def meeting(self, begin: float, end: float) -> Iterator[Span]:
        """Give those that have something in common with a stretch of time."""
        return (span for span in reversed(self._spans) if span.begin <= end and span.end >= begin)

    def of(self, whose: str) -> Iterator[Span]:
        """Give those of one owner."""
        return (span for span in self._spans if span.whose == whose)

    def forget(self, before: float) -> None:
        """Forget those that were over before a time, as a run may take hours."""
        self._spans = [span for span in self._spans if span.end >= before]
