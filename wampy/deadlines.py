"""How long requests wait, and when they are given up: one timer for the whole session."""

from __future__ import annotations

import math
from collections.abc import Callable

from wampy.interfaces import Backend, Timer
from wampy.protocol.pending import PendingRequest, PendingRequests


class Default:
    """Stands for "the client's own timeout", which ``None``, no limit, cannot."""

    def __repr__(self) -> str:
        return "the client's"


DEFAULT = Default()
Timeout = float | None | Default


class Deadlines:
    """The timer. Its callbacks run in the hub and neither block nor log.

    Attributes:
        next_look: When somebody will look and see to what comes behind that; infinity for never.

    Args:
        backend: The verbs.
        pending: The requests to watch over.
        look: Looks at the socket once more, soon.
        expired: Called with each request that has been popped because its time was up.
    """

    def __init__(
        self,
        backend: Backend,
        pending: PendingRequests,
        look: Callable[[], None],
        expired: Callable[[PendingRequest], None],
    ) -> None:
        self._backend = backend
        self._pending = pending
        self._look = look
        self._expired = expired
        self._timer: Timer | None = None
        self.next_look = math.inf

    def watch(self, deadline: float | None) -> None:
        """See to it that somebody looks at that time.

        Args:
            deadline: By the backend's clock; ``None`` needs no watching, nor does what is not before `next_look`.
        """
        if deadline is None or self.next_look <= deadline:
            return  # that look will find what comes next
        # Ctrl-C comes behind calls: in that order there is a timer at any time, and one too many does no harm.
        late = self._timer
        self._timer = self._backend.call_later(max(deadline - self._backend.monotonic(), 0.0), self._due)
        self.next_look = deadline
        if late is not None:
            late.cancel()

    def cancel(self) -> None:
        """End the watch."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self.next_look = None, math.inf

    def _due(self) -> None:
        # Hubs fire timers before they look at sockets: the answer may lie in the kernel. Look once more first.
        self._timer, self.next_look = None, math.inf
        try:
            self._look()
        finally:  # after Ctrl-C too: those who wait are other green threads
            self._timer = self._backend.call_later(0.0, self._expire)
            self.next_look = -math.inf

    def _expire(self) -> None:
        self._timer, self.next_look = None, math.inf
        taken: PendingRequest | None = None
        try:
            for pending in self._pending.expired(self._backend.monotonic()):
                taken = pending
                if self._pending.discard(pending):
                    self._expired(pending)
        except BaseException:
            if taken is not None and not taken.slot.done:
                self._pending.put(taken)  # Ctrl-C came before it was told: the next look, which is soon, does that
            raise
        finally:
            self.watch(self._pending.next_deadline())
