"""The gevent backend, without monkey patching; the extra ``wampy[gevent]``.

Everything here may be called from any green thread of one OS thread. Functions given to `call_later` and
`Watch.want_write` run in the hub itself and must neither block nor raise; `on_readable` runs in the watch's
own green thread, the reader.

The loop calls two kinds of things by itself, and no other: ``switch`` of a green thread that waits, and its own
``run_callback``, which queues what is in Python. Ctrl-C can thus never come up inside a watcher's callback, which would
stop the watcher, and a connection would go deaf in silence. The queue is run before the loop looks at sockets again.
"""

from __future__ import annotations

import os
import socket as stdlib_socket
import traceback
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any

import gevent
import gevent.monkey
import greenlet

from wampy.backends._common import check_home, hear_signals, in_the_hub, look_up, this_thread
from wampy.interfaces import READ, Addresses, Backend, Direction, Slot, Socket, Task, Timer, Watch

# In a patched program the standard modules are green; these are the real ones.
_real_socket = gevent.monkey.get_original("socket", "socket")
_getaddrinfo = gevent.monkey.get_original("socket", "getaddrinfo")
_local = gevent.monkey.get_original("_thread", "_local")()
_start_thread = gevent.monkey.get_original("_thread", "start_new_thread")

_get_hub = gevent.get_hub
_getcurrent = greenlet.getcurrent

# What the loop calls "can be read" and "can be written to".
_READ, _WRITE = 1, 2

# Seconds between two needless looks of the main program that waits without a timeout.
_NOW_AND_THEN = 3600.0


class _Slot(Slot):
    __slots__ = ("_done", "_value", "_waiters", "_wakes")

    def __init__(self) -> None:
        self._done = False
        self._value: Any = None
        # Green thread to loop. The hub is not asked for before somebody waits: asking makes one, with descriptors,
        # and constructors shall not.
        self._waiters: dict[Any, Any] = {}
        # Green thread to its wake-up in the loop's queue.
        self._wakes: dict[Any, Any] = {}

    @property
    def done(self) -> bool:
        return self._done

    @property
    def value(self) -> Any:
        return self._value

    def set(self, value: Any = None) -> bool:
        if self._done:
            return False
        self._done = True
        self._value = value
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
        if self._done:
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
            while not self._done and (timer is None or timer.active):
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
        return self._done


class _Task(Task):
    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        hub = _get_hub()
        self._loop = hub.loop
        self._ended = _Slot()
        self._greenlet = greenlet.greenlet(self._run, hub)
        self._start = self._loop.run_callback(self._greenlet.switch, function, args)

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except greenlet.GreenletExit:
            pass  # killed: its owner knows
        except Exception:
            # What runs here guards itself; this is the last resort that keeps an error from vanishing.
            traceback.print_exc()
        finally:
            self._ended.set()

    def join(self, timeout: float | None = None) -> bool:
        return self._ended.wait(timeout)

    def throw(self, error: BaseException, still: Callable[[], bool] | None = None) -> None:
        self._loop.run_callback(self._throw, error, still)

    def _throw(self, error: BaseException, still: Callable[[], bool] | None) -> None:
        if self._ended.done or (still is not None and not still()):
            return
        if not self._greenlet:  # not started
            self._start.stop()
            self._ended.set()
            return
        self._greenlet.throw(error)

    @property
    def is_current(self) -> bool:
        return _getcurrent() is self._greenlet


