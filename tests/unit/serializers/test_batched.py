"""Several messages in one frame."""

import pytest

from wampy.errors import SerializationError, WampyError
from wampy.serializers import BatchedSerializer, JsonSerializer, get_serializer

NAMES = ("json.batched", "msgpack.batched", "cbor.batched", "ubjson.batched")
MESSAGES = [[50, n, {}, ["text\n\x18\x1e", b"\x18\x1e", n]] for n in range(1, 4)]


def test_the_form_of_a_batch_in_text():
    serializer = get_serializer("json.batched")
    assert serializer.dumps([1, "a"]) == b'[1,"a"]\x18'
    assert serializer.split('[1]\x18[2]\x18') == ["[1]", "[2]"]
    # The specification's delimiter is another one than Crossbar's.
    assert serializer.split(b"[1]\x1e[2]\x1e") == ["[1]", "[2]"]


def test_the_form_of_a_batch_in_binary():
    serializer = get_serializer("cbor.batched")
    assert serializer.dumps([1, "a"]) == b"\0\0\0\x04\x82\x01\x61a"
    assert serializer.split(b"\0\0\0\x01\x01\0\0\0\x02\x18\x20") == [b"\x01", b"\x18\x20"]


@pytest.mark.parametrize("name", NAMES)
def test_joined_payloads_are_one_batch(name):
    serializer = get_serializer(name)
    batch = b"".join(map(serializer.dumps, MESSAGES))
    for payload in (batch, bytearray(batch), *([] if serializer.binary else [batch.decode()])):
        assert [serializer.loads(message) for message in serializer.split(payload)] == MESSAGES


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_that_is_cut_short_is_refused(name):
    serializer = get_serializer(name)
    sizes = [len(serializer.dumps(message)) for message in MESSAGES]
    batch = b"".join(map(serializer.dumps, MESSAGES))
    whole = {sum(sizes[: n + 1]) for n in range(len(sizes))}
    for end in range(len(batch) + 1):
        if end in whole:
            assert serializer.split(batch[:end])
            continue
        with pytest.raises(SerializationError, match="a batch"):
            serializer.split(batch[:end])


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("json.batched", b"\xff\x18"),
        ("json.batched", "[1]"),
        ("cbor.batched", "text"),
        ("cbor.batched", b"\xff\xff\xff\xff\x01"),
    ],
)
def test_what_is_no_batch_is_refused(name, payload):
    with pytest.raises(SerializationError, match="a batch"):
        get_serializer(name).split(payload)


def test_an_empty_message_in_a_batch_is_no_message():
    serializer = get_serializer("json.batched")
    with pytest.raises(SerializationError, match="no JSON"):
        serializer.loads(serializer.split("\x18")[0])


def test_a_batch_of_a_serializer_with_a_hook():
    serializer = BatchedSerializer(JsonSerializer(default=sorted))
    assert serializer.dumps([{3, 1}]) == b"[[1,3]]\x18"
    assert (serializer.name, serializer.subprotocol) == ("json.batched", "wamp.2.json.batched")


@pytest.mark.parametrize("inner", ["json", get_serializer("json.batched")])
def test_batches_are_made_of_plain_serializers(inner):
    with pytest.raises(WampyError, match="a batch is made of"):
        BatchedSerializer(inner)
