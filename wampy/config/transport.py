"""The parameters of a client that its transports need, checked when they are given."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from wampy.constants import DEFAULT_HEARTBEAT, DEFAULT_HEARTBEAT_TIMEOUT, DEFAULT_MAX_MESSAGE_SIZE
from wampy.errors import WampyError
from wampy.urls import parse_proxy

Compression = Literal["deflate"] | None

#: Seconds, some 30 years: above that, clocks and systems have limits of their own.
LONGEST: Final = 1e9

# RFC 9110, section 5.6.2 and 5.5; what is not ASCII means different things to different servers.
_TOKEN: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[!-~]([ \t!-~]*[!-~])?|")
# What the opening handshake itself says.
_RESERVED: Final = ("connection", "upgrade", "content-length", "transfer-encoding")


@dataclass(frozen=True)
class TransportOptions:
    """What a transport is made with; see `Client` for the meaning of each.

    Raises:
        WampyError: A value cannot be used; the text names it.
    """

    max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE
    heartbeat: float | None = DEFAULT_HEARTBEAT
    heartbeat_timeout: float | None = DEFAULT_HEARTBEAT_TIMEOUT
    rawsocket_ping: bool = False
    # They may hold secrets, which a traceback that shows local variables must not tell.
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    compression: Compression = None
    proxy: bool | str = field(default=True, repr=False)
    cert_path: str | os.PathLike[str] | None = None
    ssl_context: ssl.SSLContext | None = None
    ipv: int | None = None

    def __post_init__(self) -> None:
        size = self.max_message_size
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise WampyError(f"max_message_size is a number of bytes or None, not {size!r}")
        check_seconds("heartbeat", self.heartbeat, "to turn it off")
        check_seconds("heartbeat_timeout", self.heartbeat_timeout)
        if not isinstance(self.rawsocket_ping, bool):
            raise WampyError(f"rawsocket_ping is True or False, not {self.rawsocket_ping!r}")
        if self.headers is not None:
            _check_headers(self.headers)
            object.__setattr__(self, "headers", dict(self.headers))  # what was checked is what counts
        if self.compression not in (None, "deflate"):
            raise WampyError(f"compression is 'deflate' or None, not {self.compression!r}")
        if isinstance(self.proxy, str):
            parse_proxy(self.proxy)
        elif not isinstance(self.proxy, bool):
            raise WampyError(
                "proxy is the URL of an HTTP proxy, True for what the environment says, or False for none; "
                f"not {self.proxy!r}"
            )
        if self.cert_path is not None and not isinstance(self.cert_path, (str, os.PathLike)):
            raise WampyError(f"cert_path must be the path of a PEM file or of a folder of them, not {self.cert_path!r}")
        if self.ssl_context is not None and not isinstance(self.ssl_context, ssl.SSLContext):
            raise WampyError(f"ssl_context is an ssl.SSLContext, not {self.ssl_context!r}")
        if self.ssl_context is not None and self.ssl_context.protocol is ssl.PROTOCOL_TLS_SERVER:
            raise WampyError(
                "ssl_context is one for servers; make one for clients: ssl.create_default_context(), or "
                "ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)"
            )
        if self.ssl_context is not None and self.cert_path is not None:
            raise WampyError(
                "cert_path would not count beside ssl_context; load the file into the context instead: "
                "context.load_verify_locations(cert_path)"
            )
        if self.ipv is not None and (type(self.ipv) is not int or self.ipv not in (4, 6)):
            raise WampyError(f"ipv is 4, 6 or None, not {self.ipv!r}")


def _check_headers(headers: Any) -> None:
    if not isinstance(headers, Mapping):
        raise WampyError(f"headers is a dictionary of HTTP headers, not {type(headers).__name__}")
    seen: set[str] = set()
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise WampyError(f"headers has {name!r}, which cannot be the name of an HTTP header")
        if name.lower() in _RESERVED or name.lower().startswith("sec-websocket-"):
            raise WampyError(f"headers has {name!r}, which the WebSocket handshake itself sets")
        if name.lower() in seen:
            raise WampyError(f"headers has {name!r} twice; capital letters make no difference")
        seen.add(name.lower())
        # The value may be a secret, and is not shown.
        if not isinstance(value, str):
            raise WampyError(f"headers[{name!r}] must be a str, not {type(value).__name__}")
        if not _VALUE.fullmatch(value):
            raise WampyError(
                f"headers[{name!r}] has a line break, space at its ends, or other characters than ASCII; "
                "an HTTP header cannot hold that"
            )


def check_seconds(name: str, value: Any, without: str = "for no limit") -> None:
    """Refuse what is no duration.

    Args:
        name: The parameter, for the text.
        value: Seconds above 0, or ``None``.
        without: What ``None`` is for.

    Raises:
        WampyError: It is neither.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise WampyError(f"{name} is a number of seconds above 0, or None {without}; not {value!r}")
    if value > LONGEST:
        raise WampyError(f"{name} is at most {LONGEST:g} seconds; give None {without}")
