"""A session's own: what it is made of, and the way out.

Who may touch what: only what says "waits" in its docstring blocks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from wampy.config.options import Options
from wampy.errors import ConnectionClosed, WampyTimeOutError
from wampy.guard import guarded
from wampy.interfaces import Backend, Serializer, Transport
from wampy.messages import Message
from wampy.outbox import Outbox
from wampy.protocol.pending import PendingRequests, fresh
from wampy.protocol.request_ids import RequestIds
from wampy.protocol.states import State, StateMachine
from wampy.workers import Workers


class Channel:
    """What a session has, and what it can say.

    Attributes:
        id: The session id, ``None`` before WELCOME.
        realm: The realm's URI.
        details: WELCOME's details.
        request_ids: The counter of request ids.
        pending: The requests that wait for their reply.
        options: What the session was made with.
        backend: The green-thread library's verbs.
        workers: The green threads that run the user's code.
        reason: The error that ended the session.

    Args:
        transport: An unconnected transport.
        options: See `Options`.
        backend: The verbs.
    """

    def __init__(self, transport: Transport, options: Options, backend: Backend) -> None:
        self.id: int | None = None
        self.realm = options.realm
        self.details: Mapping[str, Any] = {}
        self.request_ids = RequestIds()
        self.pending = PendingRequests()
        self.options = options
        self.backend = backend
        self.workers = Workers(backend, options.max_workers, options.max_queue, owner=self)
        self.reason: Exception | None = None
        self._transport = transport
        self._machine = StateMachine()
        self._outbox = Outbox(transport, self._machine, self.request_ids, self.pending, backend)
        self._home: Any = None
        self._process = os.getpid()

    @property
    def session_id(self) -> int | None:
        """The session id, under its name in wampy 1."""
        return self.id

    @property
    def serializer(self) -> Serializer:
        """The serializer that the router chose; there is none before it has."""
        return self._transport.serializer

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._machine.state

    @property
    def established(self) -> bool:
        """Whether WELCOME came and nothing has ended it."""
        return self._machine.state is State.ESTABLISHED

    @property
    def untouched(self) -> bool:
        """Whether nobody has tried to join with it yet, and it is this process's own, not of before a fork."""
        return self._home is None and self.reason is None and self._process == os.getpid()

    @property
    def dismissed(self) -> bool:
        """Whether the router's GOODBYE came unasked and waits for our answer."""
        return self._machine.state is State.DISMISSED

    @property
    def in_reader(self) -> bool:
        """Whether the caller runs in the green thread that reads this session's messages."""
        return self._transport.in_reader

    @property
    def is_pinging(self) -> bool:
        """Whether it sends heartbeats of its own."""
        return self._transport.is_pinging

    # Out: see `Outbox`.

    @guarded
    def send_message(self, message: Message) -> None:
        """Send a message; waits for room in the transport's buffer, except in the reader.

        A request whose ``request_id`` is ``None`` is given the next one. Its reply goes to the handler as any
        other, where nobody waits for it.

        Args:
            message: What to send.

        Raises:
            WampProtocolError: The message breaks a rule of WAMP, or may not be sent now.
            SerializationError: Its payload cannot travel.
            ConnectionClosed: The session is over.
        """
        self._send(message)

    def _send(self, message: Message) -> None:
        transport = self._transport
        if transport.has_room or not transport.in_reader:
            self._wait_for_room(None)
        self._outbox.emit(message)
        self._sent(message)

    @guarded
    def answer(self, message: Message) -> None:
        """Send an answer that never waits for room; otherwise as `send_message`."""
        self._outbox.emit(message)
        self._sent(message)

    def _sent(self, message: Message) -> None:
        """Note what was sent; for children."""

    def _wait_for_room(self, limit: float | None) -> None:
        """Wait until a sender need not wait; also refuse whoever may not send from where it is.

        Args:
            limit: Seconds to wait at most, if they are fewer than the ``send_timeout``.
        """
        if self._transport.has_room:  # hot; then it is open, and not over either
            self.backend.check_caller(self._home)
            return
        if self._home is None or self.reason is not None:
            raise fresh(self._closed())
        self.backend.check_caller(self._home)
        seconds = self.options.send_timeout
        if limit is not None and (seconds is None or 0 < limit < seconds):
            seconds = limit
        try:
            roomy = self._transport.wait_for_room(self._deadline(seconds))
        except ConnectionClosed as exc:
            raise (exc if self.reason is None else fresh(self._closed())) from None
        if not roomy:
            raise WampyTimeOutError("room in the outgoing buffer; the router does not read", seconds)

    def _closed(self) -> Exception:
        if self.reason is None:
            return ConnectionClosed("the session has not been joined yet")
        if isinstance(self.reason, ConnectionClosed):
            return self.reason
        return ConnectionClosed(str(self.reason))

    # Time.

    def _deadline(self, seconds: float | None) -> float | None:
        return None if seconds is None else self.backend.monotonic() + seconds

    def _remaining(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(deadline - self.backend.monotonic(), 0.0)
