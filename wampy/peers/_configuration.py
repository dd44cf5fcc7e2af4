"""Read a Crossbar configuration: which realm it has, and at which URL it will listen."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from wampy.constants import DEFAULT_REALM
from wampy.errors import WampyError
from wampy.urls import RouterUrl, parse_url

#: The configurations that come with wampy, and the keys that they use.
CONFIGS: Final = Path(__file__).resolve().parent.parent / "testing" / "configs"
KEYS: Final = CONFIGS.parent / "keys"
PACKAGED: Final = CONFIGS / "crossbar.json"

#: Where somebody may listen: host and port, or the path of a Unix socket.
Place = tuple[str, int] | str

# Interfaces that mean "all of them".
_ANY: Final = ("", "0.0.0.0", "::")


class Configuration:
    """A Crossbar configuration as Crossbar will see it.

    A TCP port of 0, which Crossbar itself refuses, stands for a free port, chosen when Crossbar starts: two
    Crossbars with such a configuration never meet.

    Args:
        path: The file, JSON.

    Attributes:
        path: As given.
        content: What is in it.
        has_filled_ports: Whether `content` has ports that the file leaves open.

    Raises:
        WampyError: It cannot be read, is no JSON, or not what a Crossbar configuration looks like.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.has_filled_ports = False
        try:
            self.content: Any = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise WampyError(f"Crossbar's configuration {path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            hint = ""
            if path.suffix in (".yaml", ".yml"):
                hint = f"; wampy reads JSON only, which `crossbar convert --config {path}` makes of it"
            raise WampyError(f"Crossbar's configuration {path} is no JSON: {error}{hint}") from None
        if not isinstance(self.content, dict) or not isinstance(self.content.get("workers", []), list):
            raise WampyError(f"Crossbar's configuration {path} is no JSON object with a list of 'workers'")

    @property
    def realm(self) -> str:
        """The first realm's name; "realm1" when there is none: Crossbar will say what is wrong with that."""
        for realm in self._parts("realms"):
            if isinstance(realm.get("name"), str):
                return str(realm["name"])
        return DEFAULT_REALM

    @property
    def needs_port(self) -> bool:
        """Whether there is a port of 0 that a free one must replace."""
        return any(_port_of(transport) == 0 for transport in self._parts("transports"))

    def fill_ports(self, url: str | None = None) -> bool:
        """Replace each port of 0.

        Args:
            url: The router's URL, where it is given. Its port, if it has one and no transport has that already, goes
                to the first transport without one that speaks what the URL says. All others get free ones.

        Returns:
            Whether a free one was looked for.
        """
        unfilled = [transport for transport in self._parts("transports") if _port_of(transport) == 0]
        if not unfilled:
            return False
        self.has_filled_ports = True
        address = None if url is None else parse_url(url)
        if address is not None and address.port not in (0, *map(_port_of, self._parts("transports"))):
            # The first among equals.
            fitting = max(unfilled, key=lambda transport: _fitness(transport, address))
            fitting["endpoint"]["port"] = address.port
            unfilled = [transport for transport in unfilled if transport is not fitting]
        for transport in unfilled:
            transport["endpoint"]["port"] = free_port()
        return bool(unfilled)

    def places(self, folder: Path) -> list[Place]:
        """Find where it listens, as far as it says so by numbers and names.

        Args:
            folder: Crossbar's node folder.

        Returns:
            Host and port of each TCP port, and the absolute path of each Unix socket.
        """
        found: list[Place] = []
        for transport in self._parts("transports"):
            endpoint, port = _mapping(transport.get("endpoint")), _port_of(transport)
            path = endpoint.get("path")
            if endpoint.get("type") == "unix" and isinstance(path, str):
                found.append(os.path.abspath(os.path.join(folder, os.path.expandvars(path))))
            elif port:
                interface = str(endpoint.get("interface", ""))
                found.append(("localhost" if interface in _ANY else interface, port))
        return found

    def address(self) -> tuple[str, int] | None:
        """Find host and port of the first transport that speaks WebSocket.

        Returns:
            Both, or ``None`` when it is not a TCP port that stands there as a number.
        """
        found = self._first_websocket()
        return None if found is None else found[:2]

    def url(self) -> str:
        """Derive the URL of the first transport that speaks WebSocket.

        Returns:
            For example ``ws://localhost:8080/ws``.

        Raises:
            WampyError: There is none, or its endpoint is none that a URL can be made of.
        """
        found = self._first_websocket()
        if found is None:
            raise WampyError(
                f"Crossbar's configuration {self.path} has no WebSocket transport with a TCP port, so no URL "
                "can be derived from it: give url= to Crossbar"
            )
        host, port, scheme, path = found
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/{path}"

    def _first_websocket(self) -> tuple[str, int, str, str] | None:
        for transport in self._parts("transports"):
            path = _websocket_path(transport)
            if path is None:
                continue
            endpoint = _mapping(transport.get("endpoint"))
            port, is_secure = endpoint.get("port"), "tls" in endpoint
            if not isinstance(port, int):
                return None
            interface = str(endpoint.get("interface", ""))
            # A certificate names a host, hardly ever an address.
            host = "localhost" if interface in _ANY or is_secure else interface
            return host, port, "wss" if is_secure else "ws", path
        return None

    def _parts(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield what all workers have under a name: their realms, their transports."""
        for worker in self.content.get("workers", []):
            found = _mapping(worker).get(name)
            # Some kinds of workers name their transports: a mapping then.
            parts = list(found.values()) if isinstance(found, dict) else found
            for part in parts if isinstance(parts, list) else []:
                if isinstance(part, dict):
                    yield part


def _websocket_path(transport: dict[str, Any]) -> str | None:
    """Return the path at which a transport speaks WebSocket, less its first "/"; ``None`` if it does not."""
    kind = transport.get("type")
    if kind == "websocket":
        return ""
    paths: list[str] = []
    if kind == "universal":
        paths += _mapping(transport.get("websocket"))
        web = _mapping(_mapping(transport.get("web")).get("paths"))
    else:
        web = _mapping(transport.get("paths")) if kind == "web" else {}
    paths += [path for path, service in web.items() if _mapping(service).get("type") == "websocket"]
    if not paths:
        return None
    return "" if paths[0] == "/" else paths[0]


def _port_of(transport: dict[str, Any]) -> int | None:
    """Return the number of a transport's TCP port; ``None`` if it does not stand there as one."""
    port = _mapping(transport.get("endpoint")).get("port")
    return port if isinstance(port, int) and not isinstance(port, bool) else None


def _fitness(transport: dict[str, Any], address: RouterUrl) -> tuple[bool, bool]:
    """Tell whether a transport speaks what a URL says: the framing, which counts more, and TLS or none."""
    kind = transport.get("type")
    if address.framing == "rawsocket":
        speaks = kind == "rawsocket" or (kind == "universal" and "rawsocket" in transport)
    else:
        speaks = _websocket_path(transport) is not None
    return speaks, ("tls" in _mapping(transport.get("endpoint"))) is address.secure


def _mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object as it is, and an empty one for anything else: Crossbar will refuse it."""
    return value if isinstance(value, dict) else {}


def free_port() -> int:
    """Find a TCP port that nobody listens at.

    Returns:
        The port. It is not reserved: somebody else may take it at any time.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def is_taken(place: Place) -> bool:
    """Tell whether somebody listens at a place already.

    Args:
        place: Host and port, or the path of a Unix socket.

    Returns:
        Whether a connection was accepted, or might have been.
    """
    try:
        if isinstance(place, str):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(1.0)
                sock.connect(place)
        else:
            socket.create_connection(place, 1.0).close()
    except BlockingIOError:
        return True  # so many wait at this Unix socket that there is no room for one more
    except OSError:
        return False
    return True
