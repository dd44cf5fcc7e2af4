"""WAMP over a blocking socket and no library: the floor that is measured, and the other end of everybody's pairs.

As little as will do with the Crossbar that we start ourselves: nothing is fragmented there, and nothing compressed.
"""

from __future__ import annotations

import base64
import json
import os
import random
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

Message = list[Any]

HELLO, WELCOME, ABORT, ERROR = 1, 2, 3, 8
PUBLISH, PUBLISHED, SUBSCRIBE, SUBSCRIBED, EVENT = 16, 17, 32, 33, 36
CALL, RESULT, REGISTER, REGISTERED, INVOCATION, YIELD = 48, 50, 64, 65, 68, 70

ROLES: Final[dict[str, dict[str, Any]]] = {role: {} for role in ("caller", "callee", "publisher", "subscriber")}

_READ: Final = 1 << 18

#: Seconds from one ping to the next, as many as wampy's.
_HEARTBEAT: Final = 15.0


def codec(serializer: str) -> tuple[Callable[[Message], bytes], Callable[[bytes], Message]]:
    """Give what encodes and what decodes.

    Args:
        serializer: ``json`` or ``msgpack``.
    """
    if serializer == "json":
        encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
        return lambda message: encode(message).encode(), json.loads
    import msgpack

    packer = msgpack.Packer(autoreset=True)
    return packer.pack, msgpack.unpackb


