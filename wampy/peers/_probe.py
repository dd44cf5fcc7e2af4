"""Find out whether a WAMP session can be joined at a URL, or at least whether a router answers there.

A look from outside that needs neither a client nor a backend: one short blocking connection on a plain socket
(a green one when the program is patched). The pure parts, the Sans-I/O core of WebSocket and RawSocket's framing,
are those that the client uses too.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from wampy.transports.rawsocket_framing import (
    ERRORS,
    HEADER_SIZE,
    MAGIC,
    MESSAGE,
    SERIALIZER_UNSUPPORTED,
    FrameReader,
    RawSocketError,
    frame,
    opening,
    read_answer,
)
from wampy.urls import RouterUrl, parse_url

_HELLO: Final = 1
_ABORT: Final = 3

_SUBPROTOCOLS: Final = ("wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor", "wamp.2.ubjson")

# RawSocket's numbers of the same.
_JSON: Final = 1
_NUMBERS: Final = (_JSON, 2, 3, 4)

_READ_SIZE: Final = 65_536

# The core logs whole frames at DEBUG; a logger of nobody's hierarchy cannot be turned up.
_logger = logging.Logger("wampy.frames", logging.CRITICAL + 1)


def why_not_joinable(url: str, realm: str, timeout: float) -> str | None:
    """Say HELLO once and look at the answer.

    WELCOME is the answer that is hoped for. CHALLENGE, or an ABORT that asks for other credentials, is as
    good: the realm is there, and the secret is not for us to know. A router that speaks no JSON counts from
    the handshake of its WebSocket or RawSocket on.

    Args:
        url: A router's URL, of any scheme. A certificate is not verified, as no secret is sent.
        realm: The realm to join.
        timeout: Seconds, for all of it.

    Returns:
        ``None`` when a session can be joined, else what is in the way.

    Raises:
        AddressError: The URL cannot be used.
    """
    address = parse_url(url)
    deadline = time.monotonic() + timeout
    try:
        if address.framing == "rawsocket":
            return _join_rawsocket(address, realm, deadline)
        return _join_websocket(address, realm, deadline)
    except (OSError, EOFError, ValueError, WebSocketException, RawSocketError) as error:
        return f"{type(error).__name__}: {error}"


def is_answering(url: str, timeout: float) -> bool:
    """Tell whether a router answers at a URL, without joining: no session comes, or goes.

    A connection alone proves nothing: for a moment after a router's death its system still accepts some.

    Args:
        url: A router's URL, of any scheme.
        timeout: Seconds, for all of it.

    Returns:
        Whether it has answered, and in HTTP or RawSocket, as the URL asks.

    Raises:
        AddressError: The URL cannot be used.
    """
    address = parse_url(url)
    deadline = time.monotonic() + timeout
    try:
        if address.framing == "rawsocket":
            return any(_is_agreed(address, number, deadline) for number in _NUMBERS)
        with _connected(address, deadline) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            # Not just any bytes: a TLS port answers too, by an alert.
            return _read(sock, len(b"HTTP/"), deadline) == b"HTTP/"
    except (OSError, EOFError, RawSocketError):
        return False


# The socket.


@contextmanager
def _connected(address: RouterUrl, deadline: float) -> Iterator[socket.socket]:
    left = _left(deadline)
    if address.socket_path is None:
        plain = socket.create_connection((address.host, address.port), left)
    else:
        plain = socket.socket(socket.AF_UNIX)
    with plain:
        plain.settimeout(left)
        if address.socket_path is not None:
            plain.connect(address.socket_path)
        with _secured(plain, address.server_name) if address.secure else plain as sock:
            yield sock


def _secured(sock: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock, server_hostname=host)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _receive(sock: socket.socket, deadline: float, size: int = _READ_SIZE) -> bytes:
    sock.settimeout(_left(deadline))
    return sock.recv(size)


def _read(sock: socket.socket, size: int, deadline: float) -> bytes:
    """Read so many bytes, fewer at the end of the stream."""
    data = b""
    while len(data) < size:
        more = _receive(sock, deadline, size - len(data))
        if not more:
            break
        data += more
    return data


def _hello(realm: str) -> bytes:
    return json.dumps([_HELLO, realm, {"roles": {"caller": {}}}]).encode()


def _message(data: bytes | bytearray) -> list[Any]:
    message = json.loads(data)
    if isinstance(message, list) and message:
        return message
    raise ValueError("the answer to HELLO is no WAMP message")


def _judge(answer: list[Any], realm: str) -> str | None:
    if answer[0] == _ABORT and answer[2] == "wamp.error.no_such_realm":
        return f"there is no realm {realm!r} (yet)"
    return None


# RawSocket.


def _join_rawsocket(address: RouterUrl, realm: str, deadline: float) -> str | None:
    with _connected(address, deadline) as sock:
        if _shake_hands(sock, _JSON, deadline):
            for piece in frame(MESSAGE, _hello(realm)):
                sock.sendall(piece)
            return _judge(_message(_first_frame(sock, deadline)), realm)
    if any(_is_agreed(address, number, deadline) for number in _NUMBERS[1:]):
        return None
    raise EOFError("the connection was closed instead of an answer to the RawSocket handshake")


def _is_agreed(address: RouterUrl, number: int, deadline: float) -> bool:
    with _connected(address, deadline) as sock:
        return _shake_hands(sock, number, deadline)


def _shake_hands(sock: socket.socket, number: int, deadline: float) -> bool:
    """Ask for a serializer; tell whether the router has it. Crossbar just closes when it has not."""
    try:
        sock.sendall(opening(number))
        data = _read(sock, HEADER_SIZE, deadline)
    except (ConnectionResetError, BrokenPipeError):
        data = b""
    if not data:
        return False
    if len(data) < HEADER_SIZE or data[0] != MAGIC:
        raise RawSocketError(f"the answer to the RawSocket handshake is {data!r}")
    answer = read_answer(data)
    if answer.error not in (0, SERIALIZER_UNSUPPORTED):
        reason = ERRORS.get(answer.error, f"error {answer.error}")
        raise RawSocketError(f"the RawSocket handshake was refused: {reason}")
    return answer.serializer == number


def _first_frame(sock: socket.socket, deadline: float) -> bytes | bytearray:
    reader = FrameReader()
    while data := _receive(sock, deadline):
        for kind, payload in reader.feed(data):
            if kind == MESSAGE:
                return payload
        if reader.error is not None:
            raise reader.error
    raise EOFError("the connection was closed instead of an answer to HELLO")


# WebSocket.


def _join_websocket(address: RouterUrl, realm: str, deadline: float) -> str | None:
    with _connected(address, deadline) as sock:
        core = ClientProtocol(
            _uri(address),
            subprotocols=[Subprotocol(name) for name in _SUBPROTOCOLS],
            max_size=None,
            logger=_logger,
        )
        core.send_request(core.connect())
        events = _events(sock, core, deadline)
        if not isinstance(next(events), Response) or core.handshake_exc is not None:
            return f"the WebSocket handshake failed: {core.handshake_exc}"
        if core.subprotocol != "wamp.2.json":
            return None
        core.send_text(_hello(realm))
        answer = _first_message(events)
        _write(sock, core.data_to_send())
        core.send_close()
        _write(sock, core.data_to_send())
        return _judge(answer, realm)


def _uri(address: RouterUrl) -> WebSocketURI:
    path, _, query = address.resource.partition("?")
    password = None if address.username is None else address.password or ""
    return WebSocketURI(
        address.secure, address.server_name, address.port or 80, path, query, address.username, password
    )


def _first_message(events: Iterator[Any]) -> list[Any]:
    data = b""
    for event in events:
        if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.CONT):
            data += bytes(event.data)
            if event.fin:
                return _message(data)
    raise EOFError("the connection was closed instead of an answer to HELLO")


def _events(sock: socket.socket, core: ClientProtocol, deadline: float) -> Iterator[Any]:
    """Write what the core wants written, and yield what it reads, until the connection ends."""
    while True:
        _write(sock, core.data_to_send())
        data = _receive(sock, deadline)
        if data:
            core.receive_data(data)
        else:
            core.receive_eof()
        yield from core.events_received()
        if core.handshake_exc is not None:
            raise EOFError(f"the WebSocket handshake failed: {core.handshake_exc}")
        if not data:
            raise EOFError("the connection was closed")


def _write(sock: socket.socket, pieces: list[bytes]) -> None:
    for piece in pieces:
        if piece:  # an empty piece asks for a half-close; the whole connection goes in a moment
            sock.sendall(piece)
