"""Green threads that run the user's code: callees one invocation at a time, event handlers one event at a time.

`max_workers` limits how many jobs *start*: a worker that waits for the answer to a call of its own lends its
place, and goes on without queueing again, so that callees that call each other do not starve.
"""

from __future__ import annotations

import logging
from contextvars import Context
from typing import Any
from weakref import WeakSet

from wampy.blocking import BlockDetector
from wampy.constants import UNAVAILABLE
from wampy.interfaces import Backend, Slot, Task
from wampy.jobs import Job, JobQueue
from wampy.overload import Overload
from wampy.worker import Worker, current_worker, worker_context

logger = logging.getLogger(__name__)

# Workers that have lent their place are still green threads with a stack each, so there is an end to it.
CEILING_FACTOR = 64
CEILING_FLOOR = 4096

# Seconds at most for which workers go from job to job without a wait, as those that never wait themselves would.
LONGEST_RUN = 0.01


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
        self.events = self.events_dropped = 0
        self.refusals = Overload(
            backend, logging.WARNING, f"invocations are refused ({UNAVAILABLE})", "no more invocations are refused"
        )
        self._jobs = JobQueue(max_queue)
        self._all: set[Worker] = set()
        self._running = 0
        # Those that are not there yet, those that let the hub go on between two jobs, those that have nothing to do.
        self._starting: set[Worker] = set()
        self._resting = self._parked = 0
        self._idle = backend.bench(self._is_one_wanted)
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
        if not jobs.put(job, self.max_workers - self._running):
            if job.refuse is not None:
                waiting = jobs.waiting - self._free
                self.refusals.count(1, "%d with %d bytes wait (max_queue=%d)", waiting, jobs.bytes, jobs.limit)
            return False
        number = len(jobs)
        # Hot: somebody is on the way to the first of many already, unless Ctrl-C has come between.
        if number == 1 or not self._parked or not number & 15:
            self._dispatch()
        return True

    def submit_next(self, job: Job) -> bool:
        """Queue a job from within one that is about to end; its worker goes on with what is in front of the queue.

        Args:
            job: What to run; one without limits.

        Returns:
            False when the session is over.
        """
        if not self.closed:
            self._jobs.append(job)
        return not self.closed

    def _is_one_wanted(self) -> bool:
        return self.closed or (bool(self._jobs) and self._running < self.max_workers and not self._resting)

    def _dispatch(self) -> None:
        """See to it that somebody is on the way when there is something to do; whoever arrives does so again."""
        # Not one worker for each job: most jobs never wait, and then one worker does them all, in their order.
        if not self._is_one_wanted():
            return
        if self._parked:
            self._idle.call()
            return
        for worker in [each for each in self._starting if each.task.join(0)]:  # Ctrl-C came before it was there
            self._starting.discard(worker)
            self._all.discard(worker)
        # Twice as many each time, for jobs that do wait.
        starting = len(self._starting)
        wanted = min(len(self._jobs), self._free, max(len(self._all) - starting, 1))
        for _ in range(wanted - starting):
            if not self._start():
                return

    def _start(self) -> bool:
        if len(self._all) >= self.ceiling:
            if not self._starting:
                self._refuse_waiting("all %d workers wait for answers", len(self._all))
            return False
        worker = Worker(self)
        self._all.add(worker)
        try:
            worker.task = self.backend.spawn(self._serve, worker)
            self._starting.add(worker)
        except RuntimeError as exc:  # the system has no more threads to give
            self._all.discard(worker)
            self._refuse_waiting("no worker can be started beside %d: %s", len(self._all), exc)
            return False
        return True

    def _refuse_waiting(self, why: str, *args: object) -> None:
        # All workers wait for answers that, for all we know, these very jobs would give: let the callers know
        # instead of waiting for one another for ever. Nobody waits for an event's handler; that stays queued.
        refused = self._jobs.take_refusable()
        for job in refused:
            job.turn_down()
        if refused or not self._all:
            self.refusals.count(len(refused), why, *args)

    def _serve(self, worker: Worker) -> None:
        try:
            self._starting.discard(worker)
            context = worker_context(worker)
            while not self.closed:
                if self._jobs and self._running < self.max_workers:
                    self._work(worker, context)
                elif self._parked >= self.max_workers:
                    return  # a burst is over
                else:
                    self._parked += 1
                    try:
                        self._idle.wait()
                    finally:
                        self._parked -= 1
        finally:
            self._all.discard(worker)
            self._dispatch()

    def _work(self, worker: Worker, context: Context) -> None:
        """Take a place, and run jobs while there are any, each in a copy of the context. Hot: each message's way."""
        jobs, monotonic, detector = self._jobs, self.backend.monotonic, self.detector
        self._running += 1
        if detector is not None:
            detector.begins()
        try:
            began = since = monotonic()
            worker.job = job = jobs.take()
            self._dispatch()
            while True:
                job.worker = worker
                own = context.copy()
                try:
                    own.run(job.function, *job.args)
                except self.backend.kill_error:
                    pass  # interrupted by the router, or the session is over, which is seen below
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException:  # green-thread libraries have timeouts that are no Exception
                    own.run(logger.exception, "a job failed in a worker")
                finally:
                    ended = monotonic()
                    if ended - began > LONGEST_RUN and detector is not None:
                        detector.worked(job.name, began)
                    job.worker = worker.job = None
                    if self._drained is not None:
                        self._look_whether_drained()
                if self.closed or not jobs or self._running > self.max_workers:
                    return
                if ended - since > LONGEST_RUN:
                    self._resting += 1  # so that no other goes on in its place
                    try:
                        self.backend.sleep(0)
                    finally:
                        self._resting -= 1
                    return
                began = ended
                worker.job = job = jobs.take()
        finally:
            self._running -= 1
            if detector is not None:
                detector.ends()
            if worker.job is not None:  # Ctrl-C came before it had begun
                if not self.closed:
                    jobs.put_back(worker.job)
                worker.job = None

    @property
    def busy(self) -> int:
        """How many jobs are running."""
        # Of a copy, made in one step: whoever collects figures may do so in an OS thread of its own. A job that has
        # somebody on the way to it is as good as running.
        return sum(worker.job is not None for worker in tuple(self._all)) + min(len(self._jobs), self._free)

    @property
    def queue(self) -> int:
        """How many jobs and events wait for a worker."""
        return max(self._jobs.waiting - self._free, 0) + self.events

    @property
    def _free(self) -> int:
        return max(self.max_workers - self._running, 0)

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
        at_work = any(worker.job is not None and worker not in self._drainers for worker in self._all)
        if self._drained is not None and (self.closed or not (self._jobs or at_work)):
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
        self._idle.call()
        for thing in (self.refusals, *(self._closables or ())):
            thing.close()
        if not kill:
            return []
        busy = [worker.task for worker in self._all if worker.job is not None and not worker.task.is_current]
        for task in busy:
            task.throw(self.backend.kill_error())
        return busy
