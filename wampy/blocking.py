"""Say so, once, when something has kept the hub from running: meanwhile nothing of a client on green threads can run.

A timer that is due every two seconds finds out behind the block how late it comes. Its clock does not count the time
in which the machine is suspended, on Linux and macOS. What it cannot tell from a call that blocks is a process that was
stopped as a whole (Ctrl-Z, a debugger, a frozen container): neither uses the processor, and no process is told of its
being stopped unless it handles a signal, which is the program's. The text says that it may have been that.
"""

from __future__ import annotations

import logging
import math
from time import thread_time
from typing import Any

from wampy.interfaces import Backend, Timer

logger = logging.getLogger(__name__)

#: Seconds from one look to the next. Not fewer: on a machine that sleeps, an idle client costs what waking it costs.
INTERVAL = 2.0
#: How many seconds a look may come late: of a block that takes as many, and one interval more, there is a record.
TOLERANCE = 3.0

# Who held the hub for less than this part of the tolerance is not named.
_PART = 0.5
# How many are.
_MOST_NAMES = 3

RECORD = (
    "%s was blocked for %.1f seconds: something in its OS thread %s without letting green threads run%s. Meanwhile no "
    "answer was read, no callee or event handler started, no heartbeat left. %s, or choose OS threads with "
    "wampy.configure_backend('threading'). Said once for each start of a client"
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
        self._home: Any = None
        self._timer: Timer | None = None
        self._due = math.inf
        self._used = 0.0
        # An ordered set.
        self._at_work: dict[str, None] = {}

    def start(self) -> None:
        """Begin."""
        if self._backend.switches_only_in_waits:
            self._home = self._backend.home()
            self._schedule()

    def stop(self) -> None:
        """End it, with a last look: whoever ends the run may have come first behind the block."""
        if self._timer is not None:
            self._timer.cancel()
            self._look()
        self._timer, self._due = None, math.inf

    def worked(self, what: str, began: float) -> None:
        """Note who did something, if that was when the hub was blocked. Cheap, because most of the time it was not.

        Args:
            what: How to name them.
            began: When they began; they have just ended.
        """
        held = self._backend.monotonic() - max(self._due, began)
        if held >= TOLERANCE * _PART and what and len(self._at_work) < _MOST_NAMES:
            self._at_work[what] = None

    def _schedule(self) -> None:
        self._used = thread_time()
        self._due = self._backend.monotonic() + INTERVAL
        self._timer = self._backend.call_later(INTERVAL, self._beat)

    def _beat(self) -> None:
        self._timer = None
        if not self._look():
            self._at_work.clear()
            self._schedule()

    def _look(self) -> bool:
        """Say whether there is nothing more to look for."""
        if self._home != self._backend.home():
            return True  # a forked child has the timer too
        late = self._backend.monotonic() - self._due
        if late < TOLERANCE:
            return False
        self._due = math.inf
        # Spawned, because the hub itself must not run what logs.
        self._backend.spawn(self._tell, late, thread_time() - self._used >= late / 2)
        return True

    def _tell(self, seconds: float, computing: bool) -> None:
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
        names = f"; at work were: {', '.join(self._at_work)}" if self._at_work else ""
        logger.warning(RECORD, self._who, seconds, did, names, remedy)
