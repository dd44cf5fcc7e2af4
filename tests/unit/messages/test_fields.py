"""What a field may hold, and how a fault is named."""

from typing import Annotated, Any

import pytest

from wampy.constants import SCALARS
from wampy.errors import WampProtocolError
from wampy.messages import MESSAGE_TYPE_MAP, Call, Publish, Result, Yield, parse
from wampy.messages.base import Message, declare
from wampy.messages.checks import check_dict, check_id, list_of
from wampy.messages.fields import Field
from wampy.serializers.plain import is_plain


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        ([1, "realm1", {"roles": []}], r"HELLO: details\.roles must be a dictionary, not \[\]"),
        ([1, "realm1", {"roles": {"caller": True}}], r"HELLO: details\.roles\.caller must be"),
        (
            [1, "realm1", {"roles": {"caller": {"features": {"call_timeout": "yes"}}}}],
            r"HELLO: details\.roles\.caller\.features\.call_timeout must be true or false, not 'yes'",
        ),
        ([1, "realm1", {"authmethods": "ticket"}], r"details\.authmethods must be a list, not 'ticket'"),
        ([1, "realm1", {"authmethods": ["ticket", 1]}], r"details\.authmethods\[1\] must be text, not 1"),
        ([2, 1, {"authextra": "x"}], r"WELCOME: details\.authextra must be a dictionary"),
        ([3, {"message": 1}, "a.b"], r"ABORT: details\.message must be text"),
        ([8, 1, 7, {}, "a.b"], r"ERROR: request_type must be a request's code, not 1"),
        ([8, 48, 0, {}, "a.b"], r"ERROR: request_id must be an integer from 1"),
        ([16, 1, {"acknowledge": 1}, "a.b"], r"PUBLISH: options\.acknowledge must be true or false, not 1"),
        ([16, 1, {"exclude": [1, True]}, "a.b"], r"PUBLISH: options\.exclude\[1\] must be an integer from 1"),
        ([16, 1, {"eligible_authrole": [1]}, "a.b"], r"options\.eligible_authrole\[0\] must be text"),
        ([32, 1, {"match": "regex"}, "a.b"], r"SUBSCRIBE: options\.match must be one of 'exact', 'prefix'"),
        ([32, 1, {}, "a..b"], r"SUBSCRIBE: topic must be a URI \(only with match 'wildcard' may its components be"),
        ([32, 1, {}, "a."], r"topic must be a URI \(only with match 'prefix' or 'wildcard' may its last component be"),
        ([64, 1, {"match": "prefix"}, "a..b"], r"REGISTER: procedure must be a URI \(only with match 'wildcard'"),
        ([64, 1, {"match": "prefix"}, "."], r"REGISTER: procedure must be a URI \(only with match 'wildcard'"),
        ([64, 1, {"match": "wildcard"}, "a b."], r"REGISTER: procedure must be a URI \(dotted components"),
        ([32, 1, {"match": "exact"}, "a."], r"SUBSCRIBE: topic must be a URI"),
        ([32, 1, {"match": "prefix"}, "a b"], r"SUBSCRIBE: topic must be a URI"),
        ([35, 0], r"UNSUBSCRIBED: details must have 'subscription' when request_id is 0"),
        ([35, 0, {"subscription": 0}], r"UNSUBSCRIBED: details\.subscription must be an integer from 1"),
        ([36, 1, 2, {"publisher": "x"}], r"EVENT: details\.publisher must be an integer"),
        ([36, 1, 2, {"topic": "a b"}], r"EVENT: details\.topic must be a URI"),
        ([48, 1, {"timeout": 1.5}, "a.b"], r"CALL: options\.timeout must be an integer, 0 or more, not 1\.5"),
        ([48, 1, {}, "a..b"], r"CALL: procedure must be a URI"),
        ([48, 1, {}, "a.b\n"], r"CALL: procedure must be a URI"),
        ([48, 1, {"match": "wildcard"}, "a..b"], r"CALL: procedure must be a URI"),
        ([48, 1, {}, "a.b", {}], r"CALL: args must be a list, not \{\}"),
        ([48, 1, {}, "a.b", [], []], r"CALL: kwargs must be a dictionary, not \[\]"),
        ([48, 1, {}, "a.b", [], {1: 2}], r"CALL: kwargs must have text keys only, not 1"),
        ([48, 1, {1: 2}, "a.b"], r"CALL: options must have text keys only, not 1"),
        ([49, 1, {"mode": "gently"}], r"CANCEL: options\.mode must be one of 'skip', 'kill', 'killnowait'"),
        ([50, 1, {"progress": "yes"}], r"RESULT: details\.progress must be true or false"),
        ([50, 0, {}], r"RESULT: request_id must be an integer from 1 to 2\*\*53, not 0"),
        (
            [64, 1, {"invoke": "all"}, "a.b"],
            r"REGISTER: options\.invoke must be one of 'single', 'roundrobin'",
        ),
        ([64, 1, {"concurrency": 0}, "a.b"], r"REGISTER: options\.concurrency must be an integer, 1 or more"),
        ([67, 0, {}], r"UNREGISTERED: details must have 'registration'"),
        ([68, 1, 2, {"procedure": 5}], r"INVOCATION: details\.procedure must be a URI"),
        (
            [68, 1, 2, {"enc_algo": 5}, []],
            r"INVOCATION: details\.enc_algo must be one of 'cryptobox', .*, or look like 'x_mine', not 5",
        ),
        ([36, 1, 2, {"enc_algo": "rot13"}, b"\x01"], r"EVENT: details\.enc_algo must be one of .*, not 'rot13'"),
        ([16, 1, {"enc_serializer": "X_mine"}, "a"], r"PUBLISH: options\.enc_serializer must be one of 'json'"),
        ([48, 1, {"enc_key": 5}, "a"], r"CALL: options\.enc_key must be text, not 5"),
        # Routers refuse, and close the connection for, some of what a client accepts from them.
        ([48, 1, {"enc_key": b"key"}, "a"], r"CALL: options\.enc_key must be text, not b'key'"),
        ([16, 1, {"enc_algo": "null"}, "a"], r"PUBLISH: options\.enc_algo must be one of"),
        ([16, 1, {"enc_algo": "x_9"}, "a"], r"PUBLISH: options\.enc_algo must be one of"),
        ([70, 1, {"enc_serializer": "opaque"}], r"YIELD: options\.enc_serializer must be one of"),
        ([48, 1, {"caller": None}, "a"], r"CALL: options\.caller must be an integer"),
        ([70, 1, {"callee_authid": None}], r"YIELD: options\.callee_authid must be text, not None"),
        ([49, 1, {"forward_for": [{}]}], r"CANCEL: options\.forward_for\[0\] must have 'session'"),
        ([32, 1, {"forward_for": [{"session": 1, "authid": None}]}, "a"], r"forward_for\[0\] must have 'authrole'"),
        ([68, 1, 2, {"enc_key": 5}], r"INVOCATION: details\.enc_key must be text or a binary, not 5"),
        ([36, 1, 2, {"forward_for": [{"session": "x"}]}], r"EVENT: details\.forward_for\[0\]\.session must be an int"),
        ([48, 1, {"forward_for": [{"authrole": 1}]}, "a"], r"CALL: options\.forward_for\[0\]\.authrole must be text"),
        ([64, 1, {"forward_timeout": 1}, "a.b"], r"REGISTER: options\.forward_timeout must be true or false"),
        ([70, 1, {"progress": None}], r"YIELD: options\.progress must be true or false, not None"),
    ],
)
def test_faults_are_named(wire, said):
    with pytest.raises(WampProtocolError, match=said) as caught:
        parse(wire)
    assert caught.value.uri == "wamp.error.protocol_violation"


