"""Batches: several messages in one WebSocket frame (WAMP, "Batched Messages")."""

from __future__ import annotations

import re
from typing import Any

from wampy.errors import SerializationError, WampyError
from wampy.interfaces import Payload, Serializer

# What stands after each message in a text. The specification says 0x1e, Crossbar writes and reads 0x18. Neither can
# stand in JSON itself, so both are understood.
_DELIMITER = b"\x18"
_DELIMITERS = re.compile("[\x18\x1e]")
# Binary messages have their length in front of them, 32 bits, big-endian.
_PREFIX_SIZE = 4
_LONGEST = 2**32 - 1


class BatchedSerializer(Serializer):
    """A serializer whose payloads are batches. What `dumps` gives is a batch of one, and such may be joined.

    Args:
        serializer: The one for each message of a batch.
    """

    batched = True

    def __init__(self, serializer: Serializer) -> None:
        if not isinstance(serializer, Serializer) or serializer.batched:
            raise WampyError(f"a batch is made of the messages of a plain serializer, not of {serializer!r}")
        self.name = f"{serializer.name}.batched"
        self.subprotocol = f"{serializer.subprotocol}.batched"
        self.binary = serializer.binary
        self.leaves_plain_alone = serializer.leaves_plain_alone and type(self).prepare is BatchedSerializer.prepare
        self._serializer = serializer

    def prepare(self, message: list[Any]) -> list[Any]:
        """Do what the serializer does to prepare a message.

        Raises:
            SerializationError: A value cannot travel.
        """
        return self._serializer.prepare(message)

    def encode(self, message: list[Any]) -> bytes:
        """Turn a prepared message into a batch of its own. Joined payloads are a batch of several.

        Raises:
            SerializationError: A value cannot travel.
        """
        payload = self._serializer.encode(message)
        if not self.binary:
            return payload + _DELIMITER
        if len(payload) > _LONGEST:
            raise SerializationError(f"a message of {len(payload)} bytes is too long for a batch")
        return len(payload).to_bytes(_PREFIX_SIZE, "big") + payload

    def dumps(self, message: list[Any]) -> bytes:
        """Serialize one message as a batch of its own: `prepare` and `encode`.

        Args:
            message: The wire list.

        Returns:
            The payload.

        Raises:
            SerializationError: A value cannot travel.
        """
        return self.encode(self.prepare(message))

    def loads(self, payload: Payload) -> list[Any]:
        """Read one message of those that `split` gave.

        Raises:
            SerializationError: It is not in the serializer's format.
        """
        return self._serializer.loads(payload)

    def split(self, payload: Payload) -> list[Payload]:
        """Take a batch apart.

        Args:
            payload: What came in one frame.

        Returns:
            Its messages, for `loads`; at least one.

        Raises:
            SerializationError: It is no batch.
        """
        messages = self._split_binary(payload) if self.binary else self._split_text(payload)
        if not messages:
            raise SerializationError("a batch without a message")
        return messages

    def _split_text(self, payload: Payload) -> list[Payload]:
        try:
            text = payload if isinstance(payload, str) else str(payload, "utf-8")
        except UnicodeDecodeError as error:
            raise SerializationError(f"a batch that is not UTF-8: {error}") from error
        *messages, rest = _DELIMITERS.split(text)
        if rest:
            raise SerializationError("a batch whose last message has no delimiter after it (0x18 or 0x1e)")
        return list(messages)

    def _split_binary(self, payload: Payload) -> list[Payload]:
        if isinstance(payload, str):
            raise SerializationError("a batch of binary messages that is a text")
        messages: list[Payload] = []
        at, end = 0, len(payload)
        while at < end:
            start = at + _PREFIX_SIZE
            at = start + int.from_bytes(payload[at:start], "big")
            if start > end or at > end:
                raise SerializationError("a batch that ends in the middle of a message")
            messages.append(payload[start:at])
        return messages

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._serializer!r}>"
