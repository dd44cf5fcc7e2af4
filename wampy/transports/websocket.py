"""WAMP over WebSocket (WAMP, "WebSocket Transport"), on the Sans-I/O core of the `websockets` library.

Whole data frames take a shorter way, see `wampy.transports.frames`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

from websockets.client import ClientProtocol
from websockets.extensions import ClientExtensionFactory
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from wampy.config.transport import TransportOptions
from wampy.errors import ConnectionClosed, ConnectionError, HandshakeError, WampyTimeOutError
from wampy.interfaces import Backend, Payload, Serializer
from wampy.texts import shown
from wampy.transports.base import SocketTransport
from wampy.transports.frames import Incoming, data_frame
from wampy.transports.websocket_refusal import (
    SWITCHING_PROTOCOLS,
    headers_of,
    may_be_http,
    refusal,
    status_of,
)
from wampy.urls import RouterUrl

# The library's own logger would write whole frames, secrets included, at DEBUG. This one is in nobody's hierarchy,
# so that no logging configuration can turn it up.
QUIET = logging.Logger("wampy.frames", logging.CRITICAL + 1)

# How long, in seconds, a refusal that has said its status may take to say the rest.
REFUSAL_PATIENCE = 0.5

_HEAD_SIZE = 65_536
_END_OF_HEAD = b"\r\n\r\n"


class WebSocket(SocketTransport):
    """A WebSocket connection to a router.

    Args:
        url: The router's address, ``ws``, ``wss`` or ``ws+unix``.
        backend: The verbs to wait with.
        serializers: What to offer, most wanted first.
        options: See `TransportOptions`.
    """

    def __init__(
        self, url: RouterUrl, backend: Backend, serializers: Sequence[Serializer], options: TransportOptions
    ) -> None:
        super().__init__(url, backend, options)
        self._offered = {serializer.subprotocol: serializer for serializer in serializers}
        self._protocol = ClientProtocol(
            _uri(url),
            subprotocols=[Subprotocol(name) for name in self._offered],
            extensions=_extensions(options),
            max_size=options.max_message_size,
            logger=QUIET,
        )
        # What came with the handshake waits for start().
        self._early = b""

    # The opening handshake.

    def _shake_hands(self, deadline: float | None) -> None:
        protocol, where = self._protocol, self.url.redacted
        request = self._request()
        protocol.send_request(request)
        question = b"".join(protocol.data_to_send())
        what = "answer to the WebSocket handshake from"
        response: Response | None = None
        head = tail = b""
        while response is None and protocol.handshake_exc is None:
            try:
                data = self._stream.ask(question, what, deadline)
            except WampyTimeOutError:
                # A refusal without a length never ends; what has come of it tells more than the clock does.
                if status_of(head) in (None, SWITCHING_PROTOCOLS):
                    raise
                data = b""
            except (HandshakeError, ConnectionClosed):
                raise
            except ConnectionError:
                data = b""  # a reset says no more than a close does
            question = b""
            head = (head + data)[:_HEAD_SIZE]
            if not data or not may_be_http(head):
                protocol.receive_eof()
                break
            if status_of(head) == SWITCHING_PROTOCOLS:
                # The library gets the head alone, so that the frames behind it are cut from their beginning on.
                end = (tail + data).find(_END_OF_HEAD)
                if end >= 0:
                    size = end + len(_END_OF_HEAD) - len(tail)
                    data, self._early = data[:size], data[size:]
            tail = (tail + data)[1 - len(_END_OF_HEAD) :]
            protocol.receive_data(data)
            events = protocol.events_received()
            if events:
                response = cast(Response, events[0])
            elif _END_OF_HEAD in head:
                patience = self._backend.monotonic() + REFUSAL_PATIENCE
                deadline = patience if deadline is None else min(deadline, patience)
        if response is None or protocol.handshake_exc is not None:
            authorized = "Authorization" in request.headers
            raise refusal(self.url, head, list(self._offered), authorized, protocol.handshake_exc)
        chosen = protocol.subprotocol
        if chosen is None:
            raise HandshakeError(
                f"the server at {where} speaks WebSocket but chose none of the WAMP subprotocols "
                f"{', '.join(self._offered)}. Is it a WAMP router?",
                response.status_code,
                headers_of(response),
            )
        self.serializer = self._offered[chosen]
        self._incoming = Incoming(protocol, self.serializer, self.options.max_message_size, self._round_trips.pong)

    def _request(self) -> Request:
        request = self._protocol.connect()
        for name, value in (self.options.headers or {}).items():
            request.headers.pop(name, None)  # the user's own Host, or Authorization, instead of ours
            request.headers[name] = value
        return request

    # Frames.

    def _frame(self, payload: bytes) -> Sequence[bytes | bytearray]:
        protocol = self._protocol
        if protocol.state is not OPEN:  # its close frame came in this very turn
            raise ConnectionClosed("the router is closing the WebSocket")
        binary = self.serializer.binary
        if not protocol.extensions:
            return [data_frame(payload, binary)]
        if binary:
            protocol.send_binary(payload)
        else:
            protocol.send_text(payload)
        return protocol.data_to_send()

    def _ping_frame(self, payload: bytes) -> list[bytes] | None:
        if self._protocol.state is not OPEN:
            return None
        self._protocol.send_ping(payload)
        return self._output()

    def _begin_close(self) -> list[bytes]:
        if self._protocol.state is OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
        return self._output()

    def _output(self) -> list[bytes]:
        # b"" asks for a half-close, which for a client comes only after the peer's end of the stream; then
        # the socket is closed whole.
        output = self._protocol.data_to_send()
        return [piece for piece in output if piece] if output else output

    def _unframe(self, data: bytes | None) -> tuple[list[Payload], list[bytes], Exception | None]:
        protocol, incoming = self._protocol, self._incoming
        payloads: list[Payload] = []
        if self._early:
            early, self._early = self._early, b""
            payloads = incoming.feed(early)
        self._whole = incoming.whole
        if data:
            payloads = payloads + incoming.feed(data) if payloads else incoming.feed(data)
        elif data is not None:
            protocol.receive_eof()
        answer: list[bytes] = []
        if incoming.asked_library or data == b"":
            incoming.asked_library = False
            answer = self._output()
        lost: Exception | None = None
        if incoming.fault is not None:
            lost = ConnectionClosed(incoming.fault)
        elif data == b"" or protocol.close_rcvd is not None:
            # The server should end the stream after both close frames, but a client may as well.
            lost = self._end_of_stream()
        return payloads, answer, lost

    def _end_of_stream(self) -> ConnectionClosed:
        protocol = self._protocol
        received, sent = protocol.close_rcvd, protocol.close_sent
        if received is not None:
            clean = received.code in (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD)
            text = f"the router closed the WebSocket with {received.code}"
            if received.code == CloseCode.MESSAGE_TOO_BIG:
                text += ": a message that was sent is larger than it takes; raise its limit or send less at once"
            return ConnectionClosed(text + (f" ({shown(received.reason)})" if received.reason else ""), clean=clean)
        if sent is not None:
            return ConnectionClosed("the router closed the connection without answering the close handshake")
        return ConnectionClosed("the router closed the connection without a word; it may have died")


class SecureWebSocket(WebSocket):
    """A WebSocket connection over TLS; certificate and host name are verified."""


def _uri(url: RouterUrl) -> WebSocketURI:
    path, _, query = url.resource.partition("?")
    password = None if url.username is None else url.password or ""
    # A Unix socket has no port, and the usual one is not named in a Host header.
    return WebSocketURI(url.secure, url.server_name, url.port or 80, path, query, url.username, password)


def _extensions(options: TransportOptions) -> list[ClientExtensionFactory] | None:
    if options.compression is None:
        return None
    # Windows of 4 KiB instead of 32: a sixth of the memory on either side, for a little less compression.
    return [
        ClientPerMessageDeflateFactory(
            server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
        )
    ]
