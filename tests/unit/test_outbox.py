"""The way out: ids without gaps, whatever fails."""

import pytest

from wampy.errors import ConnectionClosed, SerializationError, WampProtocolError, WampyError
from wampy.interfaces import Serializer
from wampy.messages import Call, Cancel, Goodbye, Hello, Publish, Register, Result, Subscribe, Unregister, Unsubscribe
from wampy.outbox import REQUESTS, Outbox
from wampy.protocol.pending import PendingRequest, PendingRequests
from wampy.protocol.request_ids import RequestIds
from wampy.protocol.states import State, StateMachine
from wampy.serializers import BatchedSerializer, JsonSerializer, get_serializer


class Wire:
    """The part of a transport that an outbox uses: keeps what is sent, and fails when the test says so."""

    serializer = get_serializer("json")

    def __init__(self):
        self.sent = []
        self.error = None

    def send(self, payload):
        if self.error is not None:
            raise self.error
        self.sent.append(self.serializer.loads(payload))


class Desk:
    def __init__(self, backend, state=State.ESTABLISHED):
        self.wire = Wire()
        self.machine = StateMachine()
        self.machine.move(state)
        self.ids = RequestIds()
        self.pending = PendingRequests()
        self.outbox = Outbox(self.wire, self.machine, self.ids, self.pending, backend)
        self.backend = backend

    def request(self):
        return PendingRequest(Call.WAMP_CODE, 0, "com.example.a", self.backend.slot())


@pytest.fixture
def desk(backend):
    return Desk(backend)


def test_every_kind_of_request_is_counted(desk):
    requests = [
        Call(None, {}, "a.b"),
        Publish(None, {}, "a.b"),
        Register(None, {}, "a.b"),
        Subscribe(None, {}, "a.b"),
        Unregister(None, 5),
        Unsubscribe(None, 5),
    ]
    assert {request.name for request in requests} == REQUESTS
    for request in requests:
        desk.outbox.emit(request)
    assert [message[1] for message in desk.wire.sent] == [1, 2, 3, 4, 5, 6]
    assert [request.request_id for request in requests] == [1, 2, 3, 4, 5, 6]
    assert desk.ids.peek() == 7


def test_what_is_no_request_uses_up_no_id(desk):
    desk.outbox.emit(Cancel(1, {}))
    assert desk.ids.peek() == 1


def test_the_pending_request_is_there_when_the_message_leaves(desk):
    pending, seen = desk.request(), []
    desk.wire.send = lambda payload: seen.append(desk.pending.get(1))
    desk.outbox.emit(Call(None, {}, "a.b"), pending)
    assert seen == [pending]
    assert pending.request_id == 1


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (lambda: Call(None, {}, "a.b", [object()]), SerializationError),
        (lambda: Call(None, {}, "a b"), WampProtocolError),
        (lambda: Call(None, {"timeout": -1}, "a.b"), WampProtocolError),
        (lambda: Call(7, {}, "a.b"), WampProtocolError),
        (lambda: Call("1", {}, "a.b"), WampProtocolError),
        (lambda: Call(True, {}, "a.b"), WampProtocolError),
        (lambda: Call(1.0, {}, "a.b"), WampProtocolError),
        (lambda: Result(1, {}), WampProtocolError),
        (lambda: Hello("realm1", {}), WampProtocolError),
    ],
)
def test_a_failure_leaves_everything_as_it_was(desk, message, error):
    pending, message = desk.request(), message()
    with pytest.raises(error):
        desk.outbox.emit(message, pending)
    assert desk.wire.sent == []
    assert len(desk.pending) == 0
    assert desk.ids.peek() == 1
    assert desk.machine.state is State.ESTABLISHED
    desk.outbox.emit(Call(None, {}, "a.b"))
    assert desk.wire.sent[0][1] == 1


