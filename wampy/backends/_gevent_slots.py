"""Slots and benches on gevent, and the way that those who wait there are woken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import greenlet

from wampy.backends._common import in_the_hub
from wampy.interfaces import Bench, Slot

_get_hub = gevent.get_hub
_getcurrent = greenlet.getcurrent

# Seconds between two needless looks of the main program that waits without a timeout.
_NOW_AND_THEN = 3600.0


class GeventSlot(Slot):
    __slots__ = ("_waiters", "_wakes", "done", "value")

    # Attributes, because each message looks at several.
    done: bool
    value: Any

    def __init__(self) -> None:
        self.done = False
        self.value = None
        # Green thread to loop. The hub is not asked for before somebody waits: asking makes one, with descriptors,
        # and constructors shall not.
        self._waiters: dict[Any, Any] = {}
        # Green thread to its wake-up in the loop's queue.
        self._wakes: dict[Any, Any] = {}

    def set(self, value: Any = None) -> bool:
        if self.done:
            return False
        self.done = True
        self.value = value
        for waiter, loop in self._waiters.items():
            # The main program last, when what the others wrote has gone out: it is the one that may go on to
            # block natively (a prompt, time.sleep), and then nothing would leave for as long as that takes.
            wake = (waiter.switch,) if waiter.parent is not None else (self._wake_later, waiter)
            self._wakes[waiter] = loop.run_callback(*wake)
        return True

    def _wake_later(self, waiter: Any) -> None:
        if waiter in self._waiters:
            self._wakes[waiter] = self._waiters[waiter].run_callback(waiter.switch)

    def wait(self, timeout: float | None = None) -> bool:
        if self.done:
            return True
        if timeout is not None and timeout <= 0:
            return False
        waiter = _getcurrent()
        hub = _get_hub()
        if waiter is hub:
            raise in_the_hub("gevent")
        timer = None
        if timeout is not None:
            timer = hub.loop.timer(timeout)
        elif waiter.parent is None:
            # gevent ends its loop when it sees nothing more to do, and raises LoopExit in the main program. But a
            # signal's handler, for one, may still fill the slot.
            timer = hub.loop.timer(_NOW_AND_THEN, _NOW_AND_THEN)
        self._waiters[waiter] = hub.loop
        try:
            if timer is not None:
                timer.start(waiter.switch, update=True)
            # A loop, because somebody else's forgotten timer may switch here as well.
            while not self.done and (timer is None or timer.active):
                hub.switch()
        finally:
            # Whoever was killed or comes back is not to be woken from a later wait.
            del self._waiters[waiter]
            if timer is not None:
                timer.close()
            if self._wakes:
                wake = self._wakes.pop(waiter, None)
                if wake is not None:
                    wake.stop()
        return self.done


class GeventBench(Bench):
    __slots__ = ("_asked", "_loop", "_waiting", "_waking", "_wanted")

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._loop: Any = None
        # The wake-up in the loop's queue, and whether it is under way.
        self._asked: Any = None
        self._waking = False
        # An ordered set: whoever came last is woken first, and the others may be let go some day.
        self._waiting: dict[Any, None] = {}

    def wait(self) -> None:
        waiter = _getcurrent()
        hub = _get_hub()
        self._loop = hub.loop
        self._waiting[waiter] = None
        try:
            hub.switch()
        finally:
            del self._waiting[waiter]

    def call(self) -> None:
        if self._waiting and not self._waking and (self._asked is None or not self._asked.pending):
            self._asked = self._loop.run_callback(self._wake)

    def _wake(self) -> None:
        # In the hub, to which each comes back when it blocks. What they do without that, such as a hundred small
        # jobs, costs two switches in all.
        waiting, wanted = self._waiting, self._wanted
        self._waking = True
        try:
            while waiting and wanted():
                next(reversed(waiting)).switch()
        finally:
            self._waking = False
            if waiting and wanted():  # Ctrl-C, in one of them
                self.call()
