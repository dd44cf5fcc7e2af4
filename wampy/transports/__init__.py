"""Ways to a router: a URL chooses the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from wampy.config.transport import TransportOptions
from wampy.interfaces import Backend, Serializer
from wampy.transports.base import SocketTransport
from wampy.transports.rawsocket import RawSocket
from wampy.transports.websocket import SecureWebSocket, WebSocket
from wampy.urls import parse_url

# The in-process pair belongs here too, when it is built.
TRANSPORTS: Final[dict[str, type[WebSocket] | type[RawSocket]]] = {
    "ws": WebSocket,
    "wss": SecureWebSocket,
    "ws+unix": WebSocket,
    "rs": RawSocket,
    "rss": RawSocket,
    "rs+unix": RawSocket,
}

__all__ = ["TRANSPORTS", "RawSocket", "SecureWebSocket", "WebSocket", "transport_for"]


def transport_for(url: str, backend: Backend, serializers: Sequence[Serializer], **options: Any) -> SocketTransport:
    """Make the transport that a URL asks for; it does no I/O before `connect`.

    Args:
        url: The router's URL.
        backend: The verbs to wait with.
        serializers: What to offer the router, most wanted first.
        **options: The fields of `TransportOptions`.

    Returns:
        An unconnected transport.

    Raises:
        AddressError: The URL cannot be used.
        WampyError: An option cannot, or RawSocket has none of the serializers.
    """
    address = parse_url(url)
    return TRANSPORTS[address.scheme](address, backend, serializers, TransportOptions(**options))
