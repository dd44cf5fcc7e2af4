"""However the kernel cuts up what comes in: the same payloads, the same answers and the same end come of it."""

import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from wampy.errors import ConnectionClosed
from wampy.serializers import get_serializer
from wampy.transports import transport_for
from wampy.transports.rawsocket_framing import LONGEST, FrameReader, MessageTooLongError
from wampy.transports.rawsocket_framing import frame as raw_frame

QUIET = logging.getLogger(f"{__name__}.frames")
QUIET.setLevel(logging.CRITICAL)

MAX_SIZE = 2000


def reproducible(max_examples):
    # The same examples every time: what CI finds, everybody finds.
    return settings(
        derandomize=True, deadline=None, max_examples=max_examples, suppress_health_check=[HealthCheck.too_slow]
    )


# A WebSocket whose stream is the list of bytes that the test gives.


class Wire:
    """The stream under the transport: what it writes goes to the server's side, what it reads comes from a list.

    Args:
        server: The server's side of the WebSocket, of the `websockets` library.
        chunks: What comes in after the server's answer to the handshake.
        together: How many chunks come together with the answer.
        cut: After how many bytes the answer, with these chunks, is cut in two; 0 for nowhere.
    """

    def __init__(self, server, chunks, together, cut=0):
        self._server = server
        self._incoming = list(chunks)
        self._together = together
        self._cut = cut

    def ask(self, data, what, deadline):
        if not data:
            return self.read(what, deadline)
        self._server.receive_data(data)
        (request,) = self._server.events_received()
        assert isinstance(request, Request)
        self._server.send_response(self._server.accept(request))
        answer = b"".join(self._server.data_to_send())
        answer += b"".join(self._incoming[: self._together])
        pieces = [answer[: self._cut], answer[self._cut :]]
        self._incoming[: self._together] = [piece for piece in pieces if piece]
        return self.read(what, deadline)

    def read(self, what, deadline):
        return self._incoming.pop(0)

    def rest(self):
        return self._incoming


def received(backend, chunks, serializer, together=0, cut=0):
    """Let a WebSocket read these chunks and then the end of the stream.

    Returns:
        The payloads, the frames that it answered, and how it ended.
    """
    transport = transport_for("ws://localhost/", backend, [serializer], max_message_size=MAX_SIZE)
    server = ServerProtocol(subprotocols=[Subprotocol(serializer.subprotocol)], max_size=None, logger=QUIET)
    transport._stream = wire = Wire(server, chunks, together, cut)
    transport._shake_hands(None)
    payloads, answers, lost = [], [], None
    # As the reader does it: what came with the handshake, then one look at each readiness, until the end.
    for data in [None, *wire.rest(), b""]:
        payload = transport._whole(data) if data else None
        found, answer, lost = transport._unframe(data) if payload is None else ([payload], [], None)
        payloads += found
        answers += answer
        if lost is not None:
            break
    assert type(lost) is ConnectionClosed
    # Masks are random, so the answers are compared as what the server makes of them.
    server.receive_data(b"".join(answers))
    frames = [(frame.opcode, bytes(frame.data)) for frame in server.events_received()]
    assert server.parser_exc is None
    return payloads, frames, (lost.reason, lost.clean)


# What a server sends.


def frame(opcode, data=b"", fin=True):
    return Frame(opcode, data, fin).serialize(mask=False)


texts = st.text(max_size=20) | st.just("\u00e9\u4e16\U0001f600")
pings = st.binary(max_size=20).map(lambda data: frame(Opcode.PING, data))
pongs = st.binary(max_size=20).map(lambda data: frame(Opcode.PONG, data))
controls = st.lists(pings | pongs, max_size=2).map(b"".join)


@st.composite
def messages(draw, binary):
    """A message in one frame or in several, with control frames between them; its bytes, and what it says."""
    data = draw(st.binary(max_size=200)) if binary else draw(texts).encode()
    opcode = Opcode.BINARY if binary else Opcode.TEXT
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    made = b""
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        made += frame(opcode, data[start:end], fin=False)
        made += draw(controls)
        opcode = Opcode.CONT
    if draw(st.booleans()):
        made += frame(opcode)  # the last one says that it is
    else:
        made = frame(Opcode.BINARY if binary else Opcode.TEXT, data)
    return made, [data if binary else data.decode()]


closes = st.one_of(
    st.just(b""),
    st.just(frame(Opcode.CLOSE)),
    st.sampled_from([CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.INTERNAL_ERROR, 4000]).map(
        lambda code: frame(Opcode.CLOSE, int(code).to_bytes(2, "big") + b"because")
    ),
)

