"""Bytes on their way out: payloads of a batch that is still open, frames, and what is being written.

Nothing here blocks or touches the socket. `SocketTransport` says when each step is taken.
"""

from __future__ import annotations

from collections.abc import Callable

from wampy.errors import ConnectionClosed

# A batch is one message to the router's own limits, so it does not grow beyond this many bytes; a message that is
# larger goes alone.
LARGEST_BATCH = 65_536


class Outgoing:
    """The outgoing buffer of a transport.

    Attributes:
        size: How many bytes have not been written yet, framing included as far as it is done.
        wire: What is being written, sealed by TLS if there is TLS.

    Args:
        frame: Turns a payload into the bytes that carry it; may raise `ConnectionClosed`.
        seal: Turns framed bytes into what goes over the wire.
    """

    __slots__ = ("_batch", "_batch_size", "_frame", "_pieces", "_pieces_size", "_seal", "wire")

    def __init__(self, frame: Callable[[bytes], list[bytes]], seal: Callable[[bytes], bytes]) -> None:
        self._frame = frame
        self._seal = seal
        self._batch: list[bytes] = []
        self._batch_size = 0
        self._pieces: list[bytes] = []
        self._pieces_size = 0
        self.wire = memoryview(b"")

    @property
    def size(self) -> int:
        """Bytes that have not been written."""
        return self._batch_size + self._pieces_size + len(self.wire)

    def add(self, pieces: list[bytes]) -> None:
        """Add framed bytes, behind all that was added before."""
        self.close_batch()
        for piece in pieces:
            self._pieces.append(piece)
            self._pieces_size += len(piece)

    def add_payload(self, payload: bytes, batched: bool) -> None:
        """Add a payload.

        Args:
            payload: What the serializer gave.
            batched: Whether it may be joined with those that leave at the same moment.

        Raises:
            ConnectionClosed: It cannot be framed any more.
        """
        if not batched:
            self.add(self._frame(payload))
            return
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
        if not self.wire:
            self.close_batch()
            pieces = self._pieces
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._pieces_size = 0
            self.wire = memoryview(self._seal(data))
        return bool(self.wire)

    def written(self, count: int) -> None:
        """Take note that so many bytes of `wire` are written."""
        self.wire = self.wire[count:]

    def drop(self) -> None:
        """Forget everything."""
        self._batch.clear()
        self._pieces.clear()
        self._batch_size = self._pieces_size = 0
        self.wire = memoryview(b"")
