"""The outgoing buffer: order, batches, and what is counted."""

import pytest
from websockets.frames import Frame
from websockets.typing import Subprotocol

from wampy.errors import ConnectionClosed
from wampy.serializers import get_serializer
from wampy.transports.outgoing import LARGEST_BATCH, Outgoing


def framed(payload):
    return [b"<", payload, b">"]


@pytest.fixture
def outgoing():
    return Outgoing(framed, lambda data: data and b"/" + data)


def drain(outgoing):
    written = b""
    while outgoing.refill():
        written += bytes(outgoing.wire[:3])
        outgoing.wire = outgoing.wire[3:]
    return written


def test_payloads_are_framed_one_by_one(outgoing):
    for payload in (b"a", b"b"):
        outgoing.add(framed(payload))
    assert outgoing.size == 6
    assert drain(outgoing) == b"/<a><b>"
    assert outgoing.size == 0
    assert not outgoing.refill()


def test_payloads_of_a_batch_share_a_frame(outgoing):
    for payload in (b"a", b"b", b"c"):
        outgoing.add_payload(payload)
    assert outgoing.size == 3
    assert outgoing.refill() and outgoing.size == 6
    outgoing.add_payload(b"d")
    assert drain(outgoing) == b"/<abc>/<d>"


def test_what_is_framed_already_does_not_overtake_a_batch(outgoing):
    outgoing.add_payload(b"a")
    outgoing.add([b"PONG"])
    outgoing.add_payload(b"b")
    assert drain(outgoing) == b"/<a>PONG<b>"


def test_a_batch_has_a_limit_and_a_larger_message_goes_alone(outgoing):
    small, large = b"s" * 1000, b"l" * (LARGEST_BATCH + 1)
    for payload in [small] * 70 + [large, small]:
        outgoing.add_payload(payload)
    frames = drain(outgoing).strip(b"/<>").split(b"><")
    assert [len(frame) for frame in frames] == [65_000, 5_000, len(large), 1_000]
    assert b"".join(frames) == small * 70 + large + small


def test_what_is_dropped_is_gone(outgoing):
    outgoing.add_payload(b"a")
    outgoing.add([b"b"])
    outgoing.refill()
    outgoing.add_payload(b"c")
    outgoing.add(framed(b"d"))
    outgoing.drop()
    assert outgoing.size == 0 and not outgoing.refill()


def test_a_batch_that_cannot_be_framed_any_more_is_lost():
    def closed(payload):
        raise ConnectionClosed("the router is closing the WebSocket")

    outgoing = Outgoing(closed, bytes)
    outgoing.add_payload(b"a")
    assert not outgoing.refill() and outgoing.size == 0


# The same over a socket.


@pytest.fixture
def opened(router, connect):
    router.subprotocols = [Subprotocol("wamp.2.json.batched")]
    return connect(serializers=[get_serializer("json.batched")])


def frames(opened, count):
    found = []
    while len(found) < count:
        opened.peer.protocol.receive_data(opened.peer.read())
        found += [bytes(e.data) for e in opened.peer.protocol.events_received() if isinstance(e, Frame)]
    return found


def test_what_a_reader_s_turn_says_leaves_in_one_frame(opened, green):
    payloads = [f"{n}\x18" for n in range(50)]
    opened.react = lambda _: [opened.transport.send(payload.encode()) for payload in payloads]
    opened.peer.say("1\x18")
    assert frames(opened, 1) == ["".join(payloads).encode()]
    assert opened.payloads == ["1\x18"]


def test_outside_of_one_it_leaves_at_once(opened, green):
    opened.transport.send(b"1\x18")
    assert frames(opened, 1) == [b"1\x18"]


def test_the_last_words_leave_before_the_close_frame(opened):
    opened.react = lambda _: (opened.transport.send(b"bye\x18"), opened.transport.close(1.0))
    opened.peer.say("1\x18")
    assert frames(opened, 2) == [b"bye\x18", b"\x03\xe8"]  # 1000, a normal closure
