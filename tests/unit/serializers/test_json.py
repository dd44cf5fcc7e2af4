"""JSON as WAMP speaks it."""

import json
from base64 import b64encode
from collections import OrderedDict, namedtuple
from decimal import Decimal

import pytest

from wampy.errors import SerializationError, WampyError
from wampy.serializers import JsonSerializer, get_serializer, json_serialize

JSON = get_serializer("json")


def call(*args, **kwargs):
    return [48, 1, {}, "a.b", list(args), kwargs]


def test_its_names():
    assert (JSON.name, JSON.subprotocol, JSON.binary) == ("json", "wamp.2.json", False)
    assert get_serializer("json") is not JSON


@pytest.mark.parametrize("name", ["yaml", None, ["json"]])
def test_an_unknown_name_is_refused_with_those_known(name):
    with pytest.raises(WampyError, match="'json'"):
        get_serializer(name)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [None, True, False]}, '{"b":1,"a":[null,true,false]}'),
        ("ü日🙂\u2028", '"ü日🙂\u2028"'),
        ('"\\\n\x01', '"\\"\\\\\\n\\u0001"'),
        (2**53, "9007199254740992"),
        (2**80, "1208925819614629174706176"),
        (-1.5, "-1.5"),
        (1e300, "1e+300"),
        (b"", '"\\u0000"'),
        (b"\x00\xff", '"\\u0000AP8="'),
        ("x\0", '"x\\u0000"'),
        ("", '""'),
        ({"1": "2024", "true": 1, "NaN": "Infinity", '5":': '"\0'}, None),
    ],
)
def test_values_there_and_back(value, text):
    payload = JSON.dumps([1, value])
    assert isinstance(payload, bytes)
    if text is not None:
        assert payload == f"[1,{text}]".encode()
    for form in (payload, bytearray(payload), payload.decode()):
        assert JSON.loads(form) == [1, value]


def test_numbers_keep_their_kind():
    assert JSON.dumps([Decimal("1.10"), Decimal("1E+3")]) == b"[1.10,1E+3]"
    value = JSON.loads(b"[1.10,1,1.0]")
    assert [type(item) for item in value] == [float, int, float]


def test_tuples_and_other_dictionaries():
    point = namedtuple("point", "x y")
    assert JSON.dumps([(1, 2), point(3, 4), OrderedDict(b=1, a=2)]) == b'[[1,2],[3,4],{"b":1,"a":2}]'


def test_binaries_of_every_kind_and_place():
    message = call([b"one", {"deep": (bytearray(b"two"),)}], memoryview(b"three"), k=b"four")
    loaded = JSON.loads(JSON.dumps(message))
    assert loaded == call([b"one", {"deep": [b"two"]}], b"three", k=b"four")
    assert JSON.loads(json.dumps(["\0" + b64encode(b"x" * 100).decode()])) == [b"x" * 100]
    assert JSON.loads(b'"\\u0000eA=="') == b"x"


@pytest.mark.parametrize("text", ["\0", "\0QUJD", "\0not base64!"])
def test_a_text_that_begins_with_nul_is_refused(text):
    with pytest.raises(SerializationError, match="begins with NUL") as caught:
        JSON.dumps(call(b"fine", [text]))
    assert (caught.value.where, caught.value.value_type) == ("args[1][0]", "str")
    with pytest.raises(SerializationError, match="begins with NUL"):
        JSON.dumps(call({text: 1}))


@pytest.mark.parametrize("text", ["\0", "\0A", "\0!!!!", "\0QQ==QQ==", "\0ü"])
def test_what_begins_with_nul_and_is_no_base64_is_read_as_a_text(text):
    # A router writes it so when it comes from a peer that speaks another format.
    assert JSON.loads(json.dumps([{"k": text}, "\0QQ=="])) == [{"k": text if text != "\0" else b""}, b"A"]


def test_a_binary_is_no_reason_to_write_the_message_twice():
    serializer, written = JsonSerializer(), []
    pieces = serializer._pieces
    serializer._pieces = lambda *args: written.append(args) or pieces(*args)
    assert serializer.dumps([48, 1, {}, "a.b", [b"\1", "x" * 10_000]]).startswith(b'[48,1,{},"a.b",["\\u0000AQ==","xxx')
    assert len(written) == 1


def test_nan_and_infinity_are_read():
    # Crossbar writes them, though JSON has none.
    loaded = JSON.loads(b"[NaN,Infinity,-Infinity]")
    assert loaded[0] != loaded[0]
    assert loaded[1:] == [float("inf"), -float("inf")]


