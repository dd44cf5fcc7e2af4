"""OS threads: the reader, the workers and the hooks are threads of the system, and so is whoever uses a client.

What stands above was written for green threads: it runs without being interrupted, and others run only where it waits.
One re-entrant lock, the monitor, gives exactly that. Whatever belongs to the engine holds it (`inside`); waiting and
the user's code (`outside`) release it completely, however often it is held, and take it back afterwards.

Who may touch what: everything here is changed with the monitor held. Callbacks of timers run in the one timer thread,
those of a watch in its reader; both hold the monitor, and must neither block nor raise.

A throw strikes a task at one of three places, and nowhere else. In one of our own waits it is woken and raises there.
In the user's code the interpreter raises at the thread's next instruction. When the user's code has ended meanwhile,
`outside` takes the exception off the interpreter's hands and raises it at its own end; likewise `inside`, before it
begins, when the user's code has just called the engine. So the engine is never struck half-way.
"""

from __future__ import annotations

import ctypes
import threading
import traceback
import weakref
from collections.abc import Callable
from itertools import starmap
from time import monotonic
from typing import TYPE_CHECKING, Any

from wampy.interfaces import Slot, Task

if TYPE_CHECKING:
    from wampy.backends._watches import ThreadWatch

# What threading.Condition uses of it too.
monitor: Any = threading.RLock()
is_held = monitor._is_owned
_release_save = monitor._release_save
_acquire_restore = monitor._acquire_restore

_ONCE = ((),)
LONGEST = threading.TIMEOUT_MAX


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


class Here(threading.local):
    """What the calling thread is."""

    task: ThreadTask | None = None
    watch: ThreadWatch | None = None
    in_timers = False


def released(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function while the monitor, which the caller holds, is free."""
    # Ctrl-C and throws come between two instructions behind a call. Releasing and noting it is one call, and between
    # it and the one that takes the monitor back there is no place that is not covered.
    saved: list[Any] = []
    try:
        saved.extend(starmap(_release_save, _ONCE))
        return function(*args, **kwargs)
    finally:
        if saved:
            _acquire_restore(saved[0])


def blocked(wake: Callable[[], Any], function: Callable[..., Any], /, *args: Any) -> Any:
    """Wait in a function that blocks, with the monitor free; `wake` makes it return, for a throw."""
    task = here.task
    if task is None:
        return released(function, *args)
    task.strike()
    task.wake = wake
    try:
        return released(function, *args)
    finally:
        task.wake = None
        task.strike()


def start(function: Callable[..., Any], *args: Any, name: str) -> None:
    threading.Thread(target=function, args=args, name=f"wampy {name}", daemon=True).start()


class ThreadSlot(Slot):
    __slots__ = ("_done", "_gates", "_value")

    def __init__(self) -> None:
        self._done = False
        self._value: Any = None
        # A locked lock for each waiter.
        self._gates: list[Any] = []

    @property
    def done(self) -> bool:
        return self._done

    @property
    def value(self) -> Any:
        return self._value

    def set(self, value: Any = None) -> bool:
        with monitor:
            if self._done:
                return False
            self._value = value
            self._done = True
            for gate in self._gates:
                _open(gate)
            return True

    def wait(self, timeout: float | None = None) -> bool:
        if self._done:
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
                while not self._done:
                    seconds = -1 if end is None else min(end - monotonic(), LONGEST)
                    if end is not None and seconds <= 0:
                        break
                    blocked(lambda: _open(gate), gate.acquire, True, seconds)
            finally:
                self._gates.remove(gate)
            return self._done


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
        tasks.add(self)
        start(self._run, function, args, name=getattr(function, "__qualname__", "task"))

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
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
                # It does not hold the monitor, and waits for nothing of ours: it is in the user's code.
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


def _interrupt(ident: int, error: type[BaseException] | None) -> None:
    """Have the interpreter raise a class in a thread, or call that off."""
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), raised)


here = Here()
tasks: weakref.WeakSet[ThreadTask] = weakref.WeakSet()
