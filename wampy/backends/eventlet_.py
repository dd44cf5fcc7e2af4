"""The default backend: eventlet, without monkey patching.

Everything here may be called from any green thread of one OS thread. Functions given to `call_later` and
`Watch.want_write` run in the hub itself and must neither block nor raise; `on_readable` runs in the watch's
own green thread, the reader.
"""

from __future__ import annotations

import os
import traceback
import warnings
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
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

from wampy.backends._asyncio_hub import revive
from wampy.backends._common import check_home, hear_signals, in_the_hub, look_up, this_thread
from wampy.interfaces import READ, Addresses, Backend, Direction, Slot, Socket, Task, Timer, Watch

# In a patched program the standard modules are green; these are the real ones.
_socket = eventlet.patcher.original("socket")
_threading = eventlet.patcher.original("threading")
_getaddrinfo = _socket.getaddrinfo
_local = _threading.local()

_get_hub = eventlet.hubs.get_hub
_getcurrent = greenlet.getcurrent


def _living_hub() -> Any:
    """Return the hub, for a wait; see `revive`. On eventlet's other hubs there is nothing to revive."""
    hub = _get_hub()
    if hub.running and hub.greenlet.dead:
        revive(hub)
    return hub


class _Slot(Slot):
    __slots__ = ("_done", "_value", "_waiters")

    def __init__(self) -> None:
        self._done = False
        self._value: Any = None
        # Green thread to hub. The hub is not asked for before somebody waits: asking makes one, with a
        # descriptor, and constructors shall not.
        self._waiters: dict[Any, Any] = {}

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
        for waiter, hub in self._waiters.items():
            # The main program last, when what the others wrote has gone out: it is the one that may go on to
            # block natively (a prompt, time.sleep), and then nothing would leave for as long as that takes.
            wake = self._wake if waiter.parent is not None else self._wake_later
            hub.schedule_call_global(0, wake, waiter)
        return True

    def _wake_later(self, waiter: Any) -> None:
        _get_hub().schedule_call_global(0, self._wake, waiter)

    def _wake(self, waiter: Any) -> None:
        # Whoever was killed or came back meanwhile has taken itself off the list, so that nobody is woken from
        # a later wait of theirs.
        if waiter in self._waiters:
            waiter.switch()

    def wait(self, timeout: float | None = None) -> bool:
        if self._done:
            return True
        if timeout is not None and timeout <= 0:
            return False
        waiter = _getcurrent()
        hub = _living_hub()
        end = None if timeout is None else hub.clock() + timeout
        timer = None if timeout is None else hub.schedule_call_global(timeout, self._wake, waiter)
        self._waiters[waiter] = hub
        try:
            # A loop, because somebody else's forgotten timer may switch here as well.
            while not self._done and (end is None or hub.clock() < end):
                hub.switch()
        finally:
            del self._waiters[waiter]
            if timer is not None:
                timer.cancel()
        return self._done


class _Task(Task):
    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._hub = _get_hub()
        self._ended = _Slot()
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


class _Watch(Watch):
    """One socket, one parked reader. See the table "who runs where" in docs/architecture."""

    def __init__(self, sock: Socket, on_readable: Callable[[], None]) -> None:
        self._hub = _get_hub()
        self._fileno = sock.fileno()
        self._on_readable = on_readable
        self._parked = False
        self._closed = False
        self._read_listener: Any = None
        self._write_listener: Any = None
        _watches.add(self)
        self._start_reader()

    def _start_reader(self) -> None:
        self._reader = greenlet.greenlet(self._run, self._hub.greenlet)
        self._hub.schedule_call_global(0, self._reader.switch)

    def _run(self) -> None:
        try:
            while not self._closed:
                if self._read_listener is None:
                    self._read_listener = self._listen(self._hub.READ, self._wake)
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
            # on_readable does not raise; if it ever does (an eventlet.Timeout in a hook), say so and go on. The
            # hub must not see it: it would drop the descriptor.
            traceback.print_exc()
            self._restart()

    def _restart(self) -> None:
        self._parked = False
        if not self._closed:
            self._read_listener = None
            _forget(self._hub, self._fileno, self._hub.READ)
            self._start_reader()

    def _listen(self, kind: str, callback: Callable[..., None]) -> Any:
        return self._hub.add(kind, self._fileno, callback, self._gone, lambda: None)

    def _gone(self, _error: Any) -> None:
        # The hub says that the descriptor was closed behind our back.
        self._read_listener = self._write_listener = None
        self.close()

    def _unlisten(self, listener: Any) -> None:
        if listener is not None and not listener.spent:
            with suppress(KeyError):  # the hub may have dropped the descriptor itself
                self._hub.remove(listener)

    def _wake(self, _fileno: int | None = None) -> None:
        # Called by the hub. A listener that was removed in the same batch is still called once, hence the
        # first line. The third: an overridden handle_* may block the reader on something of its own, and a
        # listener that stays would spin until it comes back, which listens anew.
        if self._closed:
            return
        if not self._parked:
            listener, self._read_listener = self._read_listener, None
            self._unlisten(listener)
            return
        self._reader.switch()

    def want_write(self, callback: Callable[[], None] | None) -> None:
        listener, self._write_listener = self._write_listener, None
        self._unlisten(listener)
        if callback is not None and not self._closed:
            self._write_listener = self._listen(self._hub.WRITE, lambda _fileno: callback())

    def poke(self) -> None:
        self._hub.schedule_call_global(0, self._wake)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            for listener in (self._read_listener, self._write_listener):
                self._unlisten(listener)
        finally:
            self._read_listener = self._write_listener = None
            try:
                _forget(self._hub, self._fileno)
            finally:
                if self._parked:
                    self._hub.schedule_call_global(0, self._let_go)

    def _let_go(self) -> None:
        if self._parked:
            self._reader.switch()  # it sees that it is closed, and ends

    @property
    def is_reader(self) -> bool:
        return _getcurrent() is self._reader

    def disown(self) -> None:
        """In a forked child: leave the socket to the parent."""
        # Not hub.remove: parent and child share what the kernel watches, and the parent would go deaf.
        self.orphaned = self._closed = True
        for kind in (self._hub.READ, self._hub.WRITE):
            self._hub.listeners[kind].pop(self._fileno, None)


