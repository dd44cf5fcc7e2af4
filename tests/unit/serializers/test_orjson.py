"""JSON by orjson: what it writes, reads and refuses is what the JSON of simplejson is."""

import json
import math
import sys
from decimal import Decimal

import pytest
import simplejson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wampy.errors import SerializationError, WampyError
from wampy.serializers import BatchedSerializer, JsonSerializer, OrjsonSerializer

JSON = JsonSerializer()
QUICK = OrjsonSerializer()


def call(*args, **kwargs):
    return [48, 1, {}, "a.b", list(args), kwargs]


def read(serializer, payload):
    """Give what comes of a payload, such that NaN is equal to itself and 1 is not 1.0; or the error."""
    try:
        return repr(serializer.loads(payload))
    except SerializationError as error:
        return str(error)


def written(serializer, message):
    """Give what a message's bytes say, its numbers as they are in decimals; or the error and its place."""
    try:
        payload = serializer.dumps(message)
    except SerializationError as error:
        return str(error), error.where, error.value_type
    return repr(simplejson.loads(payload, use_decimal=True))


def same_both_ways(message):
    assert written(QUICK, message) == written(JSON, message)


def test_its_names():
    assert (QUICK.name, QUICK.subprotocol, QUICK.binary, QUICK.rawsocket_id) == ("json", "wamp.2.json", False, 1)
    assert BatchedSerializer(QUICK).subprotocol == "wamp.2.json.batched"


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "orjson", None)  # which is how Python notes that there is no such module
    with pytest.raises(WampyError, match=r"'json' needs .* pip install 'wampy\[speed\]'"):
        OrjsonSerializer()


def test_it_is_orjson_that_writes_and_reads(monkeypatch):
    # Or the rest of this file would compare simplejson with itself.
    monkeypatch.setattr(JsonSerializer, "_encode", None)
    monkeypatch.setattr(JsonSerializer, "_decode", None)
    message = call("text", 1, -1.5, None, True, b"x", [{"a": 2**63}], k="\0"[1:])
    payload = QUICK.dumps(message)
    for form in (payload, bytearray(payload), payload.decode()):
        assert QUICK.loads(form) == message


NUMBERS = [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**80, 10**400, 10**4299, 10**4300]
FLOATS = [0.1, -0.0, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 2.0**63, -(2.0**63), 2.0**64, 1e300]
NO_FORM = [math.nan, math.inf, -math.inf, "\0", "\0x", "\ud800", Decimal("NaN"), Decimal("Infinity"), {1}, object]
DECIMALS = [Decimal("1.10"), Decimal("1E+3"), Decimal("0." + "1" * 50), Decimal(2**80)]
TEXTS = ["", "null", 'x"\\\n\x01\0', "ü\u2028\x7f\U0001f600", "9" * 30, "x" * 10_000, "null" * 3000]
BINARIES = [b"", b"\0\xff", b"x" * 10_000, bytearray(b"y")]


@pytest.mark.parametrize("length", [0, 10_000])
@pytest.mark.parametrize("value", [*NUMBERS, *FLOATS, *NO_FORM, *DECIMALS, *TEXTS, *BINARIES], ids=type)
def test_values_one_by_one(value, length):
    # Beside a long text, because what is looked at goes by the length; and beside None, which is what NaN would be.
    for beside in ("x" * length, None):
        for message in (call(value, beside), call(beside, {"deep": [{"k": value}]}), call(beside, k=(value,))):
            same_both_ways(message)
    same_both_ways(call({"k" * length: value}))


@pytest.mark.parametrize("key", [1, None, True, 1.5, (1,), b"k", "\0", "\ud800", "ü"], ids=ascii)
def test_keys(key):
    same_both_ways(call({key: 1}))
    same_both_ways(call(None, [{"a": {key: math.nan}}]))


def test_what_is_no_list():
    for message in (None, 1, 1.5, "null", math.nan, {"null": None}, (None,), b"x", Decimal(1), [], 2**70):
        same_both_ways(message)


def test_a_circle_and_depth_are_refused_alike():
    ring = []
    ring.append(ring)
    same_both_ways(call(ring))
    for depth in (200, 246, 247, 248, 249, 300):
        value = None
        for _ in range(depth):
            value = [value]
        same_both_ways(call(value))


