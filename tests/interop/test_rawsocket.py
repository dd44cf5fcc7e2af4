"""autobahn-python over RawSocket, under one serializer after the other, and wampy with each of its own."""

import pytest

from wampy import Client, RemoteError, callee, subscribe

MIB = 1 << 20

PAYLOADS = [
    ((), {}),
    ((1, "größer", [3, {"deep": b"\0\xff"}]), {"a": None, "b": 2**53, "c": [0.1, True]}),
    (("x" * MIB, bytes(range(256)) * 4096), {"k": ["ü" * MIB]}),
]


class Ours(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []

    @callee(procedure="ours.echo")
    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    @callee(procedure="ours.fail")
    def fail(self, *args, **kwargs):
        raise RemoteError("ours.error.chosen", *args, **kwargs)

    @callee(procedure="ours.relay")
    def relay(self, procedure, *args):
        return self.call(procedure, *args)

    @subscribe(topic="topic.", match="prefix")
    def on_event(self, *args, meta, **kwargs):
        self.heard.append({"topic": meta["topic"], "args": list(args), "kwargs": kwargs})


@pytest.fixture(scope="module")
def foreign_url(wampy_routers):
    # One port for both: the first octets tell.
    return f"rs://127.0.0.1:{wampy_routers.get().port}"


@pytest.fixture(params=["json", "msgpack", "cbor", "ubjson"])
def ours(request, join, foreign_url, foreigner):
    ours = join(Ours, url=foreign_url, serializers=request.param)
    assert ours.session.serializer.name == request.param
    return ours


def test_the_foreigner_is_on_rawsocket(ours, foreigner):
    kinds = [
        ours.call("wamp.session.get", session)["transport"]["channel_framing"]
        for session in (foreigner.session_id, ours.session.id)
    ]
    assert kinds == ["rawsocket", "rawsocket"]


@pytest.mark.parametrize(("args", "kwargs"), PAYLOADS, ids=["nothing", "several", "large"])
def test_payloads_both_ways_as_calls_and_as_events(ours, foreigner, green, args, kwargs):
    answer = ours.session.call("foreign.echo", args, kwargs)
    assert answer is None if not args else (tuple(answer.args), answer.kwargs) == (args, kwargs)
    assert foreigner.call("ours.echo", *args, **kwargs)["result"] == [list(args), kwargs]
    expected = [{"topic": "topic.one", "args": list(args), "kwargs": kwargs}]
    ours.session.publish("topic.one", args, kwargs, {"acknowledge": True})
    heard = []
    green.wait_until(lambda: heard.extend(foreigner.ask("heard")["heard"]) or heard)
    assert heard == expected
    foreigner.publish("topic.one", *args, **kwargs)
    green.wait_until(lambda: ours.heard)
    assert ours.heard == expected


def test_errors_both_ways(ours, foreigner):
    with pytest.raises(RemoteError) as caught:
        ours.call("foreign.fail", 1, b"\xff", why="größer")
    assert (caught.value.uri, caught.value.args) == ("foreign.error.chosen", (1, b"\xff"))
    assert caught.value.kwargs["why"] == "größer"
    answer = foreigner.call("ours.fail", 1, b"\xff", why="größer")
    assert (answer["error"], answer["args"]) == ("ours.error.chosen", [1, b"\xff"])
    assert answer["kwargs"]["why"] == "größer"


def test_many_calls_at_once_both_ways(ours, foreigner):
    values = list(range(200))
    order = foreigner.order("calls", procedure="ours.echo", values=values)
    calls = [ours.rpc.foreign.relay.call_async("ours.echo", number) for number in values]
    expected = [[[number], {}] for number in values]
    assert [call.result(20) for call in calls] == expected
    assert foreigner.answer(order)["result"] == expected
