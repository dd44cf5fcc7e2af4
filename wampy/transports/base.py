"""What all socket transports share: the reader's turn, heartbeats, and the end.

Who may touch what: `_on_readable` runs in the reader; see `Writer` for what writes, and `Heartbeat` for its timers.
None of them switches. Nothing here blocks but `connect` and `wait_for_room`.
"""

from __future__ import annotations

import errno
import logging
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress

from wampy.config.transport import TransportOptions
from wampy.errors import ConnectionClosed
from wampy.interfaces import Backend, Payload, Timer, Transport, Watch
from wampy.transports.heartbeat import Delivered, Heartbeat, RoundTrips
from wampy.transports.memory import expect
from wampy.transports.stream import Stream
from wampy.transports.writer import HIGH_WATER, MOST_UNREAD_ANSWERS, Writer
from wampy.urls import RouterUrl

logger = logging.getLogger(__name__)

# Messages in a reader's turn that are larger are no such answers, but what a handler of the user's says.
LARGEST_ANSWER = 65_536


class SocketTransport(Transport):
    """A byte stream with a framing on top, which the children add.

    Args:
        url: The router's address.
        backend: The verbs to wait with.
        options: See `TransportOptions`.
    """

    def __init__(self, url: RouterUrl, backend: Backend, options: TransportOptions) -> None:
        self.url = url
        self.options = options
        self._backend = backend
        self._stream = Stream(url, backend, options)
        self._writer = Writer(self._stream, backend, self._frame)
        self._watch: Watch | None = None
        self._heartbeat: Heartbeat | None = None
        self._round_trips = RoundTrips(backend)
        self._is_open = False  # started, and neither closing nor ended
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
    def _frame(self, payload: bytes) -> Sequence[bytes | bytearray]:
        """Return the bytes that carry one payload."""

    @abstractmethod
    def _unframe(self, data: bytes | None) -> tuple[list[Payload], list[bytes], Exception | None]:
        """Take bytes, ``b""`` at the end, ``None`` for what is buffered; it may put something in the place of `_whole`.

        Returns:
            Whole payloads, bytes to send back (a PONG, a close), and why the stream is over, if it is.
        """

    #: Asked first: it gives the payload of bytes that are one whole message, as mostly come, and ``None`` for others.
    _whole: Callable[[bytes], Payload | None] = staticmethod(lambda _data: None)

    @abstractmethod
    def _ping_frame(self, payload: bytes) -> list[bytes] | None:
        """Return the bytes of a ping; ``None`` when this connection has none. Its PONG goes to `_round_trips`."""

    @abstractmethod
    def _begin_close(self) -> list[bytes]:
        """Return the bytes that begin the close handshake, or see to it in another way."""

    def _watch_over(self) -> None:
        """Begin to watch over the connection, which is about to be used."""
        interval = self.options.heartbeat
        if interval is not None:
            traffic = Delivered(self, self._stream.socket)
            self._heartbeat = Heartbeat(
                self._backend, interval, self.options.heartbeat_timeout, traffic, self._ping, self.poke, self._silent
            )
            self._heartbeat.start()

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

    def start(self, on_payloads: Callable[[list[Payload]], None], on_lost: Callable[[Exception], None]) -> None:
        self._on_payloads, self._on_lost = on_payloads, on_lost
        self._watch = self._backend.watch(self._stream.socket, self._on_readable)
        self._writer.start(self._watch)
        self._is_open = True
        self._watch_over()
        # A quick router's first message may have come in with the handshake, where no readiness tells of it.
        self._watch.poke()

    @property
    def in_reader(self) -> bool:
        return self._watch is not None and self._watch.is_reader

    @property
    def orphaned(self) -> bool:
        return self._watch is not None and self._watch.orphaned

    @property
    def is_pinging(self) -> bool:
        return self._heartbeat is not None and self._ended is None and not self.orphaned

    @property
    def traffic(self) -> tuple[int, int, float | None]:
        return self._stream.bytes_in, self._stream.bytes_out, self._round_trips.last

    def poke(self) -> None:
        if self._watch is not None:
            self._watch.poke()

    def _on_readable(self) -> None:
        if self._ended is not None:
            return
        self._writer.in_turn = True
        payloads: list[Payload] = []
        lost: Exception | None = None
        try:
            data = self._stream.receive()
            payload = self._whole(data) if data else None
            if payload is not None:
                payloads = [payload]
            else:
                payloads, answer, lost = self._unframe(data)
                if data and self._stream.was_full and not payloads and not answer and lost is None:
                    # The rest of a long message is there, or some of it, and another turn would take longer.
                    data = self._stream.receive()
                    payloads, answer, lost = self._unframe(data)
                if answer:
                    self._writer.count_answer(sum(map(len, answer)))
                    self._writer.add(answer)
            if self._stream.has_ended:
                self.poke()  # nothing else gives the reader the turn in which it sees the end
            nothing, ended = data is None, data == b""
            del data  # the payloads have it, and it may be large
            if payloads and self._on_payloads is not None:
                self._on_payloads(payloads)
            if self._writer.unread_answers > MOST_UNREAD_ANSWERS and lost is None:
                lost = ConnectionClosed(
                    f"the router asks and does not read the answers, {self._writer.unread_answers} bytes of them"
                )
            error = self._writer.error
            # Of a connection that timed out the kernel tells once, and the next one gets the end of the stream.
            if error is not None and (nothing or (ended and error.errno == errno.ETIMEDOUT)):
                lost = self._stream.gone(error)
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
            self._writer.in_turn = False
            self._writer.uncork(len(payloads))
        if lost is not None:
            self._lose(lost)

    # Writing.

    @property
    def reads(self) -> int:
        """How often bytes came in."""
        return self._stream.reads

    @property
    def written(self) -> int:
        """How many bytes the kernel has taken."""
        return self._stream.bytes_out

    @property
    def unwritten(self) -> int:
        """How many bytes wait to be written."""
        return self._writer.outgoing.size

    @property
    def is_reading(self) -> bool:
        """Whether a turn of the reader is under way."""
        return self._writer.in_turn

    @property
    def has_room(self) -> bool:
        writer = self._writer  # when the reader tells of the end, behind its last turn, it is not open
        return self._is_open and not writer.in_turn and not writer.room_waiters and writer.outgoing.size <= HIGH_WATER

    def wait_for_room(self, deadline: float | None) -> bool:
        if self._watch is not None and not self._writer.wait_for_room(deadline):
            return False
        if not self._is_open:
            raise self._not_open()
        return True

    def send(self, payload: bytes) -> None:
        if not self._is_open:
            raise self._not_open()
        size = len(payload)
        if size > LARGEST_ANSWER:
            expect(size)
        elif self._writer.in_turn:
            self._writer.count_answer(size)
        self._writer.send(payload, self.serializer.batched)

    def _not_open(self) -> ConnectionClosed:
        return ConnectionClosed(str(self._ended or self._closing or "it was never opened"))

    # Heartbeats, in the hub.

    def _ping(self) -> None:
        if self.orphaned and self._heartbeat is not None:
            self._heartbeat.stop()  # a forked child has the timer too
            return
        frame = None if self._closing is not None else self._ping_frame(self._round_trips.ping())
        if frame is not None:
            self._writer.add(frame)
            self._writer.flush()

    def _silent(self) -> None:
        if self.orphaned:
            return
        seconds = self.options.heartbeat_timeout
        text = f"the router gave no sign of life within {seconds:g} seconds of a ping (heartbeat_timeout)"
        # Spawned, because the hub itself must not run what logs.
        self._backend.spawn(self._lose, ConnectionClosed(text))

    # The end.

    def close(self, timeout: float | None) -> None:
        if self._ended is not None:
            return
        if self._watch is None:
            self._ended = ConnectionClosed("the client was stopped while it connected", clean=True)
            self._stream.give_up()
            return
        if self._closing is None:
            self._is_open, self._closing = False, "it is being closed"
            self._writer.refuse()
            self._writer.add(self._begin_close())
            if not self._writer.in_turn:
                self._writer.write_out()
        close_at = math.inf if timeout is None else self._backend.monotonic() + max(timeout, 0.0)
        if close_at < self._close_at:  # whoever has the least patience counts
            if self._close_timer is not None:
                self._close_timer.cancel()
            self._close_at = close_at
            late = ConnectionClosed("the router did not answer the close handshake in time")
            # Whoever waits for the end has a limit too, which is all that counts when there is no thread for a timer.
            with suppress(RuntimeError):
                self._close_timer = self._backend.call_later(timeout or 0.0, self._backend.spawn, self._lose, late)

    def _lose(self, error: Exception) -> None:
        if self._ended is not None:
            return
        assert self._watch is not None and self._on_lost is not None
        self._is_open = False
        self._ended = error
        # Each step, also when Ctrl-C comes in the one before it: nobody gets here again.
        try:
            if self._close_timer is not None:
                self._close_timer.cancel()
            if self._heartbeat is not None:
                self._heartbeat.stop()
            self._writer.give_up()
        finally:
            try:
                self._watch.close()
            finally:
                try:
                    self._stream.close()
                finally:
                    self._on_lost(error)
