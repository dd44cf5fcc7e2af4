"""A connected byte stream: a socket, and TLS over it when the URL is a secure one.

Connecting and handshakes block the caller, with a deadline; after that only `receive` and `transmit` are used,
which never block.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from contextlib import suppress
from typing import Any

from wampy.errors import ConnectionClosed, ConnectionError, HandshakeError, WampyError, WampyTimeOutError
from wampy.interfaces import READ, WRITE, Backend, Direction, Socket
from wampy.transports.tls import TlsLayer, client_context
from wampy.urls import RouterUrl

READ_SIZE = 262_144

FAMILIES = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}


class Stream:
    """Bytes to and from a router.

    Args:
        url: The router's address.
        backend: The verbs to wait with.
        ssl_context: For a secure URL, a context to use instead of the default one.
        cert_path: For a secure URL, a PEM file of CA certificates to trust instead of the system's.
        ipv: 4 or 6 to use only that version of IP.
    """

    def __init__(
        self,
        url: RouterUrl,
        backend: Backend,
        ssl_context: ssl.SSLContext | None = None,
        cert_path: str | None = None,
        ipv: int | None = None,
    ) -> None:
        if ipv not in FAMILIES:
            raise WampyError(f"ipv is 4, 6 or None, not {ipv!r}")
        self.url = url
        self._backend = backend
        self._ssl_context = ssl_context
        self._cert_path = cert_path
        self._family = FAMILIES[ipv]
        self._socket: Socket | None = None
        self._tls: TlsLayer | None = None
        self._given_up = False

    @property
    def socket(self) -> Socket:
        """The connected socket, to be watched."""
        assert self._socket is not None, "connect() comes first"
        return self._socket

    def close(self) -> None:
        """Close the socket, if there is one. Its watch must be closed already."""
        if self._socket is not None:
            self._socket.close()

    def give_up(self) -> None:
        """Make a `connect`, `read` or `write` that waits in another green thread raise."""
        self._given_up = True
        if self._socket is not None:
            with suppress(OSError):  # it need not be connected yet
                self._socket.shutdown(socket.SHUT_RDWR)  # which wakes whoever waits for it

    # With a deadline, while connecting.

    def connect(self, deadline: float | None) -> None:
        """Connect, and shake hands for TLS; waits.

        Raises:
            ConnectionError: Nobody is there.
            HandshakeError: There is no TLS, or the certificate is not accepted.
            WampyTimeOutError: The deadline has come.
        """
        self._connect_socket(deadline)
        if self.url.secure:
            self._start_tls(deadline)

    def _connect_socket(self, deadline: float | None) -> None:
        host, port, where = self.url.host, self.url.port, self.url.redacted
        try:
            addresses = self._backend.resolve(host, port, self._family, deadline)
        except TimeoutError:
            raise self._too_late("address of the router at") from None
        except OSError as exc:
            raise ConnectionError(f"cannot connect to {where}: host name {host!r}: {exc.strerror or exc}") from exc
        failures = []
        for family, kind, protocol, _, address in addresses:
            self._socket = self._backend.socket(family, kind, protocol)
            error = self._socket.connect_ex(address)
            if error == errno.EINPROGRESS:
                self._wait(WRITE, "connection to", deadline)
                error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not error:
                # Small messages must not wait for each other's acknowledgement.
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return
            self._socket.close()
            failures.append(f"{address[0]} port {port}: {os.strerror(error)}")
        raise ConnectionError(
            f"cannot connect to {where}: {'; '.join(failures)}. Is a router running there?"
        )

    def _start_tls(self, deadline: float | None) -> None:
        context = self._ssl_context or client_context(self._cert_path)
        tls = TlsLayer(context, self.url.host)
        data = None
        try:
            while not tls.handshake(data):
                self._write_all(tls.take(), deadline)
                data = self._read_raw("TLS handshake with", deadline)
            self._write_all(tls.take(), deadline)
        except ssl.SSLCertVerificationError as exc:
            with suppress(OSError):  # the alert, if the router still listens
                self.transmit(tls.take())
            if "not valid for" in exc.verify_message:
                remedy = "Use the host name that the certificate is for"
            else:
                remedy = "For a router with an authority of its own give cert_path=<the authority's PEM file>"
            problem = f"{exc.verify_message.rstrip('.')}. {remedy}"
            raise HandshakeError(f"the certificate of {self.url.redacted} is not accepted: {problem}") from exc
        except ssl.SSLError as exc:
            raise HandshakeError(
                f"no TLS with {self.url.redacted}: {exc.reason or exc}. Is it a TLS port? ws:// is without TLS"
            ) from exc
        self._tls = tls

    def _write_all(self, data: bytes, deadline: float | None) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except (BlockingIOError, InterruptedError):
                self._wait(WRITE, "handshake with", deadline)
            except OSError as exc:
                raise self._broken(exc) from exc

    def _read_raw(self, what: str, deadline: float | None) -> bytes:
        while True:
            try:
                return self.socket.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                self._wait(READ, what, deadline)
            except OSError as exc:
                raise self._broken(exc) from exc

    def read(self, what: str, deadline: float | None) -> bytes:
        """Read what is there, ``b""`` at the end of the stream; waits.

        Args:
            what: What is waited for, for the error.
            deadline: When to give up.
        """
        while True:
            data = self._read_raw(what, deadline)
            if self._tls is None:
                return data
            plain, ended = self._tls.decrypt(data)
            self._write_all(self._tls.take(), deadline)
            if plain or ended:
                return plain

    def write(self, data: bytes, deadline: float | None) -> None:
        """Write all of it; waits."""
        if self._tls is not None:
            self._tls.encrypt(data)
            data = self._tls.take()
        self._write_all(data, deadline)

    def _wait(self, direction: Direction, what: str, deadline: float | None) -> None:
        in_time = self._backend.wait(self.socket, direction, deadline)
        if self._given_up:
            raise ConnectionClosed("the client was stopped while it connected", clean=True)
        if not in_time:
            raise self._too_late(what)

    def _too_late(self, what: str) -> WampyTimeOutError:
        return WampyTimeOutError(f"{what} {self.url.redacted}")

    def _broken(self, exc: OSError) -> ConnectionError:
        return ConnectionError(f"{self.url.redacted} broke the connection off: {exc.strerror or exc}")

    # Without waiting, once it is watched.

    def receive(self) -> bytes | None:
        """Read once.

        Returns:
            Bytes, ``b""`` at the end of the stream, ``None`` when there is nothing now.

        Raises:
            ConnectionClosed: The stream is broken.
        """
        try:
            data: bytes | None = self.socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            data = None
        except OSError as exc:
            raise self.gone(exc) from exc
        if self._tls is None:
            return data
        try:
            plain, ended = self._tls.decrypt(data)
        except ssl.SSLError as exc:
            raise ConnectionClosed(f"{self.url.redacted}: TLS: {exc.reason or exc}") from exc
        # The end may come with bytes before it; the socket stays readable, so that it is seen again next time.
        return plain or (b"" if ended else None)

    def transmit(self, data: Any, sent: list[int] | None = None) -> int:
        """Write what the kernel takes of bytes that `seal` gave.

        Args:
            data: The bytes.
            sent: Gets the number too, also when Ctrl-C comes just after the kernel has taken them: there is no
                Python between the two in which the exception could be raised.

        Returns:
            How many; 0 when it takes none now.

        Raises:
            OSError: The stream is broken.
        """
        noted: list[int] = [] if sent is None else sent
        try:
            noted.extend(map(self.socket.send, (data,)))
        except (BlockingIOError, InterruptedError):
            return 0
        return noted[-1]

    def seal(self, data: bytes) -> bytes:
        """Turn bytes into what goes over the wire: with TLS, also what TLS itself has to say."""
        if self._tls is None:
            return data
        if data:
            self._tls.encrypt(data)
        return self._tls.take()

    def gone(self, exc: OSError) -> ConnectionClosed:
        """Make the error for a stream that broke."""
        return ConnectionClosed(f"{self.url.redacted}: {exc.strerror or exc}")
