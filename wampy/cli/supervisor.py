"""Keep clients running until there is a reason to stop, and stop them."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Final, Self

from wampy.backends import get_backend
from wampy.cli.console import complain, one_line, say
from wampy.cli.loading import describe
from wampy.errors import WampyError
from wampy.interfaces import Task
from wampy.peers.clients import Client
from wampy.roles.handles import takes_keyword
from wampy.urls import parse_url

__all__ = ["Signals", "Supervisor"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

# Seconds in which a second signal is still the first one: some parents pass on what a terminal has sent too.
SAME_SIGNAL: Final = 0.3

STANDARD_ERROR: Final = 2

# Seconds that a start() has to end when it is interrupted; on OS threads nothing can interrupt what blocks natively.
START_PATIENCE: Final = 3.0


class Signals:
    """Note SIGINT and SIGTERM; a second one ends the process at once, whatever it is stuck in.

    Attributes:
        first: The first signal's number, ``None`` before it came.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self._since = 0.0
        self._owner = os.getpid()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {signum: signal.signal(signum, self._arrived) for signum in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for signum in SIGNALS:
            self._restore(signum)

    def _restore(self, signum: int) -> None:
        before = self._before[signum]
        signal.signal(signum, signal.SIG_DFL if before is None else before)

    def _arrived(self, signum: int, _frame: FrameType | None) -> None:
        # This interrupts any code: no locks, no buffers, no green threads.
        if os.getpid() != self._owner:
            # A forked child of the user's code, which must end as it would without us.
            self._restore(signum)
            os.kill(os.getpid(), signum)
        elif self.first is None:
            self.first, self._since = signum, time.monotonic()
            _write(f"wampy run: {signal.Signals(signum).name}, stopping; once more ends it at once\n")
        elif time.monotonic() - self._since > SAME_SIGNAL:
            _write("wampy run: ended without saying goodbye\n")
            os._exit(128 + signum)


def _write(text: str) -> None:
    # Not os.write, which in a patched program waits in the hub, where this may be called.
    with suppress(OSError), io.FileIO(STANDARD_ERROR, "w", closefd=False) as stream:
        stream.write(text.encode())


class Supervisor:
    """Start clients, wait for a reason to stop, and stop them.

    Who runs where: `run` waits in the main program. Starting and stopping, which block, have green threads of
    their own, and so has waiting for the end of each client.

    Args:
        clients: What to run, not started.
        drain: Seconds that what is under way may take when a signal comes.
    """

    def __init__(self, clients: Sequence[Client], drain: float = 0.0) -> None:
        self._drain = drain
        self._backend = get_backend()
        self._clients = list(clients)
        self._begun: list[Client] = []
        self._ended = 0
        self._failed_to_stop = False
        # Filled with the exit code when there is a reason to stop.
        self._ending = self._backend.slot()

    def run(self) -> int:
        """Run the clients until a signal comes, or they end. For the main thread.

        Returns:
            0 when they were stopped, 1 when a connection was lost, 2 when one could not be started.
        """
        with Signals() as signals:

            def look(_signum: int) -> None:
                if signals.first is not None:
                    self._ending.set(0)

            restore = self._backend.on_signals(look)
            try:
                if signals.first is not None:
                    return 0
                return self._run()
            finally:
                restore()

    def _run(self) -> int:
        starting = self._spawn(self._start_all)
        try:
            self._ending.wait()
        finally:
            starting.throw(self._backend.kill_error())
            starting.join(START_PATIENCE)
            stopping = [self._spawn(self._stop, client) for client in reversed(self._begun)]
            for task in stopping:
                task.join()
        code = self._ending.value
        if isinstance(code, SystemExit):
            raise code
        return int(code) or int(self._failed_to_stop)

    def _spawn(self, function: Callable[..., Any], *args: Any) -> Task:
        # Outside, because a start() or stop() of the user's may do anything.
        return self._backend.spawn(self._backend.outside, self._run_theirs, function, *args)

    def _run_theirs(self, function: Callable[..., Any], *args: Any) -> None:
        try:
            function(*args)
        except SystemExit as error:  # which ends the program, whatever thread it is raised in
            if not self._ending.set(error):
                raise

    # In green threads.

    def _start_all(self) -> None:
        for client in self._clients:
            if self._ending.done:
                return
            if not hasattr(client, "_keeper"):
                name = type(client).__name__
                self._fail(2, f"{name}.__init__ does not call super().__init__(…) with the url and realm it is given")
                return
            # Before, because a start() of the user's may fail or exit when the client has joined.
            self._begun.append(client)
            try:
                client.start()
            except Exception as error:
                text = describe(error)
                where = "" if _redacted(client.url) in text else f" at {_where(client)}"
                self._fail(2, f"{client.name} cannot be started{where}: {text}")
                return
            with suppress(OSError):  # nobody reads our output; that is no reason to stop
                say(_announcement(client))
            self._backend.spawn(self._wait_for, client)

    def _wait_for(self, client: Client) -> None:
        try:
            client.wait()
        except Exception as error:
            self._fail(1, f"{client.name} has lost {_where(client)}: {describe(error)}")
            return
        self._ended += 1
        if self._ended == len(self._clients):  # by methods of their own
            self._ending.set(0)

    def _stop(self, client: Client) -> None:
        # Only a signal leaves time for what is under way. And a stop() of the user's may take no arguments.
        drains = self._ending.value == 0 and self._drain > 0 and takes_keyword(client.stop, "drain")
        try:
            if drains:
                client.stop(drain=self._drain)
            else:
                client.stop()
        except Exception as error:
            self._failed_to_stop = True
            complain("run", f"{client.name} failed to stop: {describe(error)}")

    def _fail(self, code: int, text: str) -> None:
        # Only the first reason is told: when a router ends, all its clients lose it.
        if self._ending.set(code):
            complain("run", one_line(text))


def _announcement(client: Client) -> str:
    procedures, topics = len(client.registration_map), len(client.subscription_map)
    serves = f"{_count(procedures, 'procedure')}, {_count(topics, 'subscription')}"
    return f"{client.name} is running at {_where(client)} ({serves}). Ctrl-C stops it."


def _where(client: Client) -> str:
    return f"{_redacted(client.url)} in realm {client.realm!r}"


def _redacted(url: str) -> str:
    try:
        return parse_url(url).redacted
    except WampyError:
        return url


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
