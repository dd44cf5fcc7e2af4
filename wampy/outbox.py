"""The way out: first what may run other people's code, then one section that neither waits nor switches.

Before the section: closed? -> state table -> checks -> hooks, which may block, call and publish. In it: state table
once more -> look at the next id -> encode -> pending request under the id -> frame and append, with the id committed.
A failure before the append leaves ids, pending requests and buffer as they were, so that ids on the wire are
sequential.
"""

from __future__ import annotations

from typing import Any

from wampy.constants import MAX_ID
from wampy.errors import WampProtocolError, WampyError
from wampy.interfaces import Backend, Serializer, Transport
from wampy.messages import Call, Message, Publish, Register, Subscribe, Unregister, Unsubscribe
from wampy.protocol.pending import PendingRequest, PendingRequests
from wampy.protocol.request_ids import RequestIds
from wampy.protocol.states import StateMachine

REQUESTS = frozenset(cls.name for cls in (Call, Publish, Register, Subscribe, Unregister, Unsubscribe))


class Outbox:
    """What sends a session's messages.

    Attributes:
        sent: How many it has sent.

    Args:
        transport: Where the bytes go.
        machine: The session's state.
        request_ids: The counter.
        pending: The requests that wait for a reply.
        backend: The verbs.
    """

    def __init__(
        self,
        transport: Transport,
        machine: StateMachine,
        request_ids: RequestIds,
        pending: PendingRequests,
        backend: Backend,
    ) -> None:
        self._transport = transport
        self._machine = machine
        self._request_ids = request_ids
        self._pending = pending
        # Green threads switch only where they wait, and have no use for it.
        self._mutex = None if backend.switches_only_in_waits else backend.mutex()
        self.sent = 0

    def emit(self, message: Message, pending: PendingRequest | None = None) -> None:
        """Send a message. Waits for nothing but a hook of the user's that blocks.

        Args:
            message: What to send; a request whose id is ``None`` is given the next one.
            pending: What its reply will settle.

        Raises:
            WampProtocolError: The message breaks a rule, or may not be sent in this state.
            SerializationError: Its payload cannot travel.
            ConnectionClosed: The session or the transport is over.
        """
        if message.name not in self._machine.sendable:
            self._machine.check_send(message.name)
        serializer = self._transport.serializer
        wire = message._plain_wire() if serializer.leaves_plain_alone else None
        if wire is None:
            if not message._is_right():
                message.validate()
            wire = serializer.prepare(message.listed())
        if self._mutex is None:
            self._emit(message, pending, wire, serializer)
        else:
            with self._mutex:
                self._emit(message, pending, wire, serializer)

    def _emit(self, message: Message, pending: PendingRequest | None, wire: list[Any], serializer: Serializer) -> None:
        # The section.
        name, machine, ids = message.name, self._machine, self._request_ids
        target = machine.sendable.get(name) or machine.check_send(name)
        following = ids.following
        counted = committed = False
        try:
            if name in REQUESTS:
                if wire[1] is None:
                    message.request_id = wire[1] = following  # type: ignore[attr-defined]
                    counted = True
                else:
                    counted = self._number(message, following)
                    wire[1] = message.request_id  # type: ignore[attr-defined]
            payload = serializer.encode(wire)
            if ids.following != following:
                raise WampyError(f"the serializer {serializer.name!r} let others send while it encoded a message")
            if pending is not None:
                pending.request_id = message.request_id  # type: ignore[attr-defined]
                self._pending.by_id[pending.request_id] = pending  # hot: as `put`, without another step
            if counted:
                # Before the bytes are out: Ctrl-C may come while the kernel takes them, and then nothing is
                # undone, lest the next request has the same id and gets this one's answer.
                if following < MAX_ID:
                    ids.following = following + 1  # hot: as `commit`, without another step
                else:
                    ids.commit()
                committed = True
            self._transport.send(payload)
        except Exception:
            if pending is not None:
                self._pending.discard(pending)
            if committed:
                ids.take_back(following)
            if counted:
                message.request_id = None  # type: ignore[attr-defined]
            raise
        self.sent += 1
        if target is not machine.state:
            machine.move(target)

    def _number(self, message: Any, following: int) -> bool:
        """Look at a request's id that is not ours; say whether the counter must move on."""
        if message.request_id != following:
            if type(message.request_id) is not int or self._request_ids.issued(message.request_id):
                return False  # no id at all, which is for validate() to say, or taken from the counter by the user
            raise WampProtocolError(
                f"request ids go up by one: the next is {following}, not {message.request_id}; leave it None"
            )
        return True
