"""Parse router and proxy URLs. Pure: no look-up of names, no I/O."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from wampy.errors import AddressError
from wampy.texts import redact

Framing = Literal["websocket", "rawsocket"]


class _Scheme(NamedTuple):
    framing: Framing
    secure: bool
    #: The port when none is given; ``None`` when one must be, 0 when there are none.
    port: int | None
    example: str


_UNIX: Final = 0

#: Every scheme that a router URL may have.
SCHEMES: Final = {
    "ws": _Scheme("websocket", False, 80, "ws://localhost:8080/ws"),
    "wss": _Scheme("websocket", True, 443, "wss://router.example.com/ws"),
    "ws+unix": _Scheme("websocket", False, _UNIX, "ws+unix:///run/router.sock"),
    "rs": _Scheme("rawsocket", False, None, "rs://localhost:8081"),
    "rss": _Scheme("rawsocket", True, None, "rss://router.example.com:8081"),
    "rs+unix": _Scheme("rawsocket", False, _UNIX, "rs+unix:///run/router.sock"),
}

# RFC 3986, section 3.1.
_SCHEME: Final = re.compile(r"[A-Za-z][-A-Za-z0-9+.]*")
_KNOWN: Final = ", ".join(f"{name}://" for name in SCHEMES)
_EXAMPLE: Final = f"write it as {SCHEMES['ws'].example} or {SCHEMES['wss'].example}"
_PROXY_EXAMPLE: Final = "write a proxy as http://proxy.example.com:3128"


class RouterUrl(NamedTuple):
    """A router's address, taken apart.

    Attributes:
        url: As given.
        scheme: In lower case, one of `SCHEMES`.
        host: A name or an IP address, in ASCII; ``localhost`` for a Unix socket.
        port: The TCP port; 0 for a Unix socket.
        resource: Path and query of a WebSocket's URL.
        secure: Whether there is TLS.
        username: For HTTP's basic authentication, or ``None``.
        password: Likewise.
        socket_path: Of a Unix socket, else ``None``.
    """

    url: str
    scheme: str
    host: str
    port: int
    resource: str
    secure: bool
    username: str | None = None
    password: str | None = None
    socket_path: str | None = None

    @property
    def framing(self) -> Framing:
        """How messages are framed: ``websocket`` or ``rawsocket``."""
        return SCHEMES[self.scheme].framing

    @property
    def server_name(self) -> str:
        """The host as others may know it: the zone of an IPv6 address means something on this machine only."""
        return self.host.partition("%")[0]

    @property
    def redacted(self) -> str:
        """The URL without a password, for messages and logs."""
        return redact(self.url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.redacted}>"


class ProxyUrl(NamedTuple):
    """An HTTP proxy's address, taken apart."""

    url: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @property
    def redacted(self) -> str:
        """The URL without a password, for messages and logs."""
        return redact(self.url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.redacted}>"


def parse_url(url: str) -> RouterUrl:
    """Take a router URL apart.

    Args:
        url: ``ws://host[:port][/path]``, ``wss://…``, ``rs://host:port``, ``rss://…``, ``rs+unix:///path`` or
            ``ws+unix:///path[:/resource]``. An IPv6 address stands in brackets.

    Returns:
        The parts, with the scheme's own port (80 or 443) when a WebSocket's URL names none.

    Raises:
        AddressError: The URL cannot be used; the text says what is wrong and what would do.
    """
    scheme = _scheme_of(url, "router", _EXAMPLE)
    known = SCHEMES.get(scheme)
    if known is None:
        raise AddressError(url, f"unknown scheme {scheme}://; known are {_KNOWN}", _EXAMPLE)
    example = f"write it as {known.example}"
    parts, port = _split(url, example)
    if parts.fragment or url.endswith("#"):
        raise AddressError(url, "a router URL has no fragment (#…)", "leave it out, or write %23 for a # in the path")
    if known.port == _UNIX:
        return _unix(url, scheme, known, parts, example)
    host = _host_of(url, parts, example)
    if known.framing == "rawsocket":
        _check_rawsocket(url, parts, port, example)
        return RouterUrl(url, scheme, host, port or 0, "", known.secure)
    resource = _ascii(url, parts.path or "/")
    if parts.query:
        resource = f"{resource}?{_ascii(url, parts.query)}"
    username, password = _credentials(url, parts)
    return RouterUrl(url, scheme, host, port or known.port or 0, resource, known.secure, username, password)


def parse_proxy(url: str) -> ProxyUrl:
    """Take the URL of an HTTP proxy apart.

    Args:
        url: ``http://[user:password@]host[:port]``.

    Returns:
        The parts, with port 80 when the URL names none.

    Raises:
        AddressError: It is none; the text says what is wrong and what would do.
    """
    scheme = _scheme_of(url, "proxy", _PROXY_EXAMPLE)
    if scheme != "http":
        raise AddressError(url, f"wampy speaks to proxies by http:// only, not by {scheme}://", _PROXY_EXAMPLE)
    parts, port = _split(url, _PROXY_EXAMPLE)
    host = _host_of(url, parts, _PROXY_EXAMPLE)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise AddressError(url, "a proxy's URL ends with its port", _PROXY_EXAMPLE)
    return ProxyUrl(url, host, port or 80, *_credentials(url, parts))


