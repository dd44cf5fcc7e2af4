"""The client's hooks: called in order, in a green thread of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from wampy.blocking import BlockDetector
from wampy.interfaces import Backend, Task

logger = logging.getLogger(__name__)

# Seconds that a killed hook has to end.
KILL_PATIENCE = 1.0


class Hooks:
    """A queue of hooks, and the green thread that calls them, which is there while there are any.

    Args:
        backend: The verbs.
        run: Called with a hook's name and argument; it may block, and guards itself.

    Attributes:
        detector: Told of the hooks, if somebody has put one here.
    """

    def __init__(self, backend: Backend, run: Callable[[str, Any], None]) -> None:
        self.detector: BlockDetector | None = None
        self._backend = backend
        self._run = run
        self._waiting: list[tuple[str, Any]] = []
        self._task: Task | None = None
        self._current: str | None = None

    def tell(self, hook: str, argument: Any) -> None:
        """Queue a hook.

        Args:
            hook: Its name, ``on_join``.
            argument: What it is called with.
        """
        self._waiting.append((hook, argument))
        if self._task is None:
            # Some Pythons, 3.12.1 for one, give no thread any more to what `atexit` calls. Then `see_out` runs them.
            with suppress(RuntimeError):
                self._task = self._backend.spawn(self._run_all)

    def _run_all(self) -> None:
        try:
            while self._waiting:
                self._current, argument = self._waiting.pop(0)
                detector = self.detector
                began = 0.0 if detector is None else detector.begins()
                try:
                    self._backend.outside(self._run, self._current, argument)
                except self._backend.kill_error:
                    logger.debug("%s was ended with the session", self._current)
                finally:
                    if detector is not None:
                        detector.worked(self._current, began)
                        detector.ends()
        finally:
            self._current = self._task = None

    def end_on_join(self) -> None:
        """Kill an on_join that goes on: it is over with its session, and others are waiting. Never blocks."""
        if self._task is not None and self._current == "on_join" and not self._task.is_current:
            self._task.throw(self._backend.kill_error(), still=lambda: self._current == "on_join")

    def see_out(self, seconds: float | None) -> None:
        """Wait for the hooks; an on_join that goes on is over with its session, the others have their time.

        Args:
            seconds: How long that is; ``None`` for no limit.
        """
        task = self._task
        if task is None:
            self._run_all()
            return
        if task.is_current:
            return
        self.end_on_join()
        if not task.join(seconds):
            logger.warning("%s did not end within close_timeout and was killed", self._current)
            self._waiting.clear()
            task.throw(self._backend.kill_error())
            task.join(KILL_PATIENCE)