@pytest.mark.parametrize("error", [ConnectionClosed("gone"), MemoryError()])
def test_a_transport_that_fails_leaves_everything_as_it_was(desk, error):
    pending, message = desk.request(), Call(None, {}, "a.b")
    desk.wire.error = error
    with pytest.raises(type(error)):
        desk.outbox.emit(message, pending)
    assert len(desk.pending) == 0
    assert message.request_id is None
    desk.wire.error = None
    desk.outbox.emit(message, pending)
    assert desk.wire.sent[0][1] == 1
    assert desk.pending.get(1) is pending


def test_ctrl_c_while_the_kernel_takes_the_bytes_uses_the_id_up(desk):
    pending, message = desk.request(), Call(None, {}, "a.b")
    desk.wire.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        desk.outbox.emit(message, pending)
    assert message.request_id == 1
    desk.wire.error = None
    desk.outbox.emit(Call(None, {}, "a.b"))
    assert desk.wire.sent[0][1] == 2


def test_an_id_that_the_user_has_taken_from_the_counter_is_not_counted_again(desk):
    taken = next(desk.ids)
    desk.outbox.emit(Call(None, {}, "a.b"))
    desk.outbox.emit(Call(taken, {}, "a.b"))
    desk.outbox.emit(Call(3, {}, "a.b"))
    assert [message[1] for message in desk.wire.sent] == [2, 1, 3]
    assert desk.ids.peek() == 4
    with pytest.raises(WampProtocolError, match="the next is 4, not 9"):
        desk.outbox.emit(Call(9, {}, "a.b"))


def test_the_state_moves_with_what_was_sent(backend):
    desk = Desk(backend, State.NEW)
    desk.outbox.emit(Hello("realm1", {}))
    assert desk.machine.state is State.JOINING
    with pytest.raises(WampProtocolError):
        desk.outbox.emit(Call(None, {}, "a.b"))
    desk.machine.receive("welcome")
    desk.outbox.emit(Goodbye({}, "wamp.close.normal"))
    assert desk.machine.state is State.CLOSING
    with pytest.raises(ConnectionClosed):
        desk.outbox.emit(Call(None, {}, "a.b"))


@pytest.mark.parametrize("state", [State.NEW, State.CLOSING, State.DISMISSED, State.ENDED])
def test_nothing_is_sent_before_and_after_the_session(backend, state):
    desk = Desk(backend, state)
    with pytest.raises(ConnectionClosed):
        desk.outbox.emit(Call(None, {}, "a.b"))
    assert desk.wire.sent == []


# A serializer's hook is the user's code: it may block, call and publish while a message is made.


class Thing:
    def __init__(self, value):
        self.value = value


def test_hooks_that_switch_do_not_mix_up_ids(desk, green):
    def hook(thing):
        green.sleep(0.01)
        if thing.value is None:
            raise TypeError("no value")
        return thing.value

    desk.wire.serializer = JsonSerializer(default=hook)
    pendings = [desk.request() for _ in range(6)]
    values = [Thing("a"), "b", Thing(None), Thing("d"), Thing(None), "f"]
    sending = [
        green.spawn(desk.outbox.emit, Call(None, {}, "a.b", [value]), pending)
        for value, pending in zip(values, pendings, strict=True)
    ]
    errors = [each.error() for each in sending]
    assert [type(error) for error in errors] == [
        type(None), type(None), SerializationError, type(None), SerializationError, type(None)
    ]  # fmt: skip
    assert [message[1] for message in desk.wire.sent] == [1, 2, 3, 4]
    by_value = {message[4][0]: message[1] for message in desk.wire.sent}
    for value, pending in zip("abcdef", pendings, strict=True):
        assert (desk.pending.get(by_value[value]) is pending) if value in by_value else pending not in desk.pending
    assert len(desk.pending) == 4


def test_a_hook_may_send(desk):
    def hook(thing):
        desk.outbox.emit(Publish(None, {}, "a.hook"))
        return thing.value

    desk.wire.serializer = JsonSerializer(default=hook)
    desk.outbox.emit(Call(None, {}, "a.b", [Thing(1)]))
    assert [message[:2] for message in desk.wire.sent] == [[16, 1], [48, 2]]


