"""How a socket gets connected to a router: over TCP, through an HTTP proxy, or to a Unix socket; with a deadline."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import Any

from wampy.errors import ConnectionClosed, ConnectionError, WampyTimeOutError
from wampy.interfaces import READ, WRITE, Backend, Direction, Slot, Socket
from wampy.texts import shown
from wampy.urls import ProxyUrl, RouterUrl

# How many bytes are read at once, and how many from a router that has that much to say. The larger room is more than
# the allocator keeps at hand: for each message of a few bytes it would be fetched from the system and given back.
READ_SIZE = 65_536
LARGE_READ_SIZE = 262_144

FAMILIES = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}

# Seconds between two tries at a Unix socket whose queue of new connections is full: its kernel tells nobody when
# there is room again.
_QUEUE_PAUSE = 0.02

# What may be done about a name that cannot be looked up.
_REMEDIES = {
    socket.EAI_NONAME: "Is it spelled right, and known on this machine?",
    socket.EAI_AGAIN: "The name servers cannot tell at the moment: is this machine's network up?",
    socket.EAI_FAIL: "The name servers refuse to tell: are they the right ones?",
}


def _remedy(failure: OSError) -> str:
    remedy = _REMEDIES.get(failure.errno or 0) if isinstance(failure, socket.gaierror) else None
    return "" if remedy is None else f". {remedy}"


class Connection:
    """A socket that is being connected. Everything here waits, up to a deadline.

    Args:
        url: The router's address.
        backend: The verbs to wait with.
        ipv: 4 or 6 to use only that version of IP.

    Attributes:
        bytes_in: How many bytes were read, whatever they are.
        bytes_out: How many bytes were written.
    """

    def __init__(self, url: RouterUrl, backend: Backend, ipv: int | None = None) -> None:
        self.url = url
        self._backend = backend
        self._family = FAMILIES[ipv]
        self._socket: Socket | None = None
        self._looking_up: Slot | None = None
        self._given_up = False
        self._late = False
        self.bytes_in = 0
        self.bytes_out = 0
        self._owner = os.getpid()

    @property
    def socket(self) -> Socket:
        """The connected socket, to be watched."""
        assert self._socket is not None, "connecting comes first"
        return self._socket

    def close(self) -> None:
        """Close the socket, if there is one. Its watch must be closed already."""
        if self._socket is not None:
            self._socket.close()

    def give_up(self) -> None:
        """Make whoever waits for this connection in another green thread raise."""
        self._given_up = True
        # A forked child shares the socket, but whoever waits for it is its parent's.
        if os.getpid() != self._owner:
            return
        if self._looking_up is not None:
            self._looking_up.set()
        if self._socket is not None:
            with suppress(OSError):  # it need not be connected yet
                self._socket.shutdown(socket.SHUT_RDWR)  # which wakes whoever waits for it

    def open(self, deadline: float | None, proxy: ProxyUrl | None = None) -> None:
        """Connect to the router, or to a proxy.

        Raises:
            ConnectionError: Nobody is there.
            WampyTimeOutError: The deadline has come.
        """
        if self.url.socket_path is not None:
            self._open_unix(self.url.socket_path, deadline)
        elif proxy is not None:
            self._open_tcp(proxy.host, proxy.port, f"the proxy {proxy.redacted}", deadline)
        else:
            self._open_tcp(self.url.host, self.url.port, self.url.redacted, deadline)

    def _open_tcp(self, host: str, port: int, where: str, deadline: float | None) -> None:
        self._check_given_up()
        self._looking_up = self._backend.slot()
        try:
            addresses = self._backend.resolve(host, port, self._family, deadline, self._looking_up)
        except TimeoutError:
            raise WampyTimeOutError(f"address of {host!r} for {where}: no name server has answered") from None
        except OSError as exc:
            what = f"host name {host!r}: {exc.strerror or exc}"
            raise ConnectionError(f"cannot connect to {where}: {what}{_remedy(exc)}") from exc
        self._check_given_up()
        failures = []
        for left, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                error = self._try(family, kind, protocol, address, where, self._share(deadline, left))
            except WampyTimeOutError:
                # A name may have an address of a version of IP that does not get through from here.
                if left == 1:
                    raise
                self.close()
                error = errno.ETIMEDOUT
            if not error:
                # Small messages must not wait for each other's acknowledgement.
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return
            failures.append(f"{address[0]} port {port}: {os.strerror(error)}")
        who = "a router" if where == self.url.redacted else "the proxy"
        raise ConnectionError(f"cannot connect to {where}: {'; '.join(failures)}. Is {who} running there?")

    def _share(self, deadline: float | None, left: int) -> float | None:
        """Give the next address an equal part of the time that is left, so that a silent one does not take it all."""
        if deadline is None or left == 1:
            return deadline
        now = self._backend.monotonic()
        return now + max(deadline - now, 0.0) / left

    def _open_unix(self, path: str, deadline: float | None) -> None:
        where = self.url.redacted
        while True:
            error = self._try(socket.AF_UNIX, socket.SOCK_STREAM, 0, path, where, deadline)
            if not error:
                return
            if error != errno.EAGAIN:
                raise ConnectionError(
                    f"cannot connect to {where}: {shown(path)}: {os.strerror(error)}. Is a router running there?"
                )
            if deadline is not None and self._backend.monotonic() >= deadline:
                raise WampyTimeOutError(f"connection to {where}, whose queue of new connections is full")
            self._backend.sleep(_QUEUE_PAUSE)
            self._check_given_up()

    def _try(self, family: int, kind: int, protocol: int, address: Any, where: str, deadline: float | None) -> int:
        """Connect to one address; return 0 or the error's number, with the socket closed then."""
        try:
            self._socket = self._backend.socket(family, kind, protocol)
        except OSError as exc:  # no more descriptors, or no such family on this machine
            return exc.errno or errno.EIO
        try:
            error = self._socket.connect_ex(address)
        except OSError as exc:  # a path that is too long for this system, for example
            raise ConnectionError(f"cannot connect to {where}: {exc.strerror or exc}") from exc
        if error == errno.EINPROGRESS:
            self.wait(WRITE, f"connection to {where}", deadline)
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._socket.close()
        return error

    # Plain bytes.

    def write_all(self, data: bytes | bytearray, deadline: float | None, what: str = "handshake with") -> None:
        """Write all of it.

        Raises:
            ConnectionError: The router broke the connection off.
            WampyTimeOutError: The deadline has come.
        """
        view = memoryview(data)
        while view:
            try:
                sent = self.socket.send(view)
                self.bytes_out += sent
                view = view[sent:]
            except (BlockingIOError, InterruptedError):
                self.wait(WRITE, f"{what} {self.url.redacted}", deadline)
            except OSError as exc:
                raise self._broken(exc) from exc

    def read_raw(self, what: str, deadline: float | None) -> bytes:
        """Read what is there, ``b""`` at the end of the stream.

        Args:
            what: What is waited for, for the error.
            deadline: When to give up.
        """
        while True:
            # One look after the deadline, for what came in time; whoever trickles it in shall not extend it.
            if self._late:
                raise WampyTimeOutError(f"{what} {self.url.redacted}")
            self._late = deadline is not None and self._backend.monotonic() >= deadline
            try:
                data = self.socket.recv(READ_SIZE)
                self.bytes_in += len(data)
                return data
            except (BlockingIOError, InterruptedError):
                self.wait(READ, f"{what} {self.url.redacted}", deadline)
            except OSError as exc:
                raise self._broken(exc) from exc

    def wait(self, direction: Direction, what: str, deadline: float | None) -> None:
        """Wait until the socket is ready.

        Raises:
            ConnectionClosed: `give_up` was called.
            WampyTimeOutError: The deadline has come; the text names what was waited for.
        """
        in_time = self._backend.wait(self.socket, direction, deadline)
        self._check_given_up()
        if not in_time:
            raise WampyTimeOutError(what)

    def _check_given_up(self) -> None:
        # A copy of a green thread in a forked child must not take from the socket what its parent waits for.
        if self._given_up or os.getpid() != self._owner:
            raise ConnectionClosed("the client was stopped while it connected", clean=True)

    def _broken(self, exc: OSError) -> ConnectionError:
        self._check_given_up()
        return ConnectionError(f"{self.url.redacted} broke the connection off: {exc.strerror or exc}")
