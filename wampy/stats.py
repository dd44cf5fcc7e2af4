"""What a client has done so far, in figures."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Stats:
    """What a client, or a session, has done since it was made, and what it has to do now.

    Attributes:
        messages_in: WAMP messages that came in.
        messages_out: WAMP messages that were sent.
        bytes_in: Bytes that were read from the socket: everything, handshakes, framing, heartbeats and TLS included.
        bytes_out: Bytes that were written to the socket, counted likewise.
        calls: Calls that were made.
        errors: Requests of ours, calls and others, that were answered with ERROR or not in time.
        invocations: Invocations that came in.
        invocations_refused: Those among them that were answered with ``wamp.error.unavailable``, as too many waited.
        events: Events that came in.
        events_dropped: Those that were dropped, as their handler was too slow for them. One that several handlers of
            the client share counts for each.
        pending: Requests that wait for their reply now.
        workers_busy: Functions of the user's, callees and event handlers, that run now or wait for an answer.
        queue: Invocations and events that wait for a worker now.
        reconnects: Sessions that were joined in the place of a lost one.
        last_ping: Seconds that the last heartbeat took to the router and back; ``None`` before there was one, and over
            a RawSocket without pings.
    """

    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    calls: int = 0
    errors: int = 0
    invocations: int = 0
    invocations_refused: int = 0
    events: int = 0
    events_dropped: int = 0
    pending: int = 0
    workers_busy: int = 0
    queue: int = 0
    reconnects: int = 0
    last_ping: float | None = None

    def __add__(self, later: Stats) -> Stats:
        """Sum up with what was counted later, for example by the next session."""
        if not isinstance(later, Stats):
            return NotImplemented
        sums = {name: getattr(self, name) + getattr(later, name) for name in _NUMBERS}
        return Stats(**sums, last_ping=self.last_ping if later.last_ping is None else later.last_ping)


_NUMBERS = tuple(field.name for field in fields(Stats) if field.name != "last_ping")
