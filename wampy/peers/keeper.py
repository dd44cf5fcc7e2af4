"""What outlives a session: the URLs, the back-off, the desired roles, and which session is the current one.

A `Session` is never used twice; the Keeper makes the next one. A session is *given out* when it has joined and all
roles are there: from then on it is what the client's calls and publications use.

Who runs where: `start` and `stop` in whatever green thread calls them, `_ended` in the reader of the session that is
over, which may not block, and reconnecting in a green thread of its own, which ends when a session is given out.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from wampy.backends import settle_backend
from wampy.config.options import Options
from wampy.config.reconnect import Reconnect, may_heal
from wampy.config.transport import check_seconds
from wampy.constants import CLOSE_NORMAL
from wampy.deadlines import Default, Timeout
from wampy.errors import (
    AbortError,
    ConnectionClosed,
    ConnectionError,
    ProcedureAlreadyExists,
    RemoteError,
    SessionClosed,
    WampyError,
    WampyTimeOutError,
)
from wampy.guard import guarded
from wampy.interfaces import Slot, Task
from wampy.peers.hooks import KILL_PATIENCE, Hooks
from wampy.protocol.pending import fresh
from wampy.roles.handles import Role
from wampy.session import Session
from wampy.texts import redact
from wampy.transports import transport_for
from wampy.urls import parse_url
from wampy.workers import current_worker

if TYPE_CHECKING:
    from wampy.message_handler import MessageHandler

logger = logging.getLogger(__name__)


class Keeper:
    """Makes a client's sessions, one at a time, and tells the client's hooks about them.

    Args:
        urls: The router's URLs, tried in turn.
        options: What sessions are made with.
        policy: When and how often a lost session is followed by another; ``None`` for never.
        handler: Whose `handle_message` gets the messages.
        run_hook: Called with a hook's name and argument, in a green thread that may block.

    Attributes:
        session: The current session, or the next one.
        url: The URL that the current session goes to.
        running: Whether the client has been started and neither been stopped nor ended.
    """

    def __init__(
        self,
        urls: Sequence[str],
        options: Options,
        policy: Reconnect | None,
        handler: MessageHandler,
        run_hook: Callable[[str, Any], None],
    ) -> None:
        self.urls = list(urls)
        self.options = options
        self.backend = settle_backend()
        self.running = False
        # Starts are numbered, so that one that was stopped while it waited knows that it is over.
        self._starts = 0
        self._last_stopped = 0
        self._home: Any = None
        self._owner = 0
        self._policy = policy
        self._handler = handler
        self._hooks = Hooks(self.backend, run_hook)
        self._last: Session | None = None
        # Sessions that were lost while their workers were busy.
        self._past: list[Session] = []
        self._given_out: Session | None = None
        self._given_out_at = 0.0
        # What the next session has to register and subscribe to again.
        self._roles: list[Role] = []
        self._attempt = 0
        # The place in `urls` where the next attempt begins.
        self._turn = 0
        # What has been logged of each URL, or of all of them under None: a record for each news, not for each attempt.
        self._told: dict[str | None, str] = {}
        self._reconnecting: Task | None = None
        # Ends the wait for the next attempt.
        self._hurry = self.backend.slot()
        # Filled when a session has been given out, or will not be any more.
        self._decided = self.backend.slot()
        # Filled when the client has stopped, with the reason if it was not told to.
        self._stopped = self.backend.slot()
        for url in self.urls:
            parse_url(url)  # a slip is told at once, not when the others have failed
        self._next(self.urls[0])

    def _next(self, url: str) -> None:
        options = self.options
        transport = transport_for(url, self.backend, options.offered, **options.transport_options)
        self.url = url
        self.session = Session(transport, options, self.backend, self._handler, self._ended)

    # Its beginning and its end.

    @guarded
    def start(self, register_roles: Callable[[], None]) -> None:
        """Join with the first URL that works, then register the roles; waits.

        Args:
            register_roles: Run when WELCOME has come; when it raises nothing is left running.
        """
        if self.running:
            raise WampyError("the client is started already; stop() it first, or make a second client")
        self.running = True
        self._home, self._owner = self.backend.home(), os.getpid()
        self._starts += 1
        start = self._starts
        self._attempt = self._turn = 0
        self._told.clear()
        self._reconnecting = None
        self._stopped, self._hurry, self._decided = self.backend.slot(), self.backend.slot(), self.backend.slot()
        policy = self._policy
        try:
            self._bring_up(
                start,
                lambda _session: register_roles(),
                # A role that is refused now is for the program to know at once.
                lambda exc: policy is not None and policy.first_connection and not isinstance(exc, RemoteError),
            )
        except BaseException:
            # Somebody may have stopped this start, and begun another, while it waited.
            if self._starts == start:
                self.stop()
            raise

    @guarded
    def stop(self, drain: float | None = None) -> None:
        """Leave, and free everything; waits, except in the reader. Any state, any number of times.

        Args:
            drain: Seconds in which running invocations may end before that; ``None`` for none.
        """
        if self.session.in_reader:
            self.backend.spawn(self.stop, drain)  # it waits for hooks, which may wait for what the reader reads
            return
        if self.running and os.getpid() != self._owner:
            # In a forked child: the connection, and whoever works on it, are its parent's.
            self._last_stopped = self._starts
            self._end(None)
            return
        if self.running:
            self.backend.check_caller(self._home)
        start = self._last_stopped = self._starts
        self._hurry.set()
        session = self.session
        if drain is not None:
            session.drain(drain)
        session.stop()
        for past in [*self._past, self._last]:
            if past is not None and past is not session:
                past.stop()  # workers that were busy when it was lost
        task = self._reconnecting
        if task is not None and not task.is_current and not task.join(self.options.close_timeout):
            task.throw(self.backend.kill_error())
            task.join(KILL_PATIENCE)
        self._hooks.see_out(self.options.close_timeout)
        if self._starts == start:  # a hook may have started the client again
            if self._stopped.done:
                self._stopped = self.backend.slot()  # without the reason: whoever stops a client has dealt with it
            self._end(None)

    def _is_over(self, start: int) -> bool:
        # A forked child leaves its parent's client alone.
        return start != self._starts or start <= self._last_stopped or self.backend.home() != self._home

    @property
    def last_reason(self) -> Exception | None:
        """Why the last session ended, if there was one."""
        return None if self._last is None else self._last.reason

    @guarded
    def wait(self, timeout: float | None) -> bool:
        """Block until the client has stopped; say whether it has, and raise the reason if nobody has stopped it."""
        stopped = self._stopped
        if self.running:
            if self.session.in_reader:
                raise WampyError("wait() was called inside a message handler, which has to read what it waits for")
            self.backend.check_caller(self._home)
            if not stopped.wait(timeout):
                return False
        if stopped.value is not None:
            raise fresh(stopped.value)
        return True

    def _end(self, failure: Exception | None) -> None:
        self.running = False
        self._stopped.set(failure)
        self._decided.set()

    # Joining.

    def _bring_up(
        self, start: int, register_roles: Callable[[Session], None], goes_on: Callable[[Exception], bool]
    ) -> None:
        """Join and have the roles registered until both have worked, then give the session out; waits.

        Args:
            start: Which start it is for.
            register_roles: Called with each session that has joined.
            goes_on: Says whether to try again after an error that may heal.
        """
        while True:
            session: Session | None = None
            try:
                session = self._join_any(start)
                register_roles(session)
                if not session.established:
                    raise ConnectionClosed("the session ended while the roles were registered")
            except BaseException as exc:
                if session is not None:
                    session.stop()
                if not isinstance(exc, Exception) or self._is_over(start) or not (may_heal(exc) and goes_on(exc)):
                    raise
                self._wait_for_next_attempt(start, exc)
            else:
                self._give_out(session)
                return

    def _join_any(self, start: int) -> Session:
        seconds = self.options.open_timeout
        deadline = None if seconds is None else self.backend.monotonic() + seconds
        failures: list[Exception] = []
        urls = self.urls[self._turn :] + self.urls[: self._turn]
        for number, url in enumerate(urls):
            self._next(url)
            session = self.session
            try:
                if len(urls) == 1:
                    session.join()
                else:
                    session.join(self._share(deadline, len(urls) - number))
            except (WampyError, OSError) as exc:
                if len(urls) == 1 or self._is_over(start):
                    raise
                failures.append(exc)
                if len(failures) < len(urls):
                    self._log_news(url, exc, "trying the next URL")
                continue
            if self._is_over(start):
                session.stop()
                raise ConnectionClosed("the client was stopped while it started", clean=True)
            return session
        attempts = [_about(url, failure) for url, failure in zip(urls, failures, strict=True)]
        raise ConnectionError(f"none of {len(attempts)} routers could be joined. {'; '.join(attempts)}", failures)

    def _share(self, deadline: float | None, left: int) -> float | None:
        """Give the next URL an equal part of the time that is left, so that a silent one does not take it all."""
        return None if deadline is None else max(deadline - self.backend.monotonic(), 0.0) / left

    def _give_out(self, session: Session) -> None:
        self._given_out, self._given_out_at = session, self.backend.monotonic()
        self._turn = (self.urls.index(self.url) + 1) % len(self.urls)
        self._reconnecting = None
        url = self.url
        self._decided.set()
        self._hooks.tell("on_join", session.details)
        if self._attempt:
            # Last: a logging handler is the user's, and may wait, while this session is lost as well.
            logger.warning("joined %s again as session %s", redact(url), session.id)

    # The end of a session, and what follows.

    def _ended(self, session: Session, reason: Exception) -> None:
        """The session is over: called in the reader, or in a green thread that may not block either."""
        if session is not self.session:
            return
        url = self.url
        self._last = session
        self._past = [past for past in [*self._past, session] if past.workers.busy]
        self._next(url)
        if session is not self._given_out:
            return  # whoever has been joining deals with it
        self._given_out = None
        clean = isinstance(reason, ConnectionClosed) and reason.clean
        was_lost = not clean or isinstance(reason, SessionClosed)
        if clean or isinstance(reason, AbortError):
            self._hooks.tell("on_leave", getattr(reason, "uri", CLOSE_NORMAL))
        self._hooks.tell("on_disconnect", reason if was_lost else None)
        if self._is_over(self._starts) or not was_lost:
            self._end(None)
        elif self._policy is None or not may_heal(reason):
            self._end(reason)
        else:
            self._come_back(session, reason)
        if was_lost:
            # Last: a logging handler is the user's, and may fail. And the one record of it, whatever ended it.
            level = logging.WARNING if clean else logging.ERROR
            logger.log(level, "session %s with %s was lost: %s", session.id, redact(url), reason)

    def _come_back(self, lost: Session, reason: Exception) -> None:
        assert self._policy is not None
        if self.backend.monotonic() - self._given_out_at >= self._policy.longest_delay:
            self._attempt = 0
        self._hooks.end_on_join()
        self._roles = lost.roles
        self._decided = self.backend.slot()
        try:
            self._reconnecting = self.backend.spawn(self._reconnect, self._starts, reason)
        except RuntimeError as exc:  # the system has no more threads to give
            self._end(exc)

    def _reconnect(self, start: int, reason: Exception) -> None:
        """Bring up another session in the place of one that was lost; waits."""
        self._told = {None: _about(self.url, reason)}  # by the record of the loss
        try:
            self._wait_for_next_attempt(start, reason)
            self._bring_up(start, lambda session: self._register_again(start, session), lambda _exc: True)
        except (KeyboardInterrupt, SystemExit):
            # They are the main program's, which may go on.
            if not self._is_over(start):
                self._reconnecting = self.backend.spawn(self._reconnect, start, reason)
            raise
        except Exception as exc:
            if not self._is_over(start):
                self._end(exc)
                logger.error("%s; not connecting again", exc)

    def _wait_for_next_attempt(self, start: int, failure: Exception) -> None:
        """Wait as the policy says, or raise the failure when it says that this was the last attempt."""
        policy = self._policy
        assert policy is not None
        if policy.attempts is not None and self._attempt >= policy.attempts:
            raise failure
        self._attempt += 1
        self._log_news(None, failure, "trying again")
        self._hurry.wait(policy.delay(self._attempt))
        if self._is_over(start):
            raise ConnectionClosed("the client was stopped while it connected", clean=True)
        self._hooks.tell("on_reconnect_attempt", self._attempt)

    def _log_news(self, url: str | None, failure: Exception, what_now: str) -> None:
        text = _about(url or self.url, failure)
        if self._told.get(url) != text:
            self._told[url] = text
            logger.warning("%s; %s", text, what_now)

    def _register_again(self, start: int, session: Session) -> None:
        """Have all roles of the lost session in this one; waits."""
        assert self._policy is not None
        begun = [session.begin(role) for role in self._roles]
        taken: list[Role] = []
        for pending in begun:
            try:
                session.complete(pending)
            except ProcedureAlreadyExists as exc:
                taken.append(pending.subject)
                failure = exc
        # Mostly by our own lost session, of which the router has not heard yet.
        force = self._policy.force_reregister
        while taken:
            if not force:
                self._wait_for_next_attempt(start, failure)
            role = taken[0]
            try:
                session.complete(session.begin(role, force=force))
                taken.remove(role)
            except ProcedureAlreadyExists as exc:
                failure, force = exc, False

    # For the client's calls and publications.

    @guarded
    def live_session(self, timeout: Timeout) -> tuple[Session, Timeout] | None:
        """Return the session, or wait for the next one.

        Args:
            timeout: Seconds that the caller has, for this and what follows; left out, ``call_timeout``.

        Returns:
            The session, and what is left of the time; ``None`` when there will be none.

        Raises:
            WampyTimeOutError: There was none in time.
        """
        session = self.session
        if session is self._given_out and session.reason is None:
            return session, timeout
        seconds = self.options.call_timeout if isinstance(timeout, Default) else timeout
        check_seconds("timeout", seconds)
        deadline = None if seconds is None else self.backend.monotonic() + seconds
        waited = False
        while self.running:
            session = self.session
            if (session is self._given_out and session.reason is None) or not self._is_worth_waiting(session):
                if waited and deadline is not None:
                    timeout = max(deadline - self.backend.monotonic(), 0.001)
                return session, timeout
            self.backend.check_caller(self._home)
            waited = True
            turn: Slot = session.gone if session is self._given_out else self._decided
            if not turn.wait(None if deadline is None else deadline - self.backend.monotonic()):
                raise WampyTimeOutError(f"session with {redact(self.url)}, which was lost", seconds)
        return None

    def _is_worth_waiting(self, session: Session) -> bool:
        """Say whether there will be another session that the caller may wait for."""
        if self._policy is None or session.in_reader or self._last_stopped == self._starts:
            return False
        if session is self._given_out:
            return True  # it is over, which the reader is about to say
        task, worker = self._reconnecting, current_worker()
        # Not in the first start, and not where the next session's own roles are at work.
        return task is not None and not task.is_current and (worker is None or worker.pool.owner is not session)


def _about(url: str, failure: Exception) -> str:
    where, text = redact(url), str(failure)
    return text if where in text else f"{where}: {text}"
