"""A router that lies in RawSocket's few bytes: in the handshake, in a header, with a message; and half of anything."""

import contextlib
import socket
import time

import pytest

from wampy.errors import ConnectionClosed, HandshakeError, SerializationError, WampProtocolError, WampyTimeOutError

MESSAGE, PING, PONG = 0, 1, 2
MIB = 1 << 20


@pytest.fixture
def ordeal(raw_ordeal):
    return raw_ordeal


def header(kind, length):
    """Give the four octets in front of a frame."""
    return bytes((kind,)) + length.to_bytes(3, "big")


# The handshake.


def answer(ordeal, data, then="close", **parameters):
    """Let a client begin, and answer its handshake with these bytes; return its start."""
    ordeal.make(serializers="json", **parameters)
    starting = ordeal.green.spawn(ordeal.client.start)
    ordeal.peer = ordeal.router.accept(handshake=False, rawsocket=True)
    ordeal.peer.handshake()
    ordeal.peer.raw(data)
    if then != "wait":
        ordeal.peer.drop(reset=then == "reset")
    return starting


REFUSALS = {
    "serializer unsupported": (b"\x7f\x10\0\0", "serializer unsupported"),
    "length unacceptable": (b"\x7f\x20\0\0", "maximum message length unacceptable"),
    "reserved bits": (b"\x7f\x30\0\0", "use of reserved bits"),
    "too many connections": (b"\x7f\x40\0\0", "maximum connection count reached"),
    "an error that nobody knows": (b"\x7f\x90\0\0", "unknown error 9"),
    "the last error that there is": (b"\x7f\xf0\0\0", "unknown error 15"),
    "an error with more behind it": (b"\x7f\x40\x12\x34and so on", "maximum connection count reached"),
    "neither an error nor a serializer": (b"\x7f\0\0\0", "neither a serializer nor an error"),
    "another serializer": (b"\x7f\xf2\0\0", "was asked for serializer 1 ('json') and chose 2"),
    "a serializer that nobody knows": (b"\x7f\xff\0\0", "was asked for serializer 1 ('json') and chose 15"),
    "reserved octets": (b"\x7f\xf1\0\1", "reserved octets are not zero"),
    "zeros": (bytes(64), "no RawSocket at"),
    "0xFF": (b"\xff" * 64, "no RawSocket at"),
    "SSH": (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH-2.0-OpenSSH_9.9"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP; for a WebSocket write ws://"),
    "a web page": (b"<html>" + b"x" * 100_000, "no RawSocket at"),
    "a TLS alert": (b"\x15\x03\x01\0\x02\x02\x28", "it speaks TLS; write rss://"),
}


@pytest.mark.parametrize("then", ["close", "wait"])
@pytest.mark.parametrize("name", REFUSALS)
def test_an_answer_to_the_handshake_that_is_none(name, then, ordeal):
    data, cause = REFUSALS[name]
    error = ordeal.cannot_start(answer(ordeal, data, then), cause, HandshakeError)
    assert ordeal.url in str(error)
    ordeal.tries_again()


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("data", [b"", b"\x7f", b"\x7f\xf1", b"\x7f\xf1\0"], ids=["nothing", "one", "two", "three"])
def test_the_end_within_the_handshake(data, then, ordeal):
    error = ordeal.cannot_start(answer(ordeal, data, then), ordeal.url, HandshakeError)
    assert "RawSocket" in str(error)
    ordeal.tries_again()


@pytest.mark.parametrize("data", [b"", b"\x7f", b"\x7f\xf1\0"], ids=["nothing", "one", "three"])
def test_silence_within_the_handshake(data, ordeal):
    starting = answer(ordeal, data, "wait", open_timeout=0.3)
    error = ordeal.cannot_start(starting, "answer to the RawSocket handshake", WampyTimeOutError, within=3.0)
    assert error.seconds == 0.3
    assert "ws://" in str(error), "the likely port is not named"


def test_a_handshake_that_comes_byte_by_byte(ordeal):
    ordeal.make()
    starting = ordeal.green.spawn(ordeal.client.start)
    ordeal.peer = peer = ordeal.router.accept(handshake=False, rawsocket=True)
    for byte in peer.handshake():
        peer.raw(bytes([byte]))
        ordeal.green.sleep(0.01)
    peer.welcome()
    starting.result()
    ordeal.leaves()


def test_welcome_in_the_same_packet_as_the_handshakes_answer(ordeal):
    """Rude, but no lie; and no readiness of the socket tells of it."""
    ordeal.make()
    starting = ordeal.green.spawn(ordeal.client.start)
    ordeal.peer = peer = ordeal.router.accept(handshake=False, rawsocket=True)
    peer.raw(peer.handshake() + peer.frame_of(PING, b"hurry") + peer.frame([2, 5, {"roles": {}}]))
    starting.result()
    assert ordeal.client.session.id == 5
    assert peer.hear()[0] == 1
    while not peer.frames:
        peer._pump(2.0)
    assert peer.frames == [(PONG, b"hurry")]
    ordeal.leaves()


