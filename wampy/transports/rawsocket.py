"""WAMP over RawSocket (WAMP, "RawSocket Transport"): over TCP, TLS or a Unix socket, without HTTP and masks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from wampy.config.transport import TransportOptions
from wampy.errors import (
    ConnectionClosed,
    ConnectionError,
    HandshakeError,
    SerializationError,
    WampyError,
    WampyTimeOutError,
)
from wampy.interfaces import Backend, Payload, Serializer
from wampy.transports.base import SocketTransport
from wampy.transports.heartbeat import keep_alive
from wampy.transports.rawsocket_framing import (
    ERRORS,
    HEADER_SIZE,
    LONG,
    LONGEST,
    MESSAGE,
    PING,
    PONG,
    SERIALIZER_UNSUPPORTED,
    Answer,
    FrameReader,
    MessageTooLongError,
    RawSocketError,
    frame,
    message_header,
    opening,
    read_answer,
)
from wampy.urls import RouterUrl

logger = logging.getLogger(__name__)

_WHAT = "answer to the RawSocket handshake from"


class _RefusedError(HandshakeError):
    """Say that the router may take another serializer; not to be seen outside."""


class RawSocket(SocketTransport):
    """A RawSocket connection to a router.

    Its handshake asks for one serializer. When the router refuses that one, or closes, as Crossbar does instead, the
    next is asked for over a new connection.

    Args:
        url: The router's address, ``rs``, ``rss`` or ``rs+unix``.
        backend: The verbs to wait with.
        serializers: What to ask for, most wanted first.
        options: See `TransportOptions`.

    Raises:
        WampyError: RawSocket has a number for none of the serializers.
    """

    def __init__(
        self, url: RouterUrl, backend: Backend, serializers: Sequence[Serializer], options: TransportOptions
    ) -> None:
        super().__init__(url, backend, options)
        self._wanted = [each for each in serializers if each.rawsocket_id is not None]
        if not self._wanted:
            names = ", ".join(repr(each.name) for each in serializers)
            raise WampyError(
                f"RawSocket has no number for {names}; {url.redacted} needs a plain serializer, such as 'json', or one "
                "with a rawsocket_id"
            )
        limit = LONGEST if options.max_message_size is None else min(options.max_message_size, LONGEST)
        self._reader = FrameReader(limit)
        self._router_limit = LONGEST
        # What came with the handshake waits for start().
        self._early = b""
        # Whether there was a PING that no PONG has answered.
        self._pinged = False

    # The opening handshake.

    def connect(self, deadline: float | None) -> None:
        refused: list[str] = []
        for serializer in self._wanted:
            self.serializer = serializer
            try:
                super().connect(deadline)
                return
            except _RefusedError as exc:
                refused.append(str(exc))
                if self._ended is not None:
                    raise self._ended from None
            except WampyTimeOutError as exc:
                if not refused:
                    raise
                raise WampyTimeOutError(f"{exc.what}, after {'; '.join(refused)}") from exc
        raise HandshakeError("; ".join(dict.fromkeys(refused)))

    def _shake_hands(self, deadline: float | None) -> None:
        serializer_id = self.serializer.rawsocket_id
        assert serializer_id is not None
        stream, where = self._stream, self.url.redacted
        try:
            data = stream.ask(opening(serializer_id), _WHAT, deadline)
            while 0 < len(data) < HEADER_SIZE and data[0] == 0x7F:
                more = stream.read(_WHAT, deadline)
                if not more:
                    break
                data += more
        except (HandshakeError, ConnectionClosed):
            raise
        except WampyTimeOutError as exc:
            raise WampyTimeOutError(f"{exc.what} ({self._likely_port()})") from None
        except ConnectionError:
            data = b""  # a reset says no more than a close does
        if not data:
            certificate = ", want a client certificate" if self.url.secure else ""
            raise _RefusedError(
                f"{where} closed the connection in the RawSocket handshake: it may not have the serializer "
                f"{self.serializer.name!r}{certificate}, or be no RawSocket port"
            )
        self._take(self._answer(data), data[HEADER_SIZE:])

    def _likely_port(self) -> str:
        # Both wait for more than four octets before they say anything.
        if self.url.socket_path is not None:
            return "a WebSocket says nothing to it: for one of those write ws+unix://; or the router hangs"
        if self.url.secure:
            return "a WebSocket's port says nothing to it: for one of those write wss://; or the router hangs"
        return "a WebSocket's or a TLS port says nothing to it: for those write ws:// or rss://; or the router hangs"

    def _answer(self, data: bytes) -> Answer:
        where = self.url.redacted
        try:
            if len(data) < HEADER_SIZE and data[0] == 0x7F:
                raise RawSocketError("it ends too soon")
            return read_answer(data[:HEADER_SIZE].ljust(HEADER_SIZE, b"\0"))
        except RawSocketError as exc:
            why = f"it said {data[:40]!r}: {exc}"
            if data.startswith(b"HTTP/"):
                why = "it speaks HTTP; for a WebSocket write ws://, or wss:// with TLS"
            elif data[:2] in (b"\x15\x03", b"\x16\x03"):
                why = "it speaks TLS; write rss://"
            text = f"no RawSocket at {where}: {why}. Is it the RawSocket port of a WAMP router?"
            raise HandshakeError(text) from None

    def _take(self, answer: Answer, rest: bytes) -> None:
        where, name = self.url.redacted, self.serializer.name
        if answer.error:
            reason = ERRORS.get(answer.error, f"unknown error {answer.error}")
            text = f"{where} refused the RawSocket handshake for {name!r}: {reason}"
            raise (_RefusedError if answer.error == SERIALIZER_UNSUPPORTED else HandshakeError)(text)
        if answer.serializer != self.serializer.rawsocket_id:
            raise HandshakeError(
                f"{where} was asked for serializer {self.serializer.rawsocket_id} ({name!r}) and chose "
                f"{answer.serializer}, which is against the rules of RawSocket"
            )
        self._router_limit = answer.limit
        self._early = rest

    def _watch_over(self) -> None:
        options = self.options
        if options.rawsocket_ping:
            super()._watch_over()
        elif self.url.socket_path is None and options.heartbeat is not None and options.heartbeat_timeout is not None:
            keep_alive(self._stream.socket, options.heartbeat, options.heartbeat_timeout)
            self._stream.kept_alive_for = options.heartbeat + options.heartbeat_timeout

    # Frames.

    def _frame(self, payload: bytes) -> list[bytes]:
        size = len(payload)
        if size > self._router_limit:
            raise SerializationError(
                f"a message of {size} bytes is larger than the {self._router_limit} bytes that the router "
                "takes; raise its limit (Crossbar's max_message_size) or send less at once"
            )
        header = message_header(size)
        return [header + payload] if size < LONG else [header, payload]

    def _ping_frame(self, payload: bytes) -> list[bytes] | None:
        self._pinged = True
        # Not empty: after an empty one Crossbar waits for 16 MiB of payload, since it takes the type for a part of
        # the length. On this one it closes the connection at once.
        return frame(PING, payload)

    def _begin_close(self) -> list[bytes]:
        self._writer.end_stream()
        return []

    def _unframe(self, data: bytes | None) -> tuple[list[Payload], list[bytes], Exception | None]:
        early, self._early = self._early, b""
        self._whole = self._reader.whole
        frames = self._reader.feed(early + (data or b""))
        payloads: list[Payload] = [payload for kind, payload in frames if kind == MESSAGE]
        answer: list[bytes] = []
        for kind, payload in frames if len(payloads) < len(frames) else ():
            if kind == PING and self._closing is None and len(payload) <= self._router_limit:
                answer += frame(PONG, payload)
            elif kind == PONG:
                self._pinged = False
                self._round_trips.pong(bytes(payload))
        lost: ConnectionClosed | None = None
        if self._reader.error is not None:
            lost = self._broken_rule(self._reader.error)
        elif data == b"":
            lost = self._end_of_stream()
        return payloads, answer, lost

    def _broken_rule(self, error: RawSocketError) -> ConnectionClosed:
        if isinstance(error, MessageTooLongError):
            return ConnectionClosed(
                f"the router sent a message of {error.size} bytes, over max_message_size "
                f"({self.options.max_message_size} bytes); give the client a larger one, or send less at once"
            )
        return ConnectionClosed(f"the router broke the rules of RawSocket: {error}")

    def _end_of_stream(self) -> ConnectionClosed:
        if self._closing is not None:
            return ConnectionClosed("the connection was closed", clean=True)
        if self._pinged:
            return ConnectionClosed(
                "the router closed the connection without a word after a PING; a router that does so on each, as "
                "Crossbar does, must be used with rawsocket_ping=False"
            )
        where = " in the middle of a message" if self._reader.is_within else " without a word"
        return ConnectionClosed(f"the router closed the connection{where}; it may have died")
