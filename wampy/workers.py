"""Green threads that run the user's code: callees one invocation at a time, event handlers one event at a time.

`max_workers` limits how many jobs *start*: a worker that waits for the answer to a call of its own lends its
place, and goes on without queueing again, so that callees that call each other do not starve.
"""

from __future__ import annotations

import logging
from contextvars import Context, ContextVar
from typing import Any
from weakref import WeakSet

from wampy.blocking import BlockDetector
from wampy.constants import UNAVAILABLE
from wampy.interfaces import Backend, Slot, Task
from wampy.jobs import Job, JobQueue
from wampy.overload import Overload

logger = logging.getLogger(__name__)

# Workers that have lent their place are still green threads with a stack each, so there is an end to it.
CEILING_FACTOR = 64
CEILING_FLOOR = 4096

# Seconds for which a worker goes from job to job without a wait at most: jobs that never wait themselves shall not
# keep the hub from its sockets for as long as the queue is.
LONGEST_RUN = 0.01

_current: ContextVar[Worker | None] = ContextVar("wampy_worker", default=None)


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

    Attributes:
        backend: The verbs.
        detector: Told of the jobs, if somebody has put one here.
        events: How many events wait in mailboxes.
        events_dropped: How many were dropped there.
        refusals: The jobs that were refused because of too many others.
    """

    def __init__(self, backend: Backend, max_workers: int, max_queue: int, owner: Any = None) -> None:
        self.owner = owner
        self.max_workers = max_workers
        self.max_queue = max_queue
        self.ceiling = max(CEILING_FACTOR * max_workers, CEILING_FLOOR)
        self.detector: BlockDetector | None = None
        self.backend = backend
        self.events = 0
        self.events_dropped = 0
        self.refusals = Overload(
            backend, logging.WARNING, f"invocations are refused ({UNAVAILABLE})", "no more invocations are refused"
        )
        self._jobs = JobQueue(max_queue)
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._running = 0
        self.closed = False
        # Only made when something comes into it: many clients have no event handler.
        self._closables: WeakSet[Any] | None = None
        # Filled when nothing is left to do, for `drain`; and the workers that wait for that themselves.
        self._drained: Slot | None = None
        self._drainers: set[Worker] = set()

    def submit(self, job: Job) -> bool:
        """Queue a job and start what may be started. Never blocks.

        Args:
            job: What to run.

        Returns:
            False when the queue is full or the session over; the job has not been taken.
        """
        if self.closed:
            return False
        jobs = self._jobs
        if not jobs.put(job):
            if job.refuse is not None:
                self.refusals.count(1, "%d with %d bytes wait (max_queue=%d)", jobs.waiting, jobs.bytes, jobs.limit)
            return False
        self._dispatch()
        return True

    def submit_next(self, job: Job) -> bool:
        """Queue a job from within one that is about to end; its worker goes on with what is in front of the queue.

        Args:
            job: What to run; one without limits.

        Returns:
            False when the session is over.
        """
        return not self.closed and self._jobs.put(job)

    def _dispatch(self) -> None:
        while self._jobs and self._running < self.max_workers:
            if self._idle:
                worker = self._idle.pop()
                self._running += 1
                worker.job = self._jobs.take()  # now, so that it counts before the worker has woken up
                worker.inbox.set(worker.job)
            elif len(self._all) < self.ceiling:
                worker = Worker(self)
                worker.job = self._jobs.take()
                self._running += 1
                self._all.add(worker)
                try:
                    worker.task = self.backend.spawn(self._serve, worker)
                except RuntimeError as exc:  # the system has no more threads to give
                    self._all.discard(worker)
                    self._running -= 1
                    self._jobs.put_back(worker.job)
                    self._refuse_waiting("no worker can be started beside %d: %s", len(self._all), exc)
                    return
            else:
                self._refuse_waiting("all %d workers wait for answers", len(self._all))
                return

    def _refuse_waiting(self, why: str, *args: object) -> None:
        # All workers wait for answers that, for all we know, these very jobs would give: let the callers know
        # instead of waiting for one another for ever. Nobody waits for an event's handler; that stays queued.
        refused = self._jobs.take_refusable()
        for job in refused:
            job.refused = True
            assert job.refuse is not None
            job.refuse()
        if refused or not self._all:
            self.refusals.count(len(refused), why, *args)

    def _serve(self, worker: Worker) -> None:
        holds_place = True
        since = self.backend.monotonic()
        try:
            while not self.closed:
                if worker.job is None:
                    if self._jobs and self._running <= self.max_workers:
                        if self.backend.monotonic() - since > LONGEST_RUN:
                            self.backend.sleep(0)
                            since = self.backend.monotonic()
                            continue
                        worker.job = self._jobs.take()
                    elif len(self._idle) >= self.max_workers:
                        return  # a burst is over
                    else:
                        self._running -= 1
                        holds_place = False
                        worker.inbox = self.backend.slot()
                        self._idle.append(worker)
                        worker.inbox.wait()
                        worker.job = worker.inbox.value
                        if worker.job is None:
                            return
                        holds_place = True
                        since = self.backend.monotonic()
                job = worker.job
                job.worker = worker
                try:
                    Context().run(self._run, worker, job)
                except self.backend.kill_error:
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
                if not self.closed:
                    self._jobs.put_back(worker.job)
            if holds_place:
                self._running -= 1
                self._dispatch()

    def _run(self, worker: Worker, job: Job) -> None:
        _current.set(worker)
        detector = self.detector
        began = 0.0 if detector is None else detector.begins()
        try:
            job.function(*job.args)
        except (KeyboardInterrupt, SystemExit, self.backend.kill_error):
            raise
        except BaseException:  # green-thread libraries have timeouts that are no Exception
            logger.exception("a job failed in a worker")
        finally:
            if detector is not None:
                detector.worked(job.name, began)

    @property
    def busy(self) -> int:
        """How many jobs are running."""
        # Of a copy, made in one step: whoever collects figures may do so in an OS thread of its own.
        return sum(worker.job is not None for worker in tuple(self._all))

    @property
    def queue(self) -> int:
        """How many jobs and events wait for a worker."""
        return self._jobs.waiting + self.events

    def ends_with(self, thing: Any) -> None:
        """Call `close` of something too when the workers are closed, if it is still there then."""
        if self._closables is None:
            self._closables = WeakSet()
        self._closables.add(thing)

    def drain(self, seconds: float | None) -> None:
        """Wait until all jobs are done, those of the queue too, but not the caller's own.

        Args:
            seconds: How long at most; ``None`` for no limit.
        """
        caller = current_worker()
        own = caller if caller is not None and caller.pool is self else None
        if self._drained is None or self._drained.done:
            self._drained = self.backend.slot()
        drained = self._drained
        if own is not None:
            self._drainers.add(own)
            self.lend()
        try:
            self._look_whether_drained()
            drained.wait(seconds)
        finally:
            if own is not None:
                self._drainers.discard(own)
                self.reclaim()

    def _look_whether_drained(self) -> None:
        if self._drained is None:
            return
        at_work = any(worker.job is not None and worker not in self._drainers for worker in self._all)
        if self.closed or not (self._jobs or at_work):
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
        self.closed = True
        self._jobs.clear()
        self._look_whether_drained()
        idle, self._idle = self._idle, []
        for worker in idle:
            worker.inbox.set(None)
        for thing in (self.refusals, *(self._closables or ())):
            thing.close()
        if not kill:
            return []
        busy = [worker.task for worker in self._all if worker.job is not None and not worker.task.is_current]
        for task in busy:
            task.throw(self.backend.kill_error())
        return busy
