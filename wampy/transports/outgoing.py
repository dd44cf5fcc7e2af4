"""Bytes on their way out: payloads of a batch that is still open, frames, and what is being written.

Nothing here blocks or touches the socket. `Writer` says when each step is taken. Ctrl-C comes behind calls: what must
change together changes with none in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wampy.errors import ConnectionClosed

# A batch is one message to the router's own limits, so it does not grow beyond this many bytes; a message that is
# larger goes alone.
LARGEST_BATCH = 65_536

# Up to this many bytes what the kernel has left of them is copied. A view costs more.
SMALL = 4_096

Wire = bytes | bytearray | memoryview
NOTHING = b""


class Outgoing:
    """The outgoing buffer of a transport.

    Attributes:
        size: How many bytes have not been written yet, framing included as far as it is done. After a Ctrl-C it may be
            less than that, until all is written.
        pieces: What is framed and waits behind `wire`.
        batch: Payloads that wait behind that, to share a frame.
        wire: What is being written, sealed by TLS if there is TLS.

    Args:
        frame: Turns a payload into the bytes that carry it; may raise `ConnectionClosed`.
        seal: Turns framed bytes into what goes over the wire, where that is not the same.
    """

    __slots__ = ("_batch_size", "_frame", "_seal", "batch", "pieces", "size", "wire")

    def __init__(
        self,
        frame: Callable[[bytes], Sequence[bytes | bytearray]],
        seal: Callable[[bytes | bytearray], bytes | bytearray] | None = None,
    ) -> None:
        self._frame = frame
        self._seal = seal
        self._batch_size = 0
        self.batch: list[bytes] = []
        self.pieces: list[bytes | bytearray] = []
        self.size = 0
        self.wire: Wire = NOTHING

    def add(self, pieces: Sequence[bytes | bytearray]) -> None:
        """Add framed bytes, behind all that was added before."""
        if self.batch:
            self.close_batch()
        self.pieces += pieces
        for piece in pieces:
            self.size += len(piece)

    def add_payload(self, payload: bytes) -> None:
        """Add a payload that may be joined with those that leave at the same moment."""
        size = len(payload)
        if self._batch_size + size > LARGEST_BATCH:
            self.close_batch()
        self.batch += (payload,)
        self._batch_size += size
        self.size += size

    def close_batch(self) -> None:
        """Frame what has been joined so far; what comes behind it is another frame."""
        if not self.batch:
            return
        try:
            pieces = self._frame(b"".join(self.batch))
        except ConnectionClosed:
            pieces = ()  # its end has come meanwhile, as it may for what the kernel has taken; the reader tells of it
        self.batch = []
        self.pieces += pieces
        self.size -= self._batch_size
        self._batch_size = 0
        for piece in pieces:
            self.size += len(piece)

    def refill(self) -> bool:
        """Make `wire` of all that was added, if everything before has been written; say whether it holds anything."""
        if self.wire:
            return True
        if self.batch:
            self.close_batch()
        pieces = self.pieces
        if self._seal is None:
            if not pieces:
                self.size = 0
                return False
            wire: Wire = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if len(wire) > SMALL:
                wire = memoryview(wire)
            # No call in here: the bytes are in one of the two places.
            self.pieces = []
            self.wire = wire
            return True
        self.pieces = []
        self.size = 0
        sealed = self._seal(b"".join(pieces))
        if not sealed:
            return False
        self.wire = memoryview(sealed)
        self.size = len(sealed)
        return True

    def drop(self) -> None:
        """Forget everything."""
        self.batch = []
        self.pieces = []
        self.size = self._batch_size = 0
        self.wire = NOTHING
