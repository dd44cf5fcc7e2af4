"""Every serializer with a real Crossbar: which one is spoken, what arrives, and what cannot travel."""

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal

import pytest

from wampy import Client, RemoteError, callee, subscribe
from wampy.errors import HandshakeError, RemoteRuntimeError, SerializationError, WampProtocolError
from wampy.interfaces import Serializer
from wampy.serializers import (
    NAMES,
    BatchedSerializer,
    CborSerializer,
    JsonSerializer,
    MsgpackSerializer,
    OrjsonSerializer,
)

VALUES = [
    None, True, 0, -1, 2**53, -(2**53), 2**63 - 1, 0.1, -1.5e300, "", "größer", "日本語", "\U0001f600", "\x18\x1e",
    b"", b"\0\xff\x18", [], {}, [[], {}], {"a": {"b": [None, {"c": b"deep"}]}}, list(range(10_000)), "x" * 2**20,
    bytes(range(256)) * 2**12,
]  # fmt: skip


@dataclass
class Point:
    x: int
    y: int


class Service(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []

    @callee(procedure="com.example.echo")
    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    @callee(procedure="com.example.give")
    def give(self, what):
        return {"object": {"deep": [object()]}, "point": Point(1, 2), "ring": RING, "key": {1: 2}}[what]

    @callee(procedure="com.example.fail")
    def fail(self, what):
        raise RemoteError("com.example.failed", object() if what == "object" else Point(3, 4), why=what)

    @subscribe(topic="com.example.topic")
    def on_topic(self, *args, meta, **kwargs):
        self.heard.append((args, kwargs))


RING = []
RING.append(RING)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def service(join, name):
    return join(Service, serializers=name)


@pytest.fixture
def client(join, service, name):
    client = join(serializers=(name,))
    assert client.session.serializer.name == name
    return client


def test_values_there_and_back(client):
    for value in VALUES:
        answer = client.call("com.example.echo", value, k=value)
        assert answer == [[value], {"k": value}]
        assert type(answer[0][0]) is type(value)


def test_two_hundred_calls_at_once(client):
    calls = [client.rpc.com.example.echo.call_async(n, b"\x18") for n in range(200)]
    assert [call.result() for call in calls] == [[[n, b"\x18"], {}] for n in range(200)]


def test_events(client, service, green):
    client.session.publish("com.example.topic", VALUES, {"k": VALUES})
    for number in range(100):
        client.publish(topic="com.example.topic", number=number)
    green.wait_until(lambda: len(service.heard) == 101)
    assert service.heard[0] == (tuple(VALUES), {"k": VALUES})
    assert [kwargs["number"] for _, kwargs in service.heard[1:]] == list(range(100))


def test_the_router_translates(join, service, name):
    for other in ("json", "msgpack", "cbor", "ubjson"):
        values = [value for value in VALUES if value != ""]
        assert join(serializers=other).call("com.example.echo", values) == [[values], {}]


# What cannot travel raises in the sender's frame: no request id is used up, and the session goes on.


@pytest.mark.parametrize(
    ("send", "error"),
    [
        (lambda session: session.call("com.example.echo", [object()]), SerializationError),
        (lambda session: session.call("com.example.echo", [], {"k": {1: 2}}), SerializationError),
        (lambda session: session.call("com.example.echo", [RING]), SerializationError),
        (lambda session: session.call("com..echo"), WampProtocolError),
        (lambda session: session.call("com.example.echo", options={"timeout": "soon"}), WampProtocolError),
        (lambda session: session.call_async("com.example.echo", ["\ud800"]), SerializationError),
        (lambda session: session.publish("com.example.topic", [{1}]), SerializationError),
        (lambda session: session.publish("com.example topic"), WampProtocolError),
        (lambda session: session.publish("com.example.topic", options={"eligible": ["x"]}), WampProtocolError),
        (lambda session: session.call("com.example.echo", "text"), WampProtocolError),
        (lambda session: session.call("com.example.echo", [], "ab"), WampProtocolError),
        (lambda session: session.call("com.example.echo", options="ab"), WampProtocolError),
        (lambda session: session.publish("com.example.topic", "text"), WampProtocolError),
        (lambda session: session.publish("com.example.topic", kwargs=5), WampProtocolError),
        (lambda session: session.publish("com.example.topic", options=["acknowledge"]), WampProtocolError),
        (lambda session: session.publish("a.b", b"x", options={"enc_algo": "null"}), WampProtocolError),
        (lambda session: session.call("a.b", options={"caller": None}), WampProtocolError),
        (lambda session: session.call("a.b", options={"forward_for": [{"session": 1}]}), WampProtocolError),
        (lambda session: session.register("a..b", print, {"match": "prefix"}), WampProtocolError),
        (lambda session: session.register("com.example.", print), WampProtocolError),
        (lambda session: session.subscribe("com.example", print, {"match": "regex"}), WampProtocolError),
    ],
)
def test_what_cannot_travel_raises_before_it_is_sent(client, send, error):
    session = client.session
    before = session.request_ids.peek()
    with pytest.raises(error):
        send(session)
    assert session.request_ids.peek() == before
    assert len(session.pending) == 0
    assert client.call("com.example.echo", 1) == [[1], {}]
    assert session.request_ids.peek() == before + 1
    assert client.session is session


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("object", r"args\[0\]\['deep'\]\[0\] \(object\): \w+ has no form for object"),
        ("ring", r"args\[0\]\[0\] \(list\): it contains itself"),
        ("key", r"args\[0\]\[1\] \(int\): keys must be text"),
    ],
)
def test_a_result_that_cannot_travel_becomes_an_error_that_says_why(client, service, what, text):
    with pytest.raises(RemoteRuntimeError, match=text) as caught:
        client.call("com.example.give", what)
    assert caught.value.kwargs["exc_type"] == "SerializationError"
    assert client.call("com.example.echo", 1) == [[1], {}]
    assert service.session is not None


