"""Say so, once, when something has kept the hub from running: meanwhile nothing of a client on green threads can run.

A timer finds out behind the block how late it comes. There is one for all clients of a hub, since waking a machine that
sleeps is what an idle client costs. It is due every two seconds, and less often while nothing runs: then nobody is
there to block but code that this package does not start, and that is found all the same when it blocks for longer, or
again.

The timer's clock does not count the time in which the machine is suspended, on Linux and macOS. What it cannot tell
from a call that blocks is a process that was stopped as a whole (Ctrl-Z, a debugger, a frozen container): neither uses
the processor, and no process is told of its being stopped unless it handles a signal, which is the program's. The text
says that it may have been that.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from time import thread_time
from typing import Any

from wampy.interfaces import Backend, Timer

logger = logging.getLogger(__name__)

#: Seconds from one look to the next while something runs.
INTERVAL = 2.0
#: How many seconds a look may come late: of a block that takes as many, and what it was to the look, there is a record.
TOLERANCE = 3.0
#: How many intervals it is to the next look, at most, while nothing runs.
REST = 4

# Nothing runs while the thread uses less than this part of the time, and a look comes less late than this part of the
# interval.
_STILL, _LATE = 0.01, 0.25
# Who uses the processor for this part of a block computes; a call that waits uses next to nothing of it. The part is
# not larger because others may want the processor too.
_COMPUTING = 0.25
# Who held the hub for less than this part of the tolerance is not named.
_PART = 0.5
# How many are.
_MOST_NAMES = 3

RECORD = (
    "%s was blocked for at least %.1f seconds: something in its OS thread %s without letting green threads run%s. "
    "Meanwhile no answer was read, no callee or event handler started, no heartbeat left. %s, or choose OS threads "
    "with wampy.configure_backend('threading'). Said once for each start of a client"
)


class BlockDetector:
    """Watches over one run of a client, from its start to its stop, and logs the first block of it.

    Args:
        backend: The verbs. Where a thread that blocks stops nobody else, there is nothing to watch.
        who: The client's name, for the log.
    """

    def __init__(self, backend: Backend, who: str) -> None:
        self._backend = backend
        self._who = who
        # Kept for the jobs that are still at work when the run has ended.
        self._lookout: _Lookout | None = None

    def start(self) -> None:
        """Begin."""
        if self._backend.switches_only_in_waits:
            self._lookout = _Lookout.of(self._backend)
            self._lookout.add(self)

    def stop(self) -> None:
        """End it, with a last look: whoever ends the run may have come first behind the block."""
        if self._lookout is not None:
            self._lookout.remove(self)

    def begins(self) -> float:
        """Note that somebody begins to work, and give the time; `ends` has to follow."""
        lookout = self._lookout
        if lookout is not None:
            lookout.working += 1
            if lookout.rests:
                lookout.wake()
        return self._backend.monotonic()

    def ends(self) -> None:
        """Note that they have ended."""
        if self._lookout is not None:
            self._lookout.working -= 1

    def worked(self, what: str, began: float) -> None:
        """Note who did something, if that was when the hub was blocked. Cheap, because most of the time it was not.

        Args:
            what: How to name them.
            began: When they began; they have just ended.
        """
        held = self._backend.monotonic() - began
        if held >= TOLERANCE * _PART and self._lookout is not None:
            self._lookout.note(what, held)

    def tell(self, seconds: float, computing: bool, names: Sequence[str]) -> None:
        """Log a block.

        Args:
            seconds: How long it was, at least.
            computing: Whether the thread was using the processor.
            names: Who was at work.
        """
        library = self._backend.name
        if computing:
            did = "computed"
            remedy = f"Let it say {library}.sleep(0.001) now and then"
        else:
            did = "waited in a blocking call (or the whole process was stopped)"
            remedy = (
                f"Hand what blocks to an OS thread with {self._backend.elsewhere}, patch the standard library with "
                "wampy.configure_async() first thing in the program"
            )
        at_work = f"; at work were: {', '.join(names)}" if names else ""
        logger.warning(RECORD, self._who, seconds, did, at_work, remedy)


class _Lookout:
    """The timer of one hub, for all who watch over a run on it.

    Attributes:
        working: How many are at work.
        rests: Whether the next look is later than one interval.

    Args:
        backend: The verbs.
        home: The hub's process and OS thread.
    """

    def __init__(self, backend: Backend, home: Any) -> None:
        self.working = 0
        self.rests = False
        self._backend = backend
        self._home = home
        # An ordered set, as the next one.
        self._detectors: dict[BlockDetector, None] = {}
        self._timer: Timer | None = None
        self._seconds = 0.0
        self._due = math.inf
        self._used = 0.0
        self._at_work: dict[str, None] = {}

    @classmethod
    def of(cls, backend: Backend) -> _Lookout:
        """Return the hub's."""
        home = backend.home()
        found = _lookouts.get(home)
        if found is None:
            found = _lookouts[home] = cls(backend, home)
        return found

    def add(self, detector: BlockDetector) -> None:
        """Watch for somebody else too, from now on."""
        self._look()  # that was before it
        self._detectors[detector] = None
        if self._timer is None or self.rests or self._backend.monotonic() > self._due:
            self._schedule(INTERVAL)
        _lookouts[self._home] = self

    def remove(self, detector: BlockDetector) -> None:
        """Watch for them no more, after a last look."""
        if detector in self._detectors:
            self._look()
        if detector in self._detectors:
            del self._detectors[detector]
            if not self._detectors:
                self._end()

    def wake(self) -> None:
        """Look more often: somebody is at work again."""
        self._look()
        if self._detectors:
            self._schedule(INTERVAL)

    def note(self, what: str, held: float) -> None:
        """Note who did something for so long, if the hub was blocked then."""
        late = min(held, self._backend.monotonic() - self._due)
        if late >= TOLERANCE * _PART and what and len(self._at_work) < _MOST_NAMES:
            self._at_work[what] = None

    def _schedule(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at_work.clear()
        self._seconds, self.rests = seconds, seconds > INTERVAL
        self._used = thread_time()
        self._due = self._backend.monotonic() + seconds
        self._timer = self._backend.call_later(seconds, self._beat)

    def _beat(self) -> None:
        self._timer = None
        late = self._backend.monotonic() - self._due
        self._look()
        if not self._detectors:
            return
        is_still = not self.working and thread_time() - self._used < self._seconds * _STILL
        if is_still and late < INTERVAL * _LATE:
            self._schedule(min(self._seconds * 2, INTERVAL * REST))
        else:
            self._schedule(INTERVAL)

    def _look(self) -> None:
        """Tell of a block, if there was one, on behalf of everybody."""
        if self._home != self._backend.home():
            self._end()  # a forked child has the timer too
            return
        late = self._backend.monotonic() - self._due
        if late < TOLERANCE:
            return
        computing = thread_time() - self._used >= late * _COMPUTING
        names = tuple(self._at_work)
        for detector in self._detectors:
            # Spawned, because the hub itself must not run what logs.
            self._backend.spawn(detector.tell, late, computing, names)
        self._end()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due, self.rests = None, math.inf, False
        self._detectors.clear()
        self._at_work.clear()
        _lookouts.pop(self._home, None)


_lookouts: dict[Any, _Lookout] = {}