def _forget(hub: Any, fileno: int, *kinds: str) -> None:
    """Remove what Ctrl-C, between two steps of the hub's own, has left in it of a descriptor that is ours.

    Whoever opens the next socket may get the same number, and would be refused, or woken by strangers.
    """
    for kind in kinds or (hub.READ, hub.WRITE):
        listener = hub.listeners[kind].get(fileno)
        if listener is not None:
            with suppress(KeyError):
                hub.remove(listener)


def _disown_all() -> None:
    for watch in list(_watches):
        watch.disown()


# A forked child inherits the hub with its listeners; without this it would read its parent's messages away.
_watches: weakref.WeakSet[_Watch] = weakref.WeakSet()
os.register_at_fork(after_in_child=_disown_all)


class EventletBackend(Backend):
    """The verbs, in eventlet's words."""

    name = "eventlet"
    kill_error = greenlet.GreenletExit
    elsewhere = "eventlet.tpool.execute(function, …)"

    def spawn(self, function: Callable[..., Any], *args: Any) -> Task:
        return _Task(function, args)

    def slot(self) -> Slot:
        return _Slot()

    def call_later(self, seconds: float, function: Callable[..., Any], *args: Any) -> Timer:
        timer: Timer = _get_hub().schedule_call_global(seconds, function, *args)
        return timer

    def sleep(self, seconds: float = 0.0) -> None:
        _living_hub()
        eventlet.sleep(seconds)

    def monotonic(self) -> float:
        return monotonic()  # the clock of eventlet's hubs

    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        sock: Socket = _socket.socket(family, kind, protocol)
        sock.setblocking(False)
        return sock

    def wait(self, sock: Socket, direction: Direction, deadline: float | None) -> bool:
        timeout = None if deadline is None else max(deadline - self.monotonic(), 0.0)
        if timeout == 0.0:
            return False
        reading = direction == READ
        hub = _living_hub()
        try:
            trampoline(sock.fileno(), read=reading, write=not reading, timeout=timeout, timeout_exc=_TooLate)
        except _TooLate:
            return False
        except BaseException:
            _forget(hub, sock.fileno())
            raise
        return True

    def watch(self, sock: Socket, on_readable: Callable[[], None]) -> Watch:
        return _Watch(sock, on_readable)

    def on_signals(self, callback: Callable[[int], None]) -> Callable[[], None]:
        hub = _get_hub()

        def listen(sock: Socket, arrived: Callable[[], None]) -> Callable[[], None]:
            listener = hub.add(hub.READ, sock.fileno(), lambda _fileno: arrived(), lambda _error: None, lambda: None)
            return lambda: hub.remove(listener)

        return hear_signals(_socket.socketpair(), callback, listen)

    def mutex(self) -> AbstractContextManager[Any]:
        return nullcontext()  # green threads switch only where they wait

    def home(self) -> tuple[int, object]:
        return os.getpid(), this_thread(_local)

    def check_caller(self, home: Any) -> None:
        check_home(home, self.home(), self.name)
        if _getcurrent() is _get_hub().greenlet:
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
