"""Mailboxes: the events that wait for a handler, each handler's in order."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from wampy.constants import MAX_QUEUE_BYTES
from wampy.jobs import Job
from wampy.overload import Overload
from wampy.workers import Workers


class Mailbox:
    """The events of one handler, run strictly in order, one job each, so that handlers share the workers.

    When more wait than `max_queue`, or than `MAX_QUEUE_BYTES`, the oldest are dropped: what is new counts more. One
    event always fits, whatever its size.

    Args:
        workers: Whose workers run it.
        deliver: What to call with each item; it guards itself.
        name: Whose events they are, for the log.
    """

    def __init__(self, workers: Workers, deliver: Callable[[Any], Any], name: str = "an event handler") -> None:
        self._workers = workers
        self._deliver = deliver
        # Each with its size.
        self._items: deque[tuple[int, Any]] = deque()
        self._bytes = 0
        # One for all, as it is in the queue once at a time: what runs it is about to end when it puts it there again.
        self._job = Job(self._run_one, limited=False, name=name)
        self._queued = False
        self._overload = Overload(
            workers.backend,
            logging.ERROR,
            f"{name} is too slow, the oldest of its events are dropped",
            f"{name}: no more events are dropped",
        )
        workers.ends_with(self)
        workers.ends_with(self._overload)

    def put(self, item: Any, size: int = 0) -> None:
        """Add an event, and drop the oldest if there are too many. Never switches.

        Args:
            item: What to deliver.
            size: Its bytes, as far as they are known.
        """
        items, workers = self._items, self._workers
        if workers.closed:
            return
        number, waiting = len(items), self._bytes
        if number and (number >= workers.max_queue or waiting + size > MAX_QUEUE_BYTES):
            self._make_room(size)
        items.append((size, item))
        self._bytes += size
        workers.events += 1
        dropped = number + 1 - len(items)
        if not self._queued:
            self._queued = workers.submit(self._job)
        if dropped:
            workers.events_dropped += dropped
            # Last: the log's handlers are the user's, and may fail.
            self._overload.count(dropped, "%d with %d bytes wait (max_queue=%d)", number, waiting, workers.max_queue)

    def _make_room(self, size: int) -> None:
        most = self._workers.max_queue
        while self._items and (len(self._items) >= most or self._bytes + size > MAX_QUEUE_BYTES):
            self._drop()

    def _drop(self) -> None:
        size, _ = self._items.popleft()
        self._bytes -= size
        self._workers.events -= 1

    def _run_one(self) -> None:
        if not self._items:
            return  # closed in the meantime
        try:
            size, item = self._items.popleft()
            self._bytes -= size
            self._workers.events -= 1
            self._deliver(item)
        finally:
            self._queued = bool(self._items) and self._workers.submit_next(self._job)

    def close(self) -> None:
        """Forget what waits."""
        while self._items:
            self._drop()
