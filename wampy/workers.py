"""Green threads that run the user's code: callees one invocation at a time, event handlers one event at a time.

`max_workers` limits how many jobs *start*: a worker that waits for the answer to a call of its own lends its
place, and goes on without queueing again, so that callees that call each other do not starve.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any

from wampy.interfaces import Backend, Slot, Task

logger = logging.getLogger(__name__)

# Workers that have lent their place are still green threads with a stack each, so there is an end to it.
CEILING_FACTOR = 64
CEILING_FLOOR = 4096

_current: ContextVar[Worker | None] = ContextVar("wampy_worker", default=None)


class Job:
    """Something to run in a worker.

    Args:
        function: What to run; it guards itself against the user's errors.
        args: What to run it with.
        refuse: Called instead, without blocking, when no worker may be started for it.
    """

    __slots__ = ("args", "function", "refuse", "refused", "worker")

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...] = (), refuse: Callable[[], Any] | None = None
    ) -> None:
        self.function = function
        self.args = args
        self.refuse = refuse
        self.refused = False
        self.worker: Worker | None = None


class Worker:
    """One long-lived green thread of a pool."""

    __slots__ = ("inbox", "job", "pool", "task")

    task: Task
    inbox: Slot

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


class Workers:
    """The workers of one session.

    Args:
        backend: The verbs.
        max_workers: How many jobs may be running and not waiting for an answer.
        max_queue: How many jobs may wait for a worker.
        owner: The session whose workers these are.
    """

    def __init__(self, backend: Backend, max_workers: int, max_queue: int, owner: Any = None) -> None:
        self.owner = owner
        self.max_workers = max_workers
        self.max_queue = max_queue
        self.ceiling = max(CEILING_FACTOR * max_workers, CEILING_FLOOR)
        self._backend = backend
        self._jobs: deque[Job] = deque()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._running = 0
        self._closed = False
        # Filled when nothing is left to do, for `drain`; and the workers that wait for that themselves.
        self._drained: Slot | None = None
        self._drainers: set[Worker] = set()

    def submit(self, job: Job, limited: bool = True) -> bool:
        """Queue a job and start what may be started. Never blocks.

        Args:
            job: What to run.
            limited: Whether the length of the queue counts; not for a mailbox, which has a limit of its own.

        Returns:
            False when the queue is full or the session over; the job has not been taken.
        """
        if self._closed or (limited and len(self._jobs) >= self.max_queue):
            return False
        self._jobs.append(job)
        self._dispatch()
        return True

    def _dispatch(self) -> None:
        while self._jobs and self._running < self.max_workers:
            if self._idle:
                worker = self._idle.pop()
                self._running += 1
                worker.job = self._jobs.popleft()  # now, so that it counts before the worker has woken up
                worker.inbox.set(worker.job)
            elif len(self._all) < self.ceiling:
                worker = Worker(self)
                worker.job = self._jobs.popleft()
                self._running += 1
                self._all.add(worker)
                try:
                    worker.task = self._backend.spawn(self._serve, worker)
                except RuntimeError:  # the system has no more threads to give
                    logger.warning("no worker can be started", exc_info=True)
                    self._all.discard(worker)
                    self._running -= 1
                    self._jobs.appendleft(worker.job)
                    self._refuse_waiting()
                    return
            else:
                self._refuse_waiting()
                return

    def _refuse_waiting(self) -> None:
        # All workers wait for answers that, for all we know, these very jobs would give: let the callers know
        # instead of waiting for one another for ever. Nobody waits for an event's handler; that stays queued.
        waiting = list(self._jobs)
        self._jobs.clear()
        self._jobs.extend(job for job in waiting if job.refuse is None)
        for job in waiting:
            if job.refuse is not None:
                job.refused = True
                job.refuse()

    def _serve(self, worker: Worker) -> None:
        holds_place = True
        try:
            while not self._closed:
                if worker.job is None:
                    if self._jobs and self._running <= self.max_workers:
                        worker.job = self._jobs.popleft()
                    elif len(self._idle) >= self.max_workers:
                        return  # a burst is over
                    else:
                        self._running -= 1
                        holds_place = False
                        worker.inbox = self._backend.slot()
                        self._idle.append(worker)
                        worker.inbox.wait()
                        worker.job = worker.inbox.value
                        if worker.job is None:
                            return
                        holds_place = True
                job = worker.job
                job.worker = worker
                try:
                    Context().run(self._run, worker, job)
                except self._backend.kill_error:
                    pass  # interrupted by the router, or the session is over, which the loop sees
                finally:
                    job.worker = worker.job = None
                    self._look_whether_drained()
        finally:
            self._all.discard(worker)
            if worker in self._idle:
                self._idle.remove(worker)
            elif worker.job is not None:  # Ctrl-C came before it woke up
                holds_place = True
                if not self._closed:
                    self._jobs.appendleft(worker.job)
            if holds_place:
                self._running -= 1
                self._dispatch()

    def _run(self, worker: Worker, job: Job) -> None:
        _current.set(worker)
        try:
            job.function(*job.args)
        except (KeyboardInterrupt, SystemExit, self._backend.kill_error):
            raise
        except BaseException:  # green-thread libraries have timeouts that are no Exception
            logger.exception("a job failed in a worker")

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return any(worker.job is not None for worker in self._all)

    def drain(self, seconds: float | None) -> bool:
        """Wait until all jobs are done, those of the queue too, but not the caller's own.

        Args:
            seconds: How long at most; ``None`` for no limit.

        Returns:
            Whether they are.
        """
        caller = current_worker()
        own = caller if caller is not None and caller.pool is self else None
        if self._drained is None or self._drained.done:
            self._drained = self._backend.slot()
        drained = self._drained
        if own is not None:
            self._drainers.add(own)
            self.lend()
        try:
            self._look_whether_drained()
            return drained.wait(seconds)
        finally:
            if own is not None:
                self._drainers.discard(own)
                self.reclaim()

    def _look_whether_drained(self) -> None:
        if self._drained is None:
            return
        at_work = any(worker.job is not None and worker not in self._drainers for worker in self._all)
        if self._closed or not (self._jobs or at_work):
            self._drained.set()

    def lend(self) -> None:
        """Give up the caller's place while it waits for an answer."""
        self._running -= 1
        self._dispatch()

    def reclaim(self) -> None:
        """Take the place back at once, even if that makes one too many for a while."""
        self._running += 1

    def close(self, kill: bool) -> list[Task]:
        """Take no more jobs, drop those that wait, and end the workers.

        Args:
            kill: Whether to kill the jobs that are running as well; the caller's own goes on.

        Returns:
            The tasks that were killed and may be joined.
        """
        self._closed = True
        self._jobs.clear()
        self._look_whether_drained()
        idle, self._idle = self._idle, []
        for worker in idle:
            worker.inbox.set(None)
        if not kill:
            return []
        busy = [worker.task for worker in self._all if worker.job is not None and not worker.task.is_current]
        for task in busy:
            task.throw(self._backend.kill_error())
        return busy


