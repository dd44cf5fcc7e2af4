"""The routers of a test run: started when asked for, reused, stopped at last. Only fixtures import it."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Final, NamedTuple

from wampy.errors import WampyError
from wampy.peers._configuration import Configuration
from wampy.peers.routers import Crossbar
from wampy.urls import parse_url

# Seconds that a router has to answer before it counts as dead.
_PATIENCE: Final = 5.0

_Key = tuple[str | None, str | None]


class _Running(NamedTuple):
    router: Crossbar
    port: int | None  # the one that no other may have; None for a free one


class Routers:
    """One Crossbar for each configuration and URL.

    They belong to this process: with pytest-xdist each worker process has its own, so a configuration of
    yours should leave its port open there (0).
    """

    def __init__(self) -> None:
        self._running: dict[_Key, _Running] = {}
        self._failed: dict[_Key, str] = {}

    def get(self, config_path: str | os.PathLike[str] | None = None, url: str | None = None) -> Crossbar:
        """Return the router for a configuration; start it when it does not run, or not any more.

        Two configurations with the same port cannot run at once: the one that is asked for does.

        Args:
            config_path: A Crossbar configuration, JSON; without it, the one that comes with wampy.
            url: What `Crossbar.url` is to be, instead of what the configuration says.

        Returns:
            The router, running.

        Raises:
            WampyError: It does not start. It is not tried twice: a start that fails may take a minute.
        """
        key = (None if config_path is None else os.path.abspath(config_path), url)
        found = self._running.get(key)
        if found is not None:
            if _is_alive(found.router):
                return found.router
            del self._running[key]
            found.router.stop()
        if key in self._failed:
            raise WampyError(self._failed[key])
        router = Crossbar(url=url, config_path=config_path)
        try:
            port = _fixed_port(router.config_path, url)
            self._free(port)
            router.start()
        except WampyError as error:
            self._failed[key] = str(error)
            raise
        self._running[key] = _Running(router, port)
        return router

    def stop(self) -> None:
        """Stop them all."""
        while self._running:
            self._running.popitem()[1].router.stop()

    def _free(self, port: int | None) -> None:
        """Stop the router that has a port."""
        for key, (router, other) in list(self._running.items()):
            if port is not None and other == port:
                del self._running[key]
                router.stop()


def _is_alive(router: Crossbar) -> bool:
    """Tell whether a router that we have started still answers; a test may have killed it."""
    if router.pid is None:
        return False
    # By HTTP, not by joining, as a session that comes and goes is something that a test may look at. And not
    # just by connecting: in the moment after a kill the system still accepts connections for it.
    address = parse_url(router.url)
    try:
        with (
            socket.create_connection((address.host, address.port), _PATIENCE) as plain,
            _encrypted(plain) if address.secure else plain as sock,
        ):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return sock.recv(1) != b""
    except OSError:
        return False


def _encrypted(sock: socket.socket) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock)


def _fixed_port(path: Path, url: str | None) -> int | None:
    configuration = Configuration(path)
    if configuration.needs_port and url is not None:
        configuration.fill_ports(parse_url(url).port)
    address = configuration.address()
    return None if address is None else address[1] or None
