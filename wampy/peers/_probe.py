"""Find out whether a WAMP session can be joined at a URL.

A look from outside that needs neither a client nor a backend: one short blocking connection on a plain socket
(a green one when the program is patched). The WebSocket part is the Sans-I/O core that the client uses too.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, Final

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from wampy.urls import parse_url

_HELLO: Final = 1
_ABORT: Final = 3

_SUBPROTOCOLS: Final = ("wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor", "wamp.2.ubjson")

# The core logs whole frames at DEBUG; a logger of nobody's hierarchy cannot be turned up.
_logger = logging.Logger("wampy.frames", logging.CRITICAL + 1)


def why_not_joinable(url: str, realm: str, timeout: float) -> str | None:
    """Say HELLO once and look at the answer.

    WELCOME is the answer that is hoped for. CHALLENGE, or an ABORT that asks for other credentials, is as
    good: the realm is there, and the secret is not for us to know. A router that speaks no JSON counts from
    its WebSocket handshake on.

    Args:
        url: A ``ws`` or ``wss`` URL. A certificate is not verified, as no secret is sent.
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
        with socket.create_connection((address.host, address.port), timeout) as plain:
            plain.settimeout(timeout)
            with _secured(plain, address.host) if address.secure else plain as sock:
                return _say_hello(sock, address.url, realm, deadline)
    except (OSError, EOFError, ValueError, WebSocketException) as error:
        return f"{type(error).__name__}: {error}"


def _secured(sock: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock, server_hostname=host)


def _say_hello(sock: socket.socket, url: str, realm: str, deadline: float) -> str | None:
    core = ClientProtocol(
        parse_uri(url),
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
    core.send_text(json.dumps([_HELLO, realm, {"roles": {"caller": {}}}]).encode())
    answer = _first_message(events)
    _write(sock, core.data_to_send())
    core.send_close()
    _write(sock, core.data_to_send())
    if answer[0] == _ABORT and answer[2] == "wamp.error.no_such_realm":
        return f"there is no realm {realm!r} (yet)"
    return None


def _first_message(events: Iterator[Any]) -> list[Any]:
    data = b""
    for event in events:
        if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.CONT):
            data += bytes(event.data)
            if event.fin:
                message = json.loads(data)
                if isinstance(message, list) and message:
                    return message
                raise ValueError("the answer to HELLO is no WAMP message")
    raise EOFError("the connection was closed instead of an answer to HELLO")


def _events(sock: socket.socket, core: ClientProtocol, deadline: float) -> Iterator[Any]:
    """Write what the core wants written, and yield what it reads, until the connection ends."""
    while True:
        _write(sock, core.data_to_send())
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        sock.settimeout(left)
        data = sock.recv(65536)
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
