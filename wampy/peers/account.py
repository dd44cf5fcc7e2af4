"""What the sessions of one client have done, added up."""

from __future__ import annotations

from dataclasses import replace

from wampy.session import Session
from wampy.stats import Stats


class Account:
    """The figures of the current session, and of all before it. Any thread may look, while they are counted."""

    def __init__(self) -> None:
        # One object, so that whoever looks counts no session twice.
        self._state: tuple[Stats, Session | None] = Stats(), None

    def begin(self, session: Session) -> None:
        """Note that a session follows; the one before it has nothing left to do."""
        done, last = self._state
        if last is not None:
            done += replace(last.stats, pending=0, workers_busy=0, queue=0)
        self._state = done, session

    def add(self, figures: Stats) -> None:
        """Add what no session counts."""
        done, session = self._state
        self._state = done + figures, session

    def total(self) -> Stats:
        """Sum up."""
        done, session = self._state
        return done if session is None else done + session.stats
