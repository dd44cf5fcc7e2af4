"""Ways to a router: a URL chooses the class."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from wampy.config.transport import TransportOptions
from wampy.interfaces import Backend, Serializer
from wampy.transports.base import SocketTransport
from wampy.urls import parse_url

if TYPE_CHECKING:
    from wampy.transports.rawsocket import RawSocket
    from wampy.transports.websocket import SecureWebSocket, WebSocket

# The in-process pair belongs here too, when it is built.
TRANSPORTS: Final = {
    "ws": "WebSocket",
    "wss": "SecureWebSocket",
    "ws+unix": "WebSocket",
    "rs": "RawSocket",
    "rss": "RawSocket",
    "rs+unix": "RawSocket",
}

_WHERE: Final = {
    "RawSocket": "wampy.transports.rawsocket",
    "SecureWebSocket": "wampy.transports.websocket",
    "WebSocket": "wampy.transports.websocket",
}

__all__ = ["TRANSPORTS", "RawSocket", "SecureWebSocket", "WebSocket", "transport_for"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: the library that WebSocket takes is not for who speaks RawSocket.
    try:
        module = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(module), name)


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
    name = TRANSPORTS[address.scheme]
    made: type[RawSocket] | type[WebSocket] = getattr(import_module(_WHERE[name]), name)
    return made(address, backend, serializers, TransportOptions(**options))
