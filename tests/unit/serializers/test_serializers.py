"""What all serializers promise alike: which values travel, what is refused, and how a hook adds types."""

import enum
import subprocess
import sys
from collections import OrderedDict, namedtuple
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest

from wampy import serializers
from wampy.errors import SerializationError, WampyError
from wampy.serializers import NAMES, get_serializer

PLAIN = ("json", "msgpack", "cbor", "ubjson")
CLASSES = {
    "json": serializers.JsonSerializer,
    "msgpack": serializers.MsgpackSerializer,
    "cbor": serializers.CborSerializer,
    "ubjson": serializers.UbjsonSerializer,
}


@pytest.fixture(params=[*PLAIN, "orjson"])
def serializer(request):
    return serializers.OrjsonSerializer() if request.param == "orjson" else get_serializer(request.param)


def call(*args, **kwargs):
    return [48, 1, {}, "a.b", list(args), kwargs]


def there_and_back(serializer, value):
    return serializer.loads(serializer.dumps(call(value)))[4][0]


# Names.


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    serializer = get_serializer(name)
    assert serializer.name == name
    assert serializer.subprotocol == f"wamp.2.{name}"
    assert serializer.binary is not name.startswith("json")
    assert serializer.batched is name.endswith(".batched")
    assert get_serializer(name) is not serializer


@pytest.mark.parametrize("name", ["yaml", None, ["json"], "json.batched.batched", "json.", ".batched", ""])
def test_an_unknown_name_is_refused_with_those_known(name):
    with pytest.raises(WampyError, match=r"known: 'json', 'msgpack', 'cbor', 'ubjson', 'json\.batched'"):
        get_serializer(name)


@pytest.mark.parametrize(
    ("name", "module"), [("msgpack", "msgpack"), ("cbor", "cbor2"), ("ubjson", "bjdata_serpent")]
)
def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)  # which is how Python notes that there is no such module
    for wanted in (name, f"{name}.batched"):
        with pytest.raises(WampyError, match=rf"pip install 'wampy\[{name}\]'"):
            get_serializer(wanted)


def test_no_package_is_imported_before_it_is_wanted():
    code = "import sys, wampy.serializers; print({'msgpack', 'cbor2', 'bjdata_serpent', 'orjson'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"


# What travels.