def test_an_error_that_cannot_travel_becomes_one_that_says_why(client):
    with pytest.raises(RemoteRuntimeError, match=r"args\[0\] \(object\)"):
        client.call("com.example.fail", "object")


def test_what_another_peer_sends_does_not_cost_the_session(join, service, green, name):
    """Each value travels in the sender's format; what the router makes of it must not end a session of ours."""
    values = {
        "json": [Decimal("1E+999"), 2**70],
        "msgpack": [float("nan"), float("inf"), "\0hello", 2**64 - 1],
        "cbor": [float("nan"), -float("inf"), "\0hello", Decimal("9" * 4000), 10**4000],
        "ubjson": [float("nan"), float("inf"), "\0hello", Decimal("9" * 4000)],
    }
    for other, sent in values.items():
        publisher = join(serializers=other)
        for value in sent:
            publisher.publish(topic="com.example.topic", value=value, options={"acknowledge": True})
        publisher.publish(topic="com.example.topic", value="done", options={"acknowledge": True})
        green.wait_until(lambda: service.heard and service.heard[-1][1] == {"value": "done"})
        service.heard.clear()
        assert publisher.session is not None
    assert service.session is not None


# Which one is spoken.


def test_the_first_that_the_router_has_is_spoken(join):
    assert join(serializers=("msgpack", "json")).session.serializer.name == "msgpack"
    assert join(serializers=("json", "msgpack")).session.serializer.name == "json"
    assert join().session.serializer.name == "json"


class Morse(JsonSerializer):
    name = "morse"
    subprotocol = "wamp.2.morse"


def test_what_the_router_does_not_have_is_passed_over(join, wampy_router):
    assert join(serializers=(Morse(), "cbor")).session.serializer.name == "cbor"
    with pytest.raises(HandshakeError, match=r"wamp\.2\.morse"):
        Client(url=wampy_router.url, serializers=Morse()).start()


# JSON by orjson.


def test_json_by_orjson_is_json(join):
    join(Service, serializers=OrjsonSerializer())
    values = [*VALUES, 2**63, 2**64, -(2**80), 1e300, 0.1, [None, 1.5]]
    for client in (join(serializers=OrjsonSerializer()), join(serializers="json")):
        assert client.session.serializer.name == "json"
        for value in values:
            answer = client.call("com.example.echo", value, k=value)
            assert answer == [[value], {"k": value}]
            assert type(answer[0][0]) is type(value)
        for decimal in (Decimal("1.10"), Decimal("1E+3")):
            assert client.call("com.example.echo", decimal) == [[float(decimal)], {}]
        for value in (float("nan"), "\0", "\ud800", {1: 2}, object()):
            with pytest.raises(SerializationError):
                client.call("com.example.echo", None, value)


