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

import signal
import threading
from collections.abc import Callable, Iterable
from itertools import starmap
from time import sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wampy.backends._tasks import ThreadTask
    from wampy.backends._watches import ThreadWatch

# What threading.Condition uses of it too.
monitor: Any = threading.RLock()
is_held = monitor._is_owned
_release_save = monitor._release_save
_acquire_restore = monitor._acquire_restore

_ONCE = ((),)
LONGEST = threading.TIMEOUT_MAX

# How often, and for how many seconds, a new thread waits for the main one to take a signal.
_TURNS, _TURN = 20, 0.001
_HAS_MASKS = hasattr(signal, "pthread_sigmask")
_ALL = signal.valid_signals()


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


def is_main() -> bool:
    return threading.get_ident() == threading.main_thread().ident


def start(function: Callable[..., Any], *args: Any, name: str) -> None:
    """Start a daemon thread, in which no signal arrives unless it asks for them with `take_signals`.

    Only the main thread runs handlers of signals, and the system wakes it for them. But a thread that makes another
    or lets signals arrive again in that very moment takes the signal, and the main one sleeps on.
    """
    # With the monitor, so that no throw strikes the caller here; see `wampy.backends._tasks`.
    with monitor:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL) if _HAS_MASKS else set()
        try:
            threading.Thread(target=function, args=args, name=f"wampy {name}", daemon=True).start()
        finally:
            take_signals(before)


def take_signals(blocked: Iterable[int] = ()) -> None:
    """Let signals arrive in this thread again, but for some: programs that the user's code starts inherit that."""
    if _HAS_MASKS:
        turns = 0 if is_main() else _TURNS
        while turns and signal.sigpending():
            turns -= 1
            sleep(_TURN)  # for the main thread to take them first
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


here = Here()
