"""The client: what users subclass. It is as dumb as possible; the Keeper and the Session do the work."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from wampy.config.options import Options
from wampy.config.reconnect import Reconnect, policy_of
from wampy.config.transport import Compression, check_seconds
from wampy.constants import (
    DEFAULT_CALL_TIMEOUT,
    DEFAULT_CLOSE_TIMEOUT,
    DEFAULT_HEARTBEAT,
    DEFAULT_HEARTBEAT_TIMEOUT,
    DEFAULT_MAX_MESSAGE_SIZE,
    DEFAULT_MAX_QUEUE,
    DEFAULT_MAX_WORKERS,
    DEFAULT_OPEN_TIMEOUT,
    DEFAULT_REALM,
    DEFAULT_SEND_TIMEOUT,
    DEFAULT_SERIALIZERS,
    DEFAULT_URL,
)
from wampy.deadlines import DEFAULT, Timeout
from wampy.errors import ConnectionClosed, WampyError
from wampy.interfaces import Authenticator, Serializer
from wampy.message_handler import MessageHandler
from wampy.messages import Message
from wampy.peers.keeper import Keeper
from wampy.peers.views import Proxies
from wampy.protocol.request_ids import RequestIds
from wampy.roles.discovery import discover
from wampy.roles.handles import Registration, Subscription
from wampy.session import Session
from wampy.stats import Stats
from wampy.texts import redact

logger = logging.getLogger(__name__)


class Client(Proxies):
    """A WAMP client: subclass it with decorated methods, or use it bare to call and publish.

    ::

        with Client(url="ws://localhost:8080/", realm="realm1") as client:
            client.rpc.com.example.add(1, 2)

    No I/O happens before `start`, which a ``with`` statement calls.

    Args:
        url: The router's URL, or several to be tried in turn within `open_timeout`: ``ws://host:port/path``,
            ``wss://…``, ``ws+unix:///path``, ``rs://host:port``, ``rss://…``, ``rs+unix:///path``.
        realm: The realm to join.
        roles: The whole ``HELLO.Details``, ``{"roles": {…}, "authmethods": […], "authid": …}``; left out,
            everything that wampy can do. It is never changed.
        name: What the client calls itself in logs; left out, the class's name.
        auth: How to answer the router's challenge: an authenticator of `wampy.auth`, or several.
        serializers: What to offer the router, most wanted first: ``"json"``, ``"msgpack"``, ``"cbor"``, ``"ubjson"``,
            one of these with ``".batched"`` behind it, or a serializer object. The router chooses.
        call_timeout: Seconds until a call is given up; ``None`` for no limit, as for all times.
        open_timeout: Seconds for connecting, all handshakes and WELCOME together.
        close_timeout: Seconds for leaving.
        send_timeout: Seconds to wait for room when the router does not read, or not fast enough.
        reconnect: Whether a session that was lost is followed by another one, with all its roles; a `Reconnect` says
            when and how often.
        max_workers: How many of the user's functions may run at once, not counting those that wait for an
            answer to a call of their own.
        max_queue: How many invocations, and events of one handler, may wait for a worker; beyond that invocations are
            answered with ``wamp.error.unavailable``, and the oldest events are dropped.
        max_message_size: Bytes that an incoming message may have; ``None`` for no limit.
        heartbeat: Seconds between two WebSocket pings, or the silence after which the system probes the connection of
            a RawSocket; ``None`` turns that off.
        heartbeat_timeout: Seconds after a ping within which the router must give a sign of life.
        rawsocket_ping: Whether to ping a RawSocket too. Crossbar closes the connection on that.
        headers: HTTP headers to add to the WebSocket handshake.
        compression: ``"deflate"`` to offer compression of WebSocket messages (RFC 7692).
        proxy: The URL of an HTTP proxy, ``http://user:password@host:port``; ``True`` for what the environment says
            (for WebSockets), ``False`` for none.
        cert_path: A PEM file of CA certificates to trust beside the system's, or a folder of them.
        ssl_context: A context for ``wss`` and ``rss``, instead of one that verifies certificate and host name; it
            cannot stand beside `cert_path`.
        ipv: 4 or 6 to use only that version of IP.
        message_handler_cls: What gives messages their meaning; called with the client.

    Raises:
        AddressError: A URL cannot be used.
        WampyError: Another parameter cannot.
    """

    def __init__(
        self,
        url: str | Sequence[str] = DEFAULT_URL,
        *,
        realm: str = DEFAULT_REALM,
        roles: Mapping[str, Any] | None = None,
        name: str | None = None,
        auth: Authenticator | Sequence[Authenticator] | None = None,
        serializers: str | Serializer | Sequence[str | Serializer] = DEFAULT_SERIALIZERS,
        call_timeout: float | None = DEFAULT_CALL_TIMEOUT,
        open_timeout: float | None = DEFAULT_OPEN_TIMEOUT,
        close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT,
        send_timeout: float | None = DEFAULT_SEND_TIMEOUT,
        reconnect: bool | Reconnect | None = True,
        max_workers: int = DEFAULT_MAX_WORKERS,
        max_queue: int = DEFAULT_MAX_QUEUE,
        max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
        heartbeat: float | None = DEFAULT_HEARTBEAT,
        heartbeat_timeout: float | None = DEFAULT_HEARTBEAT_TIMEOUT,
        rawsocket_ping: bool = False,
        headers: Mapping[str, str] | None = None,
        compression: Compression = None,
        proxy: bool | str = True,
        cert_path: str | os.PathLike[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        ipv: int | None = None,
        message_handler_cls: type[MessageHandler] | None = None,
    ) -> None:
        urls = [url] if isinstance(url, str) or not isinstance(url, Sequence) else list(url)
        if not urls:
            raise WampyError("url is an empty list; give at least one router URL")
        options = Options(
            realm=realm,
            roles=roles,
            auth=auth,
            serializers=serializers,
            call_timeout=call_timeout,
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            send_timeout=send_timeout,
            max_workers=max_workers,
            max_queue=max_queue,
            max_message_size=max_message_size,
            heartbeat=heartbeat,
            heartbeat_timeout=heartbeat_timeout,
            rawsocket_ping=rawsocket_ping,
            headers=headers,
            compression=compression,
            proxy=proxy,
            cert_path=cert_path,
            ssl_context=ssl_context,
            ipv=ipv,
        )
        policy = policy_of(reconnect)
        self.name = name or type(self).__name__
        self.realm = realm
        self.message_handler = (message_handler_cls or MessageHandler)(self)
        self._keeper = Keeper(urls, options, policy, self.message_handler, self._run_hook, self.name)

    @property
    def url(self) -> str:
        """The URL that the current session goes to, or the first one."""
        return self._keeper.url

    @property
    def _session(self) -> Session:
        return self._keeper.session

    @property
    def session(self) -> Session | None:
        """The session, with the full-control API; ``None`` while there is none."""
        session = self._keeper.session
        return session if session.established and session.id is not None else None

    @property
    def registration_map(self) -> dict[int, Registration]:
        """Registration id to registration, of the current session."""
        return self._session.registration_map

    @property
    def subscription_map(self) -> dict[int, list[Subscription]]:
        """Subscription id to the handles that share it, of the current session."""
        return self._session.subscription_map

    @property
    def request_ids(self) -> RequestIds:
        """The current session's counter of request ids."""
        return self._session.request_ids

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and neither been stopped since nor ended for good; also between two sessions."""
        return self._keeper.running

    @property
    def is_pinging(self) -> bool:
        """Whether the client sends heartbeats of its own; not while there is no connection."""
        return self._session.is_pinging

    @property
    def stats(self) -> Stats:
        """What the client has done since it was made, over all its sessions, and what it has to do now."""
        return self._keeper.figures()

    def send_message(self, message: Message) -> None:
        """Send a message; see `Session.send_message`."""
        session, _ = self._live_session(DEFAULT)
        session.send_message(message)

    # Life.

    def start(self) -> None:
        """Join the realm and register every decorated method; waits until the router has acknowledged all.

        Raises:
            ConnectionError: The router cannot be reached, or is none.
            AbortError: The router refused the session.
            RemoteError: The router refused a role, for example `ProcedureAlreadyExists`.
            WampyTimeOutError: Joining took longer than ``open_timeout``, or the router's word on a role longer
                than ``call_timeout``.
            WampyError: The client is started already.
        """
        self._keeper.start(self._register_roles)

    def stop(self, drain: float | None = None) -> None:
        """Leave the realm and free everything. Any state, any number of times.

        Args:
            drain: Seconds to finish what is under way before that: the procedures and topics are taken back, what is
                running and what waits for a worker is seen through and answered. Left out, running callees are
                interrupted.
        """
        if drain is not None:
            check_seconds("drain", drain)
        self._keeper.stop(drain)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the client has stopped; Ctrl-C gets through.

        Args:
            timeout: Seconds to wait at most; ``None`` for no limit.

        Returns:
            Whether the client has stopped.

        Raises:
            ConnectionClosed: The session was lost, and `reconnect` allows no other or none could be joined; or
                whatever else has ended it for good.
        """
        return self._keeper.wait(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _register_roles(self) -> None:
        """Register what is decorated. It runs only after WELCOME; all messages leave before a reply is awaited."""
        session = self._session
        begun = [session.begin(role) for role in discover(self)]
        for pending in begun:
            session.complete(pending)

    def _live_session(self, timeout: Timeout) -> tuple[Session, Timeout]:
        keeper = self._keeper
        session = keeper.given_out
        if session is not None and session.reason is None:  # as `Proxies.call` asks
            return session, timeout
        found = keeper.live_session(timeout)
        if found is not None:
            return found
        last = keeper.last_reason
        raise ConnectionClosed(
            f"{self.name} is not started; use `with client:` or client.start()"
            if last is None
            else f"{self.name} has stopped ({last}); start() it again"
        )

    # Hooks.

    def on_join(self, details: Mapping[str, Any]) -> None:
        """Override to do something each time the client has joined and its roles are registered.

        `start` does not wait for it. What still runs when it is stopped, or its session followed by another, is killed.

        Args:
            details: WELCOME's details.
        """

    def on_leave(self, reason: str) -> None:
        """Override to do something when a session has ended with GOODBYE or ABORT.

        Args:
            reason: The reason URI.
        """

    def on_reconnect_attempt(self, attempt: int) -> None:
        """Override to do something each time the client is about to try to join again.

        Args:
            attempt: Which attempt in a row it is, from 1.
        """

    def on_disconnect(self, error: Exception | None) -> None:
        """Override to do something when the connection is gone.

        Args:
            error: Why; ``None`` when the client itself has left.
        """

    def _run_hook(self, hook: str, argument: Any) -> None:
        try:
            getattr(self, hook)(argument)
        except Exception:
            logger.exception("%s.%s failed", self.name, hook)

    def __repr__(self) -> str:
        session = self.session
        where = "not joined" if session is None else f"session {session.id}"
        return f"<{self.name} at {redact(self.url)} realm {self.realm}: {where}>"