class WebSocket:
    """Frame by RFC 6455, as a client.

    Attributes:
        ping: A whole ping, with nothing in it, masked with zeroes.
        pong: The answer.

    Args:
        sock: Connected; the handshake is done here.
        host: For the Host header.
        serializer: ``json`` or ``msgpack``.
    """

    ping, pong = b"\x89\x80\0\0\0\0", b"\x8a\0"

    def __init__(self, sock: socket.socket, host: str, serializer: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            (
                f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Protocol: wamp.2.{serializer}\r\n\r\n"
            ).encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = sock.recv(_READ)
            if not piece:
                raise ConnectionError("the router has closed the connection during the handshake")
            answer += piece
        if not answer.startswith(b"HTTP/1.1 101") or f"wamp.2.{serializer}\r\n".encode() not in answer:
            raise ConnectionError(f"the router refuses: {answer!r}")
        self._first = 0x81 if serializer == "json" else 0x82

    def frame(self, payload: bytes) -> bytes:
        """Make a masked frame of a payload."""
        size = len(payload)
        key = random.getrandbits(32).to_bytes(4, "big")
        mask = (key * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")
        if size < 126:
            return struct.pack("!BB", self._first, 0x80 | size) + key + masked
        if size < 1 << 16:
            return struct.pack("!BBH", self._first, 0xFE, size) + key + masked
        return struct.pack("!BBQ", self._first, 0xFF, size) + key + masked

    def split(self, data: bytes) -> tuple[list[bytes], int]:
        """Find the whole frames.

        Returns:
            Their payloads, and how many bytes they are.
        """
        payloads: list[bytes] = []
        at, end = 0, len(data)
        while at + 2 <= end:
            size, begin = data[at + 1], at + 2
            if size == 126:
                if begin + 2 > end:
                    break
                size, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
            elif size == 127:
                if begin + 8 > end:
                    break
                size, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
            if begin + size > end:
                break
            if data[at] != self._first:
                raise ConnectionError(f"a frame that nobody expects here: {data[at : begin + min(size, 120)]!r}")
            payloads.append(data[begin : begin + size])
            at = begin + size
        return payloads, at


class RawSocket:
    """Frame by WAMP's RawSocket, as a client.

    Attributes:
        ping: A whole ping, with nothing in it.
        pong: The answer.

    Args:
        sock: Connected; the handshake is done here.
        host: Not needed.
        serializer: ``json`` or ``msgpack``.
    """

    ping, pong = b"\1\0\0\0", b"\2\0\0\0"

    def __init__(self, sock: socket.socket, host: str, serializer: str) -> None:
        hello = bytes([0x7F, 0xF0 | (1 if serializer == "json" else 2), 0, 0])
        sock.sendall(hello)
        answer = b""
        while len(answer) < 4:
            piece = sock.recv(4 - len(answer))
            if not piece:
                raise ConnectionError("the router has closed the connection during the handshake")
            answer += piece
        if answer[1] & 0x0F != hello[1] & 0x0F:
            raise ConnectionError(f"the router refuses: {answer!r}")

    def frame(self, payload: bytes) -> bytes:
        """Put the length before a payload."""
        return len(payload).to_bytes(4, "big") + payload

    def split(self, data: bytes) -> tuple[list[bytes], int]:
        """Find the whole frames.

        Returns:
            Their payloads, and how many bytes they are.
        """
        payloads: list[bytes] = []
        at, end = 0, len(data)
        while at + 4 <= end:
            size = int.from_bytes(data[at : at + 4], "big")
            if at + 4 + size > end:
                break
            payloads.append(data[at + 4 : at + 4 + size])
            at += 4 + size
        return payloads, at


class Wire:
    """A session over a blocking socket.

    Args:
        url: ``ws://127.0.0.1:PORT/`` or ``rs://127.0.0.1:PORT``.
        serializer: ``json`` or ``msgpack``.
        realm: The realm to join.
    """

    def __init__(self, url: str, serializer: str, realm: str = "realm1") -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        framing = WebSocket if parts.scheme == "ws" else RawSocket
        self._framing: WebSocket | RawSocket = framing(self._socket, parts.netloc, serializer)
        self._encode, self._decode = codec(serializer)
        self._rest = b""
        self._request_id = 0
        self._unread: list[Message] = []
        self.send([HELLO, realm, {"roles": ROLES}])
        welcome = self.next()
        self._socket.settimeout(None)  # with one, every recv would be two system calls
        if welcome[0] != WELCOME:
            raise ConnectionError(f"the router refuses: {welcome!r}")

    def send(self, *messages: Message) -> None:
        """Send messages in one write."""
        frame, encode = self._framing.frame, self._encode
        self._socket.sendall(b"".join([frame(encode(message)) for message in messages]))

    def receive(self) -> list[Message]:
        """Wait until there is at least one message, and give those that are there."""
        if self._unread:
            unread, self._unread = self._unread, []
            return unread
        rest = self._rest
        while True:
            piece = self._socket.recv(_READ)
            if not piece:
                raise ConnectionError("the router has closed the connection")
            data = rest + piece if rest else piece
            payloads, used = self._framing.split(data)
            if payloads:
                self._rest = data[used:]
                return [self._decode(payload) for payload in payloads]
            rest = data

    def next(self) -> Message:
        """Wait for the next message."""
        first, *self._unread = self.receive()
        return first

    def request_id(self) -> int:
        """Take the next request id."""
        self._request_id += 1
        return self._request_id

    def request(self, code: int, *rest: Any) -> Any:
        """Send a request that nothing else can come before the answer of.

        Args:
            code: The message's code.
            *rest: What follows the request id.

        Returns:
            The answer's field behind the request id.
        """
        self.send([code, self.request_id(), *rest])
        answer = self.next()
        if answer[0] == ERROR:
            raise ConnectionError(f"the router refuses: {answer!r}")
        return answer[2]

    def register(self, procedure: str) -> int:
        """Register a procedure; gives the registration id."""
        return int(self.request(REGISTER, {}, procedure))

    def subscribe(self, topic: str) -> int:
        """Subscribe to a topic; gives the subscription id."""
        return int(self.request(SUBSCRIBE, {}, topic))

    def stay(self, seconds: float) -> None:
        """Do nothing for so long but send pings and read the answers."""
        end, ping_at = time.monotonic() + seconds, time.monotonic() + _HEARTBEAT
        while (now := time.monotonic()) < end:
            if now >= ping_at:
                self._socket.sendall(self._framing.ping)
                ping_at = now + _HEARTBEAT
            readable, _, _ = select.select([self._socket], [], [], min(end, ping_at) - now)
            if readable and (answer := self._socket.recv(_READ)) != self._framing.pong:
                raise ConnectionError(f"what came is no answer to a ping: {answer!r}")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