VALUES = [
    None, True, False, 0, 1, -1, 23, 24, 127, 128, 255, 256, 2**16, 2**31, 2**32, 2**53, -(2**53), 2**63 - 1,
    -(2**63), 2**64 - 1, 0.0, 0.1, -1.5, 1e300, 5e-324, "", "a", "größer", "日本", "\U0001f600", "line\nbreak\x01",
    "x" * 70_000, b"", b"\0", b"\xff\x00", bytes(range(256)) * 300,
    [], {}, [[]], [{}], {"": ""}, {"b": 1, "a": {"c": [None]}},
    list(range(10_000)), ["x"] * 20, [1, "a", None, b"x", 2.5] * 10, {str(n): n for n in range(1000)}, "a\0b",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_values_there_and_back(serializer, value):
    payload = serializer.dumps(call(value, k=value))
    assert isinstance(payload, bytes)
    for form in (payload, bytearray(payload)):
        args, kwargs = serializer.loads(form)[4:]
        assert (args, kwargs) == ([value], {"k": value})
        assert type(args[0]) is type(value)


def test_dictionaries_keep_their_order(serializer):
    value = {"b": 1, "a": 2, "ä": 3, "": 4}
    assert list(there_and_back(serializer, value)) == ["b", "a", "ä", ""]


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shout(str):
    def __str__(self):
        return self.upper()


class Metres(float):
    pass


class Key(str):
    pass


def test_subclasses_travel_as_what_they_are_a_subclass_of(serializer):
    point = namedtuple("point", "x y")
    subclasses = [Colour.RED, Level.HIGH, Shout("hello"), Metres(1.5)]
    value = [*subclasses, (1, (2,)), point(3, 4), OrderedDict(b=1, a=2), {Key("k"): 1}]
    back = there_and_back(serializer, value)
    assert back == ["red", 3, "hello", 1.5, [1, [2]], [3, 4], {"b": 1, "a": 2}, {"k": 1}]
    assert [type(item) for item in back[:4]] == [str, int, str, float]


def test_binaries_of_every_kind(serializer):
    data = bytes(range(256))
    value = [data, bytearray(data), memoryview(data), memoryview(data)[::2]]
    assert there_and_back(serializer, value) == [data, data, data, data[::2]]


def test_the_message_is_not_changed(serializer):
    inner = {"t": (1, Level.HIGH), "m": memoryview(b"x")}
    message = call(inner)
    serializer.dumps(message)
    assert message[4][0] is inner and inner == {"t": (1, Level.HIGH), "m": memoryview(b"x")}
    assert type(inner["t"]) is tuple


@pytest.mark.parametrize("name", ["cbor", "ubjson"])
@pytest.mark.parametrize("text", ["1.10", "-0.001", "1E+3", "123456789012345678901234567890.5"])
def test_decimals_are_exact_where_the_format_can(name, text):
    back = there_and_back(get_serializer(name), Decimal(text))
    assert back == Decimal(text) and isinstance(back, Decimal)


def test_json_writes_decimals_exactly_and_reads_floats():
    payload = get_serializer("json").dumps(call(Decimal("1.10"), Decimal("1E+3")))
    assert payload == b'[48,1,{},"a.b",[1.10,1E+3],{}]'


@pytest.mark.parametrize("name", ["json", "cbor", "ubjson"])
def test_integers_of_any_size(name):
    for value in (2**64, -(2**63) - 1, 2**200, -(10**300)):
        assert there_and_back(get_serializer(name), value) == value


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("msgpack", "9a 00 7f cc80 ccff cd0100 ce00010000 ff e0 d0df d18000"),
        ("cbor", "8a 00 187f 1880 18ff 190100 1a00010000 20 381f 3820 397fff"),
        ("ubjson", "5b 5500 557f 5580 55ff 750001 6d00000100 69ff 69e0 69df 490080 5d"),
    ],
)
def test_integers_are_the_shortest(name, payload):
    values = [0, 127, 128, 255, 256, 65536, -1, -32, -33, -32768]
    serializer = get_serializer(name)
    assert serializer.loads(bytes.fromhex(payload)) == values
    assert len(serializer.dumps(values)) == len(bytes.fromhex(payload))


# What does not.


@dataclass
class Thing:
    when: object


REFUSED = [
    (call({"when": {1, 2}}), "args[0]['when']", "set"),
    (call(when=[0, object()]), "kwargs['when'][1]", "object"),
    ([16, 1, {"x": object()}, "a.b"], "options['x']", "object"),
    ([36, 1, 2, {"x": [object()]}], "details['x'][0]", "object"),
    ([5, "signature", {"x": object()}], "extra['x']", "object"),
    ([49, object(), {}], "message[1]", "object"),
    ([50, 1, {}, [datetime(2026, 1, 1)]], "args[0]", "datetime"),
    ([8, 68, 1, {}, "a.b", [], {"k": UUID(int=1)}], "kwargs['k']", "UUID"),
    ([36, 1, 2, {}, [Fraction(1, 3)]], "args[0]", "Fraction"),
    ([68, 1, 2, {}, [1j]], "args[0]", "complex"),
    ([70, 1, {}, [Thing(1)]], "args[0]", "Thing"),
    (call("\ud800"), "args[0]", "str"),
    (call({"\udfff": 1}), "args[0]['\\udfff']", "str"),
    (call({1: 2}), "args[0][1]", "int"),
    (call([{"a": {-1.5: 2}}]), "args[0][0]['a'][-1.5]", "float"),
    (call({True: 2}), "args[0][True]", "bool"),
    (call({None: 2}), "args[0][None]", "NoneType"),
    (call({b"k": 2}), "args[0][b'k']", "bytes"),
    (call({(1, 2): 2}), "args[0][(1, 2)]", "tuple"),
    (call([0] * 100 + [{2: 1}]), "args[0][100][2]", "int"),
]


