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

from wampy import telemetry
from wampy.backends import settle_backend
from wampy.blocking import BlockDetector
from wampy.config.options import Options
from wampy.config.reconnect import Reconnect, may_heal
from wampy.config.transport import check_seconds
from wampy.constants import CLOSE_NORMAL
from wampy.deadlines import Default, Timeout
from wampy.errors import (
    AbortError,
    ConnectionClosed,
    RemoteError,
    SessionClosed,
    WampyError,
    WampyTimeOutError,
)
from wampy.guard import guarded
from wampy.interfaces import Slot, Task
from wampy.peers.account import Account
from wampy.peers.hooks import KILL_PATIENCE, Hooks
from wampy.peers.joining import Backoff, Joiner, News, about, register_again
from wampy.protocol.pending import fresh
from wampy.roles.handles import Role
from wampy.session import Session
from wampy.stats import Stats
from wampy.texts import redact
from wampy.transports import transport_for
from wampy.urls import parse_url
from wampy.worker import current_worker

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
        who: The client's name, for the log.

    Attributes:
        session: The current session, or the next one.
        url: The URL that the current session goes to.
        running: Whether the client has been started and neither been stopped nor ended.
        who: The client's name.
    """

    def __init__(
        self,
        urls: Sequence[str],
        options: Options,
        policy: Reconnect | None,
        handler: MessageHandler,
        run_hook: Callable[[str, Any], None],
        who: str = "the client",
    ) -> None:
        self.options = options
        self.backend = settle_backend()
        self.running = False
        # Starts are numbered, so that one that was stopped while it waited knows that it is over.
        self._starts = 0
        self._last_stopped = 0
        self._home: Any = None
        self._owner = 0
        self._news = News()
        self._joiner = Joiner(urls, options, self.backend, self._next, self._news)
        self._backoff = None if policy is None else Backoff(self.backend, policy, self._news)
        self._handler = handler
        self._hooks = Hooks(self.backend, run_hook)
        self._last: Session | None = None
        # Sessions that were lost while their workers were busy.
        self._past: list[Session] = []
        self.given_out: Session | None = None
        self._given_out_at = 0.0
        # What the next session has to register and subscribe to again.
        self._roles: list[Role] = []
        # The session that was made last.
        self._made: Session | None = None
        self.url = urls[0]
        self._account = Account()
        self._reconnecting: Task | None = None
        # Filled when a session has been given out, or will not be any more.
        self._decided = self.backend.slot()
        # Filled when the client has stopped, with the reason if it was not told to.
        self._stopped = self.backend.slot()
        self.who = who
        self._detector = BlockDetector(self.backend, who)
        for url in urls:
            parse_url(url)  # a slip is told at once, not when the others have failed
        self._next(urls[0])
        telemetry.add_keeper(self)

    @property
    def urls(self) -> list[str]:
        """The URLs, tried in turn."""
        return self._joiner.urls

    def figures(self) -> Stats:
        """Say what all sessions have done, and what there is to do now; to any thread, while they may be counting."""
        return self._account.total() + Stats(workers_busy=sum(past.workers.busy for past in self._past))

    def _next(self, url: str) -> Session:
        made = self._made
        if made is None or self.url != url or not made.untouched:  # else it is the one that the constructor made
            options = self.options
            transport = transport_for(url, self.backend, options.offered, **options.transport_options)
            self.url = url
            self.session = self._made = Session(transport, options, self.backend, self._handler, self._ended)
            self._account.begin(self.session)
        self.session.workers.detector = self._detector
        return self.session

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
        self._joiner.begin()
        self._news.forget()
        backoff = self._backoff
        if backoff is not None:
            backoff.begin()
        self._reconnecting = None
        self._stopped, self._decided = self.backend.slot(), self.backend.slot()
        self._watch_for_blocks()
        keeps_trying = backoff is not None and backoff.policy.first_connection
        try:
            # A role that is refused now is for the program to know at once.
            self._bring_up(
                start,
                lambda _session: register_roles(),
                lambda exc: keeps_trying and not isinstance(exc, RemoteError),
            )
        except BaseException:
            # Somebody may have stopped this start, and begun another, while it waited.
            if self._starts == start:
                self.stop()
            raise

    def _watch_for_blocks(self) -> None:
        self._detector.stop()
        self._detector = self._hooks.detector = BlockDetector(self.backend, self.who)
        self._detector.start()

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
        if self._backoff is not None:
            self._backoff.end()
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
        self._detector.stop()
        self._stopped.set(failure)
        self._decided.set()
        telemetry.note_stopped(self)

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
                session = self._joiner.join(lambda: self._is_over(start))
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

    def _give_out(self, session: Session) -> None:
        self.given_out, self._given_out_at = session, self.backend.monotonic()
        self._joiner.turn_to_next(self.url)
        self._reconnecting = None
        self._decided.set()
        self._hooks.tell("on_join", session.details)

    # The end of a session, and what follows.

    def _ended(self, session: Session, reason: Exception) -> None:
        """The session is over: called in the reader, or in a green thread that may not block either."""
        if session is not self.session:
            return
        url = self.url
        self._last = session
        self._past = [past for past in [*self._past, session] if past.workers.busy]
        self._next(url)
        clean = isinstance(reason, ConnectionClosed) and reason.clean
        was_lost = not clean or isinstance(reason, SessionClosed)
        is_told = session.id is None or self._reconnecting is not None  # by whoever has been joining
        if session is self.given_out:
            self.given_out = None
            is_told = False
            if clean or isinstance(reason, AbortError):
                self._hooks.tell("on_leave", getattr(reason, "uri", CLOSE_NORMAL))
            self._hooks.tell("on_disconnect", reason if was_lost else None)
            self._follow(session, reason if was_lost else None)
        if was_lost and not is_told:
            # Last: a logging handler is the user's, and may fail. And the one record of it, whatever ended it.
            level = logging.WARNING if clean else logging.ERROR
            logger.log(level, "session %s with %s was lost: %s", session.id, redact(url), reason)

    def _follow(self, session: Session, loss: Exception | None) -> None:
        """Have another session follow one that is over, unless the client is to end with it."""
        if loss is None or self._is_over(self._starts):
            self._end(None)
        elif self._backoff is None or not may_heal(loss):
            self._end(loss)
        else:
            self._backoff.rested(self.backend.monotonic() - self._given_out_at)
            self._news.forget()
            self._news.note(None, about(self.url, loss))  # by the record of the loss
            self._hooks.end_on_join()
            self._roles = session.roles
            self._decided = self.backend.slot()
            try:
                self._reconnecting = self.backend.spawn(self._reconnect, self._starts, loss)
            except RuntimeError as exc:  # the system has no more threads to give
                self._end(exc)

    def _reconnect(self, start: int, reason: Exception) -> None:
        """Bring up another session in the place of one that was lost; waits."""
        assert self._backoff is not None
        force = self._backoff.policy.force_reregister

        def register_roles(session: Session) -> None:
            register_again(session, self._roles, lambda exc: self._wait_for_next_attempt(start, exc), force)

        try:
            self._wait_for_next_attempt(start, reason)
            self._bring_up(start, register_roles, lambda _exc: True)
        except (KeyboardInterrupt, SystemExit):
            # They are the main program's, which may go on.
            if not self._is_over(start):
                self._reconnecting = self.backend.spawn(self._reconnect, start, reason)
            raise
        except Exception as exc:
            if not self._is_over(start):
                self._end(exc)
                logger.error("%s; not connecting again", exc)
        else:
            self._account.add(Stats(reconnects=1))
            # Last: a logging handler is the user's, and may wait, while this session is lost as well.
            logger.warning("joined %s again as session %s", redact(self.url), self.session.id)

    def _wait_for_next_attempt(self, start: int, failure: Exception) -> None:
        assert self._backoff is not None
        self._backoff.wait(self.url, failure)
        if self._is_over(start):
            raise ConnectionClosed("the client was stopped while it connected", clean=True)
        self._hooks.tell("on_reconnect_attempt", self._backoff.attempt)

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
        seconds = self.options.call_timeout if isinstance(timeout, Default) else timeout
        check_seconds("timeout", seconds)
        deadline = None if seconds is None else self.backend.monotonic() + seconds
        waited = False
        while self.running:
            session = self.session
            if (session is self.given_out and session.reason is None) or not self._is_worth_waiting(session):
                if waited and deadline is not None:
                    timeout = max(deadline - self.backend.monotonic(), 0.001)
                return session, timeout
            self.backend.check_caller(self._home)
            waited = True
            turn: Slot = session.gone if session is self.given_out else self._decided
            if not turn.wait(None if deadline is None else deadline - self.backend.monotonic()):
                raise WampyTimeOutError(f"new session with {redact(self.url)}", seconds)
        return None

    def _is_worth_waiting(self, session: Session) -> bool:
        """Say whether there will be another session that the caller may wait for."""
        if self._backoff is None or session.in_reader or self._last_stopped == self._starts:
            return False
        if session is self.given_out:
            return True  # it is over, which the reader is about to say
        task, worker = self._reconnecting, current_worker()
        # Not in the first start, and not where the next session's own roles are at work.
        return task is not None and not task.is_current and (worker is None or worker.pool.owner is not session)
