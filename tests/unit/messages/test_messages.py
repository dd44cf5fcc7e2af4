"""Every message, in both directions."""

from decimal import Decimal

import pytest
from autobahn.wamp.serializer import Serializer

from wampy import messages
from wampy.errors import WampProtocolError
from wampy.messages import MESSAGE_TYPE_MAP, parse

# Class, fields, wire list: for each class the shortest form, and for those with a payload the others too.
EXAMPLES = [
    (
        "Hello",
        {"realm": "realm1", "details": {"roles": {"caller": {}}}},
        [1, "realm1", {"roles": {"caller": {}}}],
    ),
    (
        "Welcome",
        {"session_id": 2**53, "details": {"roles": {"broker": {}}}},
        [2, 2**53, {"roles": {"broker": {}}}],
    ),
    (
        "Abort",
        {"details": {"message": "no"}, "reason": "wamp.error.x"},
        [3, {"message": "no"}, "wamp.error.x"],
    ),
    ("Challenge", {"auth_method": "ticket", "extra": {}}, [4, "ticket", {}]),
    ("Authenticate", {"signature": "s", "extra": {"a": 1}}, [5, "s", {"a": 1}]),
    ("Goodbye", {"details": {}, "reason": "wamp.close.normal"}, [6, {}, "wamp.close.normal"]),
    (
        "Error",
        {"request_type": 48, "request_id": 7, "details": {}, "error": "a.b"},
        [8, 48, 7, {}, "a.b"],
    ),
    (
        "Error",
        {"request_type": 68, "request_id": 7, "details": {}, "error": "a.b", "args": [1], "kwargs": {"k": 2}},
        [8, 68, 7, {}, "a.b", [1], {"k": 2}],
    ),
    ("Publish", {"request_id": 1, "options": {}, "topic": "a.b"}, [16, 1, {}, "a.b"]),
    (
        "Publish",
        {"request_id": 1, "options": {"acknowledge": True}, "topic": "a.b", "kwargs": {"k": None}},
        [16, 1, {"acknowledge": True}, "a.b", [], {"k": None}],
    ),
    ("Published", {"request_id": 1, "publication_id": 2}, [17, 1, 2]),
    ("Subscribe", {"request_id": 1, "options": {}, "topic": "a.b"}, [32, 1, {}, "a.b"]),
    ("Subscribed", {"request_id": 1, "subscription_id": 2}, [33, 1, 2]),
    ("Unsubscribe", {"request_id": 1, "subscription_id": 2}, [34, 1, 2]),
    ("Unsubscribed", {"request_id": 1}, [35, 1]),
    (
        "Unsubscribed",
        {"request_id": 0, "details": {"subscription": 3, "reason": "a.b"}},
        [35, 0, {"subscription": 3, "reason": "a.b"}],
    ),
    ("Event", {"subscription_id": 1, "publication_id": 2, "details": {}}, [36, 1, 2, {}]),
    (
        "Event",
        {"subscription_id": 1, "publication_id": 2, "details": {"topic": "a.b"}, "args": ["x"]},
        [36, 1, 2, {"topic": "a.b"}, ["x"]],
    ),
    ("Call", {"request_id": 1, "options": {}, "procedure": "a.b"}, [48, 1, {}, "a.b"]),
    (
        "Call",
        {"request_id": 1, "options": {"timeout": 5}, "procedure": "ä.ß", "args": [[]], "kwargs": {"k": {}}},
        [48, 1, {"timeout": 5}, "ä.ß", [[]], {"k": {}}],
    ),
    ("Cancel", {"request_id": 1, "options": {"mode": "kill"}}, [49, 1, {"mode": "kill"}]),
    ("Result", {"request_id": 1, "details": {}}, [50, 1, {}]),
    (
        "Result",
        {"request_id": 1, "details": {"progress": True}, "args": [0]},
        [50, 1, {"progress": True}, [0]],
    ),
    ("Register", {"request_id": 1, "options": {}, "procedure": "a.b"}, [64, 1, {}, "a.b"]),
    (
        "Register",
        {"request_id": 1, "options": {"match": "wildcard", "invoke": "first"}, "procedure": "a..b"},
        [64, 1, {"match": "wildcard", "invoke": "first"}, "a..b"],
    ),
    ("Registered", {"request_id": 1, "registration_id": 2}, [65, 1, 2]),
    ("Unregister", {"request_id": 1, "registration_id": 2}, [66, 1, 2]),
    ("Unregistered", {"request_id": 1}, [67, 1]),
    ("Unregistered", {"request_id": 0, "details": {"registration": 3}}, [67, 0, {"registration": 3}]),
    ("Invocation", {"request_id": 1, "registration_id": 2, "details": {}}, [68, 1, 2, {}]),
    (
        "Invocation",
        {"request_id": 1, "registration_id": 2, "details": {"caller": 9}, "args": [], "kwargs": {"k": 1}},
        [68, 1, 2, {"caller": 9}, [], {"k": 1}],
    ),
    ("Interrupt", {"request_id": 1, "options": {"mode": "killnowait"}}, [69, 1, {"mode": "killnowait"}]),
    ("Yield", {"request_id": 1, "options": {}}, [70, 1, {}]),
    ("Yield", {"request_id": 1, "options": {}, "args": [None]}, [70, 1, {}, [None]]),
    ("EventReceived", {"publication_id": 2}, [337, 2]),
]
WIRES = [wire for _, _, wire in EXAMPLES]


@pytest.mark.parametrize(("name", "fields", "wire"), EXAMPLES)
def test_fields_give_the_wire_list(name, fields, wire):
    cls = getattr(messages, name)
    message = cls(**fields)
    message.validate()
    assert message.message == wire
    assert cls(*fields.values()).message == wire or "args" not in fields  # a gap needs keywords


