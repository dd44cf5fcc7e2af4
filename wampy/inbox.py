"""The way in: payloads are taken apart, parsed, judged by the state table, and handed to the session one by one.

All of it runs in the reader, which never blocks.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from wampy.errors import SerializationError, WampProtocolError, WampyError
from wampy.interfaces import Payload, Transport
from wampy.messages import MESSAGE_TYPE_MAP, Message, parse
from wampy.protocol.states import StateMachine

logger = logging.getLogger(__name__)


class HandlesMessages(Protocol):
    """The one method that a session knows of its handler."""

    def handle_message(self, message: Any, /) -> None: ...


class Recipient(Protocol):
    """The part of a session that its messages come to."""

    message_size: int
    wants_no_more: bool
    handler: HandlesMessages

    def invoked(self, message: Any, /) -> None: ...
    def settle_anyway(self, message: Message, error: BaseException, /) -> None: ...
    def violated(self, error: WampyError, /) -> None: ...


class Inbox:
    """What receives a session's messages.

    Attributes:
        received: How many came in.
        events: How many of these were events.

    Args:
        recipient: The session.
        transport: What the payloads come from; it knows the serializer.
        machine: The session's state.
    """

    def __init__(self, recipient: Recipient, transport: Transport, machine: StateMachine) -> None:
        self._recipient = recipient
        self._transport = transport
        self._machine = machine
        self.received = self.events = 0

    def take_batches(self, payloads: list[Payload]) -> None:
        """Do as `take` does, for a serializer that puts several messages into a payload."""
        for payload in payloads:
            try:
                batch = self._transport.serializer.split(payload)
            except SerializationError as exc:
                self._recipient.violated(exc)
                return
            self.take(batch)

    def take(self, payloads: list[Payload]) -> None:
        """Deliver the messages of a reader's turn, as far as the session wants them.

        Args:
            payloads: What came in, a message each.
        """
        recipient, machine = self._recipient, self._machine
        loads = self._transport.serializer.loads
        self.received += len(payloads)
        for payload in payloads:
            if recipient.wants_no_more:
                return
            try:
                wire = loads(payload)
                cls = MESSAGE_TYPE_MAP.get(wire[0]) if type(wire) is list and wire and type(wire[0]) is int else None
                message = cls.from_wire(wire) if cls is not None else parse(wire)  # hot: as there, without another step
                if machine.receivable.get(message.name) is not machine.state:
                    machine.receive(message.name)
            except (WampProtocolError, SerializationError) as exc:
                recipient.violated(exc)
                return
            recipient.message_size = len(payload)
            try:
                if message.name == "event":
                    self.events += 1
                elif message.name == "invocation":
                    recipient.invoked(message)
                recipient.handler.handle_message(message)
            except WampProtocolError as exc:
                recipient.violated(exc)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exc:  # an eventlet.Timeout in a hook must not cost the rest of the batch
                logger.exception("handling %s failed", message.name.upper())
                recipient.settle_anyway(message, exc)