def test_a_bad_frame_in_the_same_packet_as_the_handshakes_answer(ordeal):
    starting = answer(ordeal, b"\x7f\xf1\0\0" + header(7, 3) + b"abc", "wait")
    ordeal.cannot_start(starting, "unknown type 7", ConnectionClosed)
    ordeal.tries_again()


def test_a_router_that_takes_less_than_a_hello(ordeal):
    starting = answer(ordeal, b"\x7f\x01\0\0", "wait")
    ordeal.cannot_start(starting, "larger than the 512 bytes that the router takes", SerializationError)
    ordeal.tries_again()


# Frames. There is no code to close a RawSocket with, and nobody could read an ABORT before it.


def broken(ordeal, data, cause, **parameters):
    ordeal.suspend(max_message_size=2000, **parameters)
    ordeal.suffer(lambda peer: peer.raw(data))
    ordeal.is_over(cause, ConnectionClosed)
    ordeal.recovers()


@pytest.mark.parametrize("kind", [3, 4, 7, 8, 127, 128, 255])
def test_a_frame_of_an_unknown_type(kind, ordeal):
    broken(ordeal, header(kind, 2) + b"[]", f"unknown type {kind}")


@pytest.mark.parametrize("kind", [MESSAGE, PING, PONG])
@pytest.mark.parametrize("length", [2001, MIB, 2**24 - 1])
def test_a_length_over_the_limit_is_refused_before_the_rest_comes(kind, length, ordeal):
    broken(ordeal, header(kind, length), f"{length} bytes, over max_message_size (2000 bytes)")


def test_a_message_over_the_limit_that_comes_whole(ordeal):
    broken(ordeal, header(MESSAGE, 2001) + b"[" * 2001, "2001 bytes, over max_message_size")


def test_a_frame_of_an_unknown_type_that_comes_byte_by_byte(ordeal):
    ordeal.suspend()

    def trickle(peer):
        for byte in header(9, 1):
            peer.raw(bytes([byte]))
            ordeal.green.sleep(0.01)

    ordeal.suffer(trickle)
    ordeal.is_over("unknown type 9", ConnectionClosed)
    ordeal.recovers()


@pytest.mark.parametrize(
    "bad",
    [(header(3, 0), "unknown type 3"), (header(MESSAGE, 2**24 - 1), "max_message_size")],
    ids=["unknown type", "over the limit"],
)
def test_a_good_message_in_front_of_a_bad_frame_counts(bad, ordeal):
    data, cause = bad
    ordeal.suspend(max_message_size=2000)
    unawaited, ordeal.unawaited = ordeal.unawaited, ordeal.client.session.call_async("com.example.more", timeout=None)
    ordeal.peer.hear()
    ordeal.suffer(lambda peer: peer.raw(peer.frame([50, 3, {}, ["in time"]]) + data + peer.frame([50, 1, {}, ["no"]])))
    ordeal.is_over(cause, ConnectionClosed)
    assert unawaited.result() == "in time"
    ordeal.recovers()


# Messages that are none: the router is told.


MESSAGES = {
    "nothing": (b"", "this is no JSON"),
    "no JSON": (b"this is no JSON", "this is no JSON"),
    "half of a list": (b'[50,1,{},["x"', "this is no JSON"),
    "no UTF-8": (b'[50,1,{},["\xff"]]', "this is no JSON"),
    "MessagePack": (b"\x94\x32\x01\x80\x91\xa1x", "this is no JSON"),
    "no list": (b'{"type":50}', "list"),
    "an empty list": (b"[]", ""),
    "a type that nobody knows": (b"[999,1]", "999"),
    "a second WELCOME": (b"[2,1,{}]", "WELCOME"),
    "a reply to what was never asked": (b"[50,99,{}]", "99"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_that_is_none_is_told_by_an_abort_before_the_end(name, ordeal):
    payload, cause = MESSAGES[name]
    ordeal.suspend()
    ordeal.suffer(lambda peer: peer.raw(header(MESSAGE, len(payload)) + payload))
    ordeal.is_over(cause, WampProtocolError, abort=True)
    ordeal.recovers()


# The end.


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "without a word"),
        (header(MESSAGE, 10)[:1], "in the middle of a message"),
        (header(MESSAGE, 10)[:3], "in the middle of a message"),
        (header(MESSAGE, 10), "in the middle of a message"),
        (header(MESSAGE, 10) + b"[50,1,{}", "in the middle of a message"),
        (header(PING, 10) + b"are", "in the middle of a message"),
    ],
    ids=["nothing", "one octet", "three octets", "a header", "half a message", "half a PING"],
)
def test_the_end_in_the_middle_of_a_frame(data, cause, ordeal):
    ordeal.suspend()

    def end(peer):
        peer.raw(data)
        peer.sock.shutdown(socket.SHUT_WR)

    ordeal.suffer(end)
    ordeal.is_over(cause, ConnectionClosed)
    ordeal.recovers()


