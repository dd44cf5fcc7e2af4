"""A connected byte stream: a socket, and TLS over it when the URL is a secure one.

Connecting and handshakes block the caller, with a deadline; after that only `receive`, `transmit` and `end` are
used, which never block.
"""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from typing import Any

from wampy.config.transport import TransportOptions
from wampy.errors import ConnectionClosed, ConnectionError, HandshakeError, WampyTimeOutError
from wampy.interfaces import Backend
from wampy.transports import tls
from wampy.transports.connection import LARGE_READ_SIZE, READ_SIZE, Connection
from wampy.transports.proxy import proxy_for, tunnel
from wampy.urls import RouterUrl

# Only Linux has it.
_MORE: int = getattr(socket, "MSG_MORE", 0)


class Stream(Connection):
    """Bytes to and from a router.

    Args:
        url: The router's address.
        backend: The verbs to wait with.
        options: ``ssl_context``, ``cert_path``, ``ipv`` and ``proxy`` count here.

    Attributes:
        reads: How often `receive` has got bytes, of whatever kind: with TLS, also those that complete no plaintext.
        has_ended: Whether TLS has come to its end behind the bytes that `receive` gave last. The socket need not tell
            of that any more, as the peer may wait for our own end before it closes.
        was_full: Whether the last read took as much as it had room for, so that there is likely more.
        kept_alive_for: After how many seconds the system gives the connection up, when it was told to.
    """

    def __init__(self, url: RouterUrl, backend: Backend, options: TransportOptions) -> None:
        super().__init__(url, backend, options.ipv)
        self.reads = 0
        self.has_ended = False
        self.kept_alive_for: float | None = None
        self._options = options
        self._read_size = READ_SIZE
        self.was_full = False
        self._tls: tls.TlsLayer | None = None

    # With a deadline, while connecting.

    def connect(self, deadline: float | None) -> None:
        """Connect, through a proxy if there is one, and shake hands for TLS; waits. It may be done again.

        Raises:
            ConnectionError: Nobody is there.
            HandshakeError: The proxy refuses, there is no TLS, or the certificate is not accepted.
            WampyTimeOutError: The deadline has come.
        """
        self._tls = None
        self.has_ended = False
        proxy = proxy_for(self.url, self._options.proxy)
        self.open(deadline, proxy)
        if proxy is not None:
            tunnel(self, proxy, deadline)
        if self.url.secure:
            self._start_tls(deadline)

    def _start_tls(self, deadline: float | None) -> None:
        context = self._options.ssl_context or tls.client_context(self._options.cert_path)
        try:
            layer = tls.TlsLayer(context, self.url.server_name)
        except (ValueError, ssl.SSLError) as exc:  # a name that cannot be one, a context that will not do
            raise HandshakeError(f"no TLS with {self.url.redacted}: {exc}") from exc
        data = None
        try:
            while not layer.handshake(data):
                self.write_all(layer.take(), deadline)
                data = self.read_raw("TLS handshake with", deadline)
            self.write_all(layer.take(), deadline)
        except ssl.SSLError as exc:
            with suppress(OSError):  # the alert, if the router still listens
                self.transmit(layer.take())
            raise HandshakeError(self._refusal(exc)) from exc
        except WampyTimeOutError:
            raise WampyTimeOutError(tls.silence(self.url.redacted)) from None
        except ConnectionError as exc:
            if type(exc) is not ConnectionError:
                raise
            raise HandshakeError(tls.cut_off(self.url.redacted)) from exc
        self._tls = layer

    def _refusal(self, exc: ssl.SSLError) -> str:
        return tls.refusal(exc, self.url.redacted, self._options)

    def read(self, what: str, deadline: float | None) -> bytes:
        """Read what is there, ``b""`` at the end of the stream; waits.

        Args:
            what: What is waited for, for the error.
            deadline: When to give up.

        Raises:
            HandshakeError: The router ends TLS with an alert; in TLS 1.3 a client's certificate is refused so.
        """
        while not self.has_ended:
            data = self.read_raw(what, deadline)
            if self._tls is None:
                return data
            try:
                plain, self.has_ended = self._tls.decrypt(data)
            except ssl.SSLError as exc:
                raise HandshakeError(self._refusal(exc)) from exc
            self.write_all(self._tls.take(), deadline)
            if plain:
                return plain
        return b""

    def write(self, data: bytes, deadline: float | None) -> None:
        """Write all of it; waits."""
        self.write_all(self.seal(data), deadline)

    def ask(self, data: bytes, what: str, deadline: float | None) -> bytes:
        """Write a question and read the beginning of the answer; waits.

        A router that refuses us may have said why, and closed, before the question is written: what it said counts
        more than that nobody takes the question.

        Args:
            data: The question; ``b""`` to go on reading.
            what: What is waited for, for the error.
            deadline: When to give up.
        """
        try:
            self.write(data, deadline)
        except ConnectionClosed:
            raise
        except ConnectionError as exc:
            try:
                answer = self.read(what, deadline)
            except HandshakeError:
                raise
            except ConnectionError:
                answer = b""
            if not answer:
                raise exc
            return answer
        return self.read(what, deadline)

    # Without waiting, once it is watched.

    def receive(self) -> bytes | None:
        """Read once.

        Returns:
            Bytes, ``b""`` at the end of the stream, ``None`` when there is nothing now.

        Raises:
            ConnectionClosed: The stream is broken.
        """
        if self.has_ended:
            return b""
        sock = self._socket
        assert sock is not None
        try:
            data: bytes | None = sock.recv(self._read_size)
        except (BlockingIOError, InterruptedError):
            data = None
        except OSError as exc:
            raise self.gone(exc) from exc
        if data:
            size = len(data)
            self.reads += 1
            self.bytes_in += size
            self.was_full = size == self._read_size
            self._read_size = READ_SIZE if size < READ_SIZE else LARGE_READ_SIZE
        if self._tls is None:
            return data
        try:
            plain, ended = self._tls.decrypt(data)
        except ssl.SSLError as exc:
            raise ConnectionClosed(f"{self.url.redacted}: TLS: {exc.reason or exc}") from exc
        self.has_ended = ended and bool(plain)
        return plain or (b"" if ended else None)

    def transmit(self, data: Any, sent: list[int] | None = None, more: bool = False) -> int:
        """Write what the kernel takes of bytes that `seal` gave.

        Args:
            data: The bytes.
            sent: Gets the number too, also when Ctrl-C comes just after the kernel has taken them: there is no
                Python between the two in which the exception could be raised.
            more: Whether more follows at once, so that the kernel may wait for it; see `can_hold_back`.

        Returns:
            How many; 0 when it takes none now.

        Raises:
            OSError: The stream is broken.
        """
        if sent is None:
            sent = []
        sock = self._socket
        assert sock is not None
        try:
            sent += map(sock.send, (data,), (_MORE,)) if more else map(sock.send, (data,))
        except (BlockingIOError, InterruptedError):
            return 0
        size = sent[-1]
        self.bytes_out += size
        return size

    @property
    def can_hold_back(self) -> bool:
        """Whether the kernel can be asked to wait for more. It does so for a fifth of a second, or until `push`."""
        return bool(_MORE) and not self.url.scheme.endswith("+unix")

    def push(self) -> None:
        """Have the kernel send what it was asked to hold back."""
        with suppress(OSError):  # it may be gone, which the reader is told
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def seal(self, data: bytes | bytearray) -> bytes | bytearray:
        """Turn bytes into what goes over the wire: with TLS, also what TLS itself has to say."""
        if self._tls is None:
            return data
        if data:
            self._tls.encrypt(data)
        return self._tls.take()

    def end(self) -> None:
        """Tell the router that nothing more will be written; reading goes on."""
        with suppress(OSError):  # it may be gone, which the reader is told
            if self._tls is not None:
                self.transmit(self._tls.end())
            self.socket.shutdown(socket.SHUT_WR)

    def gone(self, exc: OSError) -> ConnectionClosed:
        """Make the error for a stream that broke."""
        text = f"{self.url.redacted}: {exc.strerror or exc}"
        if exc.errno == errno.ETIMEDOUT and self.kept_alive_for is not None:
            text += (
                f": its machine did not answer, or took nothing of what was to be written, for {self.kept_alive_for:g} "
                "seconds (heartbeat and heartbeat_timeout)"
            )
        return ConnectionClosed(text)