def _scheme_of(url: object, what: str, example: str) -> str:
    if not isinstance(url, str):
        raise AddressError(url, f"a {what} URL is a str, not {type(url).__name__}", example)
    if any(c.isspace() or ord(c) < 0x20 or ord(c) == 0x7F for c in url):
        raise AddressError(url, "there is white space in it", example)
    scheme, separator, _ = url.partition("://")
    # What else may stand there is not for an error to show: a password, as in joe:secret@ws://localhost/.
    name, _, rest = url.partition(":")
    if not separator and name.lower() in SCHEMES and rest.startswith("/"):
        raise AddressError(url, "there is no // behind its scheme", f"write it as {SCHEMES[name.lower()].example}")
    if not separator or not _SCHEME.fullmatch(scheme):
        raise AddressError(url, "it has no scheme", example)
    return scheme.lower()


def _split(url: str, example: str) -> tuple[SplitResult, int | None]:
    # Their own texts may show a password.
    try:
        parts = urlsplit(url)
    except ValueError:
        problem = "its host cannot be read; an IPv6 address stands in brackets, as in [::1]"
        raise AddressError(url, problem, example) from None
    try:
        port = parts.port
    except ValueError:
        raise AddressError(url, "its port is no number from 1 to 65535", example) from None
    if port == 0:
        raise AddressError(url, "port 0 cannot be connected to", example)
    return parts, port


def _host_of(url: str, parts: SplitResult, example: str) -> str:
    host = parts.hostname
    if not host:
        raise AddressError(url, "it has no host", example)
    if ":" in host:
        return unquote(host)  # the zone of an IPv6 address is percent-encoded (RFC 6874)
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as exc:
        raise AddressError(url, f"{host!r} cannot be a host name ({exc})", example) from None


def _credentials(url: str, parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username is None:
        return None, None
    username, password = unquote(parts.username), None if parts.password is None else unquote(parts.password)
    if ":" in username:
        raise AddressError(url, "its user has a colon, which HTTP's basic authentication cannot tell", "use another")
    try:
        f"{username}{password}".encode()
    except UnicodeEncodeError:
        raise AddressError(url, "its user or password is no text", "percent-encode it, in UTF-8") from None
    return username, password


def _ascii(url: str, resource: str) -> str:
    if not resource.isascii():
        raise AddressError(url, "its path is not ASCII", "percent-encode it")
    return resource


def _check_rawsocket(url: str, parts: SplitResult, port: int | None, example: str) -> None:
    if port is None:
        raise AddressError(url, "it has no port, and RawSocket has no usual one", example)
    if parts.path not in ("", "/") or parts.query:
        own = url.partition("://")[0] + "://" + parts.netloc.rpartition("@")[2]
        remedy = f"write it as {own}, or ws:// for a WebSocket with a path"
        raise AddressError(url, "a RawSocket URL has no path", remedy)
    if parts.username is not None:
        raise AddressError(url, "RawSocket has no user and password in its URL", "authenticate with auth=…")


def _unix(url: str, scheme: str, known: _Scheme, parts: SplitResult, example: str) -> RouterUrl:
    if parts.netloc:
        raise AddressError(url, f"there is a host, {redact(url).split('/')[2]!r}, before the path", example)
    path, resource = parts.path, ""
    if known.framing == "websocket":
        # A ":" in front of a "/" parts the file from the resource, as other programs have it too.
        path, colon, rest = path.partition(":/")
        resource = _ascii(url, f"/{rest}" if colon else "/")
        if parts.query:
            resource = f"{resource}?{_ascii(url, parts.query)}"
    elif parts.query:
        raise AddressError(url, "a RawSocket URL has no query (?…)", f"{example}, with %3F for a ? in the path")
    path = unquote(path, errors="surrogateescape")  # a file's name is bytes
    if not path or path.endswith("/"):
        raise AddressError(url, "it names no socket file", example)
    if "\0" in path:
        raise AddressError(url, "there is a NUL in the path", example)
    try:
        size = len(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as exc:
        raise AddressError(url, f"{path!r} cannot be a file's name ({exc.reason})", example) from None
    if size > LONGEST_SOCKET_PATH:
        raise AddressError(
            url, f"its path is longer than the {LONGEST_SOCKET_PATH} bytes of a Unix socket's", "use a shorter one"
        )
    return RouterUrl(url, scheme, "localhost", 0, resource, known.secure, socket_path=path)


#: Bytes; ``sun_path`` of Linux, less its final NUL. Where it is shorter the system says so itself.
LONGEST_SOCKET_PATH: Final = 107
