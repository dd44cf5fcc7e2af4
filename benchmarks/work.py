"""What there is to do, the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

#: How many calls are in flight in `conc`, `green` and `invocation`, and events in a burst.
IN_FLIGHT: Final = 100

#: The small payloads, one after the other; a power of two of them.
SMALL: Final = [f"a small payload, number {number}" for number in range(256)]

#: The big one.
BIG: Final = "".join(f"{number:08d}" for number in range(25_000))

#: Seconds that a call in the background may take, of those that wait for something else.
PATIENCE: Final = 120.0


def small(number: int) -> str:
    """Give the small payload that belongs to a number."""
    return SMALL[number & 255]


@dataclass(frozen=True)
class Job:
    """What one process under test is to do.

    Attributes:
        row: The row's name.
        peer: Who is to do it, for example ``wampy-gevent`` or ``wampy@FOLDER``.
        url: Of the router.
        serializer: ``json`` or ``msgpack``.
        prefix: What all URIs begin with.
        operations: How many.
        warm_up: How many before that, which do not count.
        level: Of how many in a row of the scaling: how many are pending, registered, or there.
    """

    row: str
    peer: str
    url: str
    serializer: str
    prefix: str
    operations: int
    warm_up: int = 0
    level: int = 0

    @property
    def library(self) -> str:
        """Whose client it is: ``wampy`` also for ``wampy-gevent`` and ``wampy@FOLDER``."""
        return self.peer.partition("@")[0].partition("-")[0]

    def uri(self, name: str) -> str:
        """Give the URI of a procedure or topic of this job."""
        return f"{self.prefix}.{name}"


class WrongError(AssertionError):
    """Say that something did not come back as it should."""


def check(found: Any, expected: Any) -> None:
    """Raise unless what came is what should have come."""
    if found != expected:
        raise WrongError(f"expected {str(expected)[:200]!r}, got {str(found)[:200]!r}")
