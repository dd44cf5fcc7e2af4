"""simplejson's encoder, kept: it is the one in use, writes what the public way writes, and can be done without."""

from types import SimpleNamespace

import pytest
import simplejson
from hypothesis import given
from hypothesis import strategies as st
from simplejson import encoder

from wampy.errors import SerializationError
from wampy.serializers import JsonSerializer
from wampy.serializers.kept_encoder import kept_encoder

OPTIONS = {"separators": (",", ":"), "check_circular": False, "ensure_ascii": False, "allow_nan": False}
OURS = simplejson.JSONEncoder(**OPTIONS, encoding=None, default=lambda value: value.hex())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(inner).map(tuple),
    max_leaves=20,
)  # fmt: skip


def is_kept(pieces):
    return isinstance(pieces, encoder.c_make_encoder)


@pytest.mark.skipif(encoder.c_make_encoder is None, reason="this simplejson is installed without its C extension")
def test_this_simplejson_s_encoder_can_be_kept():
    assert is_kept(kept_encoder(OURS, {})), "simplejson makes its encoder in another way now: see kept_encoder.py"


@given(VALUES)
def test_it_writes_what_the_public_way_writes(value):
    assert "".join(kept_encoder(OURS, {})(value, 0)) == OURS.encode(value)


def other_signature(markers, default):
    raise AssertionError("never called with two arguments")


def another_encoder(*args):
    return lambda value, level: ["something else"]


def lets_nan_pass(_markers, default, *_):
    lenient = simplejson.JSONEncoder(**OPTIONS | {"allow_nan": True}, encoding=None, default=default)
    return lambda value, level: lenient.iterencode(value)


@pytest.mark.parametrize("made_by", [None, other_signature, another_encoder, lets_nan_pass])
def test_a_simplejson_that_has_none_or_another_is_used_in_the_public_way(monkeypatch, made_by):
    theirs = SimpleNamespace(c_make_encoder=made_by, encode_basestring=encoder.encode_basestring)
    monkeypatch.setattr("wampy.serializers.kept_encoder.encoder", theirs)
    assert not is_kept(kept_encoder(OURS, {}))
    serializer = JsonSerializer()
    assert serializer.dumps([48, 1, {}, "a.b", ["text", b"\1"]]) == b'[48,1,{},"a.b",["text","\\u0000AQ=="]]'
    with pytest.raises(SerializationError, match=r"args\[0\] \(float\): JSON has no nan"):
        serializer.dumps([48, 1, {}, "a.b", [float("nan")]])


def test_keys_are_not_kept():
    serializer = JsonSerializer()
    assert serializer._keys == {}
    serializer.dumps([48, 1, {}, "a.b", [], {"key": 1}])
    assert serializer._keys == {}
    for value in (float("nan"), "\0text"):
        with pytest.raises(SerializationError):
            serializer.dumps([48, 1, {}, "a.b", [], {"key": 1, "other": value}])
        assert serializer._keys == {}
