"""Writing to a stream: corking, room, and what the kernel does not take at once.

Who may touch what: `write_out` runs in whoever sends, in the hub when the socket can be written to again, and in the
hub after a reader's turn. Nothing here switches but `wait_for_room`, so that no two of them ever meet half-way.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from wampy.errors import WampyError
from wampy.interfaces import Backend, Slot, Watch
from wampy.transports.outgoing import NOTHING, SMALL, Outgoing
from wampy.transports.stream import Stream

logger = logging.getLogger(__name__)

# Above this many unsent bytes a sender waits. One message more always fits, whatever its size.
HIGH_WATER = 262_144

# How long after a reader's turn writing stays corked at most: whoever runs on without waiting, as a callee that
# computes and publishes how far it is, shall not hold back what it says.
CORK_SECONDS = 0.02

# Of what is held back after a turn so many messages, or bytes, leave before the rest, so that the router has something
# to do meanwhile. Fewer, or a write for each further 32, make its answers come in smaller pieces, each of which costs.
FIRST_MESSAGES = 32
FIRST_BYTES = 65_536

# A message that follows another one within this time, without a turn of the reader between them, is one of a burst. The
# kernel is told so, which may wait for the next, because waking the router costs more than all else that is done here.
# Whoever runs on without waiting holds nothing back by that: a fifth of a second later the kernel sends what it has.
BURST_SECONDS = 0.001

# Bytes of what the reader itself answers, to pings and to invocations for which there is no room, that may wait for a
# router to read them; two of the longest answers to pings.
MOST_UNREAD_ANSWERS = 2**25


class RoomWaiter:
    """Who waits for room.

    Attributes:
        slot: Filled when it shall look whether it is its turn.
    """

    __slots__ = ("slot",)

    def __init__(self, slot: Slot) -> None:
        self.slot = slot


class Writer:
    """All outgoing bytes of a connection, on their way to the socket.

    Attributes:
        outgoing: What waits to be written.
        in_turn: Whether a turn of the reader is under way, which holds everything back; the transport says so.
        room_waiters: Who waits for room, the first in front.
        unread_answers: Bytes of what the reader itself has answered that the router may not have read yet.
        error: What went wrong with writing; the reader tells of it, after what the router still had to say.

    Args:
        stream: Where they go.
        backend: The verbs.
        frame: Turns a payload into the bytes that carry it; what it raises goes to the sender.
    """

    def __init__(self, stream: Stream, backend: Backend, frame: Callable[[bytes], Sequence[bytes | bytearray]]) -> None:
        self._stream = stream
        self._backend = backend
        self._frame = frame
        self.outgoing = Outgoing(frame, stream.seal if stream.url.secure else None)
        self._watch: Watch | None = None
        self._bursts = False
        self._seals = stream.url.secure
        self.in_turn = False
        # Behind a turn of several messages; 0.0: not corked.
        self._corked_until = 0.0
        # How many messages have come since the turn that uncorks soon.
        self._held = 0
        self._sent_at = -math.inf
        self._push_is_due = False
        # True while the kernel has had enough; None when nobody knows.
        self._writing_wanted: bool | None = False
        self.room_waiters: list[RoomWaiter] = []
        self._refusing = False
        self._ending = False
        self.unread_answers = 0
        self.error: OSError | None = None

    def start(self, watch: Watch) -> None:
        """Begin to write, as the watch tells that the socket can be written to."""
        self._watch = watch
        self._bursts = self._stream.can_hold_back and self._backend.switches_only_in_waits

    def wait_for_room(self, deadline: float | None) -> bool:
        """Block until a sender need not wait; say whether it was before the deadline."""
        line = self.room_waiters
        if self._refusing or not (line or self.outgoing.size > HIGH_WATER):
            return True
        if self._watch is not None and self._watch.is_reader:
            raise WampyError(
                "the outgoing buffer is full and the reader cannot wait for room; send from a worker instead: "
                "session.spawn_worker(…)"
            )
        # In a line: whoever sends on and on must not keep the others from ever sending.
        waiter = RoomWaiter(self._backend.slot())
        line.append(waiter)
        try:
            while not self._refusing and (line[0] is not waiter or self.outgoing.size > HIGH_WATER):
                if not waiter.slot.wait(None if deadline is None else deadline - self._backend.monotonic()):
                    return False
                waiter.slot = self._backend.slot()
            return True
        finally:
            line.remove(waiter)
            # The next one sees for itself, when it runs, whether what this one sends has left room.
            if line:
                self._call_next()

    def add(self, pieces: Sequence[bytes | bytearray]) -> None:
        """Add framed bytes, which leave with the next `write_out`."""
        self.outgoing.add(pieces)

    def count_answer(self, size: int) -> None:
        """Note what the reader answers, which waits for no room: a router may ask and not read, and fill our memory."""
        self.unread_answers = min(self.unread_answers, self.outgoing.size) + size

    def send(self, payload: bytes, batched: bool) -> None:
        """Frame a payload and write what can be written now, unless writing is corked."""
        outgoing = self.outgoing
        corked_until = self._corked_until
        if batched:
            outgoing.add_payload(payload)
        else:
            pieces = self._frame(payload)
            if len(pieces) != 1 or outgoing.batch:
                outgoing.add(pieces)
            else:  # hot: as there, and as `refill` if it is its turn, without another step
                piece = pieces[0]
                size = len(piece)
                if size > SMALL or corked_until or self.in_turn or outgoing.wire or outgoing.pieces or self._seals:
                    outgoing.pieces += pieces
                else:
                    outgoing.wire = piece
                outgoing.size += size
        if self.in_turn:
            return
        if corked_until:  # hot: the clock is asked only if it has a say
            self._held += 1
            is_first_part = self._held == FIRST_MESSAGES or outgoing.size >= FIRST_BYTES
            if is_first_part and not self._writing_wanted:
                self.write_out()
                return
            if self._backend.monotonic() < corked_until:
                return
        if self._writing_wanted:
            return
        more = False
        if self._bursts:
            now = self._backend.monotonic()
            more = now - self._sent_at < BURST_SECONDS
            self._sent_at = now
            if more and not self._push_is_due:
                self._backend.call_later(0, self._push)  # first: after Ctrl-C one push too many does no harm
                self._push_is_due = True
        self.write_out(more)

    def _push(self) -> None:
        self._push_is_due = False
        if self._watch is not None and not self._watch.orphaned:
            self._stream.push()

    def flush(self) -> None:
        """Write what can be written now, unless writing is corked or the kernel has had enough."""
        if self.in_turn or (self._corked_until and self._backend.monotonic() < self._corked_until):
            return
        if not self._writing_wanted:
            self.write_out()

    # Corking.

    def uncork(self, messages: int = 1) -> None:
        """Write what was held back in a turn, which has just ended.

        Args:
            messages: How many the turn has brought. After several it is written when those whom they have woken up have
                run, so that what they write goes out in two pieces. After none, what an earlier turn has had held back
                goes on to be, until that one's time has come.
        """
        self._sent_at = -math.inf
        if messages > 1:
            self._held = 0
            self._corked_until = self._backend.monotonic() + CORK_SECONDS
            self._backend.call_later(0, self._uncork_behind_turn)
            return
        if not messages and self._corked_until:
            return
        self._corked_until = 0.0
        if self.outgoing.size or self.room_waiters or self._ending or self._writing_wanted is None:
            self.write_out()

    def _uncork_behind_turn(self) -> None:
        if self.in_turn:
            self._corked_until = 0.0  # the next one, which writes at its end
        else:
            self.uncork()

    # The socket.

    def write_out(self, more: bool = False) -> None:
        """Write what the kernel takes now; the rest goes out when the socket says that it can be written to.

        Args:
            more: Whether more may follow at once.
        """
        watch = self._watch
        if self.error is not None or watch is None or watch.orphaned:
            return
        outgoing, stream = self.outgoing, self._stream
        sent: list[int] = []
        try:
            try:
                while outgoing.wire or outgoing.refill():  # TLS seals there, and may find the stream broken
                    try:
                        stream.transmit(outgoing.wire, sent, more)
                    finally:
                        if sent:
                            # Ctrl-C comes behind calls, and there is none in here.
                            count = sent[0]
                            sent = []
                            outgoing.size -= count
                            rest = outgoing.wire[count:]
                            outgoing.wire = rest or NOTHING  # an empty view would keep what was written
                    if outgoing.wire:
                        break  # the kernel has had enough
                    if not (outgoing.pieces or outgoing.batch):
                        outgoing.size = 0  # as it is, but for a Ctrl-C that came while something was added
                        break
            except OSError as exc:
                self.error = exc
                outgoing.drop()
                watch.poke()
            if outgoing.wire or self._writing_wanted is not False:
                wanted = bool(outgoing.wire)
                if wanted is not self._writing_wanted:
                    watch.want_write(self.write_out if wanted else None)
                    self._writing_wanted = wanted
        except BaseException:
            # Ctrl-C: what is left goes out all the same, and nothing twice. Nobody knows what the watch has heard of.
            self._writing_wanted = None
            self._backend.call_later(0, self.write_out)
            raise
        if self.room_waiters:
            self._call_next()
        if self._ending and not outgoing.wire and self.error is None:
            self._ending = False
            self._stream.end()

    def _call_next(self) -> None:
        if self.outgoing.size <= HIGH_WATER:
            self.room_waiters[0].slot.set()

    # The end.

    def refuse(self) -> None:
        """Let nobody wait for room any more; no frame with a message may come behind what is added next."""
        self._refusing = True
        self.outgoing.close_batch()
        for waiter in self.room_waiters:
            waiter.slot.set()

    def end_stream(self) -> None:
        """Tell the router, when all is written, that nothing follows."""
        self._ending = True

    def give_up(self) -> None:
        """Give the kernel what it takes of an ABORT or a close frame, and forget the rest. The peer may be gone."""
        self.refuse()
        self._watch = None
        try:
            while self.error is None and self.outgoing.refill():
                sent = self._stream.transmit(self.outgoing.wire)
                if not sent:
                    break
                self.outgoing.wire = self.outgoing.wire[sent:]
        except OSError:
            logger.debug("%s: the last bytes could not be written", self._stream.url.redacted)
        self.outgoing.drop()
