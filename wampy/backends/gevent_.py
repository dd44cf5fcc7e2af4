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
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from time import monotonic
from typing import Any

import gevent
import gevent.monkey
import greenlet

from wampy.backends._common import check_home, hear_signals, in_the_hub, leave_home, look_up, this_home
from wampy.backends._gevent_slots import GeventBench, GeventSlot
from wampy.backends._gevent_watches import LOOP_READ, LOOP_WRITE, GeventWatch
from wampy.interfaces import READ, Addresses, Backend, Bench, Direction, Slot, Socket, Task, Timer, Watch

# In a patched program the standard modules are green; these are the real ones.
_real_socket = gevent.monkey.get_original("socket", "socket")
_getaddrinfo = gevent.monkey.get_original("socket", "getaddrinfo")
_local = gevent.monkey.get_original("_thread", "_local")()
os.register_at_fork(after_in_child=partial(leave_home, _local))
_start_thread = gevent.monkey.get_original("_thread", "start_new_thread")

_get_hub = gevent.get_hub
_getcurrent = greenlet.getcurrent


class _Task(Task):
    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        hub = _get_hub()
        self._loop = hub.loop
        self._ended = GeventSlot()
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

    slot = staticmethod(GeventSlot)

    def bench(self, wanted: Callable[[], bool]) -> Bench:
        return GeventBench(wanted)

    def call_later(self, seconds: float, function: Callable[..., Any], *args: Any) -> Timer:
        return _Timer(seconds, function, args)

    def sleep(self, seconds: float = 0.0) -> None:
        gevent.sleep(seconds)

    # The clock of gevent's loops; as it is, because it is asked several times for each message.
    monotonic = staticmethod(monotonic)

    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        sock: Socket = _real_socket(family, kind, protocol)
        sock.setblocking(False)
        return sock

    def wait(self, sock: Socket, direction: Direction, deadline: float | None) -> bool:
        timeout = None if deadline is None else max(deadline - self.monotonic(), 0.0)
        if timeout == 0.0:
            return False
        ready = GeventSlot()
        loop = _get_hub().loop
        watcher = loop.io(sock.fileno(), LOOP_READ if direction == READ else LOOP_WRITE)
        try:
            watcher.start(loop.run_callback, ready.set)
            return ready.wait(timeout)
        finally:
            watcher.close()

    def watch(self, sock: Socket, on_readable: Callable[[], None]) -> Watch:
        return GeventWatch(sock, on_readable)

    def on_signals(self, callback: Callable[[int], None]) -> Callable[[], None]:
        loop = _get_hub().loop

        def listen(sock: Socket, arrived: Callable[[], None]) -> Callable[[], None]:
            watcher = loop.io(sock.fileno(), LOOP_READ)
            watcher.start(loop.run_callback, arrived)
            end: Callable[[], None] = watcher.close
            return end

        return hear_signals(_real_pair(), callback, listen)

    def mutex(self) -> AbstractContextManager[Any]:
        return nullcontext()  # green threads switch only where they wait

    def home(self) -> tuple[int, object]:
        return this_home(_local)

    def check_caller(self, home: Any) -> None:
        if getattr(_local, "home", None) is not home:
            check_home(home, this_home(_local), self.name)
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
