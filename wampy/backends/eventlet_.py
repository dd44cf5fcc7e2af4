"""The default backend: eventlet, without monkey patching.

Everything here may be called from any green thread of one OS thread. Functions given to `call_later` and
`Watch.want_write` run in the hub itself and must neither block nor raise; `on_readable` runs in the watch's
own green thread, the reader.
"""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from time import monotonic
from typing import Any

with warnings.catch_warnings():
    # eventlet announces its retirement at every import; that is the README's to say, and under -W error it
    # would end the import. Round our own import only: the user's imports warn as eventlet wants.
    warnings.simplefilter("ignore")
    import eventlet
    import eventlet.hubs
    import eventlet.patcher
    from eventlet.hubs import trampoline
    from eventlet.support import greenlets as greenlet

from wampy.backends._common import check_home, hear_signals, in_the_hub, leave_home, look_up, this_home
from wampy.backends._eventlet_slots import EventletBench, EventletSlot, living_hub
from wampy.backends._eventlet_watches import EventletWatch, forget
from wampy.interfaces import READ, Addresses, Backend, Bench, Direction, Slot, Socket, Task, Timer, Watch

# In a patched program the standard modules are green; these are the real ones.
_socket = eventlet.patcher.original("socket")
_threading = eventlet.patcher.original("threading")
_getaddrinfo = _socket.getaddrinfo
_local = _threading.local()
os.register_at_fork(after_in_child=partial(leave_home, _local))

_get_hub = eventlet.hubs.get_hub
_getcurrent = greenlet.getcurrent


class _Task(Task):
    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._hub = _get_hub()
        self._ended = EventletSlot()
        self._started = False
        self._greenlet = greenlet.greenlet(self._run, self._hub.greenlet)
        self._hub.schedule_call_global(0, self._start, function, args)

    def _start(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if not self._ended.done:
            self._started = True
            self._greenlet.switch(function, args)

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
        self._hub.schedule_call_global(0, self._throw, error, still)

    def _throw(self, error: BaseException, still: Callable[[], bool] | None) -> None:
        if self._ended.done or (still is not None and not still()):
            return
        if not self._started:
            self._ended.set()
            return
        self._greenlet.throw(error)

    @property
    def is_current(self) -> bool:
        return _getcurrent() is self._greenlet


class EventletBackend(Backend):
    """The verbs, in eventlet's words."""

    name = "eventlet"
    kill_error = greenlet.GreenletExit
    elsewhere = "eventlet.tpool.execute(function, …)"

    def spawn(self, function: Callable[..., Any], *args: Any) -> Task:
        return _Task(function, args)

    slot = staticmethod(EventletSlot)

    def bench(self, wanted: Callable[[], bool]) -> Bench:
        return EventletBench(wanted)

    def call_later(self, seconds: float, function: Callable[..., Any], *args: Any) -> Timer:
        timer: Timer = _get_hub().schedule_call_global(seconds, function, *args)
        return timer

    def sleep(self, seconds: float = 0.0) -> None:
        living_hub()
        eventlet.sleep(seconds)

    # The clock of eventlet's hubs; as it is, because it is asked several times for each message.
    monotonic = staticmethod(monotonic)

    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        sock: Socket = _socket.socket(family, kind, protocol)
        sock.setblocking(False)
        return sock

    def wait(self, sock: Socket, direction: Direction, deadline: float | None) -> bool:
        timeout = None if deadline is None else max(deadline - self.monotonic(), 0.0)
        if timeout == 0.0:
            return False
        reading = direction == READ
        hub = living_hub()
        try:
            trampoline(sock.fileno(), read=reading, write=not reading, timeout=timeout, timeout_exc=_TooLate)
        except _TooLate:
            return False
        except BaseException:
            forget(hub, sock.fileno())
            raise
        return True

    def watch(self, sock: Socket, on_readable: Callable[[], None]) -> Watch:
        return EventletWatch(sock, on_readable)

    def on_signals(self, callback: Callable[[int], None]) -> Callable[[], None]:
        hub = _get_hub()

        def listen(sock: Socket, arrived: Callable[[], None]) -> Callable[[], None]:
            listener = hub.add(hub.READ, sock.fileno(), lambda _fileno: arrived(), lambda _error: None, lambda: None)
            return lambda: hub.remove(listener)

        return hear_signals(_socket.socketpair(), callback, listen)

    def mutex(self) -> AbstractContextManager[Any]:
        return nullcontext()  # green threads switch only where they wait

    def home(self) -> tuple[int, object]:
        return this_home(_local)

    def check_caller(self, home: Any) -> None:
        if getattr(_local, "home", None) is not home:
            check_home(home, this_home(_local), self.name)
        current = _getcurrent()
        # Hot: the main program has no parent, and the hub always one.
        if current.parent is not None and current is _get_hub().greenlet:
            raise in_the_hub(self.name)

    def resolve(self, host: str, port: int, family: int, deadline: float | None, turn: Slot | None = None) -> Addresses:
        return look_up(
            self,
            (host, port, family),
            deadline,
            turn,
            ask=_getaddrinfo,
            make_pair=_socket.socketpair,
            start_thread=lambda look: _threading.Thread(target=look, name=f"wampy-resolve-{host}", daemon=True).start(),
        )

    def monkey_patch(self) -> None:
        eventlet.monkey_patch()


class _TooLate(BaseException):
    """What the trampoline raises at the deadline; caught on the line that asked for it."""
