"""Requests that wait for their reply, by request id. Whoever pops one owns its outcome."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from wampy.errors import WampyError
from wampy.interfaces import Slot


class PendingRequest:
    """One request and the slot that its reply goes to.

    Attributes:
        code: The request's message code; a reply must name it.
        request_id: Its id.
        about: The procedure or topic, for error texts.
        slot: Where the outcome goes, once.
        reply: What answered it, once something has.
        error: Why nothing did, once that is so; see `fresh`.
        deadline: When to give up, by the backend's clock; ``None`` for never.
        seconds: The same as a duration, for the error.
        cancelled: Whether it is a call that was cancelled.
        given_up: Whether nobody waits any more; the reply is still dealt with.
        subject: The registration or subscription that the reply will bring to life or end, if any.
        on_done: Called with the request when the outcome is there; it neither blocks nor raises.
    """

    __slots__ = (
        "about",
        "cancelled",
        "code",
        "deadline",
        "error",
        "given_up",
        "on_done",
        "reply",
        "request_id",
        "seconds",
        "slot",
        "subject",
    )

    def __init__(
        self,
        code: int,
        request_id: int,
        about: str,
        slot: Slot,
        deadline: float | None = None,
        seconds: float | None = None,
        subject: Any = None,
    ) -> None:
        self.code = code
        self.request_id = request_id
        self.about = about
        self.slot = slot
        self.deadline = deadline
        self.seconds = seconds
        self.subject = subject
        self.reply: Any = None
        self.error: BaseException | None = None
        self.given_up = False
        self.cancelled = False
        self.on_done: Callable[[PendingRequest], None] | None = None

    def settle(self, reply: Any) -> None:
        """Hand the reply to whoever waits."""
        if self.slot.set(reply):
            self.reply = reply
        if self.on_done is not None:
            self.on_done(self)

    def outcome(self) -> Any:
        """Return the reply, or raise the error, an instance of its own for each caller."""
        if self.error is not None:
            raise fresh(self.error)
        return self.reply

    def fail(self, error: BaseException) -> None:
        """Let whoever waits raise `error`."""
        if not self.slot.done:
            self.error = error
            self.settle(None)


def fresh(error: BaseException) -> BaseException:
    """Copy an error, so that no two green threads raise, and so change, one instance.

    Args:
        error: The one that is kept.

    Returns:
        A copy without traceback; its cause is the original's.
    """
    if not isinstance(error, WampyError):
        return error
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin


class PendingRequests:
    """The table of one session.

    Attributes:
        by_id: The same as a dictionary, for those who are asked for each message.
    """

    __slots__ = ("by_id",)

    def __init__(self) -> None:
        self.by_id: dict[int, PendingRequest] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[PendingRequest]:
        return iter(list(self.by_id.values()))

    def put(self, pending: PendingRequest) -> None:
        """Add a request under its id."""
        self.by_id[pending.request_id] = pending

    def get(self, request_id: int) -> PendingRequest | None:
        """Return the request of that id without taking it."""
        return self.by_id.get(request_id)

    def pop(self, code: int, request_id: int) -> PendingRequest | None:
        """Take the request of that kind and id, or ``None`` when there is none (any more)."""
        pending = self.by_id.get(request_id)
        if pending is None or pending.code != code:
            return None
        del self.by_id[request_id]
        return pending

    def discard(self, pending: PendingRequest) -> bool:
        """Take this very request; say whether it was still there."""
        if self.by_id.get(pending.request_id) is not pending:
            return False
        del self.by_id[pending.request_id]
        return True

    def expired(self, now: float) -> list[PendingRequest]:
        """Return all whose deadline has come, without taking them."""
        return [p for p in self.by_id.values() if p.deadline is not None and p.deadline <= now]

    def pop_all(self) -> list[PendingRequest]:
        """Take all; for the end of the session."""
        everything = list(self.by_id.values())
        self.by_id.clear()
        return everything

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, ``None`` when nothing has one."""
        return min((p.deadline for p in self.by_id.values() if p.deadline is not None), default=None)
