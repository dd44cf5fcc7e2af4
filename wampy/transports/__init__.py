"""Ways to a router: a URL chooses the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wampy.interfaces import Backend, Serializer
from wampy.transports.websocket import SecureWebSocket, WebSocket
from wampy.urls import parse_url

# RawSocket and the in-process pair belong here too, when they are built.
TRANSPORTS = {"ws": WebSocket, "wss": SecureWebSocket}

__all__ = ["TRANSPORTS", "SecureWebSocket", "WebSocket", "transport_for"]


def transport_for(url: str, backend: Backend, serializers: Sequence[Serializer], **options: Any) -> WebSocket:
    """Make the transport that a URL asks for; it does no I/O before `connect`.

    Args:
        url: The router's URL.
        backend: The verbs to wait with.
        serializers: What to offer the router, most wanted first.
        **options: ``max_message_size``, ``ssl_context``, ``cert_path``, ``ipv``.

    Returns:
        An unconnected transport.

    Raises:
        AddressError: The URL cannot be used.
    """
    address = parse_url(url)
    return TRANSPORTS[address.scheme](address, backend, serializers, **options)