def test_a_reset(ordeal):
    ordeal.suspend()
    ordeal.suffer(lambda peer: peer.drop(reset=True))
    ordeal.is_over("reset", ConnectionClosed)
    ordeal.recovers()


def test_a_good_message_in_front_of_the_end_counts(ordeal):
    ordeal.suspend(waiting=("call",))

    def end(peer):
        peer.say(*([50, number, {}, ["in time"]] for number in (1, 2, 3, 4)))
        peer.drop()

    ordeal.suffer(end)
    assert [wait.result() for wait in ordeal.waits] == ["in time"] * 3
    assert ordeal.unawaited.result() == "in time"
    assert isinstance(ordeal.told(), ConnectionClosed)
    ordeal.recovers()


# No lies, or none that matter.


def test_a_pong_that_nobody_asked_for_is_passed_over(ordeal):
    peer = ordeal.join()
    peer.raw(peer.frame_of(PONG) + peer.frame_of(PONG, b"x" * 100_000) + peer.frame_of(PONG, b"wampy"))
    calling = ordeal.green.spawn(ordeal.client.call, "com.example.fine")
    assert peer.hear()[0] == ordeal.wamp.CALL
    peer.say([ordeal.wamp.RESULT, 1, {}, ["fine"]])
    assert calling.result() == "fine"
    ordeal.leaves()


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, MIB])
def test_a_ping_of_any_size_is_answered_with_what_it_said(size, ordeal):
    peer = ordeal.join()
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    peer.ping(data)
    while not peer.frames:
        peer._pump(2.0)
    assert peer.frames == [(PONG, data)]
    ordeal.leaves()


def test_a_ping_that_is_longer_than_what_its_router_takes_is_not_answered(ordeal):
    ordeal.make()
    starting, peer = ordeal.begin(b"\x7f\x21\0\0")  # it takes 2048 bytes
    peer.welcome()
    starting.result()
    peer.raw(peer.frame_of(PING, b"x" * 2049) + peer.frame_of(PING, b"y" * 2048))
    while not peer.frames:
        peer._pump(2.0)
    assert peer.frames == [(PONG, b"y" * 2048)]
    ordeal.leaves()


def test_the_beginning_of_a_ping_of_16_mib_and_then_nothing(ordeal):
    peer = ordeal.join(call_timeout=0.3, close_timeout=0.3)
    peer.raw(header(PING, 2**24 - 1) + b"x")
    with pytest.raises(WampyTimeOutError):
        ordeal.client.call("com.example.late")
    assert ordeal.client.session is not None, "nothing says that no more will come"
    started = time.monotonic()
    ordeal.client.stop()
    assert time.monotonic() - started < 3.0
    ordeal.has_left()


def test_the_beginning_of_a_ping_of_16_mib_and_then_nothing_under_heartbeats(ordeal):
    ordeal.suspend(heartbeat=0.1, heartbeat_timeout=0.2, rawsocket_ping=True)
    ordeal.peer.answers = False
    ordeal.suffer(lambda peer: peer.raw(header(PING, 2**24 - 1) + b"x"))
    ordeal.is_over("heartbeat_timeout", ConnectionClosed)
    ordeal.recovers()


def test_ten_thousand_pings_in_one_piece_are_all_answered_in_order(ordeal):
    peer = ordeal.join()
    peer.raw(b"".join(peer.frame_of(PING, b"%d" % number) for number in range(10_000)))
    while len(peer.frames) < 10_000:
        peer._pump(2.0)
    assert peer.frames == [(PONG, b"%d" % number) for number in range(10_000)]
    ordeal.leaves()


def test_pings_without_an_end_from_a_router_that_reads_no_answer(ordeal):
    ordeal.suspend()
    transport = ordeal.client._session._transport
    most = 0

    def pour(peer):
        nonlocal most
        data = peer.frame_of(PING, bytes(MIB))
        with contextlib.suppress(OSError):  # the end that it must come to
            for _ in range(200):
                peer.raw(data)
                ordeal.green.sleep(0)
                most = max(most, transport.unwritten)

    ordeal.suffer(pour)
    ordeal.is_over("does not read the answers", ConnectionClosed)
    assert 0 < most < 48 * MIB
    ordeal.recovers()


def test_as_many_pings_from_a_router_that_reads_the_answers(ordeal):
    peer = ordeal.join()
    for number in range(1, 65):
        peer.ping(bytes(MIB))
        while len(peer.frames) < number:
            peer._pump(2.0)
    assert peer.frames[-1] == (PONG, bytes(MIB))
    ordeal.leaves()