@pytest.mark.parametrize(
    "wire",
    [
        [
            2,
            1,
            {"roles": {"dealer": {"features": {"of_our_own": 5}}, "oracle": 7}, "x": [1], "authextra": None},
        ],
        [32, 1, {"match": "prefix"}, "a.b."],
        [32, 1, {"match": "prefix"}, ""],
        [64, 1, {"match": "wildcard"}, "..a.."],
        [36, 1, 2, {"publisher": None, "publisher_authid": None, "topic": "a.b", "x_mine": object}],
        [68, 1, 2, {"caller": None, "procedure": "a.b", "progress": False, "timeout": 0}],
        [16, 1, {"exclude": [1, 2**53], "exclude_authid": ["a"], "ppt_scheme": "x_mine"}, "a", [b"\x01"]],
        [48, 1, {"x_mine": 1}, "日本.語", [], {"": 1}],
        [36, 1, 2, {"enc_algo": "x_rot13", "enc_key": b"\x00\x01", "enc_serializer": "x_"}, b"\x01"],
        [68, 1, 2, {"enc_algo": "cryptobox", "enc_key": "key", "enc_serializer": "opaque"}, "a text"],
        [50, 1, {"enc_algo": "null"}, ""],
        [36, 1, 2, {"enc_algo": "null", "enc_serializer": "opaque", "enc_key": b"\x01"}, b"\x01"],
        [36, 1, 2, {"retained": None, "enc_algo": None, "forward_for": None}],
        [68, 1, 2, {"progress": None, "receive_progress": None, "enc_key": None}],
        [2, 1, {"roles": {"dealer": None, "broker": {"features": None}, "x": 1}, "resumed": None}],
        [2, 1, {"roles": {"dealer": {"features": {"call_timeout": None}}}}],
        [16, 1, {"forward_for": [{"session": 1, "authid": None, "authrole": "router"}], "enc_algo": "x_"}, "a"],
        [50, 1, {"forward_for": [{"session": None, "authid": None, "authrole": "router", "hops": 3}]}],
    ],
)
def test_what_is_unknown_or_merely_unusual_passes(wire):
    assert parse(wire).message == wire


