"""RawSocket's handshake and frames (WAMP, "RawSocket Transport"). Pure: bytes in, bytes out, no I/O.

Four octets open a connection, from either side: 0x7F, the length of the longest message that the sender takes and its
serializer in one octet, and two that are reserved. After that a message, a PING or a PONG has four octets in front
of it: its type, and its length in 24 bits.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from wampy.transports.memory import expect

MAGIC: Final = 0x7F

#: The longest that 24 bits can tell of, though the handshake's 2^24 is one more.
LONGEST: Final = 2**24 - 1

MESSAGE: Final = 0
PING: Final = 1
PONG: Final = 2

HEADER_SIZE: Final = 4

#: Payloads from this size on are not copied behind their header.
LONG: Final = 4096

#: What a router may answer instead of taking the handshake.
ERRORS: Final = {
    1: "serializer unsupported",
    2: "maximum message length unacceptable",
    3: "use of reserved bits",
    4: "maximum connection count reached",
}
SERIALIZER_UNSUPPORTED: Final = 1


_number = struct.Struct("!I")
#: Gives the header of a message of a length: their type is 0.
message_header: Final = _number.pack
_read_header: Final = _number.unpack_from


class RawSocketError(Exception):
    """Say that what came in is no RawSocket."""


class MessageTooLongError(RawSocketError):
    """Say that a message is longer than what we take.

    Args:
        size: Its length in bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"a message of {size} bytes")
        self.size = size


class Answer(NamedTuple):
    """What a router says to the opening handshake.

    Attributes:
        error: One of `ERRORS` or another number below 16; 0 when it takes the handshake.
        limit: Bytes of the longest message that the router takes.
        serializer: The serializer's number.
    """

    error: int
    limit: int
    serializer: int


def opening(serializer: int) -> bytes:
    """Make the client's handshake. It takes messages of any length: routers drop longer ones in silence.

    Args:
        serializer: The serializer's number, from 1 to 15.
    """
    return bytes((MAGIC, 0xF0 | serializer, 0, 0))


def read_answer(data: bytes) -> Answer:
    """Read the router's handshake.

    Args:
        data: Its four octets.

    Raises:
        RawSocketError: It is none.
    """
    magic, second, *reserved = data
    if magic != MAGIC:
        raise RawSocketError("it does not begin with 0x7F")
    high, low = divmod(second, 16)
    if low == 0:
        if high == 0:
            raise RawSocketError("it names neither a serializer nor an error")
        return Answer(high, 0, 0)
    if any(reserved):
        raise RawSocketError("its reserved octets are not zero")
    return Answer(0, min(2 ** (9 + high), LONGEST), low)


def frame(kind: int, payload: bytes | bytearray | memoryview) -> list[bytes]:
    """Give the bytes of a message, a PING or a PONG.

    Args:
        kind: `MESSAGE`, `PING` or `PONG`.
        payload: At most `LONGEST` bytes.

    Returns:
        Header and payload; in two pieces when it is long, lest it be copied.
    """
    header = bytes((kind,)) + len(payload).to_bytes(3, "big")
    return [header + payload] if len(payload) < LONG else [header, bytes(payload)]


class FrameReader:
    """Cuts a stream of bytes into frames.

    Attributes:
        error: What is wrong with the stream, once something is; nothing of it can be read any more then.

    Args:
        limit: Bytes of the longest payload to take; a longer one is refused as soon as its header is there.
    """

    def __init__(self, limit: int = LONGEST) -> None:
        self.error: RawSocketError | None = None
        self._limit = limit
        # Where the last bytes ended: within a header, or within a payload.
        self._header = b""
        self._payload: bytearray | None = None
        self._kind = MESSAGE
        self._missing = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes | bytearray]]:
        """Take bytes.

        Args:
            data: What came in; in pieces of any size.

        Returns:
            The frames that are whole now: type and payload. What is wrong with the one behind them, if its type is
            unknown or it is longer than the limit, is in `error`.
        """
        frames: list[tuple[int, bytes | bytearray]] = []
        if self.error is not None:
            return frames
        at, end = 0, len(data)
        if self._payload is not None:
            at = min(self._missing, end)
            self._payload += data if at == end else memoryview(data)[:at]
            self._missing -= at
            if self._missing:
                return frames
            # One that is large is not copied once more.
            payload, self._payload = self._payload, None
            frames.append((self._kind, payload if self._kind == MESSAGE else bytes(payload)))
        elif self._header:
            data = self._header + data
            self._header = b""
            end = len(data)
        while end - at >= HEADER_SIZE:
            kind = data[at]
            start = at + HEADER_SIZE
            size = _read_header(data, at)[0] & LONGEST
            if kind > PONG:
                self.error = RawSocketError(f"a frame of the unknown type {kind}")
                return frames
            if size > self._limit:
                self.error = MessageTooLongError(size)
                return frames
            at = start + size
            if at > end:
                expect(size)
                self._payload = bytearray(memoryview(data)[start:])
                self._kind = kind
                self._missing = at - end
                return frames
            frames.append((kind, data[start:at]))
        self._header = data[at:]
        return frames

    def whole(self, data: bytes) -> bytes | None:
        """Take bytes that are one whole message, as most are that a reader's turn brings; else they are for `feed`.

        Args:
            data: What came in.

        Returns:
            The message, or ``None``.
        """
        size = len(data) - HEADER_SIZE
        # The type of a message is 0, so that its header is but the length.
        if self._header or self._payload is not None or size < 0 or _read_header(data)[0] != size:
            return None
        return None if size > self._limit or self.error is not None else data[HEADER_SIZE:]

    @property
    def is_within(self) -> bool:
        """Whether the stream has stopped in the middle of a frame."""
        return bool(self._header) or self._payload is not None
