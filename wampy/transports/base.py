"""What all socket transports share: the outgoing buffer, corking, and the reader's turn.

Who may touch what: `_on_readable` runs in the reader; `_write_out` in whoever sends, in the hub when the socket
can be written to again, and in the hub after a reader's turn. All of them run without switching, so that no two
of them ever meet half-way. Nothing here blocks but `connect` and `wait_for_room`.
"""

from __future__ import annotations

import logging
import math
import ssl
from abc import abstractmethod
from collections.abc import Callable

from wampy.errors import ConnectionClosed, WampyError
from wampy.interfaces import Backend, Payload, Slot, Timer, Transport, Watch
from wampy.transports.outgoing import Outgoing
from wampy.transports.stream import Stream
from wampy.urls import RouterUrl

logger = logging.getLogger(__name__)

# Above this many unsent bytes a sender waits. One message more always fits, whatever its size.
HIGH_WATER = 262_144

# How long after a reader's turn writing stays corked at most: whoever runs on without waiting, as a callee that
# computes and publishes how far it is, shall not hold back what it says.
CORK_SECONDS = 0.02


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
        self.url = url
        self.max_message_size = max_message_size
        self._backend = backend
        self._stream = Stream(url, backend, ssl_context, cert_path, ipv)
        self._watch: Watch | None = None
        self._outgoing = Outgoing(self._frame, self._stream.seal)
        # 0.0: not corked; infinity: in a reader's turn.
        self._corked_until = 0.0
        self._write_error: OSError | None = None
        self._writing_wanted = False
        self._room_waiters: list[Slot] = []
        self._closing: str | None = None
        self._close_timer: Timer | None = None
        self._close_at = math.inf
        self._ended: Exception | None = None
        self._on_payloads: Callable[[list[Payload]], None] | None = None
        self._on_lost: Callable[[Exception], None] | None = None

    # What a framing adds.

    @abstractmethod
    def _shake_hands(self, deadline: float | None) -> None:
        """Agree on framing and serializer over the connected stream; waits."""

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

    def connect(self, deadline: float | None) -> None:
        try:
            self._stream.connect(deadline)
            self._shake_hands(deadline)
            if self._ended is not None:
                raise self._ended
        except BaseException:
            self._stream.close()
            raise

    # Reading.

    def start(
        self, on_payloads: Callable[[list[Payload]], None], on_lost: Callable[[Exception], None]
    ) -> None:
        self._on_payloads, self._on_lost = on_payloads, on_lost
        self._watch = self._backend.watch(self._stream.socket, self._on_readable)
        # A quick router's first message may have come in with the handshake, where no readiness tells of it.
        self._watch.poke()

    @property
    def in_reader(self) -> bool:
        return self._watch is not None and self._watch.is_reader

    @property
    def orphaned(self) -> bool:
        return self._watch is not None and self._watch.orphaned

    def poke(self) -> None:
        if self._watch is not None:
            self._watch.poke()

    def _on_readable(self) -> None:
        if self._ended is not None:
            return
        self._corked_until = math.inf
        payloads: list[Payload] = []
        lost: Exception | None = None
        try:
            data = self._stream.receive()
            payloads, answer, lost = self._unframe(data)
            self._outgoing.add(answer)
            if payloads and self._on_payloads is not None:
                self._on_payloads(payloads)
            if data is None and self._write_error is not None:
                lost = self._stream.gone(self._write_error)
        except ConnectionClosed as exc:
            lost = exc
        except Exception as exc:
            logger.exception("the reader of %s failed", self.url.redacted)
            lost = ConnectionClosed(f"reading failed: {type(exc).__name__}: {exc}")
            lost.__cause__ = exc
        except BaseException:
            # Ctrl-C in the middle of a message: nobody knows what of it has been dealt with.
            self._lose(ConnectionClosed("the reader was interrupted"))
            raise
        finally:
            if len(payloads) > 1:
                # Those whom this turn woke up run first, and what they write goes out in one piece.
                self._corked_until = self._backend.monotonic() + CORK_SECONDS
                self._backend.call_later(0, self._uncork)
            else:
                self._uncork()
        if lost is not None:
            self._lose(lost)

    # Writing.

    def wait_for_room(self, deadline: float | None) -> bool:
        while self._outgoing.size > HIGH_WATER and self._open():
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
        self._outgoing.add_payload(payload, self.serializer.batched)
        if self._corked_until and self._backend.monotonic() < self._corked_until:
            return
        if not self._outgoing.wire:
            self._write_out()

    def _open(self) -> bool:
        return self._ended is None and self._closing is None and self._watch is not None

    def _check_open(self) -> None:
        if not self._open():
            raise ConnectionClosed(str(self._ended or self._closing or "it was never opened"))

    def _uncork(self) -> None:
        self._corked_until = 0.0
        self._write_out()

    def _write_out(self) -> None:
        """Write what the kernel takes now; the rest goes out when the socket says that it can be written to."""
        if self._ended is not None or self._write_error is not None or self._watch is None or self.orphaned:
            return
        try:
            self._write_while_taken()
        except BaseException:
            # Ctrl-C: what is left goes out all the same, and nothing twice.
            self._backend.call_later(0, self._write_out)
            raise
        self._want_write(bool(self._outgoing.wire))
        if self._room_waiters and self._outgoing.size <= HIGH_WATER:
            self._release_room_waiters()

    def _want_write(self, wanted: bool) -> None:
        if wanted is not self._writing_wanted:
            assert self._watch is not None
            self._writing_wanted = wanted
            self._watch.want_write(self._write_out if wanted else None)

    def _write_while_taken(self) -> None:
        outgoing = self._outgoing
        while outgoing.refill():
            sent: list[int] = []
            try:
                self._stream.transmit(outgoing.wire, sent)
            except OSError as exc:
                # The reader tells of the loss, after what the router still had to say has been read.
                self._write_error = exc
                outgoing.drop()
                self.poke()
                return
            finally:
                if sent:
                    outgoing.written(sent[0])
            if not sent:
                return

    def _release_room_waiters(self) -> None:
        waiters, self._room_waiters = self._room_waiters, []
        for slot in waiters:
            slot.set()

    # The end.

    def close(self, timeout: float | None) -> None:
        if self._ended is not None:
            return
        if self._watch is None:
            self._ended = ConnectionClosed("the client was stopped while it connected", clean=True)
            self._stream.give_up()
            return
        if self._closing is None:
            self._closing = "it is being closed"
            self._outgoing.close_batch()  # no frame with a message may come behind that of the close
            self._outgoing.add(self._close_frame())
            self._release_room_waiters()
            if self._corked_until != math.inf:
                self._write_out()
        close_at = math.inf if timeout is None else self._backend.monotonic() + max(timeout, 0.0)
        if close_at < self._close_at:  # whoever has the least patience counts
            if self._close_timer is not None:
                self._close_timer.cancel()
            self._close_at = close_at
            late = ConnectionClosed("the router did not answer the close handshake in time")
            # Spawned, because the hub itself must not run what logs.
            self._close_timer = self._backend.call_later(timeout or 0.0, self._backend.spawn, self._lose, late)

    def _lose(self, error: Exception) -> None:
        if self._ended is not None:
            return
        self._ended = error
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._flush_last_words()
        self._outgoing.drop()
        self._release_room_waiters()
        assert self._watch is not None and self._on_lost is not None
        self._watch.close()
        self._stream.close()
        self._on_lost(error)

    def _flush_last_words(self) -> None:
        """Give the kernel what it takes of an ABORT or a close frame; the peer may be gone, and that is fine."""
        if self._write_error is not None:
            return
        try:
            while self._outgoing.refill():
                sent = self._stream.transmit(self._outgoing.wire)
                if not sent:
                    break
                self._outgoing.written(sent)
        except OSError:
            logger.debug("%s: the last bytes could not be written", self.url.redacted)