class Rude:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("message", "where", "kind"),
    [
        (call({"when": {1, 2}}), "args[0]['when']", "set"),
        (call(when=[0, object()]), "kwargs['when'][1]", "object"),
        ([16, 1, {"x": object()}, "a.b"], "options['x']", "object"),
        ([50, 1, {}, [object()]], "args[0]", "object"),
        ([8, 68, 1, {}, "a.b", [], {"k": object()}], "kwargs['k']", "object"),
        ([36, 1, 2, {}, [float("nan")]], "args[0]", "float"),
        ([68, 1, 2, {}, [float("inf")]], "args[0]", "float"),
        ([70, 1, {}, [-float("inf")]], "args[0]", "float"),
        (call(Decimal("NaN")), "args[0]", "Decimal"),
        (call(Decimal("-Infinity")), "args[0]", "Decimal"),
        (call(10**5000), "args[0]", "int"),
        (call("\ud800"), "args[0]", "str"),
        (call({1: 2}), "args[0][1]", "int"),
        (call([{"a": {-1.5: 2}}]), "args[0][0]['a'][-1.5]", "float"),
        (call({True: 2}), "args[0][True]", "bool"),
        (call({None: 2}), "args[0][None]", "NoneType"),
        (call({Decimal("1.5"): 2}), "args[0][Decimal('1.5')]", "Decimal"),
        (call({b"k": 2}), "args[0][b'k']", "bytes"),
        (call({(1, 2): 2}), "args[0][(1, 2)]", "tuple"),
        (call(Rude()), "args[0]", "Rude"),
        (call({Rude: 1}), None, "type"),
        (float("nan"), "message", "float"),
    ],
)
def test_what_json_cannot_hold_is_named(message, where, kind):
    with pytest.raises(SerializationError) as caught:
        JSON.dumps(message)
    assert caught.value.value_type == kind
    if where is not None:
        assert caught.value.where == where
        assert str(caught.value).startswith(f"{where} ({kind}): ")


def test_a_circle_is_named():
    ring = {}
    ring["self"] = [ring]
    with pytest.raises(SerializationError, match="contains itself") as caught:
        JSON.dumps(call(0, ring))
    assert caught.value.where == "args[1]['self'][0]"
    twice = [1]
    # The binary makes the serializer look at every value.
    assert JSON.loads(JSON.dumps(call(twice, twice, b"x"))) == call([1], [1], b"x")


def test_depth_is_refused_both_ways_and_the_stack_survives():
    value = []
    for _ in range(200_000):
        value = [value]
    with pytest.raises(SerializationError, match="nested too deeply") as caught:
        JSON.dumps(call(value))
    assert caught.value.where.startswith("args[0][0]")
    assert len(str(caught.value)) < 300
    with pytest.raises(SerializationError):
        JSON.loads(b"[" * 200_000)
    with pytest.raises(SerializationError):
        JSON.loads(b'{"a":' * 200_000)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"garbage",
        b"[1",
        b"[1] x",
        b"[nan]",
        b"[Infinit]",
        b'["\xff"]',
        b"\xff\xfe[\x00",
        b'["\0"]',
        b"9" * 5000,
    ],
)
def test_what_is_no_json_is_refused(payload):
    for form in (payload, bytearray(payload)):
        with pytest.raises(SerializationError, match="this is no JSON"):
            JSON.loads(form)


def test_a_hook_adds_types():
    class Money:
        def __init__(self, amount):
            self.amount = amount

    def default(value):
        if isinstance(value, Money):
            return {"amount": value.amount}
        raise TypeError("what is this?")

    serializer = JsonSerializer(default=default)
    assert serializer.dumps([Money(5), b"x"]) == b'[{"amount":5},"\\u0000eA=="]'
    with pytest.raises(SerializationError, match=r"args\[0\]\['amount'\] \(object\): what is this\?"):
        serializer.dumps(call(Money(object())))
    with pytest.raises(SerializationError, match="begins with NUL"):
        serializer.dumps(call(Money("\0")))


@pytest.mark.parametrize(
    "hook", [lambda value: value, lambda value: type(value)(), lambda value: [value], lambda value: 1 / 0]
)
def test_a_hook_that_goes_wrong_is_an_error_like_any_other(hook):
    class Thing:
        pass

    with pytest.raises(SerializationError):
        JsonSerializer(default=hook).dumps(call(Thing()))


def test_json_serialize_gives_text():
    assert json_serialize([1, "realm1", {"ü": 1}]) == '[1,"realm1",{"ü":1}]'


def test_large_messages():
    message = call(b"x" * 2**20, ["text"] * 10_000, {str(n): float(n) for n in range(10_000)})
    assert JSON.loads(JSON.dumps(message)) == message


@pytest.mark.parametrize("text", ["[", "[1,", '[{"a":', "[[", '["a', "[1"])
def test_what_ends_too_soon_is_said_to_be_no_json(text):
    with pytest.raises(SerializationError, match=r"this is no JSON: (Expecting|Unterminated).* \(char \d\)"):
        JSON.loads(text)
