"""autobahn-python as the foreign caller, callee, publisher and subscriber.

wampy speaks JSON; autobahn speaks JSON, MessagePack and CBOR in turn, which the router translates.
"""

import pytest

from wampy import Client, RemoteError, Result, callee, subscribe
from wampy.errors import Canceled, RemoteRuntimeError, WampyTimeOutError

VALUES = [
    None, True, False, 0, -1, 2**31, 2**53 - 1, -(2**53) + 1, 2**63 - 1, 0.1, -1.5e300, "", "text", "größer", "日本語",
    "\U0001f600", "line\nbreak\t\"quotes\" \\ / \x7f", "x" * 70_000, b"", b"\0\xff\x80", bytes(range(256)) * 300,
    [], {}, [1, [2, [3]]], {"a": {"b": [None, {"c": b"deep"}]}}, [[], {}, ""],
]  # fmt: skip
PAYLOADS = [
    ((), {}),
    ((1,), {}),
    ((1, "zwei", [3]), {}),
    ((), {"a": 1}),
    ((), {"größer": "als", "b": [1, 2]}),
    ((1, b"\0"), {"c": None, "d": {"e": b"\xff"}}),
]


def short(value):
    return repr(value)[:20]


class Ours(Client):
    """What the foreigner calls and publishes to."""

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []
        self.interrupted = 0

    @callee(procedure="ours.same")
    def same(self, value=None):
        return value

    @callee(procedure="ours.echo")
    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    @callee(procedure="ours.fail")
    def fail(self, *args, **kwargs):
        raise RemoteError("ours.error.chosen", *args, **kwargs)

    @callee(procedure="ours.crash")
    def crash(self):
        raise ValueError("größer")

    @callee(procedure="ours.who", details_arg="details")
    def who(self, details):
        return details["caller"]

    @callee(procedure="ours.slow")
    def slow(self, seconds, value):
        try:
            self._session.backend.sleep(seconds)
        except BaseException:
            self.interrupted += 1
            raise
        return value

    @callee(procedure="ours.relay")
    def relay(self, procedure, *args):
        return self.call(procedure, *args)

    @subscribe(topic="topic.", match="prefix")
    def on_event(self, *args, meta, **kwargs):
        self.heard.append({"topic": meta["topic"], "args": list(args), "kwargs": kwargs})


@pytest.fixture
def ours(join, foreigner):
    return join(Ours)


# We call, it serves.


@pytest.mark.parametrize("value", VALUES, ids=short)
def test_a_value_to_a_foreign_callee_and_back(ours, value):
    answer = ours.call("foreign.echo", value)
    assert answer == value
    assert type(answer) is type(value)


@pytest.mark.parametrize(("args", "kwargs"), PAYLOADS)
def test_payloads_to_a_foreign_callee_and_back(ours, args, kwargs):
    answer = ours.session.call("foreign.echo", args, kwargs)
    if not kwargs and len(args) == 1:
        assert answer == args[0]
    elif not args and not kwargs:
        assert answer is None
    else:
        assert answer == Result(args, kwargs)


def test_several_values_and_none(ours):
    assert ours.call("foreign.several") == Result([1, "zwei", [3]], {"vier": 4})
    assert ours.call("foreign.nothing") is None


@pytest.mark.parametrize(("args", "kwargs"), PAYLOADS)
def test_an_error_of_a_foreign_callee(ours, args, kwargs):
    with pytest.raises(RemoteError) as caught:
        ours.call("foreign.fail", *args, **kwargs)
    assert caught.value.uri == "foreign.error.chosen"
    assert caught.value.args == args
    assert {key: caught.value.kwargs[key] for key in kwargs} == kwargs


def test_an_exception_of_a_foreign_callee(ours):
    with pytest.raises(RemoteRuntimeError) as caught:
        ours.call("foreign.crash")
    assert caught.value.args == ("größer",)
    assert "größer" in str(caught.value)


def test_a_foreign_callee_knows_who_calls(ours):
    assert ours.call("foreign.who") == ours.session.id


def test_a_foreign_callee_that_is_too_slow(ours):
    with pytest.raises(WampyTimeOutError):
        ours.options(timeout=0.1).call("foreign.slow", 0.5, "late")
    assert ours.call("foreign.slow", 0.0, "in time") == "in time"


def test_a_call_of_a_foreign_callee_that_is_cancelled(ours):
    call = ours.rpc.foreign.slow.call_async(30, "never")
    call.cancel("killnowait")
    with pytest.raises(Canceled):
        call.result(5)
    assert ours.call("foreign.echo", 1) == 1


def test_a_hundred_calls_at_once_of_a_foreign_callee(ours):
    calls = [ours.rpc.foreign.slow.call_async(0.01 * (n % 7), f"value {n}") for n in range(100)]
    assert [call.result() for call in calls] == [f"value {n}" for n in range(100)]


def test_a_large_payload_to_a_foreign_callee_and_back(ours):
    # autobahn's own limit is 1 MiB.
    assert ours.call("foreign.echo", "ü" * 500_000) == "ü" * 500_000


# It calls, we serve.


