"""Long texts in JSON: a way around the library, which must come to the same."""

import math

import pytest
import simplejson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wampy.errors import SerializationError
from wampy.serializers import JsonSerializer, json_, long_texts
from wampy.serializers.long_texts import LONG, LONG_JSON

JSON = JsonSerializer()
ESCAPED = [*map(chr, range(0x20)), '"', "\\"]


def as_the_library_writes(message):
    return simplejson.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def outcome(read, text):
    """Give what comes of a text, such that NaN is equal to itself and 1 is not 1.0; None for an error."""
    try:
        return repr(read(text))
    except (ValueError, SerializationError):
        return None


@pytest.fixture
def everything_is_long(monkeypatch):
    monkeypatch.setattr(long_texts, "LONG", 3)
    monkeypatch.setattr(json_, "LONG_JSON", 0)


@pytest.mark.parametrize("size", [0, 1, LONG - 1, LONG, LONG + 1, LONG_JSON, 200_000])
def test_a_text_of_any_length(size):
    text = ("The quick brown fox. " * (size // 21 + 1))[:size]
    for message in ([48, 1, {}, "a.b", [text]], [70, 1, {}, [], {"k": text, "n": 1}], [36, 1, 2, {}, [text, text]]):
        payload = JSON.dumps(message)
        assert payload == as_the_library_writes(message)
        for form in (payload, payload.decode()):
            assert JSON.loads(form) == message


@pytest.mark.parametrize("special", [*ESCAPED, "\x7f", "ü", "\u2028", "日", "\U0001f600", "\\u0000", '"]'], ids=ascii)
@pytest.mark.parametrize("at", [1, LONG, 2 * LONG_JSON])
def test_a_long_text_with_something_special_in_it(special, at):
    text = "x" * at + special + "x" * (2 * LONG_JSON - at)
    message = [48, 1, {}, "a.b", [text, 1.5], {"k": text}]
    payload = JSON.dumps(message)
    assert payload == as_the_library_writes(message)
    assert JSON.loads(payload) == message


@pytest.mark.parametrize("character", ESCAPED[:-2], ids=ascii)
def test_what_must_be_escaped_and_is_not_is_no_json(character):
    payload = f'[50,1,{{}},["{"x" * LONG_JSON}{character}"]]'
    with pytest.raises(SerializationError, match="this is no JSON"):
        JSON.loads(payload)


def test_nothing_of_the_callers_is_changed():
    text = "x" * LONG
    args, kwargs = [text, "short"], {"k": text}
    JSON.dumps([48, 1, {}, "a.b", args, kwargs])
    assert args == [text, "short"]
    assert kwargs == {"k": text}
    assert type(args[0]) is type(kwargs["k"]) is str


def test_long_binaries():
    for binary in (bytes(LONG - 1), bytes(LONG), bytes(range(256)) * 1000, bytearray(b"\0" * LONG_JSON)):
        message = [48, 1, {}, "a.b", [binary, {"deep": [binary]}], {"k": binary}]
        assert JSON.loads(JSON.dumps(message)) == message


def test_what_cannot_travel_is_named_beside_a_long_text():
    with pytest.raises(SerializationError, match="begins with NUL") as caught:
        JSON.dumps([48, 1, {}, "a.b", ["x" * LONG, "\0"]])
    assert caught.value.where == "args[1]"
    with pytest.raises(SerializationError, match="begins with NUL"):
        JSON.dumps([48, 1, {}, "a.b", ["\0" + "x" * LONG]])
    with pytest.raises(SerializationError, match="surrogate"):
        JSON.dumps([48, 1, {}, "a.b", ["x" * LONG + "\ud800"]])


def test_nan_beside_a_long_text_is_nan():
    text = "x" * LONG_JSON
    loaded = JSON.loads(f'[36,1,2,{{}},[NaN,"{text}",-Infinity,"NaN"]]')[4]
    assert math.isnan(loaded[0])
    assert loaded[1:] == [text, -math.inf, "NaN"]


def test_more_long_texts_than_are_looked_at():
    texts = [str(number) * LONG for number in range(100)]
    message = [48, 1, {}, "a.b", [*texts, "short", 'a "quote"', *texts], {"k" * LONG: texts[0]}]
    payload = JSON.dumps(message)
    assert payload == as_the_library_writes(message)
    assert JSON.loads(payload) == message


def test_the_way_around_is_taken():
    # Or all of these would test the library only.
    text = "x" * LONG_JSON
    taken_out = []
    message = [48, 1, {}, "a.b", [text, "short"], {"more": text}]
    assert len(repr(long_texts.with_places(message, taken_out))) < 200
    assert taken_out == [text, text]
    payload = f'[50,1,{{}},["{text}"]]'
    assert long_texts.read(payload) == ([50, 1, {}, [text]], "[50,1,{},[NaN]]")


_pieces = st.sampled_from([
    *'[]{},:" \\\n', '"abc"', '"abcdef"', '"ab\\n"', '"\\u0000AA=="', '"\\""', '"abc\\\\"', "NaN", "-Infinity", "N",
    "-", "null", "true", "0", "-1.5e3", '"NaN"', '"ü"', '{"abcd":', '["abcd",', "\x00", "Infinity", "aN",
])  # fmt: skip


@pytest.mark.usefixtures("everything_is_long")
class TestWithLimitsThatMakeEverythingLong:
    """The fixture is set for the class, which does not disturb hypothesis."""

    @settings(deadline=None, max_examples=1000)
    @given(st.lists(_pieces, max_size=12).map("".join))
    @example('"abc"NaN')
    @example('"abc",NaN,"def"')
    @example('-Infinity,"abc"')
    @example('{"abcd":"abcd","abcd":"efgh"}')
    @example('-"abc"')
    @example('1"abc"')
    @example('"abc\\\\","def"')
    def test_what_is_read_is_what_the_library_reads(self, text):
        for whole in (text, f"[{text}]", f"[{text}", f" [{text}] "):
            assert outcome(JSON.loads, whole) == outcome(self.by_the_library, whole)

    @staticmethod
    def by_the_library(text):
        return json_.restore_binaries(simplejson.JSONDecoder(parse_constant=float).decode(text))

    @settings(deadline=None, max_examples=500)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
            | st.text().filter(lambda text: text[:1] != "\0"),
            lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("abü\n", max_size=5), inner),
            max_leaves=20,
        )
    )  # fmt: skip
    def test_what_is_written_is_what_the_library_writes(self, value):
        for message in ([48, 1, {}, "a.b", [value], {"k": value}], [48, 1, {}, "a.b", value], [value], value):
            payload = JSON.dumps(message)
            assert payload == as_the_library_writes(message)
            assert JSON.loads(payload) == message