class Mailbox:
    """The events of one handler, run strictly in order, one job each, so that handlers share the workers.

    Args:
        workers: Whose workers run it.
        deliver: What to call with each item; it guards itself.
        name: Whose events they are, for the log.
    """

    def __init__(self, workers: Workers, deliver: Callable[..., Any], name: str = "an event handler") -> None:
        self._name = name
        self._workers = workers
        self._deliver = deliver
        self._items: deque[tuple[Any, ...]] = deque()
        self._queued = False
        self._dropped = 0

    def put(self, *item: Any) -> bool:
        """Add an event, or drop it; say whether there was room. The beginning and end of such a run is logged."""
        if len(self._items) >= self._workers.max_queue:
            if not self._dropped:
                logger.error("%s has max_queue=%d events to handle; more are dropped", self._name, len(self._items))
            self._dropped += 1
            return False
        self._items.append(item)
        if not self._queued:
            self._queued = self._workers.submit(Job(self._run_one), limited=False)
            if not self._queued:
                self._items.pop()
                return False
        return True

    def _run_one(self) -> None:
        try:
            self._deliver(*self._items.popleft())
        finally:
            if self._dropped and not self._items:
                logger.error("%s has handled them all; %d were dropped", self._name, self._dropped)
                self._dropped = 0
            self._queued = bool(self._items) and self._workers.submit(Job(self._run_one), limited=False)
