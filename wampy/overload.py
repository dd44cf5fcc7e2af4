"""Too much to do: what had to be let go is counted, and the log hears of the beginning and the end, not of each."""

from __future__ import annotations

import logging

from wampy.interfaces import Backend, Timer

logger = logging.getLogger(__name__)

# It is over when nothing had to be let go for so many seconds. So there are two records a second at most, also when
# a queue is just full, again and again.
QUIET = 1.0


class Overload:
    """Counts what is let go, and tells the log when that begins and when it is over.

    Attributes:
        total: How many that were, since this was made.

    Args:
        backend: The verbs.
        level: The level of the records.
        begins: What the first one says; the reason comes behind it.
        ends: What the second one says; the number comes behind it.
    """

    def __init__(self, backend: Backend, level: int, begins: str, ends: str) -> None:
        self.total = 0
        self._backend = backend
        self._level = level
        self._begins = begins
        self._ends = ends
        # While it lasts: what was counted before it, and at the last look.
        self._lasts = False
        self._before = 0
        self._seen = 0
        self._timer: Timer | None = None

    def count(self, number: int, why: str, *args: object) -> None:
        """Count what was let go. Never switches.

        Args:
            number: How many.
            why: For the log.
            *args: What to format that with.
        """
        self.total += number
        if not self._lasts:
            self._lasts = True
            self._before = self.total - number
            self._look_later()
            logger.log(self._level, f"{self._begins}: {why}", *args)

    def _look_later(self) -> None:
        self._seen = self.total
        self._timer = self._backend.call_later(QUIET, self._look)

    def _look(self) -> None:
        """See whether it goes on; in the hub, which must not log."""
        if self.total == self._seen:
            try:
                self._backend.spawn(self._look_again)
                return
            except RuntimeError:  # the system has no more threads to give now
                pass
        self._look_later()

    def _look_again(self) -> None:
        if self._lasts and self.total != self._seen:
            self._look_later()
        else:
            self.close()

    def close(self) -> None:
        """End it: nothing is let go here any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lasts:
            self._lasts = False
            logger.log(self._level, "%s; %d were", self._ends, self.total - self._before)
