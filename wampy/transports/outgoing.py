"""Bytes on their way out: payloads of a batch that is still open, frames, and what is being written.

Nothing here blocks or touches the socket. `SocketTransport` says when each step is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wampy.errors import ConnectionClosed

# A batch is one message to the router's own limits, so it does not grow beyond this many bytes; a message that is
# larger goes alone.
LARGEST_BATCH = 65_536

NOTHING = memoryview(b"")


class Outgoing:
    """The outgoing buffer of a transport.

    Attributes:
        size: How many bytes have not been written yet, framing included as far as it is done.
        wire: What is being written, sealed by TLS if there is TLS.

    Args:
        frame: Turns a payload into the bytes that carry it; may raise `ConnectionClosed`.
        seal: Turns framed bytes into what goes over the wire, where that is not the same.
    """

    __slots__ = ("_batch", "_batch_size", "_frame", "_pieces", "_pieces_size", "_seal", "wire")

    def __init__(
        self,
        frame: Callable[[bytes], Sequence[bytes | bytearray]],
        seal: Callable[[bytes | bytearray], bytes | bytearray] | None = None,
    ) -> None:
        self._frame = frame
        self._seal = seal
        self._batch: list[bytes] = []
        self._batch_size = 0
        self._pieces: list[bytes | bytearray] = []
        self._pieces_size = 0
        self.wire = NOTHING

    @property
    def size(self) -> int:
        """Bytes that have not been written."""
        return self._batch_size + self._pieces_size + len(self.wire)

    def add(self, pieces: Sequence[bytes | bytearray]) -> None:
        """Add framed bytes, behind all that was added before."""
        if self._batch:
            self.close_batch()
        for piece in pieces:
            self._pieces.append(piece)
            self._pieces_size += len(piece)

    def add_payload(self, payload: bytes) -> None:
        """Add a payload that may be joined with those that leave at the same moment."""
        if self._batch_size + len(payload) > LARGEST_BATCH:
            self.close_batch()
        self._batch.append(payload)
        self._batch_size += len(payload)

    def close_batch(self) -> None:
        """Frame what has been joined so far; what comes behind it is another frame."""
        if not self._batch:
            return
        batch = b"".join(self._batch)
        self._batch.clear()
        self._batch_size = 0
        try:
            pieces = self._frame(batch)
        except ConnectionClosed:
            return  # its end has come meanwhile, as it may for what the kernel has taken; the reader tells of it
        self._pieces.extend(pieces)
        self._pieces_size += sum(map(len, pieces))

    def refill(self) -> bool:
        """Make `wire` of all that was added, if everything before has been written; say whether it holds anything."""
        if self.wire:
            return True
        if self._batch:
            self.close_batch()
        pieces = self._pieces
        if self._seal is None:
            if not pieces:
                return False
            wire = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            # Ctrl-C comes behind calls, and there is none in here: the bytes are in one of the two places.
            self._pieces = []
            self._pieces_size = 0
            self.wire = wire
            return True
        self._pieces = []
        self._pieces_size = 0
        self.wire = memoryview(self._seal(b"".join(pieces)))
        return bool(self.wire)

    def drop(self) -> None:
        """Forget everything."""
        self._batch.clear()
        self._pieces.clear()
        self._batch_size = self._pieces_size = 0
        self.wire = NOTHING