@pytest.mark.parametrize(("name", "fields", "wire"), EXAMPLES)
def test_wire_list_gives_the_fields(name, fields, wire):
    message = parse(wire)
    assert type(message) is getattr(messages, name)
    absent = {"args": [], "kwargs": {}, "details": {}}
    for field in message.FIELDS:
        assert getattr(message, field) == (fields[field] if field in fields else absent[field])
    assert message.message == wire
    assert message == getattr(messages, name)(**fields)


def test_every_message_has_an_example_and_a_module():
    assert {wire[0] for wire in WIRES} == set(MESSAGE_TYPE_MAP)
    assert len(MESSAGE_TYPE_MAP) == 25
    for code, cls in MESSAGE_TYPE_MAP.items():
        assert code == cls.WAMP_CODE
        assert cls.__module__.removeprefix("wampy.messages.").rstrip("_") == cls.name
        assert cls.name.replace("_", "") == cls.__name__.lower()
        assert cls.sent or cls.received
        assert cls.__name__ in messages.__all__


def test_replies_name_their_request():
    replies = {cls.name: cls.replies_to for cls in MESSAGE_TYPE_MAP.values() if cls.replies_to}
    assert replies == {
        "published": 16,
        "subscribed": 32,
        "unsubscribed": 34,
        "result": 48,
        "registered": 64,
        "unregistered": 66,
    }
    assert parse([50, 7, {}]).reply_key == (48, 7)
    assert parse([8, 64, 7, {}, "a.b"]).reply_key == (64, 7)
    assert parse([36, 1, 2, {}]).reply_key is None


def test_what_a_client_sends_and_receives():
    sent = {cls.WAMP_CODE for cls in MESSAGE_TYPE_MAP.values() if cls.sent}
    received = {cls.WAMP_CODE for cls in MESSAGE_TYPE_MAP.values() if cls.received}
    assert sent == {1, 3, 5, 6, 8, 16, 32, 34, 48, 49, 64, 66, 70, 337}
    assert received == {2, 3, 4, 6, 8, 17, 33, 35, 36, 50, 65, 67, 68, 69, 337}


@pytest.mark.parametrize("wire", WIRES)
def test_a_list_of_the_wrong_length_is_refused(wire):
    cls = MESSAGE_TYPE_MAP[wire[0]]
    longest = 1 + len(cls.FIELDS)
    for wrong in ([wire[0]], wire + [{}] * (longest + 1 - len(wire))):
        with pytest.raises(
            WampProtocolError, match=f"{cls.name.upper()}: the list must have .* not {len(wrong)}"
        ):
            parse(wrong)


@pytest.mark.parametrize("wire", WIRES)
def test_no_field_takes_just_anything(wire):
    cls = MESSAGE_TYPE_MAP[wire[0]]
    for index, field in enumerate(cls.FIELDS[: len(wire) - 1], start=1):
        for value in (None, True, False, -1, 2**53 + 1, 7.0, Decimal(7), "", "a b", b"x", object()):
            if value is None and index > min(len(known) for known in WIRES if known[0] == wire[0]) - 1:
                continue  # what may be missing may be null
            if isinstance(value, str) and field in ("auth_method", "signature"):
                continue
            if value == "" and "match" in str(wire):
                continue  # a pattern that matches everything
            with pytest.raises(WampProtocolError, match=rf"{cls.name.upper()}: {field}"):
                parse([*wire[:index], value, *wire[index + 1 :]])


@pytest.mark.parametrize("wire", [wire for wire in WIRES if "args" in MESSAGE_TYPE_MAP[wire[0]].FIELDS])
def test_null_payload_is_an_empty_one(wire):
    cls = MESSAGE_TYPE_MAP[wire[0]]
    head = wire[: len(cls.FIELDS) - 1]
    for tail in ([None], [None, None], [[], None], [None, {}]):
        message = parse([*head, *tail])
        assert (message.args, message.kwargs) == ([], {})
        assert message.message == head


@pytest.mark.parametrize("wire", [wire for wire in WIRES if "args" in MESSAGE_TYPE_MAP[wire[0]].FIELDS])
def test_one_bare_binary_is_a_payload_when_it_is_encrypted(wire):
    cls = MESSAGE_TYPE_MAP[wire[0]]
    at = len(cls.FIELDS) - 1
    header = 1 + next(cls.FIELDS.index(name) for name in ("options", "details") if name in cls.FIELDS)
    plain = wire[:at]
    sealed = list(plain)
    sealed[header] = {**sealed[header], "enc_algo": "cryptobox", "enc_serializer": "json"}
    for payload in (b"\x00\x01", b""):
        message = parse([*sealed, payload])
        assert message.args == payload
        assert message.message == [*sealed, payload]
    with pytest.raises(WampProtocolError, match=r"args must be a list \(a bare binary needs 'enc_algo'\)"):
        parse([*plain, b"\x00\x01"])
    with pytest.raises(WampProtocolError, match="args must stand alone"):
        parse([*sealed, b"\x00\x01", {"k": 1}])


@pytest.mark.parametrize(
    "wire",
    [
        None,
        "x",
        {},
        (50, 7, {}),
        [],
        [True, "realm1", {}],
        [50.0, 7, {}],
        [7, 1],
        [None],
        ["50", 7, {}],
        [[50], 7, {}],
    ],
)
def test_what_is_no_message_is_refused(wire):
    with pytest.raises(WampProtocolError, match=r"a message must be a list|no message has the code"):
        parse(wire)


@pytest.mark.parametrize("wire", WIRES)
def test_autobahn_reads_them_and_says_the_same(wire):
    theirs = Serializer.MESSAGE_TYPE_MAP[wire[0]].parse(list(wire)).marshal()
    assert parse(theirs) == parse(wire)
