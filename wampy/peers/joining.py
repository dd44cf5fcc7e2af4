"""How a client gets a session: its URLs in turn, and how long to wait before trying them again."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence

from wampy.config.options import Options
from wampy.config.reconnect import Reconnect
from wampy.errors import ConnectionClosed, ConnectionError, ProcedureAlreadyExists, WampyError
from wampy.interfaces import Backend
from wampy.roles.handles import Role
from wampy.session import Session
from wampy.texts import redact

logger = logging.getLogger(__name__)

# How long was waited is no news: each of several URLs has the time that those before it have left.
_SECONDS = re.compile(r" within \S+ seconds")


class News:
    """What has been logged of each URL, or of all of them under ``None``: a record for each news, not each attempt."""

    def __init__(self) -> None:
        self._told: dict[str | None, str] = {}

    def forget(self) -> None:
        """Begin anew."""
        self._told.clear()

    def note(self, url: str | None, text: str) -> None:
        """Note what has been logged elsewhere."""
        self._told[url] = _SECONDS.sub("", text)

    def tell(self, url: str | None, text: str, what_now: str) -> None:
        """Log what has happened, and what happens now, unless it is the same as before."""
        gist = _SECONDS.sub("", text)
        if self._told.get(url) != gist:
            self._told[url] = gist
            logger.warning("%s; %s", text, what_now)


class Joiner:
    """Joins with the first URL that works.

    Args:
        urls: The router's URLs.
        options: What sessions are made with.
        backend: The verbs.
        make_session: Makes the next session, for a URL, and returns it.
        news: What has been logged.

    Attributes:
        urls: The URLs, tried in turn.
    """

    def __init__(
        self,
        urls: Sequence[str],
        options: Options,
        backend: Backend,
        make_session: Callable[[str], Session],
        news: News,
    ) -> None:
        self.urls = list(urls)
        self._open_timeout = options.open_timeout
        self._backend = backend
        self._make_session = make_session
        self._news = news
        # The place in `urls` where the next attempt begins.
        self._turn = 0

    def begin(self) -> None:
        """Begin with the first URL again."""
        self._turn = 0

    def turn_to_next(self, url: str) -> None:
        """Begin the next attempt with the URL behind this one, which has worked."""
        self._turn = (self.urls.index(url) + 1) % len(self.urls)

    def join(self, is_over: Callable[[], bool]) -> Session:
        """Make sessions until one has joined, one for each URL at most; waits.

        Args:
            is_over: Says whether to give up, because the client was stopped.

        Raises:
            WampyError: The only URL has failed, or the client was stopped.
            ConnectionError: All URLs have failed; `errors` says how.
        """
        seconds = self._open_timeout
        deadline = None if seconds is None else self._backend.monotonic() + seconds
        failures: list[Exception] = []
        urls = self.urls[self._turn :] + self.urls[: self._turn]
        for number, url in enumerate(urls):
            session = self._make_session(url)
            try:
                if len(urls) == 1:
                    session.join()
                else:
                    session.join(self._share(deadline, len(urls) - number))
            except (WampyError, OSError) as exc:
                if len(urls) == 1 or is_over():
                    raise
                failures.append(exc)
                if len(failures) < len(urls):
                    self._news.tell(url, about(url, exc), "trying the next URL")
                continue
            if is_over():
                session.stop()
                raise ConnectionClosed("the client was stopped while it started", clean=True)
            return session
        attempts = [about(url, failure) for url, failure in zip(urls, failures, strict=True)]
        raise ConnectionError(f"none of {len(attempts)} routers could be joined. {'; '.join(attempts)}", failures)

    def _share(self, deadline: float | None, left: int) -> float | None:
        """Give the next URL an equal part of the time that is left, so that a silent one does not take it all."""
        return None if deadline is None else max(deadline - self._backend.monotonic(), 0.0) / left


class Backoff:
    """Waits between attempts, as a policy says.

    Args:
        backend: The verbs.
        policy: The policy.
        news: What has been logged.

    Attributes:
        policy: The policy.
        attempt: How many attempts there have been in a row, with the one that is under way.
    """

    def __init__(self, backend: Backend, policy: Reconnect, news: News) -> None:
        self.policy = policy
        self.attempt = 0
        self._backend = backend
        self._hurry = backend.slot()
        self._news = news

    def begin(self) -> None:
        """Begin anew, for another start of the client."""
        self.attempt = 0
        self._hurry = self._backend.slot()

    def rested(self, seconds: float) -> None:
        """Note that a session was lost that had lasted for some time."""
        if seconds >= self.policy.longest_delay:
            self.attempt = 0

    def end(self) -> None:
        """End the wait, because the client is stopped."""
        self._hurry.set()

    def wait(self, url: str, failure: Exception) -> None:
        """Wait for the next attempt.

        Args:
            url: What has failed, for the log.
            failure: How; raised when there has been the last attempt.
        """
        if self.policy.attempts is not None and self.attempt >= self.policy.attempts:
            raise failure
        self.attempt += 1
        self._news.tell(None, about(url, failure), "trying again")
        self._hurry.wait(self.policy.delay(self.attempt))


def register_again(
    session: Session, roles: Sequence[Role], wait: Callable[[Exception], None], force: bool
) -> None:
    """Have the roles of a session that was lost in the next one; waits.

    Args:
        session: The next one, joined.
        roles: What it shall register and subscribe to.
        wait: Called with the error when a procedure is taken, before the router is asked again; it may raise.
        force: Whether to take a procedure then.

    Raises:
        RemoteError: The router refused a role for another reason.
        ConnectionClosed: This session was lost as well.
    """
    taken: list[Role] = []
    failure: Exception | None = None
    for pending in [session.begin(role) for role in roles]:
        try:
            session.complete(pending)
        except ProcedureAlreadyExists as exc:
            taken.append(pending.subject)
            failure = exc
    while failure is not None and taken:
        # Mostly by our own lost session, of which the router has not heard yet.
        if not force:
            wait(failure)
        try:
            session.complete(session.begin(taken[0], force=force))
            taken.pop(0)
        except ProcedureAlreadyExists as exc:
            failure, force = exc, False


def about(url: str, failure: Exception) -> str:
    """Say which URL failed and how, without saying the URL twice."""
    where, text = redact(url), str(failure)
    return text if where in text else f"{where}: {text}"