VALUES = [
    None, True, False, 0, 1, -1, 2**53, 2**53 + 1, 1.0, float("nan"), "", "a", "a.b", "a..b", "a b", "#", "a.b\n", ".",
    b"", b"x", bytearray(b"x"), [], [1], (), (1,), {}, {1: 2}, {"a": 1}, {"timeout": "x"}, {"progress": 1}, set(),
    type("Text", (str,), {})("a b"), type("Number", (int,), {})(0), type("Dict", (dict,), {})({1: 2}), object(),
]  # fmt: skip


@pytest.mark.parametrize("cls", MESSAGE_TYPE_MAP.values(), ids=lambda cls: cls.__name__)
def test_the_compiled_checks_say_what_the_checks_say(cls):
    kinds = [cls.__dataclass_fields__[name].type.__metadata__[0] for name in cls.FIELDS]
    good = dict.fromkeys(("topic", "procedure", "error", "reason", "realm", "signature", "auth_method"), "a.b")
    good |= {"args": [], "request_type": 48}
    for at, name in enumerate(cls.FIELDS):
        for value in VALUES:
            message = cls(*[good.get(other, {} if kind.empty else 1) for other, kind in zip(cls.FIELDS, kinds)])  # noqa: B905
            setattr(message, name, value)
            values = [getattr(message, other) for other in cls.FIELDS]
            right = all(kind.check(each, message) is None for kind, each in zip(kinds, values))  # noqa: B905
            assert message._is_right() is right, (at, name, value)


TEXT = type("Text", (str,), {})
CONTAINERS = [
    [object()], [[1]], [{}], ({},), [TEXT("a")], [1] * 15, [1] * 16, (1,) * 16, [1, "a", None, 1.5, True, b"b"],
    {"a": object()}, {"a": []}, {"a": {}}, {TEXT("a"): 1}, {"a": TEXT("a")}, {"timeout": 1}, {"a": 1, "b": b"b"},
    {"timeout": 1, "x_a": 1}, {"timeout": 1, "x_a": [1]}, {"progress": True},
]  # fmt: skip


@pytest.mark.parametrize("cls", [cls for cls in MESSAGE_TYPE_MAP.values() if cls.sent], ids=lambda cls: cls.__name__)
def test_a_wire_list_that_is_made_quickly_is_the_one_that_is_made_closely_and_plain(cls):
    kinds = [cls.__dataclass_fields__[name].type.__metadata__[0] for name in cls.FIELDS]
    good = dict.fromkeys(("topic", "procedure", "error", "reason", "realm", "signature", "auth_method"), "a.b")
    good |= {"args": [], "request_type": 48}
    made = 0
    for at, name in enumerate(cls.FIELDS):
        for value in VALUES + CONTAINERS:
            message = cls(*[good.get(other, {} if kind.empty else 1) for other, kind in zip(cls.FIELDS, kinds)])  # noqa: B905
            setattr(message, name, value)
            wire = message._plain_wire()
            if wire is not None:
                made += 1
                message.validate()
                assert wire == message.listed(), (at, name, value)
                assert is_plain(wire, SCALARS, 2), (at, name, value)
    assert bool(made) is all(kind.usual != "False" or kind.check is check_dict for kind in kinds)


