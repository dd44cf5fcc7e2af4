"""What all socket transports share: connecting, TLS, the outgoing buffer, and the reader's turn.

Who may touch what: `_on_readable` runs in the reader; `_write_out` in whoever sends, in the hub when the socket
can be written to again, and in the hub after a reader's turn. All of them run without switching, so that no two
of them ever meet half-way. Nothing here blocks but `connect` and `wait_for_room`.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import ssl
from abc import abstractmethod
from collections.abc import Callable

from wampy.errors import ConnectionClosed, ConnectionError, HandshakeError, WampyError, WampyTimeOutError
from wampy.interfaces import READ, WRITE, Backend, Payload, Slot, Socket, Timer, Transport, Watch
from wampy.transports.tls import TlsLayer, client_context
from wampy.urls import RouterUrl

logger = logging.getLogger(__name__)

READ_SIZE = 262_144
# Above this many unsent bytes a sender waits. One message more always fits, whatever its size.
HIGH_WATER = 262_144

FAMILIES = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}


class SocketTransport(Transport):
    """A byte stream with a framing on top, which the children add.

    Args:
        url: The router's address.
        backend: The verbs to wait with.
        max_message_size: Bytes that one incoming message may have; ``None`` for no limit.
        ssl_context: For a secure URL, a context to use instead of the default one.
        cert_path: For a secure URL, a PEM file of CA certificates to trust instead of the system's.
        ipv: 4 or 6 to use only that version of IP.
    """

    def __init__(
        self,
        url: RouterUrl,
        backend: Backend,
        *,
        max_message_size: int | None,
        ssl_context: ssl.SSLContext | None = None,
        cert_path: str | None = None,
        ipv: int | None = None,
    ) -> None:
        if ipv not in FAMILIES:
            raise WampyError(f"ipv is 4, 6 or None, not {ipv!r}")
        self.url = url
        self.max_message_size = max_message_size
        self._backend = backend
        self._ssl_context = ssl_context
        self._cert_path = cert_path
        self._family = FAMILIES[ipv]
        self._socket: Socket | None = None
        self._tls: TlsLayer | None = None
        self._watch: Watch | None = None
        self._queued: list[bytes] = []
        self._queued_size = 0
        self._wire = memoryview(b"")
        self._corked = False
        self._write_error: OSError | None = None
        self._room_waiters: list[Slot] = []
        self._closing: str | None = None
        self._close_timer: Timer | None = None
        self._ended: Exception | None = None
        self._on_payloads: Callable[[list[Payload]], None] | None = None
        self._on_lost: Callable[[Exception], None] | None = None

    # What a framing adds.

    @abstractmethod
    def _shake_hands(self, deadline: float | None) -> None:
        """Agree on framing and serializer, with `_write_all` and `_read_some`."""

    @abstractmethod
    def _frame(self, payload: bytes) -> list[bytes]:
        """Return the bytes that carry one payload."""

    @abstractmethod
    def _unframe(self, data: bytes | None) -> tuple[list[Payload], list[bytes], Exception | None]:
        """Take bytes (``b""`` at the end, ``None`` for what is buffered).

        Returns:
            Whole payloads, bytes to send back (a PONG, a close), and why the stream is over, if it is.
        """

    @abstractmethod
    def _close_frame(self) -> list[bytes]:
        """Return the bytes that begin the close handshake."""

    # Connecting.

    def connect(self, deadline: float | None) -> None:
        try:
            self._connect_stream(deadline)
            if self.url.secure:
                self._start_tls(deadline)
            self._shake_hands(deadline)
        except BaseException:
            if self._socket is not None:
                self._socket.close()
            raise

    def _connect_stream(self, deadline: float | None) -> None:
        host, port, where = self.url.host, self.url.port, self.url.redacted
        try:
            addresses = self._backend.resolve(host, port, self._family, deadline)
        except TimeoutError:
            raise self._too_late("address of the router at", deadline) from None
        except OSError as exc:
            raise ConnectionError(f"cannot connect to {where}: host name {host!r}: {exc.strerror or exc}") from exc
        failures = []
        for family, kind, protocol, _, address in addresses:
            sock = self._backend.socket(family, kind, protocol)
            try:
                error = sock.connect_ex(address)
                if error == errno.EINPROGRESS:
                    if not self._backend.wait(sock, WRITE, deadline):
                        raise self._too_late("connection to", deadline)
                    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not error:
                    # Small messages must not wait for each other's acknowledgement.
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._socket = sock
                    return
            finally:
                if self._socket is not sock:
                    sock.close()
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
            raise HandshakeError(
                f"the certificate of {self.url.redacted} is not accepted: {exc.verify_message}. For a router with "
                "a certificate authority of its own give cert_path=<that authority's PEM file>"
            ) from exc
        except ssl.SSLError as exc:
            raise HandshakeError(
                f"no TLS with {self.url.redacted}: {exc.reason or exc}. Is it a TLS port? ws:// is without TLS"
            ) from exc
        self._tls = tls

    def _write_all(self, data: bytes, deadline: float | None) -> None:
        assert self._socket is not None
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except (BlockingIOError, InterruptedError):
                if not self._backend.wait(self._socket, WRITE, deadline):
                    raise self._too_late("handshake with", deadline) from None
            except OSError as exc:
                raise self._broken(exc) from exc

    def _read_raw(self, what: str, deadline: float | None) -> bytes:
        assert self._socket is not None
        while True:
            try:
                return self._socket.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                if not self._backend.wait(self._socket, READ, deadline):
                    raise self._too_late(what, deadline) from None
            except OSError as exc:
                raise self._broken(exc) from exc

    def _read_some(self, what: str, deadline: float | None) -> bytes:
        """Read plaintext for a handshake; ``b""`` at the end of the stream."""
        while True:
            data = self._read_raw(what, deadline)
            if self._tls is None:
                return data
            plain, ended = self._tls.decrypt(data)
            self._write_all(self._tls.take(), deadline)
            if plain or ended:
                return plain

    def _send_in_handshake(self, data: bytes, deadline: float | None) -> None:
        if self._tls is not None:
            self._tls.encrypt(data)
            data = self._tls.take()
        self._write_all(data, deadline)

    def _too_late(self, what: str, deadline: float | None) -> WampyTimeOutError:
        return WampyTimeOutError(f"{what} {self.url.redacted}")

    def _broken(self, exc: OSError) -> ConnectionError:
        return ConnectionError(f"{self.url.redacted} broke the connection off: {exc.strerror or exc}")

    # Reading.

    def start(
        self, on_payloads: Callable[[list[Payload]], None], on_lost: Callable[[Exception], None]
    ) -> None:
        assert self._socket is not None, "connect() comes first"
        self._on_payloads, self._on_lost = on_payloads, on_lost
        self._watch = self._backend.watch(self._socket, self._on_readable)
        # A quick router's first message may have come in with the handshake, where no readiness tells of it.
        self._watch.poke()

    @property
    def in_reader(self) -> bool:
        return self._watch is not None and self._watch.is_reader

    def poke(self) -> None:
        if self._watch is not None:
            self._watch.poke()

    def _on_readable(self) -> None:
        if self._ended is not None:
            return
        self._corked = True
        data, lost = self._read_once()
        try:
            if lost is None:
                payloads, answer, lost = self._unframe(data)
                self._queue(answer)
                if payloads and self._on_payloads is not None:
                    self._on_payloads(payloads)
        except Exception as exc:
            logger.exception("the reader of %s failed", self.url.redacted)
            lost = exc
        finally:
            # Not at once: what this turn woke up runs first, and its writes go out in the same piece.
            self._backend.call_later(0, self._uncork)
        if lost is not None:
            self._lose(lost)

    def _read_once(self) -> tuple[bytes | None, Exception | None]:
        assert self._socket is not None
        try:
            data: bytes | None = self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            if self._write_error is not None:
                return None, self._gone(self._write_error)
            data = None
        except OSError as exc:
            return None, self._gone(exc)
        if self._tls is None:
            return data, None
        try:
            plain, ended = self._tls.decrypt(data)
        except ssl.SSLError as exc:
            return None, ConnectionClosed(f"TLS: {exc.reason or exc}")
        # The end may come with plaintext before it; the socket stays readable, so it is seen again next turn.
        return plain or (b"" if ended else None), None

    def _gone(self, exc: OSError) -> ConnectionClosed:
        return ConnectionClosed(f"{self.url.redacted}: {exc.strerror or exc}")

    # Writing.

    def wait_for_room(self, deadline: float | None) -> bool:
        while self._queued_size + len(self._wire) > HIGH_WATER and self._open():
            if self.in_reader:
                raise WampyError(
                    "the outgoing buffer is full and the reader cannot wait for room; send from a worker instead: "
                    "session.spawn_worker(…)"
                )
            timeout = None if deadline is None else deadline - self._backend.monotonic()
            slot = self._backend.slot()
            self._room_waiters.append(slot)
            if not slot.wait(timeout):
                return False
        self._check_open()
        return True

    def send(self, payload: bytes) -> None:
        self._check_open()
        self._queue(self._frame(payload))
        if not self._corked and not self._wire:
            self._write_out()

    def _open(self) -> bool:
        return self._ended is None and self._closing is None and self._watch is not None

    def _check_open(self) -> None:
        if not self._open():
            raise ConnectionClosed(str(self._ended or self._closing or "it was never opened"))

    def _queue(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._queued.append(piece)
            self._queued_size += len(piece)

    def _uncork(self) -> None:
        self._corked = False
        self._write_out()

    def _write_out(self) -> None:
        """Write what the kernel takes now; the rest goes out when the socket says that it can be written to."""
        if self._ended is not None or self._write_error is not None or self._watch is None:
            return
        assert self._socket is not None
        waited = bool(self._wire)
        while True:
            if not self._wire:
                self._refill()
                if not self._wire:
                    break
            try:
                sent = self._socket.send(self._wire)
            except (BlockingIOError, InterruptedError):
                if not waited:
                    self._watch.want_write(self._write_out)
                break
            except OSError as exc:
                # The reader tells of the loss, after what the router still had to say has been read.
                self._write_error = exc
                self._watch.want_write(None)
                self._drop_output()
                self._watch.poke()
                break
            self._wire = self._wire[sent:]
        if waited and not self._wire:
            self._watch.want_write(None)
        if self._room_waiters and self._queued_size + len(self._wire) <= HIGH_WATER:
            self._release_room_waiters()

    def _refill(self) -> None:
        if self._queued:
            data = self._queued[0] if len(self._queued) == 1 else b"".join(self._queued)
            self._queued.clear()
            self._queued_size = 0
            if self._tls is None:
                self._wire = memoryview(data)
                return
            self._tls.encrypt(data)
        if self._tls is not None:
            self._wire = memoryview(self._tls.take())

    def _drop_output(self) -> None:
        self._queued.clear()
        self._queued_size = 0
        self._wire = memoryview(b"")

    def _release_room_waiters(self) -> None:
        waiters, self._room_waiters = self._room_waiters, []
        for slot in waiters:
            slot.set()

    # The end.

    def close(self, timeout: float | None) -> None:
        if self._ended is not None or self._closing is not None:
            return
        if self._watch is None:
            self._ended = ConnectionClosed("closed before it was started", clean=True)
            if self._socket is not None:
                self._socket.close()
            return
        self._closing = "it is being closed"
        self._queue(self._close_frame())
        self._release_room_waiters()
        if not self._corked:
            self._write_out()
        if timeout is not None:
            late = ConnectionClosed("the router did not answer the close handshake in time")
            # Spawned, because the hub itself must not run what logs.
            self._close_timer = self._backend.call_later(
                max(timeout, 0.0), self._backend.spawn, self._lose, late
            )

    def _lose(self, error: Exception) -> None:
        if self._ended is not None:
            return
        self._ended = error
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._flush_last_words()
        self._drop_output()
        self._release_room_waiters()
        assert self._watch is not None and self._socket is not None and self._on_lost is not None
        self._watch.close()
        self._socket.close()
        self._on_lost(error)

    def _flush_last_words(self) -> None:
        """Give the kernel what it takes of an ABORT or a close frame; the peer may be gone, and that is fine."""
        assert self._socket is not None
        if self._write_error is not None:
            return
        try:
            while self._wire or self._queued:
                if not self._wire:
                    self._refill()
                self._wire = self._wire[self._socket.send(self._wire) :]
        except OSError:
            logger.debug("%s: the last bytes could not be written", self.url.redacted)
