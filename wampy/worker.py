"""Which worker the caller runs in."""

from __future__ import annotations

from contextvars import Context, ContextVar
from typing import TYPE_CHECKING

from wampy.interfaces import Task
from wampy.jobs import Job

if TYPE_CHECKING:
    from wampy.workers import Workers

_current: ContextVar[Worker | None] = ContextVar("wampy_worker", default=None)

#: Return the worker in whose context the caller runs, who need not be the caller.
worker_of_context = _current.get


class Worker:
    """One long-lived green thread of a pool.

    Attributes:
        pool: Whose it is.
        job: What it is at, if anything.
        task: The green thread.
    """

    __slots__ = ("job", "pool", "task")

    task: Task

    def __init__(self, pool: Workers) -> None:
        self.pool = pool
        self.job: Job | None = None


def current_worker() -> Worker | None:
    """Return the worker that the caller runs in, whichever session's it is."""
    worker = _current.get()
    # The variable is inherited by contexts that a job copies into green threads of its own.
    if worker is None or not worker.task.is_current:
        return None
    return worker


def worker_context(worker: Worker) -> Context:
    """Make the context of a worker, for each of its jobs to have a copy: nothing is in it but who runs them.

    Args:
        worker: Whose it is.
    """
    context = Context()
    context.run(_current.set, worker)
    return context
