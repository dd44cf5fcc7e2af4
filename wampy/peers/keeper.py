"""What outlives a session: the URLs, the hooks' green thread, and which session is the current one.

Reconnecting belongs here: a `Session` is never used twice, the Keeper makes the next one.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from wampy.backends import get_backend
from wampy.config.options import Options
from wampy.constants import CLOSE_NORMAL
from wampy.errors import AbortError, ConnectionClosed, SessionClosed, WampyError
from wampy.interfaces import Task
from wampy.serializers import get_serializer
from wampy.session import Session
from wampy.transports import transport_for

if TYPE_CHECKING:
    from wampy.message_handler import MessageHandler

logger = logging.getLogger(__name__)


class Keeper:
    """Makes a client's sessions, one at a time, and tells the client's hooks about them.

    Args:
        urls: The router's URLs, tried in turn.
        options: What sessions are made with.
        handler: Whose `handle_message` gets the messages.
        run_hook: Called with a hook's name and argument, in a green thread that may block.

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
    ) -> None:
        self.urls = list(urls)
        self.options = options
        self.backend = get_backend()
        self.running = False
        self._starts = 0
        self._handler = handler
        self._run_hook = run_hook
        self._hooks: deque[tuple[str, Any]] = deque()
        self._hook_task: Task | None = None
        self._last: Session | None = None
        self._announced: Session | None = None
        self._stopped = self.backend.slot()
        self._next(self.urls[0])

    def _next(self, url: str) -> None:
        options = self.options
        transport = transport_for(url, self.backend, [get_serializer("json")], **options.transport_options)
        self.url = url
        self.session = Session(transport, options, self.backend, self._handler, self._ended)

    def start(self, register_roles: Callable[[], None]) -> None:
        """Join with the first URL that works, then register the roles; waits.

        Args:
            register_roles: Run when WELCOME has come; when it raises nothing is left running.
        """
        if self.running:
            raise WampyError("the client is started already; stop() it first, or make a second client")
        self.running = True
        self._starts += 1
        self._stopped = self.backend.slot()
        try:
            self._join_any()
            register_roles()
            if not self.session.established:
                raise ConnectionClosed("the session ended while the roles were registered")
        except BaseException:
            self.stop()
            raise
        self._announced = self.session
        self.tell("on_join", self.session.details)

    def _join_any(self) -> None:
        for number, url in enumerate(self.urls):
            self._next(url)
            try:
                self.session.join()
                return
            except (WampyError, OSError) as exc:
                if number == len(self.urls) - 1:
                    raise
                logger.warning("%s; trying the next URL", exc)

    def stop(self) -> None:
        """Leave, and free everything; waits, except in the reader. Any state, any number of times."""
        if self.session.in_reader:
            self.backend.spawn(self.stop)  # it waits for hooks, which may wait for what the reader reads
            return
        start = self._starts
        self.session.stop()
        if self._last is not None:
            self._last.stop()  # workers that were busy when it was lost
        if self._hook_task is not None and not self._hook_task.is_current:
            self._hook_task.join(self.options.close_timeout)
        if self._starts == start:  # a hook may have started the client again
            self._set_stopped()

    @property
    def last_reason(self) -> Exception | None:
        """Why the last session ended, if there was one."""
        return None if self._last is None else self._last.reason

    def wait(self, timeout: float | None) -> bool:
        """Block until the client has stopped; say whether it has."""
        if not self.running:
            return True
        return self._stopped.wait(timeout)

    def _set_stopped(self) -> None:
        self.running = False
        self._stopped.set()

    def _ended(self, session: Session, reason: Exception) -> None:
        """The session is over: called in the reader, or in a green thread that may not block either."""
        if session is not self.session:
            return
        joined = session.id is not None
        self._last = session
        clean = isinstance(reason, ConnectionClosed) and reason.clean
        if joined and not clean:
            logger.error("session %s with %s was lost: %s", session.id, self.url, reason)
        if session is self._announced:
            if clean or isinstance(reason, AbortError):
                self.tell("on_leave", getattr(reason, "uri", CLOSE_NORMAL))
            self.tell("on_disconnect", None if clean and not isinstance(reason, SessionClosed) else reason)
        self._next(self.url)
        if joined:
            self._set_stopped()

    # Hooks: in order, in a green thread of their own.

    def tell(self, hook: str, argument: Any) -> None:
        """Queue a hook.

        Args:
            hook: Its name, ``on_join``.
            argument: What it is called with.
        """
        self._hooks.append((hook, argument))
        if self._hook_task is None:
            self._hook_task = self.backend.spawn(self._run_hooks)

    def _run_hooks(self) -> None:
        try:
            while self._hooks:
                self._run_hook(*self._hooks.popleft())
        finally:
            self._hook_task = None