class _Timer:
    """A call later; one that is due at once keeps its place behind what was queued before it."""

    __slots__ = ("_handle",)

    def __init__(self, seconds: float, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        loop = _get_hub().loop
        if seconds > 0:
            self._handle = loop.timer(seconds)
            self._handle.start(loop.run_callback, self._due, function, args, update=True)
        else:
            self._handle = loop.run_callback(function, *args)

    def _due(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self._handle is not None:
            self.cancel()
            function(*args)

    def cancel(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()


class _Watch(Watch):
    """One socket, one parked reader. See the table "who runs where" in docs/architecture."""

    def __init__(self, sock: Socket, on_readable: Callable[[], None]) -> None:
        self._hub = _get_hub()
        self._loop = self._hub.loop
        self._fileno = sock.fileno()
        self._on_readable = on_readable
        self._on_writable: Callable[[], None] | None = None
        self._parked = False
        self._closed = False
        self._read_watcher = self._loop.io(self._fileno, _READ)
        self._write_watcher: Any = None
        _watches.add(self)
        self._start_reader()

    def _start_reader(self) -> None:
        self._reader = greenlet.greenlet(self._run, self._hub)
        self._loop.run_callback(self._reader.switch)

    def _run(self) -> None:
        try:
            while not self._closed:
                self._keep_watching()
                self._parked = True
                self._hub.switch()
                self._parked = False
                if not self._closed:
                    self._on_readable()
        except (KeyboardInterrupt, SystemExit):
            # They are the main program's; the socket needs a reader for the goodbye all the same.
            self._restart()
            raise
        except BaseException:
            # on_readable does not raise; if it ever does (a gevent.Timeout in a hook), say so and go on.
            traceback.print_exc()
            self._restart()

    def _keep_watching(self) -> None:
        # The writing too: a second Ctrl-C, while gevent still reports the first one, may have stopped either.
        if not self._read_watcher.active:
            self._read_watcher.start(self._loop.run_callback, self._wake)
        if self._on_writable is not None and not self._write_watcher.active:
            self._write_watcher.start(self._loop.run_callback, self._writable)

    def _restart(self) -> None:
        self._parked = False
        if not self._closed:
            self._start_reader()

    def _wake(self) -> None:
        # Queued by the loop, hence the first line. The third: an overridden handle_* may block the reader on
        # something of its own, and a watcher that stays would spin until it comes back, which starts it anew.
        if self._closed:
            return
        if not self._parked:
            self._read_watcher.stop()
            return
        self._reader.switch()

    def want_write(self, callback: Callable[[], None] | None) -> None:
        if self._closed:
            return
        self._on_writable = callback
        if callback is None:
            if self._write_watcher is not None:
                self._write_watcher.stop()
            return
        if self._write_watcher is None:
            self._write_watcher = self._loop.io(self._fileno, _WRITE)
        if not self._write_watcher.active:
            self._write_watcher.start(self._loop.run_callback, self._writable)

    def _writable(self) -> None:
        if self._on_writable is not None:
            self._on_writable()

    def poke(self) -> None:
        self._loop.run_callback(self._wake)

    def close(self) -> None:
        if self._closed:
            return
        self._close_watchers()
        if self._parked:
            self._loop.run_callback(self._let_go)

    def _close_watchers(self) -> None:
        self._closed = True
        self._on_writable = None
        self._read_watcher.close()
        if self._write_watcher is not None:
            self._write_watcher.close()

    def _let_go(self) -> None:
        if self._parked:
            self._reader.switch()  # it sees that it is closed, and ends

    @property
    def is_reader(self) -> bool:
        return _getcurrent() is self._reader

    def disown(self) -> None:
        """In a forked child: leave the socket to the parent."""
        self.orphaned = True
        if not self._closed and self._hub.loop is not None:
            # First a new view of the kernel's: the one that was inherited is the parent's too, who would go deaf.
            self._loop.reinit()
            self._close_watchers()


def _disown_all() -> None:
    for watch in list(_watches):
        watch.disown()


# A forked child inherits the hub with its watchers; without this it would read its parent's messages away.
_watches: weakref.WeakSet[_Watch] = weakref.WeakSet()
os.register_at_fork(after_in_child=_disown_all)


def _real_pair() -> tuple[Any, Any]:
    # socketpair() makes green sockets in a patched program.
    ours, theirs = stdlib_socket.socketpair()
    return _real_socket(fileno=ours.detach()), _real_socket(fileno=theirs.detach())


class GeventBackend(Backend):
    """The verbs, in gevent's words."""

    name = "gevent"
    kill_error = gevent.GreenletExit
    elsewhere = "gevent.get_hub().threadpool.apply(function, (…,))"

    def spawn(self, function: Callable[..., Any], *args: Any) -> Task:
        return _Task(function, args)

    def slot(self) -> Slot:
        return _Slot()

    def call_later(self, seconds: float, function: Callable[..., Any], *args: Any) -> Timer:
        return _Timer(seconds, function, args)

    def sleep(self, seconds: float = 0.0) -> None:
        gevent.sleep(seconds)

    def monotonic(self) -> float:
        return monotonic()  # the clock of gevent's loops

    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        sock: Socket = _real_socket(family, kind, protocol)
        sock.setblocking(False)
        return sock

    def wait(self, sock: Socket, direction: Direction, deadline: float | None) -> bool:
        timeout = None if deadline is None else max(deadline - self.monotonic(), 0.0)
        if timeout == 0.0:
            return False
        ready = _Slot()
        loop = _get_hub().loop
        watcher = loop.io(sock.fileno(), _READ if direction == READ else _WRITE)
        try:
            watcher.start(loop.run_callback, ready.set)
            return ready.wait(timeout)
        finally:
            watcher.close()

    def watch(self, sock: Socket, on_readable: Callable[[], None]) -> Watch:
        return _Watch(sock, on_readable)

    def on_signals(self, callback: Callable[[int], None]) -> Callable[[], None]:
        loop = _get_hub().loop

        def listen(sock: Socket, arrived: Callable[[], None]) -> Callable[[], None]:
            watcher = loop.io(sock.fileno(), _READ)
            watcher.start(loop.run_callback, arrived)
            end: Callable[[], None] = watcher.close
            return end

        return hear_signals(_real_pair(), callback, listen)

    def mutex(self) -> AbstractContextManager[Any]:
        return nullcontext()  # green threads switch only where they wait

    def home(self) -> tuple[int, object]:
        return os.getpid(), this_thread(_local)

    def check_caller(self, home: Any) -> None:
        check_home(home, self.home(), self.name)
        if _getcurrent() is _get_hub():
            raise in_the_hub(self.name)

    def resolve(self, host: str, port: int, family: int, deadline: float | None, turn: Slot | None = None) -> Addresses:
        # On a thread that is not of gevent's pool: a few names whose server is silent would fill that.
        return look_up(
            self,
            (host, port, family),
            deadline,
            turn,
            ask=_getaddrinfo,
            make_pair=_real_pair,
            start_thread=lambda look: _start_thread(look, ()),
        )

    def monkey_patch(self) -> None:
        gevent.monkey.patch_all()
