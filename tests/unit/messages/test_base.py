"""What every message class gets from its declaration."""

import copy
import pickle

import pytest

from wampy.errors import WampProtocolError, WampyError
from wampy.messages import (
    Authenticate,
    Call,
    Hello,
    Publish,
    Register,
    Result,
    Subscribe,
    Unregister,
    Unsubscribe,
    Welcome,
    Yield,
    parse,
)


def test_fields_go_in_by_position_and_by_name():
    assert Call(7, {"timeout": 5}, "a.b", [1], {"k": 2}) == Call(
        kwargs={"k": 2}, args=(1,), procedure="a.b", options={"timeout": 5}, request_id=7
    )
    with pytest.raises(TypeError):
        Call(7, {})
    with pytest.raises(TypeError):
        Call(7, {}, "a.b", colour="red")


def test_none_stands_for_empty_and_is_never_shared():
    first, second = Result(7, None, None, None), Result(8, None)
    assert (first.details, first.args, first.kwargs) == ({}, [], {})
    first.details["a"] = first.kwargs["b"] = 1
    first.args.append(1)
    assert (second.details, second.args, second.kwargs) == ({}, [], {})


def test_a_payload_is_kept_as_given_and_a_list_on_the_wire():
    args = (1, (2, 3))
    message = Call(7, {}, "a.b", args)
    assert message.args is args
    assert message.message == [48, 7, {}, "a.b", [1, (2, 3)]]


def test_only_empty_fields_at_the_end_are_left_out():
    assert Call(7, {}, "a.b", (), {}).message == [48, 7, {}, "a.b"]
    assert Call(7, {}, "a.b", (), {"k": 1}).message == [48, 7, {}, "a.b", [], {"k": 1}]
    assert Call(7, {}, "a.b", [0], {}).message == [48, 7, {}, "a.b", [0]]
    assert Yield(7, {}).message == [70, 7, {}]


@pytest.mark.parametrize(
    "message",
    [
        Call(None, {}, "a.b"),
        Publish(None, {}, "a.b"),
        Register(None, {}, "a.b"),
        Subscribe(None, {}, "a.b"),
        Unregister(None, 5),
        Unsubscribe(None, 5),
    ],
)
def test_a_request_gets_its_id_last(message):
    message.validate()
    with pytest.raises(
        WampyError, match=f"{message.name.upper()}: request_id has no value; the session gives"
    ):
        message.message  # noqa: B018 - it raises
    message.request_id = 9
    assert message.message[1] == 9
    with pytest.raises(WampProtocolError, match="request_id must not be null"):
        parse([message.WAMP_CODE, None, *message.message[2:]])


@pytest.mark.parametrize("request_id", [0, True, "7", 7.0, 2**53 + 1])
def test_a_bad_request_id_is_refused_before_sending(request_id):
    with pytest.raises(WampProtocolError, match="CALL: request_id must be an integer from 1"):
        Call(request_id, {}, "a.b").validate()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (Call(None, {}, "a b"), "CALL: procedure must be a URI"),
        (Publish(None, {"exclude_me": "no"}, "a.b"), r"PUBLISH: options\.exclude_me must be true or false"),
        (Call(None, {}, "a.b", "text"), "CALL: args must be a list, not 'text'"),
        (Call(None, [], "a.b"), "CALL: options must be a dictionary"),
        (Yield(None, {}), "YIELD: request_id must be an integer"),
    ],
)
def test_validate_checks_what_is_about_to_be_sent(message, said):
    with pytest.raises(WampProtocolError, match=said):
        message.validate()


def test_equality_is_by_class_and_fields():
    assert Result(7, {}, ["x"]) == Result(7, {}, ("x",))
    assert Result(7, {}, ["x"]) != Result(7, {}, ["y"])
    assert Result(7, {}) != Yield(7, {})
    assert Call(None, {}, "a.b") == Call(None, {}, "a.b")
    assert Result(7, {}) != [50, 7, {}]
    with pytest.raises(TypeError):
        hash(Result(7, {}))


def test_messages_are_small_and_closed():
    with pytest.raises(AttributeError):
        Result(7, {}).colour = "red"


def test_messages_can_be_copied_and_pickled():
    message = Call(7, {"timeout": 1}, "a.b", [b"x"], {"k": [1]})
    assert copy.copy(message) == copy.deepcopy(message) == pickle.loads(pickle.dumps(message)) == message


def test_a_representation_is_short_and_hides_the_signature():
    assert repr(Result(7, {}, ["x"])) == "Result(request_id=7, details={}, args=['x'], kwargs={})"
    assert len(repr(Result(7, {}, ["x" * 10**6] * 100, {str(n): n for n in range(1000)}))) < 300
    assert "hunter2" not in repr(Authenticate("hunter2", {}))
    with pytest.raises(WampProtocolError, match="AUTHENTICATE: signature must be text, not list") as caught:
        Authenticate(["hunter2"], {}).validate()
    assert "hunter2" not in str(caught.value)


class Rude:
    def __repr__(self):
        raise RuntimeError("no")


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, b"x" * 10**6, 10**10_000, Rude(), nested(100_000), {"k": "v" * 500}],
    ids=["text", "binary", "integer", "rude", "deep", "dictionary"],
)
def test_errors_are_short_whatever_was_there(value):
    with pytest.raises(WampProtocolError) as caught:
        parse([48, value, {}, "a.b"])
    assert str(caught.value).startswith("CALL: request_id must be an integer")
    assert len(str(caught.value)) < 200


def test_a_long_uri_takes_no_memory():
    from wampy.messages.checks import is_short_uri

    before = is_short_uri.cache_info().currsize
    for uri, good in (("a." * 500_000 + "b", True), ("a." * 500_000, False), ("a" * 10**6 + " ", False)):
        if good:
            parse([48, 1, {}, uri])
        else:
            with pytest.raises(WampProtocolError):
                parse([48, 1, {}, uri])
    assert is_short_uri.cache_info().currsize == before


def test_secrets_are_not_shown():
    shown = repr([
        Hello("realm1", {"authid": "joe", "authextra": {"pin": "1234"}}),
        Authenticate("hunter2", {"nonce": "abcd"}),
        Welcome(1, {"resume_token": "efgh", "authextra": {"proof": "ijkl"}, "realm": "realm1"}),
    ])  # fmt: skip
    assert "joe" in shown and "realm1" in shown
    assert not any(secret in shown for secret in ("1234", "hunter2", "abcd", "efgh", "ijkl"))
