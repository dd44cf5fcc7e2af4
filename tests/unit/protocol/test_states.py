"""The state table: what may be said when, all of it."""

import pytest

from wampy.errors import ConnectionClosed, WampProtocolError
from wampy.messages import MESSAGE_TYPE_MAP
from wampy.protocol.states import MOVES, RECEIVED, SENT, Direction, State, StateMachine

NAMES = sorted(cls.name for cls in MESSAGE_TYPE_MAP.values())

REPLIES = ["published", "subscribed", "unsubscribed", "result", "registered", "unregistered", "error"]
REQUESTS = ["publish", "subscribe", "unsubscribe", "call", "register", "unregister"]
ANSWERS = ["yield", "error", "cancel", "event_received"]
DELIVERIES = ["event", "invocation", "interrupt", "event_received"]

# Written out once more from the protocol's facts, not from the table: state -> what may be sent, what may come.
LEGAL = {
    State.NEW: (["hello"], []),
    State.JOINING: (["abort"], ["welcome", "challenge", "abort"]),
    State.CHALLENGED: (["authenticate", "abort"], ["abort"]),
    State.AUTHENTICATING: (["abort"], ["welcome", "abort"]),
    State.ESTABLISHED: (
        [*REQUESTS, *ANSWERS, "goodbye", "abort"],
        [*REPLIES, *DELIVERIES, "goodbye", "abort"],
    ),
    State.CLOSING: (["abort"], [*REPLIES, *DELIVERIES, "goodbye", "abort"]),
    State.DISMISSED: (["goodbye", "abort"], ["abort"]),
    State.ENDED: ([], []),
}


def machine(state):
    made = StateMachine()
    made.move(state)
    return made


def test_every_state_is_judged():
    assert set(LEGAL) == set(State)
    assert {name for _, _, name in MOVES} <= set(NAMES)
    assert all(isinstance(direction, Direction) for _, direction, _ in MOVES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_sending(state, name):
    made = machine(state)
    if name in LEGAL[state][0]:
        target = made.check_send(name)
        assert made.state is state, "only looked at"
        made.move(target)
        assert made.state is target
    else:
        over = state in (State.NEW, State.CLOSING, State.DISMISSED, State.ENDED)
        with pytest.raises(ConnectionClosed if over else WampProtocolError) as caught:
            made.check_send(name)
        assert made.state is state
        assert over or (name.upper() in str(caught.value) and state.value in str(caught.value))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_receiving(state, name):
    made = machine(state)
    if name in LEGAL[state][1]:
        made.receive(name)
        assert made.state is MOVES[state, RECEIVED, name]
    else:
        with pytest.raises(WampProtocolError) as caught:
            made.receive(name)
        assert made.state is state
        assert name.upper() in str(caught.value)
        assert state.value in str(caught.value)


def test_only_what_a_client_sends_is_sent_and_what_it_receives_received():
    classes = {cls.name: cls for cls in MESSAGE_TYPE_MAP.values()}
    for _, direction, name in MOVES:
        assert classes[name].sent if direction is SENT else classes[name].received, (direction, name)
    assert {name for _, direction, name in MOVES if direction is SENT} == {n for n, c in classes.items() if c.sent}
    assert {name for _, direction, name in MOVES if direction is RECEIVED} == {
        n for n, c in classes.items() if c.received
    }


@pytest.mark.parametrize(
    "walk",
    [
        "!hello ?welcome !goodbye ?goodbye",
        "!hello ?challenge !authenticate ?welcome ?goodbye !goodbye",
        "!hello ?abort",
        "!hello ?challenge !authenticate ?abort",
        "!hello ?welcome !call ?result ?event !yield !abort",
    ],
)
def test_whole_lives_end(walk):
    made = StateMachine()
    for step in walk.split():
        if step[0] == "!":
            made.move(made.check_send(step[1:]))
        else:
            made.receive(step[1:])
    assert made.state is State.ENDED


def test_every_state_can_be_reached_and_left():
    reached = {State.NEW}
    while more := {target for (source, _, _), target in MOVES.items() if source in reached} - reached:
        reached |= more
    assert reached == set(State)
    assert {source for source, _, _ in MOVES} == set(State) - {State.ENDED}


@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_the_transports_end_is_the_end_of_any_state(state):
    made = machine(state)
    made.end()
    assert made.state is State.ENDED