broken = st.one_of(
    st.binary(min_size=1, max_size=10),
    st.sampled_from(
        [
            frame(Opcode.TEXT, b"\xff\xfe"),  # not UTF-8
            frame(Opcode.TEXT, b"\xc3", fin=False) + frame(Opcode.CONT),
            frame(Opcode.TEXT, b"the wrong kind"),
            frame(Opcode.BINARY, b"the wrong kind"),
            frame(Opcode.CONT, b"nothing to continue"),
            frame(Opcode.TEXT, fin=False) + frame(Opcode.TEXT),
            frame(Opcode.TEXT, b"x" * (MAX_SIZE + 1)),
            frame(Opcode.BINARY, b"x" * MAX_SIZE, fin=False) + frame(Opcode.CONT, b"x"),
            frame(Opcode.CLOSE, b"\x03"),
            frame(Opcode.CLOSE, b"\x03\xe8\xff"),
            b"\x83\x00",  # an unknown opcode
            b"\xc1\x00",  # a reserved bit
            b"\x09\x00",  # a fragmented ping
            b"\x89\x7e\x00\x80" + b"x" * 128,  # a long ping
            b"\x81\x80\x00\x00\x00\x00",  # masked
            b"\x81\x7f" + b"\xff" * 8,  # a length beyond all bounds
        ]
    ),
)


@st.composite
def streams(draw, binary):
    """A well-formed stream: messages, control frames, and perhaps a close; its bytes, and the payloads in it."""
    parts = draw(st.lists(messages(binary) | st.tuples(pings | pongs, st.just([])), max_size=6))
    return b"".join(made for made, _ in parts) + draw(closes), [payload for _, said in parts for payload in said]


@st.composite
def chunked(draw, data):
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    # Nothing at all would be the end of the stream.
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


@pytest.fixture(scope="session")
def backend(green):
    return green.backend


@pytest.mark.parametrize("name", ["json", "cbor"])
def test_whole_or_cut_up_is_the_same(backend, name):
    serializer = get_serializer(name)

    @given(st.data(), streams(serializer.binary))
    @reproducible(250)
    def check(data, sent):
        stream, payloads = sent
        whole = received(backend, [stream] if stream else [], serializer)
        assert whole[0] == payloads
        pieces = data.draw(chunked(stream))
        assert received(backend, pieces, serializer) == whole
        assert received(backend, [bytes([byte]) for byte in stream], serializer) == whole
        together = data.draw(st.integers(0, len(pieces)))
        assert received(backend, pieces, serializer, together) == whole

    check()


def test_the_answer_to_the_handshake_may_be_cut_anywhere(backend):
    serializer = get_serializer("json")
    chunks = [frame(Opcode.TEXT, b"[1]"), frame(Opcode.PING, b"x"), frame(Opcode.CLOSE, b"\x03\xe8bye")]
    whole = received(backend, chunks, serializer)
    assert whole[0] == ["[1]"]
    for cut in range(1, 300):
        assert received(backend, chunks, serializer, together=3, cut=cut) == whole


@pytest.mark.parametrize("name", ["json", "cbor"])
def test_a_broken_stream_ends_alike_whole_or_cut_up(backend, name):
    serializer = get_serializer(name)

    @given(st.data(), streams(serializer.binary), broken, streams(serializer.binary))
    @reproducible(150)
    def check(data, before, fault, after):
        stream = before[0] + fault + after[0]
        payloads, answers, end = received(backend, [stream], serializer)
        for pieces in (data.draw(chunked(stream)), [bytes([byte]) for byte in stream]):
            cut_up = received(backend, pieces, serializer)
            assert (cut_up[0], cut_up[2]) == (payloads, end)
            # The core has answered what came in one piece with the fault and after it, before we see the fault: such
            # a ping gets its pong, and such a close is answered instead of ours being sent.
            assert closing(cut_up[1]) == closing(answers) <= 1
            assert pongs_in(cut_up[1]) == pongs_in(answers)[: len(pongs_in(cut_up[1]))]

    check()


def closing(answers):
    return sum(opcode is Opcode.CLOSE for opcode, _ in answers)


def pongs_in(answers):
    return [data for opcode, data in answers if opcode is Opcode.PONG]


@pytest.mark.parametrize("name", ["json", "cbor"])
def test_what_was_sent_arrives(backend, name):
    """The other tests would hold if nothing ever arrived."""
    serializer = get_serializer(name)
    payload = serializer.dumps([67, 1])
    opcode = Opcode.BINARY if serializer.binary else Opcode.TEXT
    stream = frame(opcode, payload[:2], fin=False) + frame(Opcode.PING, b"x") + frame(Opcode.CONT, payload[2:])
    payloads, answers, end = received(backend, [stream + frame(Opcode.CLOSE, b"\x03\xe8bye")], serializer)
    assert [serializer.loads(each) for each in payloads] == [[67, 1]]
    assert answers == [(Opcode.PONG, b"x"), (Opcode.CLOSE, b"\x03\xe8bye")]
    assert end == ("the router closed the WebSocket with 1000 (bye)", True)


