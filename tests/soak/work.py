"""What is called and published, and what the right answers are: pure, so that nobody has to be believed."""

from __future__ import annotations

import random
import zlib

#: How long each kind of call may take, in seconds.
TIMEOUTS = {
    "digest": 10.0,
    "large": 10.0,
    "slow": 10.0,
    "relay": 10.0,
    "fail": 10.0,
    "late": 0.1,
    "cancel": 10.0,
}
KINDS = tuple(TIMEOUTS)
_WEIGHTS = (60, 3, 12, 12, 8, 2, 3)

#: Those that are meant not to be answered.
CUT_SHORT = frozenset({"late", "cancel"})

LARGE = 100_000

#: The URI of the error that "fail" gives.
FAILURE = "com.example.soak.failure"


def choose(chance: random.Random) -> str:
    """Choose the kind of the next call."""
    return chance.choices(KINDS, _WEIGHTS)[0]


def text(caller: str, number: int, kind: str) -> str:
    """Return the argument of a call."""
    return f"{kind} {number} of {caller}" + (LARGE * "." if kind == "large" else "")


def digest(argument: str) -> str:
    """Return what the procedure "digest" answers, which only somebody can say who has got the whole argument."""
    return f"{zlib.crc32(argument.encode()):08x}-{len(argument)}"


def right_answer(caller: str, number: int, kind: str) -> str:
    """Return what a call is to be answered."""
    found = digest(text(caller, number, kind))
    return {"relay": f"passed on: {found}", "fail": f"refused: {found}"}.get(kind, found)


def event(publisher: str, number: int) -> str:
    """Return what an event says."""
    return digest(f"event {number} of {publisher}")
