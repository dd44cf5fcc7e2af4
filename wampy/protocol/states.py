"""The session's states as one table. Whatever is not in it is illegal (WAMP, "Session Lifecycle").

Everything that changes a session's state is a line here; the diagram in the documentation is drawn from it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from wampy.errors import ConnectionClosed, WampProtocolError


class State(Enum):
    """Where a session stands."""

    NEW = "new"  # no transport yet, or nothing said on it
    JOINING = "joining"  # HELLO is out
    CHALLENGED = "challenged"  # CHALLENGE came, AUTHENTICATE is due
    AUTHENTICATING = "authenticating"  # AUTHENTICATE is out
    ESTABLISHED = "established"  # WELCOME came
    CLOSING = "closing"  # our GOODBYE is out, theirs is awaited
    DISMISSED = "dismissed"  # their GOODBYE came, our answer is due
    ENDED = "ended"  # nothing more is sent or expected


class Direction(Enum):
    """Who said it."""

    SENT = "sent"
    RECEIVED = "received"


SENT, RECEIVED = Direction.SENT, Direction.RECEIVED

_REQUESTS = ("publish", "subscribe", "unsubscribe", "call", "register", "unregister")
_ANSWERS = ("yield", "error", "cancel", "event_received")
_REPLIES = ("published", "subscribed", "unsubscribed", "result", "registered", "unregistered", "error")
_DELIVERIES = ("event", "invocation", "interrupt", "event_received")

Moves = dict[tuple[State, Direction, str], State]

MOVES: Final[Moves] = {
    (State.NEW, SENT, "hello"): State.JOINING,
    (State.JOINING, RECEIVED, "welcome"): State.ESTABLISHED,
    (State.JOINING, RECEIVED, "challenge"): State.CHALLENGED,
    (State.JOINING, RECEIVED, "abort"): State.ENDED,
    (State.JOINING, SENT, "abort"): State.ENDED,
    (State.CHALLENGED, SENT, "authenticate"): State.AUTHENTICATING,
    (State.CHALLENGED, SENT, "abort"): State.ENDED,
    (State.CHALLENGED, RECEIVED, "abort"): State.ENDED,
    (State.AUTHENTICATING, RECEIVED, "welcome"): State.ESTABLISHED,
    (State.AUTHENTICATING, RECEIVED, "abort"): State.ENDED,
    (State.AUTHENTICATING, SENT, "abort"): State.ENDED,
    (State.ESTABLISHED, SENT, "goodbye"): State.CLOSING,
    (State.ESTABLISHED, RECEIVED, "goodbye"): State.DISMISSED,
    (State.ESTABLISHED, RECEIVED, "abort"): State.ENDED,
    (State.ESTABLISHED, SENT, "abort"): State.ENDED,
    (State.DISMISSED, SENT, "goodbye"): State.ENDED,
    (State.DISMISSED, SENT, "abort"): State.ENDED,
    (State.DISMISSED, RECEIVED, "abort"): State.ENDED,  # which is never answered, not even with ABORT
    (State.CLOSING, RECEIVED, "goodbye"): State.ENDED,
    (State.CLOSING, RECEIVED, "abort"): State.ENDED,
    (State.CLOSING, SENT, "abort"): State.ENDED,
    **{(State.ESTABLISHED, SENT, name): State.ESTABLISHED for name in _REQUESTS + _ANSWERS},
    **{(State.ESTABLISHED, RECEIVED, name): State.ESTABLISHED for name in _REPLIES + _DELIVERIES},
    # What the router had sent before it read our GOODBYE.
    **{(State.CLOSING, RECEIVED, name): State.CLOSING for name in _REPLIES + _DELIVERIES},
}


# The same as two tables for each state, as each message that comes or goes is looked up: a key of three would have to
# be made and hashed for that.
_SENDABLE: Final[dict[State, dict[str, State]]] = {state: {} for state in State}
_RECEIVABLE: Final[dict[State, dict[str, State]]] = {state: {} for state in State}
for (_state, _direction, _name), _target in MOVES.items():
    (_SENDABLE if _direction is SENT else _RECEIVABLE)[_state][_name] = _target


class StateMachine:
    """One session's state, moved along the table.

    Attributes:
        state: Where the session stands; changed by the methods only.
        sendable: What may be sent now: a message's name to what `check_send` would return.
        receivable: What may come now: a message's name to the state after that.
    """

    __slots__ = ("receivable", "sendable", "state")

    sendable: dict[str, State]
    receivable: dict[str, State]

    def __init__(self) -> None:
        self._go(State.NEW)

    def _go(self, state: State) -> None:
        self.state = state
        self.sendable = _SENDABLE[state]
        self.receivable = _RECEIVABLE[state]

    def check_send(self, name: str) -> State:
        """Say where sending a message of that name would lead, without going there.

        Args:
            name: The message's name, ``"call"``.

        Returns:
            The next state, for `move`.

        Raises:
            ConnectionClosed: The session is over or not yet there.
            WampProtocolError: The message may not be sent in this state.
        """
        target = self.sendable.get(name)
        if target is not None:
            return target
        if self.state is State.NEW:
            raise ConnectionClosed("the session has not been joined yet")
        if self.state in (State.CLOSING, State.DISMISSED, State.ENDED):
            raise ConnectionClosed(f"the session is {self.state.value}")
        raise WampProtocolError(f"{name.upper()} may not be sent while the session is {self.state.value}")

    def move(self, target: State) -> None:
        """Go where `check_send` said, once the message is on its way."""
        if target is not self.state:
            self._go(target)

    def receive(self, name: str) -> None:
        """Make the move that an incoming message stands for.

        Args:
            name: The message's name.

        Raises:
            WampProtocolError: The message is illegal in this state.
        """
        target = self.receivable.get(name)
        if target is None:
            raise WampProtocolError(f"the router sent {name.upper()} while the session was {self.state.value}")
        if target is not self.state:
            self._go(target)

    def end(self) -> None:
        """End the session from any state: the transport is gone."""
        self._go(State.ENDED)