@pytest.mark.parametrize(("message", "where", "kind"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_cannot_travel_is_named(serializer, message, where, kind):
    with pytest.raises(SerializationError) as caught:
        serializer.dumps(message)
    assert (caught.value.where, caught.value.value_type) == (where, kind)
    assert str(caught.value).startswith(f"{where} ({kind}): ")


def test_the_place_is_short_whatever_the_keys_are(serializer):
    with pytest.raises(SerializationError) as caught:
        serializer.dumps(call({"k" * 10**6: [object()]}))
    assert caught.value.where == f"args[0]['{'k' * 59}...][0]"


def test_a_foreign_type_s_error_says_what_would_do(serializer):
    with pytest.raises(SerializationError, match=rf"{serializer.title} has no form for set; give .* a `default=` hook"):
        serializer.dumps(call({1}))


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_messagepack_has_no_larger_integers(value):
    with pytest.raises(SerializationError, match=r"args\[0\]\['n'\] \(int\): MessagePack has integers of 64 bits"):
        get_serializer("msgpack").dumps(call({"n": value}))


def test_messagepack_has_no_decimals():
    with pytest.raises(SerializationError, match=r"args\[0\] \(Decimal\): MessagePack has no form for Decimal"):
        get_serializer("msgpack").dumps(call(Decimal("1.10")))


def test_a_circle_is_named(serializer):
    ring = {}
    ring["self"] = [ring]
    with pytest.raises(SerializationError, match="contains itself") as caught:
        serializer.dumps(call(0, ring))
    assert caught.value.where == "args[1]['self'][0]"
    twice = [1]
    assert serializer.loads(serializer.dumps(call(twice, (twice,))))[4] == [[1], [[1]]]


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_depth_has_a_limit_below_which_it_travels(serializer):
    deepest = nested(serializer.max_depth - 2)  # the message and its args are two levels
    assert there_and_back(serializer, deepest) == deepest
    for levels in (serializer.max_depth - 1, 2_000, 200_000):
        with pytest.raises(SerializationError, match="nested too deeply") as caught:
            serializer.dumps(call(nested(levels)))
        assert caught.value.where.startswith("args[0][0]")
        assert len(str(caught.value)) < 300


def test_a_deep_stack_is_no_reason_for_another_error(serializer):
    def dive(levels):
        return dive(levels - 1) if levels else serializer.dumps(call(nested(28)))

    room = sys.getrecursionlimit() - len_of_stack()
    outcomes = set()
    for levels in range(room - 60, room - 1):
        try:
            dive(levels)
            outcomes.add("fine")
        except SerializationError:
            outcomes.add("refused")
        except RecursionError:
            outcomes.add("the stack of the test itself")
            break
    assert "fine" in outcomes


def len_of_stack():
    frame, count = sys._getframe(), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count


# Hooks.


def for_types_of_ours(value):
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if is_dataclass(value):
        return asdict(value)
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"what is a {type(value).__name__}?")


@pytest.fixture
def hooked(serializer):
    return type(serializer)(default=for_types_of_ours)


def test_a_hook_adds_types_in_every_format(hooked):
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    value = {"when": moment, "who": UUID(int=5), "what": [Thing(moment), Thing(Thing(1))]}
    assert there_and_back(hooked, value) == {
        "when": "2026-11-24T00:00:00+00:00",
        "who": "00000000-0000-0000-0000-000000000005",
        "what": [{"when": "2026-11-24T00:00:00+00:00"}, {"when": {"when": 1}}],
    }


def test_a_hook_is_asked_only_about_what_the_format_lacks():
    decimal = Decimal("1.10")
    assert there_and_back(CLASSES["msgpack"](default=for_types_of_ours), decimal) == "1.10"
    assert there_and_back(CLASSES["cbor"](default=for_types_of_ours), decimal) == decimal


def test_what_a_hook_refuses_is_named(hooked):
    with pytest.raises(SerializationError, match=r"args\[0\]\['when'\] \(set\): what is a set\?") as caught:
        hooked.dumps(call(Thing({1})))
    assert isinstance(caught.value.__cause__, TypeError)


class Other:
    pass


@pytest.mark.parametrize(
    "hook",
    [
        lambda value: value,
        lambda value: type(value)(),
        lambda value: [value],
        lambda value: [Other()],
        lambda value: {1: 2},
        lambda value: 1 / 0,
        lambda value: "\ud800",
    ],
)
def test_a_hook_that_goes_wrong_is_an_error_like_any_other(serializer, hook):
    with pytest.raises(SerializationError):
        type(serializer)(default=hook).dumps(call(Other()))


def test_a_hook_is_a_function(serializer):
    with pytest.raises(WampyError, match="default is a function"):
        type(serializer)(default={"datetime": str})


# Bytes from outside.


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\xc1\xc1", b"[1", "text" * 3, b"\x9f" * 100_000, b"[" * 100_000])
def test_what_cannot_be_read_is_refused(serializer, payload):
    with pytest.raises(SerializationError, match=f"this is no {serializer.title}"):
        serializer.loads(payload)


def test_what_follows_the_message_is_refused(serializer):
    payload = serializer.dumps(call(1))
    with pytest.raises(SerializationError):
        serializer.loads(payload + payload)


def test_every_truncation_is_refused(serializer):
    payload = serializer.dumps(call([1, "zwei", None, b"drei"], k=2.5))
    for end in range(len(payload)):
        with pytest.raises(SerializationError):
            serializer.loads(payload[:end])


# Code of other people's that runs while a message is made.


class Lazy(dict):
    def items(self):
        raise LookupError("the database is away")


class LazyList(list):
    def __iter__(self):
        raise LookupError


class Proxy:
    @property
    def __class__(self):
        return dict


class Binary(bytes):
    def __bytes__(self):
        raise ValueError("no bytes")


def released():
    view = memoryview(b"x")
    view.release()
    return view


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Lazy(a=1), r"args\[0\]\['k'\] \(Lazy\): looking at it raised LookupError: the database is away"),
        (LazyList([1]), r"args\[0\]\['k'\] \(LazyList\): looking at it raised LookupError"),
        (Proxy(), r"args\[0\]\['k'\] \(Proxy\): looking at it raised AttributeError"),
        (Binary(b"x"), r"args\[0\]\['k'\] \(Binary\): looking at it raised ValueError: no bytes"),
        (released(), r"args\[0\]\['k'\] \(memoryview\): looking at it raised ValueError"),
    ],
    ids=["dict", "list", "proxy", "bytes", "memoryview"],
)
def test_whatever_foreign_objects_raise_is_an_error_with_a_place(serializer, value, text):
    with pytest.raises(SerializationError, match=text):
        serializer.dumps(call({"k": value}))


@pytest.mark.parametrize("error", [StopIteration(), MemoryError(), LookupError()])
def test_a_hook_s_error_without_a_text_is_named(serializer, error):
    def hook(value):
        raise error

    with pytest.raises(SerializationError, match=rf"args\[0\] \(Other\): {type(error).__name__}$"):
        type(serializer)(default=hook).dumps(call(Other()))


def test_a_dictionary_that_a_hook_changes_is_an_error(serializer):
    value = {"a": Other()}
    hooked = type(serializer)(default=lambda _: value.setdefault("b", 1))
    with pytest.raises(SerializationError, match="looking at it raised RuntimeError: dictionary changed"):
        hooked.dumps(call(value))


@pytest.mark.parametrize("name", NAMES)
def test_a_serializer_shows_its_name(name):
    assert repr(name.partition(".")[0]) in repr(get_serializer(name))