def test_json_by_orjson_reads_what_the_router_makes_of_other_formats(join, green):
    receiver = join(Service, serializers=OrjsonSerializer())
    values = [float("inf"), "\0no base64", b"\0", 2**64 - 1]
    join(serializers="msgpack").publish(topic="com.example.topic", values=values)
    green.wait_until(lambda: receiver.heard)
    assert receiver.heard == [((), {"values": values})]


# Objects with hooks.


HOOKED = [
    JsonSerializer(default=asdict),
    OrjsonSerializer(default=asdict),
    BatchedSerializer(OrjsonSerializer(default=asdict)),
    MsgpackSerializer(default=asdict),
    CborSerializer(default=asdict),
    BatchedSerializer(MsgpackSerializer(default=asdict)),
]


@pytest.mark.parametrize("serializer", HOOKED, ids=repr)
def test_a_hook_adds_types_to_calls_results_errors_and_events(join, green, serializer):
    service = join(Service, serializers=serializer)
    client = join(serializers=serializer)
    assert client.session.serializer is serializer
    assert client.call("com.example.echo", Point(1, 2)) == [[{"x": 1, "y": 2}], {}]
    assert client.call("com.example.give", "point") == {"x": 1, "y": 2}
    with pytest.raises(RemoteError) as caught:
        client.call("com.example.fail", "point")
    assert caught.value.args == ({"x": 3, "y": 4},)
    client.publish(topic="com.example.topic", point=Point(5, 6))
    green.wait_until(lambda: service.heard)
    assert service.heard == [((), {"point": {"x": 5, "y": 6}})]
    with pytest.raises(SerializationError, match=r"args\[0\] \(datetime\): asdict\(\) should be called on dataclass"):
        client.call("com.example.echo", datetime(2026, 1, 1))


def test_a_serializer_of_ones_own(join):
    class Loud(Serializer):
        name, subprotocol, binary = "loud", "wamp.2.json", False

        def __init__(self):
            self._json = JsonSerializer()

        def dumps(self, message):
            return self._json.dumps([each.upper() if each == "com.example.quiet" else each for each in message])

        def loads(self, payload):
            return self._json.loads(payload)

    service = join(serializers=Loud())
    service.session.register("COM.EXAMPLE.QUIET", lambda: "heard")
    assert service.call("com.example.quiet") == "heard"
    assert service.session.serializer.name == "loud"


def test_decimals_stay_exact_from_cbor_to_cbor(join):
    join(Service, serializers="cbor")
    answer = join(serializers="cbor").call("com.example.echo", Decimal("1.10"))
    assert answer == [[Decimal("1.10")], {}]
    assert isinstance(answer[0][0], Decimal)


# A hook is the user's code: it may block, publish, call and fail.


class Slow:
    def __init__(self, value):
        self.value = value


def test_a_hook_that_blocks_and_publishes_mixes_nothing_up(join, service, green):
    def hook(slow):
        client.publish(topic="com.example.topic", about=slow.value)
        green.sleep(0.02)
        return slow.value

    client = join(serializers=MsgpackSerializer(default=hook))
    values = [Slow("a"), "b", Slow("c"), "d", Slow("e")]
    calls = [green.spawn(client.call, "com.example.echo", value) for value in values]
    assert [call.result() for call in calls] == [[[letter], {}] for letter in "abcde"]
    green.wait_until(lambda: len(service.heard) == 3)
    assert sorted(kwargs["about"] for _, kwargs in service.heard) == ["a", "c", "e"]


class NoException(BaseException):
    pass


def test_a_hook_that_raises_what_is_no_exception_leaves_no_caller_waiting(join):
    def hook(value):
        raise NoException

    join(Service, serializers=JsonSerializer(default=hook))
    with pytest.raises(RemoteRuntimeError, match="the callee's answer could not be sent"):
        join().call("com.example.give", "object")


def test_leaving_with_a_call_of_ones_own_open_is_no_loss(join, green, caplog):
    client = join(close_timeout=2.0)
    client.session.register("com.example.mine", lambda: green.sleep(5))
    client.session.call_async("com.example.mine")
    green.sleep(0.1)
    client.stop()  # Crossbar says ERROR for that call after its GOODBYE
    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
