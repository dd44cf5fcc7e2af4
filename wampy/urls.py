"""Parse a router URL. Pure: no look-up of names, no I/O."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from wampy.errors import AddressError
from wampy.texts import redact

#: scheme -> (secure, the port when none is given)
SCHEMES: Final = {"ws": (False, 80), "wss": (True, 443)}

# Known to the design, each with an issue of its own; named so that the error can tell them from a typing slip.
PLANNED_SCHEMES: Final = ("ws+unix", "rs", "rss", "rs+unix")

_EXAMPLE: Final = "write it as ws://localhost:8080/ws or wss://router.example.com/ws"


class RouterUrl(NamedTuple):
    """A router's address, taken apart."""

    url: str
    scheme: str
    host: str
    port: int
    resource: str
    secure: bool
    username: str | None = None
    password: str | None = None

    @property
    def redacted(self) -> str:
        """The URL without a password, for messages and logs."""
        return redact(self.url)


def parse_url(url: str) -> RouterUrl:
    """Take a router URL apart.

    Args:
        url: ``ws://host[:port][/path]`` or ``wss://…``; an IPv6 address stands in brackets.

    Returns:
        The parts, with the scheme's own port (80 or 443) when the URL names none.

    Raises:
        AddressError: The URL cannot be used; the text says what is wrong and what would do.
    """
    if not isinstance(url, str):
        raise AddressError(url, f"a router URL is a str, not {type(url).__name__}", _EXAMPLE)
    if any(c.isspace() or ord(c) < 0x20 for c in url):
        raise AddressError(url, "there is white space in it", _EXAMPLE)
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise AddressError(url, "it has no scheme", _EXAMPLE)
    scheme = scheme.lower()
    if scheme in PLANNED_SCHEMES:
        raise AddressError(url, f"the scheme {scheme}:// is not supported yet", _EXAMPLE)
    if scheme not in SCHEMES:
        raise AddressError(url, f"unknown scheme {scheme}://", _EXAMPLE)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise AddressError(url, str(exc), _EXAMPLE) from None
    if not parts.hostname:
        raise AddressError(url, "it has no host", _EXAMPLE)
    if port == 0:
        raise AddressError(url, "port 0 cannot be connected to", _EXAMPLE)
    if parts.fragment:
        raise AddressError(url, "a WebSocket URL has no fragment (#…)", "leave it out")
    secure, default_port = SCHEMES[scheme]
    resource = parts.path or "/"
    if parts.query:
        resource = f"{resource}?{parts.query}"
    if not resource.isascii():
        raise AddressError(url, "its path is not ASCII", "percent-encode it")
    username = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return RouterUrl(url, scheme, parts.hostname, port or default_port, resource, secure, username, password)
