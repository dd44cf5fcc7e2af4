"""Slots and tasks of OS threads, and how a task is struck; see `wampy.backends._monitor` for who may touch what."""

from __future__ import annotations

import ctypes
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from time import monotonic
from typing import Any

from wampy.backends._monitor import LONGEST, here, is_main, monitor, released, start, take_signals
from wampy.interfaces import Bench, Slot, Task

# Seconds that the main thread may take for its handlers.
_PATIENCE = 1.0
_STARTER = threading.Thread.start.__code__
# Seconds after which to look again whether a thread that was to be struck has started its other thread.
_STARTING = 0.01


class Killed(BaseException):
    """What ends a thread of ours, as a kill ends a green thread."""


class _Struck(Killed):
    """The same, raised by the interpreter; made in the thread itself, which so learns that it has been struck."""

    def __init__(self) -> None:
        super().__init__()
        task = here.task
        if task is not None and task.due:
            task.due.pop(0)


_Struck.__name__ = _Struck.__qualname__ = Killed.__name__


def blocked(wake: Callable[[], Any], function: Callable[..., Any], /, *args: Any) -> Any:
    """Wait in a function that blocks, with the monitor free; `wake` makes it return, for a throw."""
    task = here.task
    if task is None:
        return _blocked_main(wake, function, *args) if is_main() else released(function, *args)
    task.strike()
    task.wake = wake
    try:
        return released(function, *args)
    finally:
        task.wake = None
        task.strike()


def _blocked_main(wake: Callable[[], Any], function: Callable[..., Any], /, *args: Any) -> Any:
    wait = _MainWait(wake)
    _main_waits.append(wait)
    try:
        return released(function, *args)
    finally:
        _main_waits.remove(wait)
        if wait.over is not None:
            wait.over.set()


class _MainWait:
    """A wait of the main thread.

    Attributes:
        wake: Makes it look up, and wait on.
        over: Filled when it does, if somebody wants to know.
    """

    def __init__(self, wake: Callable[[], Any]) -> None:
        self.wake = wake
        self.over: ThreadSlot | None = None


def let_handlers_run() -> None:
    """Wait until the main thread, if it is in a wait of ours, has run the handlers of the signals that have come."""
    with monitor:
        if _main_waits:
            wait = _main_waits[-1]
            wait.over = wait.over or ThreadSlot()
            wait.wake()
            wait.over.wait(_PATIENCE)


class ThreadSlot(Slot):
    __slots__ = ("_gates", "done", "value")

    done: bool
    value: Any

    def __init__(self) -> None:
        self.done = False
        self.value = None
        # A locked lock for each waiter.
        self._gates: list[Any] = []

    def set(self, value: Any = None) -> bool:
        with monitor:
            if self.done:
                return False
            self.value = value
            self.done = True
            for gate in self._gates:
                _open(gate)
            return True

    def wait(self, timeout: float | None = None) -> bool:
        if self.done:
            return True
        if timeout is not None and timeout <= 0:
            return False
        end = None if timeout is None else monotonic() + timeout
        with monitor:
            gate = threading.Lock()
            gate.acquire()
            self._gates.append(gate)
            try:
                # A loop, because a throw that does not count any more opens the gate as well.
                while not self.done:
                    seconds = -1 if end is None else min(end - monotonic(), LONGEST)
                    if end is not None and seconds <= 0:
                        break
                    blocked(lambda: _open(gate), gate.acquire, True, seconds)
            finally:
                self._gates.remove(gate)
            return self.done


class ThreadBench(Bench):
    __slots__ = ("_called", "_slots", "_wanted")

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._slots: list[ThreadSlot] = []
        # Of the one that is on its way. One at a time: threads that come for nothing only disturb.
        self._called: ThreadSlot | None = None

    def wait(self) -> None:
        with monitor:
            slot = ThreadSlot()
            self._slots.append(slot)
            try:
                slot.wait()
            finally:
                if self._called is slot:
                    self._called = None
                else:
                    self._slots.remove(slot)

    def call(self) -> None:
        with monitor:
            if self._called is None and self._slots and self._wanted():
                self._called = self._slots.pop()
                self._called.set()


def _open(gate: Any) -> None:
    if gate.locked():  # not when a throw or another reason has come first, and the waiter is still on its way
        gate.release()


class ThreadTask(Task):
    """A daemon thread that holds the monitor while it runs.

    Attributes:
        due: What was thrown and has not struck yet, each with its condition.
        wake: Ends the wait that the thread is in; ``None`` when it is in none of ours.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.due: list[tuple[BaseException, Callable[[], bool] | None]] = []
        self.wake: Callable[[], Any] | None = None
        self._ended = ThreadSlot()
        self._ident: int | None = None
        _tasks.add(self)
        start(self._run, function, args, name=getattr(function, "__qualname__", "task"))

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        take_signals()
        with monitor:
            if self._ended.done:
                return
            self._ident = threading.get_ident()
            here.task = self
            try:
                function(*args)
            except Killed:
                pass  # its owner knows
            except BaseException:
                # What runs here guards itself; this is the last resort that keeps an error from vanishing. No
                # thread but the main one can end the program, so that sys.exit() is told as well.
                traceback.print_exc()
            finally:
                here.task = None
                self._ended.set()

    def join(self, timeout: float | None = None) -> bool:
        return self._ended.wait(timeout)

    def throw(self, error: BaseException, still: Callable[[], bool] | None = None) -> None:
        with monitor:
            if self._ended.done or (still is not None and not still()):
                return
            if self._ident is None:
                self._ended.set()
                return
            self.due.append((error, still))
            if self.wake is not None:
                self.wake()
            elif not self.is_current:
                self._strike_outside()

    def _strike_outside(self) -> None:
        """Have the interpreter raise in the user's code, if what was thrown has not struck elsewhere by then."""
        with monitor:
            # If it does not hold the monitor, and waits for nothing of ours, it is in the user's code.
            if self._ident is None or not self.due or self.wake is not None:
                return
            if _is_starting_a_thread(self._ident):
                later = threading.Timer(_STARTING, self._strike_outside)
                later.daemon = True
                later.start()
            else:
                _interrupt(self._ident, _Struck)

    def strike(self) -> None:
        """Raise what was thrown, if it still counts; in the thread itself, with the monitor held."""
        if self.due and self._ident is not None:
            _interrupt(self._ident, None)
        while self.due:
            error, still = self.due.pop(0)
            if still is None or still():
                raise error

    def disown(self) -> None:
        """In a forked child, where the thread is not: let nobody wait for it."""
        if not self.is_current:
            self._ended.set()

    @property
    def is_current(self) -> bool:
        return here.task is self


def _is_starting_a_thread(ident: int) -> bool:
    """Say whether a thread is about to start another, which in Python 3.11 has the same identity for a moment.

    The exception would be raised in that one, and whoever has started it would wait for ever.
    """
    frame = sys._current_frames().get(ident)
    while frame is not None:
        if frame.f_code is _STARTER:
            return True
        frame = frame.f_back
    return False


def _interrupt(ident: int, error: type[BaseException] | None) -> None:
    """Have the interpreter raise a class in a thread, or call that off."""
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), raised)


_main_waits: list[_MainWait] = []
_tasks: weakref.WeakSet[ThreadTask] = weakref.WeakSet()


def disown_tasks() -> None:
    """In a forked child, which has no thread but the one that forked."""
    _main_waits.clear()
    for task in list(_tasks):
        task.disown()
