"""OS threads: the reader, the workers and the hooks are threads of the system, and so is whoever uses a client.

How that works, with a lock that makes threads out of what was written for green threads, is said in
`wampy.backends._monitor`.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic, sleep
from typing import Any

from wampy.backends._monitor import here, is_held, monitor, released, start
from wampy.backends._tasks import Killed, ThreadBench, ThreadSlot, ThreadTask, blocked, disown_tasks, let_handlers_run
from wampy.backends._watches import EVENTS, Selector, ThreadWatch, Waker, call_later, disown_watches
from wampy.errors import WampyError
from wampy.interfaces import READ, Addresses, Backend, Bench, Direction, Slot, Socket, Task, Timer, Watch


def _after_fork() -> None:
    """Begin anew in a forked child: of all threads it has only the one that forked."""
    if not is_held():
        monitor._at_fork_reinit()
    disown_watches()
    disown_tasks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class ThreadingBackend(Backend):
    """The verbs, in the words of OS threads."""

    name = "threading"
    kill_error = Killed
    switches_only_in_waits = False
    patches = False

    def spawn(self, function: Callable[..., Any], *args: Any) -> Task:
        return ThreadTask(function, args)

    def slot(self) -> Slot:
        return ThreadSlot()

    def bench(self, wanted: Callable[[], bool]) -> Bench:
        return ThreadBench(wanted)

    def call_later(self, seconds: float, function: Callable[..., Any], *args: Any) -> Timer:
        return call_later(seconds, function, args)

    def sleep(self, seconds: float = 0.0) -> None:
        if seconds > 0:
            ThreadSlot().wait(seconds)
        else:
            self.outside(sleep, 0)

    monotonic = staticmethod(monotonic)

    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        return sock

    def wait(self, sock: Socket, direction: Direction, deadline: float | None) -> bool:
        number = sock.fileno()
        # Only a task can be thrown at, and so woken for nothing.
        waker = None if here.task is None else Waker()
        with monitor, waker or nullcontext(), Selector() as selector:
            selector.register(number, EVENTS[direction])
            if waker is not None:
                selector.register(waker, EVENTS[READ])
            while deadline is None or deadline > monotonic():
                timeout = None if deadline is None else deadline - monotonic()
                if waker is None:
                    ready = released(selector.select, timeout)
                else:
                    ready = blocked(waker.wake, selector.select, timeout)
                    waker.clear()
                if any(key.fd == number for key, _ in ready):
                    return True
        return False

    def watch(self, sock: Socket, on_readable: Callable[[], None]) -> Watch:
        return ThreadWatch(sock, on_readable)

    def on_signals(self, callback: Callable[[int], None]) -> Callable[[], None]:
        # Python writes each signal's number into one end as it comes; a thread reads the other.
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        try:
            before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        except ValueError:
            ours.close()
            theirs.close()
            raise
        ended = False

        def listen() -> None:
            with ours:
                while signums := ours.recv(4096):
                    let_handlers_run()
                    with monitor:
                        for signum in signums:
                            if not ended:
                                callback(signum)

        def restore() -> None:
            nonlocal ended
            signal.set_wakeup_fd(before)
            ended = True
            theirs.close()

        start(listen, name="signals")
        return restore

    def inside(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if is_held():
            return function(*args, **kwargs)
        with monitor:
            task = here.task
            if task is not None and task.due:
                task.strike()
            return function(*args, **kwargs)

    def outside(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not is_held():
            return function(*args, **kwargs)
        task = here.task
        if task is None:
            return released(function, *args, **kwargs)
        try:
            return released(function, *args, **kwargs)
        finally:
            task.strike()

    def mutex(self) -> AbstractContextManager[Any]:
        lock: AbstractContextManager[Any] = monitor
        return lock

    def home(self) -> int:
        return os.getpid()

    def check_caller(self, home: Any) -> None:
        if os.getpid() != home:
            raise WampyError("this client was started before os.fork(); a forked child must start a client of its own")
        if here.in_timers:
            raise WampyError("a blocking request was made in a timer's callback, where nothing may block")

    def resolve(self, host: str, port: int, family: int, deadline: float | None, turn: Slot | None = None) -> Addresses:
        # On a thread of its own, because nothing can interrupt the system's resolver.
        kind = socket.SOCK_STREAM
        try:
            return socket.getaddrinfo(host, port, family, kind, 0, socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass  # a name: ask the system
        except UnicodeError as exc:
            raise socket.gaierror(socket.EAI_NONAME, f"not a host name ({exc})") from exc
        slot = turn or ThreadSlot()

        def look_up() -> None:
            try:
                slot.set(socket.getaddrinfo(host, port, family, kind))
            except OSError as exc:
                slot.set(exc)

        start(look_up, name=f"resolve {host}")
        if not slot.wait(None if deadline is None else deadline - monotonic()):
            raise TimeoutError(f"looking up {host!r} took too long")
        if isinstance(slot.value, OSError):
            raise slot.value
        addresses: Addresses = slot.value or ()
        return addresses

    def monkey_patch(self) -> None:
        raise WampyError(
            "there is nothing to patch: with WAMPY_ASYNC_NAME=threading wampy runs on OS threads, and code that blocks "
            "stops nobody else"
        )