@given(st.data())
@reproducible(150)
def test_any_split_of_messages_over_batches_gives_the_same_messages(payloads, serializer, data):
    wires = data.draw(st.lists(st.sampled_from(payloads.EXAMPLES), min_size=1, max_size=8))
    cuts = data.draw(st.lists(st.integers(1, len(wires) - 1), unique=True).map(sorted)) if len(wires) > 1 else []
    if not serializer.batched:
        cuts = range(1, len(wires))
    batches = [
        b"".join(map(serializer.dumps, wires[start:end]))
        for start, end in zip([0, *cuts], [*cuts, len(wires)], strict=True)
    ]
    if not serializer.binary and data.draw(st.booleans()):
        batches = [batch.decode() for batch in batches]  # as text frames arrive
    found = [serializer.loads(payload) for batch in batches for payload in serializer.split(batch)]
    assert found == wires


# RawSocket: the frames of a stream and what is wrong with it, whatever its pieces.

raw_frames = st.tuples(st.integers(0, 2), st.binary(max_size=60))


def said(frames):
    return b"".join(b"".join(raw_frame(kind, payload)) for kind, payload in frames)


def read(pieces, limit):
    """Feed the pieces to a reader.

    Returns:
        The frames, what is wrong (its class, its text), and whether the stream stopped within a frame.
    """
    reader, frames = FrameReader(limit), []
    for piece in pieces:
        message = reader.whole(piece)
        frames += reader.feed(piece) if message is None else [(0, message)]
    return frames, (type(reader.error), str(reader.error)), reader.is_within


@given(st.data(), st.lists(raw_frames, max_size=8), st.binary(max_size=12))
@reproducible(300)
def test_a_rawsocket_stream_whole_or_cut_up_is_the_same(data, frames, rest):
    stream, limit = said(frames) + rest, data.draw(st.integers(30, 70))
    whole = read([stream], limit)
    assert read(data.draw(chunked(stream)), limit) == whole
    assert read([bytes([byte]) for byte in stream], limit) == whole


@given(st.data(), st.lists(raw_frames, max_size=8))
@reproducible(200)
def test_what_was_sent_over_rawsocket_arrives(data, frames):
    assert read(data.draw(chunked(said(frames))), LONGEST) == (frames, (type(None), "None"), False)


@given(st.data(), st.lists(raw_frames, max_size=4), st.integers(0, 255), st.integers(0, LONGEST))
@reproducible(300)
def test_a_rawsocket_frame_that_is_refused_ends_the_stream_where_it_begins(data, frames, kind, size):
    limit = 60
    stream = said(frames) + bytes((kind,)) + size.to_bytes(3, "big")
    found, (error, text), is_within = read(data.draw(chunked(stream)), limit)
    whole = [(kind, b"")] if kind <= 2 and size == 0 else []
    assert found == frames + whole
    assert (error is not type(None)) is (kind > 2 or size > limit)
    assert (error is MessageTooLongError) is (kind <= 2 and size > limit)
    assert is_within is (error is type(None) and size > 0)
    if error is MessageTooLongError:
        assert str(size) in text


@given(st.data(), st.lists(raw_frames, max_size=8), st.binary(max_size=12))
@reproducible(200)
def test_a_rawsocket_reader_keeps_no_more_than_one_frames_bytes(data, frames, rest):
    stream, limit = said(frames) + rest, 60
    reader = FrameReader(limit)
    for piece in data.draw(chunked(stream)):
        reader.feed(piece)
        kept = len(reader._header) + len(reader._payload or b"")
        assert kept < 4 + limit
        if reader.error is not None:
            assert kept == 0


@given(st.lists(raw_frames, max_size=2), st.binary(max_size=6), st.binary(max_size=3), st.integers(0, 70))
@reproducible(300)
def test_one_whole_rawsocket_message_is_what_a_reader_finds_in_it(frames, rest, before, limit):
    quick, other = FrameReader(limit), FrameReader(limit)
    assert quick.feed(before) == other.feed(before)
    data = said(frames) + rest
    message = quick.whole(data)
    if message is not None:
        assert other.feed(data) == [(0, message)]
        assert other.error is None and not other.is_within
    else:
        found = other.feed(data)
        assert before or found != [(0, data[4:])] or other.is_within or other.error
