"""Slots and benches on eventlet, and the way that those who wait there are woken."""

from __future__ import annotations

import traceback
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

with warnings.catch_warnings():
    # eventlet announces its retirement at every import; that is the README's to say, and under -W error it
    # would end the import. Round our own import only: the user's imports warn as eventlet wants.
    warnings.simplefilter("ignore")
    from eventlet.hubs import get_hub
    from eventlet.support import greenlets as greenlet

from wampy.backends._eventlet_hubs import revive
from wampy.interfaces import Bench, Slot

_getcurrent = greenlet.getcurrent


def living_hub() -> Any:
    """Return the hub, for a wait; see `revive`."""
    hub = get_hub()
    if hub.running and hub.greenlet.dead:
        revive(hub)
    return hub


class _Woken(deque[tuple[Any, Any]]):
    """Slots that were filled, and who is to be woken for that; benches, each with ``None``."""

    __slots__ = ("timer",)
    #: What will wake them, unless they are woken behind a turn of the reader.
    timer: Any


# By hub: those that are being collected.
_woken: dict[Any, _Woken] = {}


def switch_and_wake(hub: Any, reader: Any) -> None:
    """Switch to a reader, and behind its turn to those who wait for the slots that it has filled; called by the hub.

    Hot: the answers of one turn come together, and a timer of the hub's costs more than a switch.

    Args:
        hub: The hub.
        reader: The green thread to switch to.
    """
    if hub in _woken:  # a timer will see to them all
        reader.switch()
        return
    woken = _woken[hub] = _Woken()
    woken.timer = None
    try:
        reader.switch()
        _wake_all(hub, woken)
    except BaseException as exc:
        # Ctrl-C, or what was raised in a green thread that nobody guards; those who are left are a timer's.
        if _woken.get(hub) is woken:
            del _woken[hub]
        if woken:
            hub.schedule_call_global(0, _wake_all, hub, woken)
        if isinstance(exc, (KeyboardInterrupt, SystemExit)):
            raise
        traceback.print_exc()  # the hub would blame, and drop, the descriptor


def _wake_soon(hub: Any, slot: Any, waiter: Any) -> None:
    """Have the hub switch to who waits for a slot that was just filled; behind all that it was asked for before."""
    woken = _woken.get(hub)
    asked = hub.next_timers
    if woken is None or (asked[-1][1] is not woken.timer if asked else woken.timer is not None):
        woken = _Woken()
        woken.timer = hub.schedule_call_global(0, _wake_all, hub, woken)
        _woken[hub] = woken
    if waiter is None and woken and woken[-1][0] is slot:
        return  # a bench, called for each invocation of a turn
    woken.append((slot, waiter))


def _wake_all(hub: Any, woken: _Woken) -> None:
    number = len(woken)
    main: tuple[EventletSlot, Any] | None = None
    try:
        if _woken.get(hub) is woken:
            del _woken[hub]  # those that are woken may fill slots themselves, for the next time
        while woken:
            slot, waiter = woken[0]
            if waiter is None:
                slot.wake()
            elif waiter.parent is None:
                main = slot, waiter
            elif waiter in slot.waiters:  # as `EventletSlot.wake`, without another step
                waiter.switch()
            woken.popleft()  # not before: Ctrl-C must not make anybody forgotten, and to be woken twice does no harm
    except BaseException:
        if woken and woken.timer is not None:
            hub.schedule_call_global(0, _wake_all, hub, woken)
        raise
    finally:
        if main is not None:
            # The main program last, when what the others wrote has gone out: it is the one that may go on to block
            # natively (a prompt, time.sleep), and then nothing would leave for as long as that takes.
            slot, waiter = main
            timers = hub.timers
            if number > 1 or hub.next_timers or (timers and timers[0][0] <= hub.clock()):
                hub.schedule_call_global(0, slot.wake, waiter)
            elif slot.waiters and waiter in slot.waiters:  # as above
                waiter.switch()


class EventletSlot(Slot):
    __slots__ = ("done", "value", "waiters")

    # Attributes, because each message looks at several.
    done: bool
    value: Any

    def __init__(self) -> None:
        self.done = False
        self.value = None
        # Green thread to hub. The hub is not asked for before somebody waits: asking makes one, with a
        # descriptor, and constructors shall not.
        self.waiters: dict[Any, Any] | None = None

    def set(self, value: Any = None) -> bool:
        if self.done:
            return False
        self.done = True
        self.value = value
        if self.waiters:
            for waiter, hub in self.waiters.items():
                woken = _woken.get(hub)
                if woken is not None and woken.timer is None and not hub.next_timers:
                    woken.append((self, waiter))  # hot: as `_wake_soon`, in a turn of the reader
                else:
                    _wake_soon(hub, self, waiter)
        return True

    def wake(self, waiter: Any) -> None:
        # Whoever was killed or came back meanwhile has taken itself off the list, so that nobody is woken from
        # a later wait of theirs.
        if self.waiters and waiter in self.waiters:
            waiter.switch()

    def wait(self, timeout: float | None = None) -> bool:
        if self.done:
            return True
        if timeout is not None and timeout <= 0:
            return False
        waiter = _getcurrent()
        hub = get_hub()
        if hub.running and hub.greenlet.dead:  # as `living_hub`
            revive(hub)
        end = None if timeout is None else hub.clock() + timeout
        timer = None if timeout is None else hub.schedule_call_global(timeout, self.wake, waiter)
        waiters = self.waiters
        if waiters is None:
            waiters = self.waiters = {}
        waiters[waiter] = hub
        try:
            # A loop, because somebody else's forgotten timer may switch here as well.
            while not self.done and (end is None or hub.clock() < end):
                # Hot: what `hub.switch` does when there is nothing for it to see to.
                loop = hub.greenlet
                if loop.dead or not (loop.parent is waiter or waiter.parent is loop) or hasattr(waiter, "switch_out"):
                    hub.switch()
                else:
                    loop.switch()
        finally:
            del waiters[waiter]
            if timer is not None:
                timer.cancel()
        return self.done


class EventletBench(Bench):
    __slots__ = ("_hub", "_waiting", "_wanted")

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._hub: Any = None
        # An ordered set: whoever came last is woken first, and the others may be let go some day.
        self._waiting: dict[Any, None] = {}

    def wait(self) -> None:
        waiter = _getcurrent()
        self._hub = hub = living_hub()
        self._waiting[waiter] = None
        try:
            hub.switch()
        finally:
            del self._waiting[waiter]

    def call(self) -> None:
        if self._waiting:
            _wake_soon(self._hub, self, None)

    def wake(self) -> None:
        """Switch to one after another; called by the hub, to which each comes back when it blocks."""
        # What they do without blocking, such as a hundred small jobs, costs two switches in all.
        waiting, wanted = self._waiting, self._wanted
        while waiting and wanted():
            next(reversed(waiting)).switch()
