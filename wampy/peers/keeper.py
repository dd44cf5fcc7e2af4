"""What outlives a session: the URLs, the hooks' green thread, and which session is the current one.

Reconnecting belongs here: a `Session` is never used twice, the Keeper makes the next one.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wampy.backends import settle_backend
from wampy.blocking import BlockDetector
from wampy.config.options import Options
from wampy.constants import CLOSE_NORMAL
from wampy.errors import AbortError, ConnectionClosed, ConnectionError, SessionClosed, WampyError
from wampy.guard import guarded
from wampy.interfaces import Task
from wampy.session import Session
from wampy.texts import redact
from wampy.transports import transport_for
from wampy.urls import parse_url

if TYPE_CHECKING:
    from wampy.message_handler import MessageHandler

logger = logging.getLogger(__name__)

# Seconds that a killed hook has to end.
KILL_PATIENCE = 1.0


class Keeper:
    """Makes a client's sessions, one at a time, and tells the client's hooks about them.

    Args:
        urls: The router's URLs, tried in turn.
        options: What sessions are made with.
        handler: Whose `handle_message` gets the messages.
        run_hook: Called with a hook's name and argument, in a green thread that may block.
        who: The client's name, for the log.

    Attributes:
        session: The current session, or the next one.
        url: The URL that the current session goes to.
    """

    def __init__(
        self,
        urls: Sequence[str],
        options: Options,
        handler: MessageHandler,
        run_hook: Callable[[str, Any], None],
        who: str = "the client",
    ) -> None:
        self.urls = list(urls)
        self.options = options
        self.backend = settle_backend()
        self.running = False
        # Starts are numbered, so that one that was stopped while it waited knows that it is over.
        self._starts = 0
        self._last_stopped = 0
        self._home: Any = None
        self._handler = handler
        self._run_hook = run_hook
        self._hooks: deque[tuple[str, Any]] = deque()
        self._hook_task: Task | None = None
        self._hook: str | None = None
        self._last: Session | None = None
        self._announced: Session | None = None
        self._stopped = self.backend.slot()
        self._who = who
        self._detector = BlockDetector(self.backend, who)
        for url in self.urls:
            parse_url(url)  # a slip is told at once, not when the others have failed
        self._next(self.urls[0])

    def _next(self, url: str) -> None:
        options = self.options
        transport = transport_for(url, self.backend, options.offered, **options.transport_options)
        self.url = url
        self.session = Session(transport, options, self.backend, self._handler, self._ended)
        self.session.workers.detector = self._detector

    @guarded
    def start(self, register_roles: Callable[[], None]) -> None:
        """Join with the first URL that works, then register the roles; waits.

        Args:
            register_roles: Run when WELCOME has come; when it raises nothing is left running.
        """
        if self.running:
            raise WampyError("the client is started already; stop() it first, or make a second client")
        self.running = True
        self._home = self.backend.home()
        self._starts += 1
        start = self._starts
        self._stopped = self.backend.slot()
        self._detector.stop()
        self._detector = BlockDetector(self.backend, self._who)
        self._detector.start()
        session: Session | None = None
        try:
            session = self._join_any(start)
            register_roles()
            if not session.established:
                raise ConnectionClosed("the session ended while the roles were registered")
        except BaseException:
            # Somebody may have stopped this start, and begun another, while it waited.
            if self._starts == start:
                self.stop()
            elif session is not None:
                session.stop()
            raise
        self._announced = session
        self.tell("on_join", session.details)

    def _join_any(self, start: int) -> Session:
        seconds = self.options.open_timeout
        deadline = None if seconds is None else self.backend.monotonic() + seconds
        failures: list[Exception] = []
        for number, url in enumerate(self.urls):
            self._next(url)
            session = self.session
            try:
                if len(self.urls) == 1:
                    session.join()
                else:
                    session.join(self._share(deadline, len(self.urls) - number))
            except (WampyError, OSError) as exc:
                if len(self.urls) == 1 or self._is_over(start):
                    raise
                failures.append(exc)
                if len(failures) < len(self.urls):
                    logger.warning("%s; trying the next URL", _about(url, exc))
                continue
            if self._is_over(start):
                session.stop()
                raise ConnectionClosed("the client was stopped while it started", clean=True)
            return session
        attempts = [_about(url, failure) for url, failure in zip(self.urls, failures, strict=True)]
        raise ConnectionError(f"none of {len(attempts)} routers could be joined. {'; '.join(attempts)}", failures)

    def _share(self, deadline: float | None, left: int) -> float | None:
        """Give the next URL an equal part of the time that is left, so that a silent one does not take it all."""
        return None if deadline is None else max(deadline - self.backend.monotonic(), 0.0) / left

    def _is_over(self, start: int) -> bool:
        return start != self._starts or start <= self._last_stopped

    @guarded
    def stop(self) -> None:
        """Leave, and free everything; waits, except in the reader. Any state, any number of times."""
        if self.session.in_reader:
            self.backend.spawn(self.stop)  # it waits for hooks, which may wait for what the reader reads
            return
        start = self._last_stopped = self._starts
        session = self.session
        session.stop()
        if self._last is not None and self._last is not session:
            self._last.stop()  # workers that were busy when it was lost
        self._end_hooks()
        if self._starts == start:  # a hook may have started the client again
            self._set_stopped()

    @property
    def last_reason(self) -> Exception | None:
        """Why the last session ended, if there was one."""
        return None if self._last is None else self._last.reason

    @guarded
    def wait(self, timeout: float | None) -> bool:
        """Block until the client has stopped; say whether it has."""
        if not self.running:
            return True
        if self.session.in_reader:
            raise WampyError("wait() was called inside a message handler, which has to read what it waits for")
        self.backend.check_caller(self._home)
        return self._stopped.wait(timeout)

    def _set_stopped(self) -> None:
        self.running = False
        self._detector.stop()
        self._stopped.set()

    def _ended(self, session: Session, reason: Exception) -> None:
        """The session is over: called in the reader, or in a green thread that may not block either."""
        if session is not self.session:
            return
        joined = session.id is not None
        self._last = session
        clean = isinstance(reason, ConnectionClosed) and reason.clean
        if session is self._announced:
            if clean or isinstance(reason, AbortError):
                self.tell("on_leave", getattr(reason, "uri", CLOSE_NORMAL))
            self.tell("on_disconnect", None if clean and not isinstance(reason, SessionClosed) else reason)
        url = self.url
        self._next(url)
        if joined:
            self._set_stopped()
        if joined and (not clean or isinstance(reason, SessionClosed)):
            # Last: a logging handler is the user's, and may fail. And the one record of it, whatever ended it.
            level = logging.WARNING if clean else logging.ERROR
            logger.log(level, "session %s with %s was lost: %s", session.id, redact(url), reason)

    # Hooks: in order, in a green thread of their own.

    def tell(self, hook: str, argument: Any) -> None:
        """Queue a hook.

        Args:
            hook: Its name, ``on_join``.
            argument: What it is called with.
        """
        self._hooks.append((hook, argument))
        if self._hook_task is None:
            # Some Pythons, 3.12.1 for one, give no thread any more to what `atexit` calls. Then stop() runs the hooks.
            with suppress(RuntimeError):
                self._hook_task = self.backend.spawn(self._run_hooks)

    def _run_hooks(self) -> None:
        try:
            while self._hooks:
                self._hook, argument = self._hooks.popleft()
                began = self.backend.monotonic()
                try:
                    self.backend.outside(self._run_hook, self._hook, argument)
                except self.backend.kill_error:
                    logger.debug("%s was ended with the session", self._hook)
                self._detector.worked(self._hook, began)
        finally:
            self._hook = self._hook_task = None

    def _end_hooks(self) -> None:
        """See the hooks out: an on_join that goes on is over with its session, the others have their time."""
        task = self._hook_task
        if task is None:
            self._run_hooks()  # only if there was no thread for them
            return
        if task.is_current:
            return
        if self._hook == "on_join":
            task.throw(self.backend.kill_error(), still=lambda: self._hook == "on_join")
        if not task.join(self.options.close_timeout):
            logger.warning("%s did not end within close_timeout and was killed", self._hook)
            self._hooks.clear()
            task.throw(self.backend.kill_error())
            task.join(KILL_PATIENCE)


def _about(url: str, failure: Exception) -> str:
    where, text = redact(url), str(failure)
    return text if where in text else f"{where}: {text}"
