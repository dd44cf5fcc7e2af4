"""`call`, `rpc` and `publish`, on a client and on a view of it under options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wampy import telemetry
from wampy.deadlines import DEFAULT, Timeout
from wampy.roles.caller import PendingCall, RpcProxy
from wampy.roles.publisher import check_publication
from wampy.session import Session

if TYPE_CHECKING:
    from wampy.peers.keeper import Keeper


class Proxies:
    """What a client offers for calling and publishing."""

    _keeper: Keeper
    _timeout: Timeout = DEFAULT
    _message_options: Mapping[str, Any] = {}

    def _live_session(self, timeout: Timeout) -> tuple[Session, Timeout]:
        """Return the session, the next one if need be, and what waiting for it has left of the time."""
        raise NotImplementedError

    def _session_for(self, operation: str, name: str) -> tuple[Session, Timeout]:
        """Return the same, and let the observer stand round it, if there is one."""
        observer = telemetry.observer
        if observer is None:
            return self._live_session(self._timeout)
        found: tuple[Session, Timeout] = observer.waiting(operation, name, lambda: self._live_session(self._timeout))
        return found

    def call(self, procedure: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a procedure and wait for its result.

        Args:
            procedure: The URI.
            *args: Positional payload.
            **kwargs: Keyword payload, all of it; options are given with `options`.

        Returns:
            One positional value as itself, nothing as ``None``, anything richer as a `Result`.

        Raises:
            RemoteError: The answer was an ERROR; children stand for well-known URIs.
            WampyTimeOutError: There was no answer in time.
            ConnectionClosed: There is no session, or it ended before the answer.
        """
        session, timeout = self._keeper.given_out, self._timeout
        if session is None or session.reason is not None or telemetry.observer is not None:
            session, timeout = self._session_for("call", procedure)
        elif session.backend.switches_only_in_waits:  # hot: as `Session.call`, without another step
            return session._call(procedure, args, kwargs, self._message_options, timeout)
        return session.call(procedure, args, kwargs, self._message_options, timeout)

    def _call_async(self, procedure: str, /, *args: Any, **kwargs: Any) -> PendingCall:
        session, timeout = self._session_for("call_async", procedure)
        return session.call_async(procedure, args, kwargs, self._message_options, timeout)

    @property
    def rpc(self) -> RpcProxy:
        """Procedures as attributes: ``client.rpc.com.example.add(1, 2)``."""
        return RpcProxy(self.call, self._call_async)

    def publish(
        self, /, *args: Any, topic: str | None = None, options: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> int | None:
        """Publish an event with a keyword payload.

        Args:
            *args: None; a positional payload is `Session.publish`'s.
            topic: The URI.
            options: The options of PUBLISH.
            **kwargs: The payload, at least one.

        Returns:
            The publication id with ``options={"acknowledge": True}``, else ``None``.

        Raises:
            TypeError: There is no topic, no payload, or a positional one.
            RemoteError: The router refused it, as ``acknowledge`` lets it.
            ConnectionClosed: There is no session.
        """
        if args or type(topic) is not str or not kwargs:
            check_publication(topic, args, kwargs)
        assert topic is not None
        merged = {**self._message_options, **options} if options else self._message_options
        session, timeout = self._keeper.given_out, self._timeout  # as in `call`
        if session is None or session.reason is not None or telemetry.observer is not None:
            session, timeout = self._session_for("publish", topic)
        elif session.backend.switches_only_in_waits:
            return session._publish(topic, (), kwargs, merged, timeout)
        return session.publish(topic, (), kwargs, merged, timeout)

    def options(self, *, timeout: Timeout = DEFAULT, **options: Any) -> View:
        """Give the same `call`, `rpc` and `publish` under options.

        Args:
            timeout: Seconds until a call is given up; ``None`` for no limit.
            **options: The options of CALL or PUBLISH, for example ``disclose_me=True``.

        Returns:
            A view; the client itself is not changed.
        """
        kept = self._timeout if timeout is DEFAULT else timeout
        return View(self, kept, {**self._message_options, **options})


class View(Proxies):
    """A client under options.

    Args:
        client: Whose session it uses.
        timeout: The timeout of its calls.
        options: The options of its messages.
    """

    def __init__(self, client: Proxies, timeout: Timeout, options: Mapping[str, Any]) -> None:
        self._client = client
        self._keeper = client._keeper
        self._timeout = timeout
        self._message_options = options

    def _live_session(self, timeout: Timeout) -> tuple[Session, Timeout]:
        return self._client._live_session(timeout)