@pytest.mark.parametrize("depth", [200, 500, 800, 950, 1100, 5000, 200_000])
def test_depth_is_read_as_deep_as_the_other_reads_it(depth):
    for before, after in (("[", "]"), ('{"a":', "}"), ("[NaN,", "]"), ("[9223372036854775808.0,", "]")):
        payload = (before * depth + "1" + after * depth).encode()
        assert outcome_at_depth(QUICK, payload) == outcome_at_depth(JSON, payload)


def outcome_at_depth(serializer, payload):
    try:
        value = serializer.loads(payload)
    except SerializationError:
        return None
    depth = 0
    while not isinstance(value, int):
        value = value["a"] if isinstance(value, dict) else value[-1]
        depth += 1
    return depth


_READ = [
    *(b"[NaN]", b"[Infinity,-Infinity]", b"[1e400]", b"[-1e400]", b"[-0]", b"[-0.0]", b"[1E5]", b"[01]", b"[1.]"),
    *(b"[18446744073709551615]", b"[18446744073709551616]", b"[-9223372036854775808]", b"[-9223372036854775809]"),
    *(b"[" + b"9" * 400 + b"]", b"[" + b"9" * 5000 + b"]", b"[" + b"9" * 30 + b".0]", b"[0." + b"1" * 30 + b"]"),
    *(b'["\\ud800"]', b'["\\ud83d\\ude00"]', b'["\\udc00\\ud800"]', b'{"a":1,"b":2,"a":3}', b" [1] "),
    *(b"\xef\xbb\xbf[1]", b"[.5]", b"NaN", b"\x00"),
    *(b'["\xff"]', b'["\x01"]', b'["\\x41"]', b'["\\u00zz"]', b"[]x", b"", b"5", b"null", b"1.5", b'"\\u0000eA=="'),
    *(b'["\\u0000eA==",{"k":"\\u0000no"}]', b'{"\\u0000k":1}', b"[1,]", b"{1:2}", b"['a']", b"[1e-400]", b"9" * 25),
    *(b"[2.2250738585072011e-308]", b"[7.2057594037927933e16]", b"[9007199254740993.0]", b"[1.7976931348623159e308]"),
]  # fmt: skip


@pytest.mark.parametrize("payload", _READ, ids=lambda payload: ascii(payload)[:30])
def test_what_is_read_one_by_one(payload):
    forms = [payload, bytearray(payload), payload.decode("utf-8", "surrogateescape")]
    for whole in (payload, b'["' + b"x" * 10_000 + b'",' + payload + b"]"):
        assert read(QUICK, whole) == read(JSON, whole)
    for form in forms:
        assert read(QUICK, form) == read(JSON, form)


def test_a_hook_adds_types():
    quick = OrjsonSerializer(default=str)
    assert quick.loads(quick.dumps(call({1}, Decimal("1.5"), b"x"))) == call("{1}", 1.5, b"x")


_scalars = (
    st.none() | st.booleans() | st.integers() | st.integers(2**62, 2**66) | st.floats() | st.text(max_size=10)
    | st.binary(max_size=10) | st.decimals() | st.sampled_from(["\0", "\ud800", "null", 5, 1.5, None])
)  # fmt: skip
_keys = st.text(max_size=4) | st.just(1)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None, max_examples=1500)
@given(st.lists(_values, max_size=3), st.dictionaries(st.text(max_size=4), _values, max_size=3))
@example([None, math.nan], {})
def test_whatever_is_written(args, kwargs):
    same_both_ways(call(*args, **kwargs))
    same_both_ways(call("x" * 5000, *args, **kwargs))


_pieces = st.sampled_from([
    *'[]{},:"\\ ', '"abc"', '"\\n"', '"\\u0000AA=="', '"\\""', '"\\ud800"', "NaN", "-Infinity", "null", "true",
    "0", "-0", "-1.5e3", '"ü"', '{"k":', "[1,", "\x00", "18446744073709551616", "9223372036854775808", "1e400",
    "9" * 30, "\ufeff", "1.", "00", "\n",
])  # fmt: skip


@settings(deadline=None, max_examples=1500)
@given(st.lists(_pieces, max_size=10).map("".join))
def test_whatever_is_read(text):
    for whole in (text, f"[{text}]", f"[{text}", f'["{"x" * 5000}",{text}]'):
        assert read(QUICK, whole) == read(JSON, whole)
        assert read(QUICK, whole.encode()) == read(JSON, whole)


@settings(deadline=None, max_examples=500)
@given(_values)
def test_what_others_write_is_read_alike(value):
    try:
        text = json.dumps(["x", value], default=str)
    except TypeError:
        return
    assert read(QUICK, text) == read(JSON, text)
