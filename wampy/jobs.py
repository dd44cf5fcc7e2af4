"""Jobs, and the queue in which they wait for a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wampy.constants import MAX_QUEUE_BYTES

if TYPE_CHECKING:
    from wampy.worker import Worker


class Job:
    """Something to run in a worker.

    Args:
        function: What to run; it guards itself against the user's errors.
        args: What to run it with.
        refuse: Called instead, without blocking, when no worker may be started for it.
        size: How many bytes it keeps while it waits, as far as that is known.
        limited: Whether the limits of the queue count; not for a mailbox, which has limits of its own.
        name: Whose work it is, for the log; may be empty.
    """

    __slots__ = ("args", "function", "limited", "name", "refuse", "refused", "size", "worker")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...] = (),
        refuse: Callable[[], Any] | None = None,
        size: int = 0,
        limited: bool = True,
        name: str = "",
    ) -> None:
        self.function = function
        self.args = args
        self.refuse = refuse
        self.size = size
        self.limited = limited
        self.name = name
        self.refused = False
        self.worker: Worker | None = None

    def turn_down(self) -> None:
        """Refuse it, although it was in the queue."""
        self.refused = True
        if self.refuse is not None:
            self.refuse()


class JobQueue(deque[Job]):
    """Jobs in the order of their arrival; filled with `put` and emptied with `take`.

    Attributes:
        waiting: How many of them the limits are for.
        bytes: The bytes that those keep.

    Args:
        limit: How many of those there may be.
    """

    __slots__ = ("bytes", "limit", "waiting")

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.waiting = 0
        self.bytes = 0

    def put(self, job: Job, free: int = 0) -> bool:
        """Add a job; say whether there was room. One always fits, whatever its size.

        Args:
            job: What to add.
            free: How many of the first ones do not wait, because there is a place for them.
        """
        if job.limited:
            waiting = self.waiting - free if free > 0 else self.waiting
            if waiting > 0 and (waiting >= self.limit or self.bytes + job.size > MAX_QUEUE_BYTES):
                return False
            self.waiting += 1
            self.bytes += job.size
        self.append(job)
        return True

    def take(self) -> Job:
        """Take the first one."""
        job = self.popleft()
        if job.limited:
            self.waiting -= 1
            self.bytes -= job.size
        return job

    def put_back(self, job: Job) -> None:
        """Put the one that was taken last in front again."""
        self.appendleft(job)
        if job.limited:
            self.waiting += 1
            self.bytes += job.size

    def take_refusable(self) -> list[Job]:
        """Take all that can be refused."""
        everything = list(self)
        self.clear()
        for job in everything:
            if job.refuse is None:
                self.put(job)
        return [job for job in everything if job.refuse is not None]

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self.waiting = self.bytes = 0
