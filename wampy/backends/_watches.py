"""Sockets that are watched, and timers, on OS threads; see `wampy.backends._monitor` for who may touch what."""

from __future__ import annotations

import heapq
import selectors
import socket
import threading
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any, Self

from wampy.backends._monitor import LONGEST, here, monitor, start
from wampy.backends._tasks import ThreadSlot
from wampy.interfaces import READ, WRITE, Socket, Timer, Watch

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
EVENTS = {READ: _READ, WRITE: _WRITE}
Selector: Any = getattr(selectors, "PollSelector", selectors.SelectSelector)

# Seconds that the timer thread waits for new timers before it ends, and a due timer for a reader that was poked.
_LINGER = 0.1
_PATIENCE = 1.0


class ThreadTimer(Timer):
    def __init__(self, at: float, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.at = at
        self.function = function
        self.args = args
        self._number = next(_numbers)

    def __lt__(self, other: ThreadTimer) -> bool:
        return (self.at, self._number) < (other.at, other._number)

    def cancel(self) -> None:
        _timers.remove(self)


class Timers:
    """All timers, and the thread that calls them; it is started when there is one, and ends when there is none."""

    def __init__(self) -> None:
        self._heap: list[ThreadTimer] = []
        self._running = False
        self._changed = threading.Condition(monitor)

    def add(self, timer: ThreadTimer) -> None:
        with monitor:
            heapq.heappush(self._heap, timer)
            if not self._running:
                start(self._run, name="timers")
                self._running = True
            elif self._heap[0] is timer:
                self._changed.notify()

    def remove(self, timer: ThreadTimer) -> None:
        with monitor, suppress(ValueError):  # it has run
            self._heap.remove(timer)
            heapq.heapify(self._heap)
            if not self._heap:
                self._changed.notify()

    def _run(self) -> None:
        here.in_timers = True
        with monitor:
            while self._heap or self._changed.wait(_LINGER) or self._heap:
                if not self._heap:
                    continue
                delay = self._heap[0].at - monotonic()
                if delay > 0:
                    self._changed.wait(min(delay, LONGEST))
                elif not self._wait_for_readers():
                    _call(heapq.heappop(self._heap))
            self._running = False

    def _wait_for_readers(self) -> bool:
        """Let readers that were poked look at their sockets first: what has come is not late. Say if there were any."""
        for watch in list(_poked):
            if not watch.in_turn:
                _poked[watch].wait(_PATIENCE)
                _poked.pop(watch, None)
                return True
        return False


def _call(timer: ThreadTimer) -> None:
    # A function of its own, so that nothing of the last timer is kept until the next.
    try:
        timer.function(*timer.args)
    except BaseException:  # the last resort
        traceback.print_exc()


class ThreadWatch(Watch):
    """One socket and its reader, a daemon thread that polls it without the monitor, and uses it with it."""

    def __init__(self, sock: Socket, on_readable: Callable[[], None]) -> None:
        self._fileno = sock.fileno()
        self._on_readable = on_readable
        self._on_writable: Callable[[], None] | None = None
        self._closed = False
        self._is_poked = False
        self.in_turn = False
        self._waker = Waker()
        _watches.add(self)
        try:
            start(self._run, name=f"reader of {self._fileno}")
        except BaseException:
            self._closed = True
            self._waker.close()
            raise

    def _run(self) -> None:
        here.watch = self
        selector = Selector()
        selector.register(self._waker, _READ)
        selector.register(self._fileno, wanted := _READ)
        while not self._closed:
            ready = {key.fd: mask for key, mask in selector.select()}
            with monitor:
                self._waker.clear()
                if not self._closed:
                    self._turn(ready.get(self._fileno, 0))
                before, wanted = wanted, _READ if self._on_writable is None else _READ | _WRITE
                if before != wanted:
                    selector.modify(self._fileno, wanted)
        with monitor:
            selector.close()
            self._waker.close()

    def _turn(self, mask: int) -> None:
        is_poked, self._is_poked = self._is_poked, False
        self.in_turn = True
        try:
            if mask & _WRITE and self._on_writable is not None:
                self._on_writable()
            if (mask & _READ or is_poked) and not self._closed:
                self._on_readable()
        except BaseException:
            # on_readable does not raise; if it ever does (a hook that exits), say so and go on.
            traceback.print_exc()
        finally:
            self.in_turn = False
            self._served()

    def _served(self) -> None:
        poked = _poked.pop(self, None)
        if poked is not None:
            poked.set()

    def want_write(self, callback: Callable[[], None] | None) -> None:
        with monitor:
            if not self._closed:
                self._on_writable = callback
                self._wake()

    def poke(self) -> None:
        with monitor:
            if not self._closed:
                self._is_poked = True
                _poked.setdefault(self, ThreadSlot())
                self._wake()

    def close(self) -> None:
        with monitor:
            if not self._closed:
                self._closed = True
                self._on_writable = None
                self._served()
                self._wake()

    def _wake(self) -> None:
        if not self.is_reader or self._is_poked:
            self._waker.wake()

    @property
    def is_reader(self) -> bool:
        return here.watch is self

    def disown(self) -> None:
        """In a forked child: leave the socket, and what wakes the reader, to the parent."""
        self.orphaned = self._closed = True


class Waker:
    """Ends a poll; a pair of sockets, as these are all that can be polled everywhere."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._is_woken = False

    def fileno(self) -> int:
        return self._ours.fileno()

    def wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._theirs.send(b"x")

    def clear(self) -> None:
        if self._is_woken:
            self._is_woken = False
            self._ours.recv(1)

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_numbers = count()
_watches: weakref.WeakSet[ThreadWatch] = weakref.WeakSet()
# Readers that were asked to look once more and have not done so yet.
_poked: dict[ThreadWatch, ThreadSlot] = {}
_timers = Timers()


def call_later(seconds: float, function: Callable[..., Any], args: tuple[Any, ...]) -> Timer:
    """Have the timer thread call a function."""
    timer = ThreadTimer(monotonic() + seconds, function, args)
    _timers.add(timer)
    return timer


def disown_watches() -> None:
    """In a forked child: no watches, no timers."""
    global _timers
    _timers = Timers()
    _poked.clear()
    for watch in list(_watches):
        watch.disown()
