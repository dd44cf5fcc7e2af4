"""WebSocket's data frames, made and cut without the library where that is safe (RFC 6455, section 5.2). No I/O.

Nearly all that a session says and hears are whole messages of one frame each, uncompressed. The library takes longer
for such a frame than the serializer does for its payload, so they are made and cut here. All other bytes, those of
control frames, fragments, compressed connections and whatever breaks a rule, go through the library, which knows the
rules and has the words for who breaks them. It misses nothing: a frame that is cut here lies between two of its own and
would change none of its state.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable
from typing import Final

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode

from wampy.interfaces import Payload, Serializer
from wampy.transports.memory import expect

try:
    from websockets.speedups import apply_mask
except ImportError:  # installed without its C extension
    from websockets.utils import apply_mask

# Empty fragments cost the sender nothing and are not counted by max_size; more than this is an attack.
MAX_FRAGMENTS: Final = 65_536

_FIN: Final = 0x80
_MASKED: Final = 0x80
_TEXT: Final = _FIN | Opcode.TEXT.value
_BINARY: Final = _FIN | Opcode.BINARY.value

# First octets of the frames that the library may be given one by one; any other it is given with all that follows.
_KNOWN: Final = frozenset(fin | opcode.value for fin in (0, _FIN) for opcode in Opcode)
_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

# Lengths up to the first are in the second octet; with the others it says how wide the length is that follows.
_SHORT, _TWO_OCTETS, _EIGHT_OCTETS = 125, 126, 127

# A payload from this size on is looked at in its place, smaller ones are cut out first, which is quicker.
_LARGE: Final = 4096

# How many bytes of a long message are masked at a time; a multiple of the mask's four.
_PORTION: Final = 65_536

_short = struct.Struct("!BB4s").pack
_medium = struct.Struct("!BBH4s").pack
_long = struct.Struct("!BBQ4s").pack


def data_frame(payload: bytes, binary: bool) -> bytes | bytearray:
    """Make the frame of a whole message, masked, as a client's must be.

    Args:
        payload: What the serializer gave.
        binary: Whether it is a binary frame; otherwise the payload is UTF-8.
    """
    first = _BINARY if binary else _TEXT
    size = len(payload)
    mask = os.urandom(4)  # not to be foreseen by whoever has a say in the payload (section 10.3)
    if size <= _SHORT:
        return _short(first, _MASKED | size, mask) + apply_mask(payload, mask)
    if size < 2**16:
        return _medium(first, _MASKED | _TWO_OCTETS, size, mask) + apply_mask(payload, mask)
    # In portions: every further copy of a large payload makes the allocator fetch memory from the system and give it
    # back at each message, which costs more than the masking.
    frame = bytearray(_long(first, _MASKED | _EIGHT_OCTETS, size, mask))
    view = memoryview(payload)
    for at in range(0, size, _PORTION):
        frame += apply_mask(view[at : at + _PORTION], mask)
    return frame


class Incoming:
    """Cuts what comes in into messages.

    Attributes:
        fault: What is wrong with the stream, once something is; nothing of it is read any more then.
        asked_library: Whether the library was given something, so that it may have answers to send.

    Args:
        protocol: The library's side of the connection, after the handshake and before any frame.
        serializer: Says which kind of frame carries messages.
        limit: Bytes of the longest message to take, as the library was told; ``None`` for no limit.
        ponged: Called with the payload of each PONG.
    """

    __slots__ = (
        "_binary",
        "_first",
        "_fragments",
        "_header",
        "_left_to_library",
        "_limit",
        "_max_message_size",
        "_message",
        "_missing",
        "_passing",
        "_ponged",
        "_protocol",
        "_serializer",
        "asked_library",
        "fault",
    )

    def __init__(
        self,
        protocol: ClientProtocol,
        serializer: Serializer,
        limit: int | None,
        ponged: Callable[[bytes], None],
    ) -> None:
        self.fault: str | None = None
        self.asked_library = False
        self._protocol = protocol
        self._serializer = serializer
        self._ponged = ponged
        self._first = _BINARY if serializer.binary else _TEXT
        self._max_message_size = limit
        self._limit: float = math.inf if limit is None else limit
        # Whether the library is given everything that follows. The first compressed frame brings that about too.
        self._left_to_library = False
        # Where the last bytes ended: within a header, within a message that is cut here, or within a frame that the
        # library is given; one of the three at most.
        self._header = b""
        self._message: bytearray | None = None
        self._missing = 0
        self._passing = 0
        # Fragments that the library gave, of a message that is not whole yet, and what its first one was.
        self._fragments: list[bytes | bytearray] = []
        self._binary = False

    def whole(self, data: bytes) -> Payload | None:
        """Take bytes that are the frame of one whole message, not a long one; any others are for `feed`.

        Returns:
            The message, or ``None``.
        """
        end = len(data)
        if self._left_to_library or self._passing or self._header or self._message is not None or self._fragments:
            return None
        if end < 4 or data[0] != self._first:  # an empty message is none that a session says
            return None
        size, start = data[1], 2
        if size > _SHORT:
            if size != _TWO_OCTETS:
                return None
            size, start = data[2] << 8 | data[3], 4
        if start + size != end or size >= _LARGE or size > self._limit:
            return None
        try:
            return data[start:] if self._first == _BINARY else str(data[start:], "utf-8")
        except UnicodeDecodeError:
            return None

    def feed(self, data: bytes) -> list[Payload]:
        """Take bytes, in pieces of any size.

        Returns:
            The messages that are whole now; `asked_library` and `fault` may be set.
        """
        payloads: list[Payload] = []
        at = 0
        if self._message is not None:
            at = self._go_on(data, payloads)
        elif self._passing:
            at = min(self._passing, len(data))
            self._passing -= at
            self._pass_on(data[:at], payloads)
        elif self._header:
            data = self._header + data
            self._header = b""
        end = len(data)
        while at < end:
            if self._left_to_library:
                self._pass_on(data[at:] if at else data, payloads)
                return payloads
            start = at + 2
            if start > end:
                break
            first, size = data[at], data[at + 1]
            if size > _EIGHT_OCTETS or first not in _KNOWN:  # masked, an unknown opcode, or a reserved bit
                self._left_to_library = True
                continue
            if size > _SHORT:
                wide = 2 if size == _TWO_OCTETS else 8
                if start + wide > end:
                    break
                size = int.from_bytes(data[start : start + wide], "big")
                start += wide
            stop = start + size
            if first == self._first and size <= self._limit and not self._fragments:
                if stop > end:
                    expect(size)
                    self._message = bytearray(memoryview(data)[start:])
                    self._missing = stop - end
                    return payloads
                if size >= _LARGE:
                    self._deliver(memoryview(data)[start:stop], payloads)
                elif first == _BINARY:  # hot, like all of this
                    payloads.append(data[start:stop])
                else:
                    try:
                        payloads.append(str(data[start:stop], "utf-8"))
                    except UnicodeDecodeError:
                        self._deliver(data[start:stop], payloads)  # which says so
            else:
                self._passing = max(stop - end, 0)
                self._pass_on(data[at:stop], payloads)
            at = stop
        self._header = data[at:]
        return payloads

    def _go_on(self, data: bytes, payloads: list[Payload]) -> int:
        """Take what belongs to the message that is not whole yet; say where in the bytes that ends."""
        assert self._message is not None
        here = min(self._missing, len(data))
        self._message += data if here == len(data) else memoryview(data)[:here]
        self._missing -= here
        if not self._missing:
            message, self._message = self._message, None
            self._deliver(message, payloads)
        return here

    def _pass_on(self, data: bytes, payloads: list[Payload]) -> None:
        """Give the library bytes, and see what has come of them."""
        protocol = self._protocol
        self.asked_library = True
        protocol.receive_data(data)
        for event in protocol.events_received():
            if not isinstance(event, Frame) or self.fault is not None:
                continue
            if event.opcode in _DATA:
                self._collect(event, payloads)
            elif event.opcode is Opcode.PONG:
                self._ponged(bytes(event.data))
        if protocol.parser_exc is not None and self.fault is None:
            self.fault = self._broken_rule(protocol.parser_exc)
        if self.fault is not None or protocol.close_rcvd is not None:
            self._left_to_library = True  # which discards it

    def _collect(self, frame: Frame, payloads: list[Payload]) -> None:
        data: bytes | bytearray = frame.data  # type: ignore[assignment]
        if frame.opcode is not Opcode.CONT:
            self._binary = frame.opcode is Opcode.BINARY
        if not frame.fin or self._fragments:
            self._fragments.append(data)
            if len(self._fragments) > MAX_FRAGMENTS:
                self._fail(CloseCode.POLICY_VIOLATION, f"a message came in over {MAX_FRAGMENTS} fragments")
                return
            if not frame.fin:
                return
            data = b"".join(self._fragments)
            self._fragments.clear()
        if self._binary is not self._serializer.binary:
            kind = "binary" if self._binary else "text"
            self._fail(CloseCode.UNSUPPORTED_DATA, f"a {kind} frame under {self._serializer.subprotocol}")
        else:
            self._deliver(data, payloads)

    def _deliver(self, data: bytes | bytearray | memoryview, payloads: list[Payload]) -> None:
        """Add a whole message of the right kind."""
        if self._first == _BINARY:
            payloads.append(bytes(data) if isinstance(data, memoryview) else data)
            return
        try:
            payloads.append(str(data, "utf-8"))
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "a text frame that is not UTF-8")

    def _fail(self, code: CloseCode, what: str) -> None:
        self.asked_library = True
        self._protocol.fail(code, what)
        self._left_to_library = True
        self.fault = f"the router broke the rules of WebSocket: {what}"

    def _broken_rule(self, error: Exception) -> str:
        if isinstance(error, PayloadTooBig):
            return (
                f"the router sent a message over max_message_size ({self._max_message_size} bytes): {error}; "
                "give the client a larger one, or send less at once"
            )
        return f"the router broke the rules of WebSocket: {error}"