@pytest.mark.parametrize("cls", [Call, Publish, Yield])
def test_what_most_messages_hold_is_listed_quickly(cls):
    head = ["a.b"] if "topic" in cls.FIELDS or "procedure" in cls.FIELDS else []
    for args in ([], (), ["a", 1], ("a", 1.5, None, True, b"b")):
        for kwargs in ({}, {"a": 1, "b": "c"}):
            message = cls(1, {}, *head, args, kwargs)
            assert message._plain_wire() == message.listed()
    assert cls(1, {}, *head, [[1]])._plain_wire() is None
    assert cls(1, {}, *head, [1] * 16)._plain_wire() is None
    timed = Call(None, {"timeout": 1000}, "a.b", ["a"])
    assert timed._plain_wire() == [48, None, {"timeout": 1000}, "a.b", ["a"]]


def test_a_message_class_with_a_list_of_its_own_is_listed_by_it():
    class Marked(Publish):
        __slots__ = ()

        def listed(self):
            return [*super().listed(), "mark"]

    class More(Marked):
        __slots__ = ()

    for cls in (Marked, More):
        assert cls(1, {}, "a.b", [1], {"a": 1})._plain_wire() is None
    assert Publish(1, {}, "a.b", [1])._plain_wire() == [16, 1, {}, "a.b", [1]]


def test_a_list_with_a_check_of_its_own_is_not_taken_for_arguments():
    @declare
    class Mine(Message):
        WAMP_CODE = 99
        name = "mine"

        ids: Annotated[Any, Field(list_of(check_id), empty=list)]

    assert not Mine(["no id"])._is_right()
    assert Mine(["no id"])._plain_wire() is None


def outcome(read, wire):
    try:
        return read(wire)
    except WampProtocolError as error:
        return str(error)


@pytest.mark.parametrize("cls", MESSAGE_TYPE_MAP.values(), ids=lambda cls: cls.__name__)
def test_a_wire_list_read_quickly_gives_what_it_gives_read_closely(cls):
    kinds = [cls.__dataclass_fields__[name].type.__metadata__[0] for name in cls.FIELDS]
    good = dict.fromkeys(("topic", "procedure", "error", "reason", "realm", "signature", "auth_method"), "a.b")
    good |= {"args": [], "request_type": 48}
    wire = [cls.WAMP_CODE, *(good.get(name, {} if kind.empty else 1) for name, kind in zip(cls.FIELDS, kinds))]  # noqa: B905
    wires = [wire[:size] for size in range(1, len(wire) + 1)] + [[*wire, 1]]
    wires += [[*wire[:at], value, *wire[at + 1 :]] for at in range(1, len(wire)) for value in VALUES]
    messages = 0
    for each in wires:
        found = outcome(cls.from_wire, each)
        assert found == outcome(cls._from_wire_closely, each), each
        messages += type(found) is cls
    assert messages


def test_a_message_class_with_a_constructor_of_its_own_is_made_by_it():
    class Noted(Result):
        __slots__ = ("noted",)

        def __init__(self, *args):
            super().__init__(*args)
            self.noted = True

    class More(Noted):
        __slots__ = ()

    class Plain(Result):
        __slots__ = ()

    class Mixin:
        __slots__ = ()

        def __init__(self, *args):
            super().__init__(*args)
            self.mixed_in = True

    class Mixed(Mixin, Result):
        pass

    assert Mixed.from_wire([50, 7, {}]).mixed_in
    assert Noted.from_wire([50, 7, {}, [1]]).noted and More.from_wire([50, 7, {}]).noted
    assert type(More.from_wire([50, 7, {}])) is More and type(Plain.from_wire([50, 7, {}])) is Plain
    assert type(Result.from_wire([50, 7, {}])) is Result