@pytest.mark.parametrize("value", VALUES, ids=short)
def test_a_value_from_a_foreign_caller_and_back(ours, foreigner, value):
    assert foreigner.call("ours.same", value) == {"result": value}


@pytest.mark.parametrize(("args", "kwargs"), PAYLOADS)
def test_payloads_from_a_foreign_caller(ours, foreigner, args, kwargs):
    assert foreigner.call("ours.echo", *args, **kwargs) == {"result": [list(args), kwargs]}


@pytest.mark.parametrize(("args", "kwargs"), PAYLOADS)
def test_an_error_for_a_foreign_caller(ours, foreigner, args, kwargs):
    answer = foreigner.call("ours.fail", *args, **kwargs)
    assert answer["error"] == "ours.error.chosen"
    assert answer["args"] == list(args)
    assert {key: answer["kwargs"][key] for key in kwargs} == kwargs


def test_an_exception_for_a_foreign_caller(ours, foreigner):
    answer = foreigner.call("ours.crash")
    assert answer["error"] == "wamp.error.runtime_error"
    assert answer["args"] == ["größer"]
    assert answer["kwargs"] == {"exc_type": "ValueError", "message": "größer"}


def test_what_a_foreign_caller_cannot_have(ours, foreigner):
    assert foreigner.call("ours.echo", 1)["result"] == [[1], {}]
    assert foreigner.call("ours.no_such_thing")["error"] == "wamp.error.no_such_procedure"
    answer = foreigner.call("ours.same", 1, 2, 3)
    assert answer["error"] == "wamp.error.runtime_error"
    assert answer["kwargs"]["exc_type"] == "TypeError"


def test_we_know_which_foreigner_calls(ours, foreigner):
    assert foreigner.call("ours.who") == {"result": foreigner.session_id}


def test_a_foreign_caller_that_cancels(ours, foreigner, green):
    answer = foreigner.ask("cancel", procedure="ours.slow", args=[30, "never"], after=0.2)
    assert answer == {"cancelled": True} or answer.get("error") == "wamp.error.canceled"
    green.wait_until(lambda: ours.interrupted == 1)
    assert foreigner.call("ours.same", 1) == {"result": 1}


def test_a_hundred_calls_at_once_from_a_foreign_caller(ours, foreigner):
    values = [f"value {n}" for n in range(100)]
    assert foreigner.ask("calls", procedure="ours.same", values=values) == {"result": values}


def test_back_and_forth(ours, foreigner):
    assert ours.call("foreign.relay", "ours.same", "round") == "round"
    assert foreigner.call("ours.relay", "foreign.echo", "trip") == {"result": "trip"}
    assert ours.call("foreign.relay", "ours.relay", "foreign.relay", "ours.same", "deep") == "deep"


def test_an_error_through_both(ours, foreigner):
    with pytest.raises(RemoteError) as caught:
        ours.call("foreign.relay", "ours.fail", 1, two=2)
    assert caught.value.uri == "ours.error.chosen"
    assert caught.value.args == (1,)
    assert foreigner.call("ours.relay", "foreign.fail", 1)["error"] == "foreign.error.chosen"


# Events, both ways.


@pytest.mark.parametrize(("args", "kwargs"), PAYLOADS)
def test_an_event_of_a_foreign_publisher(ours, foreigner, green, args, kwargs):
    assert foreigner.publish("topic.a.b", *args, **kwargs)["publication"] > 0
    green.wait_until(lambda: ours.heard)
    assert ours.heard == [{"topic": "topic.a.b", "args": list(args), "kwargs": kwargs}]


@pytest.mark.parametrize(("args", "kwargs"), PAYLOADS)
def test_an_event_for_a_foreign_subscriber(ours, foreigner, green, args, kwargs):
    ours.session.publish("topic.c", args, kwargs, {"acknowledge": True})
    heard = []
    green.wait_until(lambda: heard.extend(foreigner.ask("heard")["heard"]) or heard)
    assert heard == [{"topic": "topic.c", "args": list(args), "kwargs": kwargs}]


@pytest.mark.parametrize("value", VALUES, ids=short)
def test_a_value_in_an_event_there_and_another_back(ours, foreigner, green, value):
    ours.publish(topic="topic.there", value=value, options={"acknowledge": True})
    heard = []
    green.wait_until(lambda: heard.extend(foreigner.ask("heard")["heard"]) or heard)
    assert heard[0]["kwargs"] == {"value": value}
    foreigner.publish("topic.back", heard[0]["kwargs"]["value"])
    green.wait_until(lambda: ours.heard)
    assert ours.heard[0]["args"] == [value]


def test_many_events_in_order(ours, foreigner, green):
    for number in range(100):
        foreigner.order("publish", topic="topic.order", args=[number], kwargs={})
    green.wait_until(lambda: len(ours.heard) == 100)
    assert [event["args"][0] for event in ours.heard] == list(range(100))
    for number in range(100):
        ours.publish(topic="topic.order", number=number)
    heard = []
    green.wait_until(lambda: heard.extend(foreigner.ask("heard")["heard"]) or len(heard) == 100)
    assert [event["kwargs"]["number"] for event in heard] == list(range(100))
