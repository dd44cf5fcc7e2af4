"""Memory for large messages: having the system's allocator keep it from one message to the next.

A large message is copied a few times on its way, and glibc asks the kernel for each such piece of 128 KiB and more
anew, and gives it back behind the message: a hundred page faults for 200 kB, a fourth of the whole time. How large a
piece it keeps goes by the largest one that was ever given back (mallopt(3), "dynamic mmap threshold"). So one that is
larger than all copies of the message together is asked for and given back, once, without being touched. Elsewhere this
does nothing.
"""

from __future__ import annotations

# Messages below this need nothing.
_SMALL = 65_536
# Beyond this the copying counts more than the faults, and so much should not be kept.
_MOST = 2**22

_largest = _SMALL


def expect(size: int) -> None:
    """Get ready for messages of a size; cheap when there was such a one before.

    Args:
        size: Bytes.
    """
    global _largest
    if size > _largest:
        _largest = 2 * size
        bytes(min(4 * size, _MOST))
