"""What a server's refusal of the opening handshake of WebSocket means. Pure: bytes in, an error out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from websockets.exceptions import InvalidStatus

from wampy.errors import HandshakeError
from wampy.texts import shown
from wampy.urls import RouterUrl

SWITCHING_PROTOCOLS: Final = 101
_STATUS_LINE: Final = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})\b(?: ([ -~]{1,300})\r?\n)?")
_USUAL_REASONS: Final = {"", *(status.phrase for status in HTTPStatus)}


def may_be_http(head: bytes) -> bool:
    """Say whether an answer may be HTTP, as far as it has come."""
    return head[:5] == b"HTTP/"[: len(head)]


def status_of(head: bytes) -> int | None:
    """Read the HTTP status, also of an answer that is not whole or of HTTP/1.0, which the core refuses."""
    found = _STATUS_LINE.match(head)
    return int(found[1]) if found else None


def headers_of(response: Any) -> Mapping[str, str]:
    """Return a response's headers, names in lower case."""
    return {name.lower(): value for name, value in response.headers.raw_items()}


def refusal(
    url: RouterUrl, head: bytes, offered: Sequence[str], authorized: bool, error: Exception | None
) -> HandshakeError:
    """Make the error for a handshake that failed.

    Args:
        url: The router's address.
        head: What the server said, as far as it was kept.
        offered: The subprotocols that were offered.
        authorized: Whether the request had an Authorization header.
        error: What the core says about it.
    """
    where, status = url.redacted, status_of(head)
    if status is not None and status != SWITCHING_PROTOCOLS:
        cause = _likely_cause(status, url, offered, authorized)
        said = _reason(head)
        if said:
            cause += f". It says: {said}"
        headers = headers_of(error.response) if isinstance(error, InvalidStatus) else {}
        return HandshakeError(f"HTTP {status} at {url.resource!r} of {where}: {cause}", status, headers)
    if not head:
        why = f"it closed the connection without an answer ({_why_closed(url)})"
    elif not may_be_http(head):
        why = f"it speaks no HTTP, it said {shown(repr(head[:40]))}"
    else:
        why = str(error)
    place = "port" if url.socket_path is None else "socket"
    return HandshakeError(f"no WebSocket at {where}: {why}. Is it the {place} of a WAMP router?", status)


def _likely_cause(status: int, url: RouterUrl, offered: Sequence[str], authorized: bool) -> str:
    if status == 400:
        return f"it may have none of the subprotocols that were offered, {', '.join(offered)}"
    if status == 401:
        if authorized:
            return "the router does not accept this user and password"
        return "the router wants HTTP authentication; write it as ws://user:password@host"
    if status == 403:
        return "the router does not allow this origin or client"
    if status == 404:
        if url.resource == "/ws":
            return "the router has its WebSocket at another path"
        return "Crossbar's usual path is '/ws'"
    if status == 426:
        return "the server wants another protocol on this path"
    return "is the URL that of a WAMP router?"


def _why_closed(url: RouterUrl) -> str:
    if url.secure:
        return "it may want a client certificate"
    if url.socket_path is not None:
        return "a RawSocket does that; for one of those write rs+unix://"
    return "TLS and RawSocket ports do that; for those write wss:// or rs://"


def _reason(head: bytes) -> str:
    """Read what a refusal says beside the status; Crossbar says there which subprotocols it has."""
    found = _STATUS_LINE.match(head)
    text = found[2].decode("ascii").strip() if found and found[2] else ""
    return "" if text in _USUAL_REASONS else text