def test_a_session_that_ends_during_a_hook_takes_nothing_more(desk):
    def hook(thing):
        desk.machine.end()
        return thing.value

    desk.wire.serializer = JsonSerializer(default=hook)
    with pytest.raises(ConnectionClosed):
        desk.outbox.emit(Call(None, {}, "a.b", [Thing(1)]), desk.request())
    assert desk.wire.sent == [] and len(desk.pending) == 0 and desk.ids.peek() == 1


def test_an_interrupted_hook_leaves_the_message_without_an_id(desk):
    def hook(thing):
        raise KeyboardInterrupt

    desk.wire.serializer = JsonSerializer(default=hook)
    message = Call(None, {}, "a.b", [Thing(1)])
    with pytest.raises(KeyboardInterrupt):
        desk.outbox.emit(message)
    assert message.request_id is None and desk.ids.peek() == 1


def test_a_serializer_that_sends_while_it_encodes_is_refused(desk):
    class Sending(JsonSerializer):
        busy = False

        def encode(self, message):
            if not self.busy:
                self.busy = True
                desk.outbox.emit(Publish(None, {}, "a.encode"))
            return super().encode(message)

    desk.wire.serializer = Sending()
    with pytest.raises(WampyError, match="'json' let others send while it encoded"):
        desk.outbox.emit(Call(None, {}, "a.b"), desk.request())
    assert [message[:2] for message in desk.wire.sent] == [[16, 1]]
    assert len(desk.pending) == 0
    desk.outbox.emit(Call(None, {}, "a.b"))
    assert desk.wire.sent[-1][:2] == [48, 2]


class Shouting(JsonSerializer):
    def prepare(self, message):
        return super().prepare([*message[:4], [value.upper() for value in message[4]]])


class WithoutBinaries(JsonSerializer):
    scalars = JsonSerializer.scalars - {bytes}


class Flat(JsonSerializer):
    max_depth = 1


def test_a_serializer_that_prepares_in_its_own_way_is_asked(desk):
    desk.wire.serializer = Shouting()
    desk.outbox.emit(Publish(None, {}, "a.b", ["loud"]))
    desk.wire.serializer = BatchedSerializer(Shouting())
    desk.wire.send = lambda payload: desk.wire.sent.append(desk.wire.serializer.loads(payload[:-1]))
    desk.outbox.emit(Publish(None, {}, "a.b", ["louder"]))
    assert [message[4] for message in desk.wire.sent] == [["LOUD"], ["LOUDER"]]


def test_a_batch_that_prepares_in_its_own_way_is_asked(desk):
    class Batch(BatchedSerializer):
        def prepare(self, message):
            return super().prepare([*message[:4], [value.upper() for value in message[4]]])

    desk.wire.serializer = Batch(JsonSerializer())
    desk.wire.send = lambda payload: desk.wire.sent.append(desk.wire.serializer.loads(payload[:-1]))
    desk.outbox.emit(Publish(None, {}, "a.b", ["loud"]))
    assert desk.wire.sent[0][4] == ["LOUD"]


@pytest.mark.parametrize("serializer", [WithoutBinaries, Flat])
def test_a_serializer_that_takes_less_is_asked(desk, serializer):
    desk.wire.serializer = serializer()
    with pytest.raises(SerializationError, match=r"args|options"):
        desk.outbox.emit(Publish(None, {}, "a.b", [b"binary"]))


def test_a_serializer_is_not_asked_about_what_it_would_leave_alone(desk):
    desk.wire.serializer = JsonSerializer()
    desk.wire.serializer.prepare = None
    desk.outbox.emit(Publish(None, {}, "a.b", ["text", 1], {"more": None}))
    assert desk.wire.sent == [[16, 1, {}, "a.b", ["text", 1], {"more": None}]]


def test_a_serializer_of_two_methods_is_enough(desk):
    class Two(Serializer):
        name, subprotocol, binary = "two", "wamp.2.two", False
        dumps, loads = staticmethod(get_serializer("json").dumps), staticmethod(get_serializer("json").loads)

    desk.wire.serializer = Two()
    desk.outbox.emit(Call(None, {}, "a.b", [1]))
    assert desk.wire.sent == [[48, 1, {}, "a.b", [1]]]
