"""RawSocket's handshake and frames: bytes in, bytes out."""

import tracemalloc

import pytest

from wampy.transports.rawsocket_framing import (
    ERRORS,
    LONGEST,
    MESSAGE,
    PING,
    PONG,
    FrameReader,
    MessageTooLongError,
    RawSocketError,
    frame,
    opening,
    read_answer,
)


def whole(kind, payload):
    return b"".join(frame(kind, payload))


# The handshake.


@pytest.mark.parametrize("serializer", range(1, 16))
def test_the_opening_asks_for_a_serializer_and_takes_messages_of_any_length(serializer):
    assert opening(serializer) == bytes((0x7F, 0xF0 + serializer, 0, 0))


@pytest.mark.parametrize("length", range(16))
def test_the_answer_tells_the_longest_message_and_the_serializer(length):
    answer = read_answer(bytes((0x7F, length << 4 | 2, 0, 0)))
    # 2 ** 24 itself does not fit into the 24 bits of a frame's length.
    assert answer == (0, min(2 ** (9 + length), 2**24 - 1), 2)


@pytest.mark.parametrize("error", range(1, 16))
def test_an_answer_without_a_serializer_is_an_error(error):
    assert read_answer(bytes((0x7F, error << 4, 0, 0))).error == error
    # What an error may carry in its reserved octets is no reason not to tell of it.
    assert read_answer(bytes((0x7F, error << 4, 1, 2))).error == error


def test_the_errors_that_have_a_name():
    assert ERRORS.keys() == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"\x7e\xf1\0\0", "0x7F"),
        (b"HTTP", "0x7F"),
        (b"\0\0\0\0", "0x7F"),
        (b"\x7f\0\0\0", "neither a serializer nor an error"),
        (b"\x7f\xf1\1\0", "reserved"),
        (b"\x7f\xf1\0\1", "reserved"),
    ],
)
def test_an_answer_that_is_none(answer, text):
    with pytest.raises(RawSocketError, match=text):
        read_answer(answer)


# Frames.


@pytest.mark.parametrize("kind", [MESSAGE, PING, PONG])
@pytest.mark.parametrize("size", [0, 1, 255, 256, 4095, 4096, 65_536, LONGEST])
def test_a_frame_is_four_octets_and_the_payload(kind, size):
    payload = bytes(size)
    data = whole(kind, payload)
    assert data[:4] == bytes((kind,)) + size.to_bytes(3, "big")
    assert len(data) == 4 + size
    reader = FrameReader()
    assert reader.feed(data) == [(kind, payload)]
    assert reader.error is None
    assert not reader.is_within


def test_a_long_payload_is_not_copied():
    payload = bytes(100_000)
    assert frame(MESSAGE, payload)[1] is payload


def test_what_is_framed_may_change_afterwards():
    payload = bytearray(b"x" * 5000)
    pieces = frame(MESSAGE, payload)
    payload[:] = b"y" * 5000
    assert pieces[1] == b"x" * 5000


def test_what_is_longer_than_24_bits_can_tell_is_no_frame():
    with pytest.raises(OverflowError):
        frame(MESSAGE, bytes(LONGEST + 1))


def test_several_frames_at_once_and_the_beginning_of_one():
    reader = FrameReader()
    data = whole(MESSAGE, b"one") + whole(PING, b"two") + whole(MESSAGE, b"") + whole(PONG, b"three")
    assert reader.feed(data + b"\0\0") == [(MESSAGE, b"one"), (PING, b"two"), (MESSAGE, b""), (PONG, b"three")]
    assert reader.is_within
    assert reader.feed(b"\0\4fou") == []
    assert reader.feed(b"r") == [(MESSAGE, b"four")]
    assert not reader.is_within


def test_nothing_at_all_changes_nothing():
    reader = FrameReader()
    assert reader.feed(b"") == []
    assert not reader.is_within
    assert reader.feed(b"\0\0\0\2a") == []
    assert reader.feed(b"") == []
    assert reader.feed(b"b") == [(MESSAGE, b"ab")]


def test_payloads_are_bytes_that_stay_as_they_are():
    reader = FrameReader()
    ((_, first),) = reader.feed(whole(MESSAGE, b"first"))
    reader.feed(whole(MESSAGE, b"other"))
    assert type(first) is bytes
    assert first == b"first"


@pytest.mark.parametrize("kind", [3, 7, 8, 127, 128, 255])
@pytest.mark.parametrize("cut", [False, True])
def test_an_unknown_type_ends_the_stream_after_what_came_before_it(kind, cut):
    reader = FrameReader()
    before, after = whole(MESSAGE, b"before"), bytes((kind, 0, 0, 1)) + b"x" + whole(MESSAGE, b"after")
    frames = reader.feed(before) + reader.feed(after) if cut else reader.feed(before + after)
    assert frames == [(MESSAGE, b"before")]
    assert type(reader.error) is RawSocketError
    assert f"unknown type {kind}" in str(reader.error)
    assert reader.feed(whole(MESSAGE, b"more")) == []
    assert not reader.is_within


@pytest.mark.parametrize("kind", [MESSAGE, PING, PONG])
def test_the_limit_is_the_longest_payload_of_any_type(kind):
    reader = FrameReader(100)
    assert reader.feed(whole(kind, bytes(100))) == [(kind, bytes(100))]
    assert reader.feed(whole(kind, bytes(101))) == []
    assert isinstance(reader.error, MessageTooLongError)
    assert reader.error.size == 101


def test_a_payload_over_the_limit_is_refused_by_its_header():
    reader = FrameReader(100)
    assert reader.feed(whole(MESSAGE, b"fine") + b"\0\xff\xff") == [(MESSAGE, b"fine")]
    assert reader.error is None
    assert reader.feed(b"\xff") == []
    assert isinstance(reader.error, MessageTooLongError)
    assert reader.error.size == LONGEST
    tracemalloc.start()
    try:
        for _ in range(100):
            assert reader.feed(bytes(10_000)) == []
        assert tracemalloc.get_traced_memory()[0] < 100_000, "what is refused is kept"
    finally:
        tracemalloc.stop()


def test_memory_is_given_back_with_the_frame():
    reader = FrameReader()
    tracemalloc.start()
    try:
        for _ in range(5):
            assert [len(payload) for _, payload in reader.feed(whole(MESSAGE, bytes(1_000_000)))] == [1_000_000]
        reader.feed(b"\0")
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
