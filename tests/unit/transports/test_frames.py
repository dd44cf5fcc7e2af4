"""Data frames that are cut and made without the library: the same as with the library alone, wherever the bytes end."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from wampy.serializers import get_serializer
from wampy.transports.frames import Incoming, data_frame
from wampy.transports.websocket import QUIET

LIMIT = 70_000


def frame(opcode, data=b"", fin=True):
    return Frame(opcode, data, fin).serialize(mask=False)


def text(data, fin=True):
    return frame(Opcode.TEXT, data, fin)


def cont(data=b"", fin=True):
    return frame(Opcode.CONT, data, fin)


PING, PONG = frame(Opcode.PING, b"are you there"), frame(Opcode.PONG, b"yes")
CLOSE = frame(Opcode.CLOSE, b"\x03\xe8bye")
MEDIUM, LONG = text(b"m" * 300), text(b"l" * 65_600)

STREAMS = {
    "messages": text(b"[1]") + text(b"") + text("\u00e9\u4e16".encode()) + MEDIUM + text(b"x" * 125) + text(b"x" * 126),
    "control frames between messages": text(b"a") + PING + text(b"b") + PONG + frame(Opcode.PING) + text(b"c"),
    "control frames between fragments": text(b"a", False) + PING + cont(b"b", False) + PONG + cont(b"c") + text(b"d"),
    "empty fragments": text(b"", False) + cont(b"", False) + cont() + text(b"after"),
    "a close": text(b"a") + CLOSE,
    "a close without a word": text(b"a") + frame(Opcode.CLOSE),
    "more after the close": text(b"a") + CLOSE + text(b"b") + PING + CLOSE,
    "a close between fragments": text(b"a", False) + CLOSE + cont(b"b"),
    "a message between fragments": text(b"a", False) + text(b"b") + cont(b"c"),
    "nothing to continue": text(b"a") + cont(b"b") + text(b"c"),
    "masked": text(b"a") + Frame(Opcode.TEXT, b"b").serialize(mask=True) + text(b"c"),
    "a masked length in two octets": text(b"a") + b"\x81\xfe\0\x80" + b"x" * 200,
    "RSV1": text(b"a") + b"\xc1\x01b" + text(b"c"),
    "RSV2": text(b"a") + b"\xa1\x01b" + text(b"c"),
    "RSV3 of a ping": text(b"a") + b"\x99\x01b" + text(b"c"),
    "a reserved opcode": text(b"a") + b"\x83\x01b" + text(b"c"),
    "a reserved control frame": text(b"a") + b"\x8b\x01b" + text(b"c"),
    "a fragmented ping": text(b"a") + b"\x09\x01b" + text(b"c"),
    "a long ping": text(b"a") + b"\x89\x7e\0\x80" + b"x" * 128 + text(b"c"),
    "a close that is none": text(b"a") + frame(Opcode.CLOSE, b"\x03") + text(b"c"),
    "a close that is not UTF-8": text(b"a") + frame(Opcode.CLOSE, b"\x03\xe8\xff") + text(b"c"),
    "a close of a length in two octets": text(b"a") + b"\x88\x7e\0\x02\x03\xe8" + text(b"c"),
    "more octets for a length than it needs": b"\x81\x7e\0\x01a" + b"\x81\x7f" + b"\0" * 7 + b"\x01b",
    "too long": text(b"a") + b"\x81\x7f" + (LIMIT + 1).to_bytes(8, "big") + b"x" * 20,
    "a length beyond all bounds": text(b"a") + b"\x81\x7f" + b"\xff" * 8 + b"x" * 20,
    "a ping of a length beyond all bounds": text(b"a") + b"\x89\x7f" + b"\xff" * 8 + b"x" * 20,
    "fragments that are too long": text(b"a" * 400, False) + b"\x80\x7f" + LIMIT.to_bytes(8, "big") + b"x" * 20,
    "an unfinished frame": text(b"a") + MEDIUM[:200],
    "an unfinished header": text(b"a") + LONG[:7],
    "nothing": b"",
}


def protocol():
    return ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=LIMIT, logger=QUIET)


def end_of(core):
    """Say how it ended, and what was answered: masks are random, so as what the server makes of it."""
    server = ServerProtocol(state=OPEN, max_size=None, logger=QUIET)
    server.receive_data(b"".join(core.data_to_send()))
    answers = [(each.opcode, bytes(each.data)) for each in server.events_received()]
    # How many octets were missing at the end is nobody's business, and the library does not know of those kept here.
    broken = "EOFError" if isinstance(core.parser_exc, EOFError) else repr(core.parser_exc)
    return answers, core.state, core.close_rcvd, core.close_sent, broken


def by_the_library(stream, binary=False):
    """Let the library alone read the stream, in one piece."""
    core = protocol()
    core.receive_data(stream)
    messages, message = [], None
    for event in core.events_received():
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            message = bytes(event.data) if event.opcode is not Opcode.CONT else message + event.data
            if event.fin:
                messages.append(message if binary else message.decode())
    broken = core.parser_exc is not None
    core.receive_eof()
    return messages, broken, end_of(core)


def by_us(pieces, binary=False):
    """Let both read it together, in pieces."""
    core = protocol()
    incoming = Incoming(core, get_serializer("cbor" if binary else "json"), LIMIT, lambda payload: None)
    messages = []
    for piece in pieces:
        message = incoming.whole(piece)
        messages += incoming.feed(piece) if message is None else [message]
    core.receive_eof()
    return messages, incoming.fault is not None, end_of(core)


@pytest.mark.parametrize("name", STREAMS)
def test_cut_anywhere_it_is_what_the_library_makes_of_it(name):
    stream = STREAMS[name]
    expected = by_the_library(stream)
    assert by_us([stream] if stream else []) == expected
    assert by_us([bytes([octet]) for octet in stream]) == expected
    for cut in range(1, len(stream)):
        assert by_us([stream[:cut], stream[cut:]]) == expected, f"cut after {cut} octets"


@pytest.mark.parametrize("cut", [1, 2, 5, 9, 10, 11, 4096, 65_609, 65_610, 65_611, 65_612])
def test_a_length_of_64_bits(cut):
    stream = LONG + text(b"after") + LONG
    expected = by_the_library(stream)
    assert [len(message) for message in expected[0]] == [65_600, 5, 65_600]
    assert by_us([stream[:cut], stream[cut:]]) == expected
    assert by_us([stream[at : at + cut] for at in range(0, len(stream), cut)]) == expected


@pytest.mark.parametrize("size", [0, 1, 125, 126, 4095, 4096, 65_535, 65_536, LIMIT])
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_lengths_in_and_out(size, binary):
    opcode = Opcode.BINARY if binary else Opcode.TEXT
    data = (b"0123456789" * (size // 10 + 1))[:size]
    messages, broken, _ = by_us([frame(opcode, data)], binary)
    assert messages == [data if binary else data.decode()]
    assert not broken
    server = ServerProtocol(state=OPEN, max_size=None, logger=QUIET)
    server.receive_data(data_frame(data, binary))
    (received,) = server.events_received()
    assert (received.opcode, bytes(received.data), received.fin) == (opcode, data, True)


def test_no_two_frames_have_the_same_mask():
    frames = {bytes(data_frame(b"the same words", False)) for _ in range(50)}
    assert len(frames) > 45, "masks are not random"


def test_what_is_too_long_is_refused_before_it_is_there():
    core = protocol()
    incoming = Incoming(core, get_serializer("json"), LIMIT, lambda payload: None)
    assert incoming.feed(b"\x81\x7f" + (LIMIT + 1).to_bytes(8, "big")) == []
    assert "max_message_size (70000 bytes)" in incoming.fault
    assert core.close_sent.code == 1009


def test_without_a_limit_everything_is_taken():
    core = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=None, logger=QUIET)
    incoming = Incoming(core, get_serializer("json"), None, lambda payload: None)
    assert incoming.feed(text(b"x" * 3_000_000)) == ["x" * 3_000_000]


def test_after_a_fault_of_the_message_nothing_is_read_any_more():
    """The library knows nothing of UTF-8 in messages, nor of serializers; what is found here ends the stream alike."""
    for stream in (text(b"\xff"), frame(Opcode.BINARY, b"x")):
        core = protocol()
        incoming = Incoming(core, get_serializer("json"), LIMIT, lambda payload: None)
        assert incoming.feed(text(b"a") + stream + text(b"b") + PING) == ["a"]
        assert incoming.fault is not None
        assert incoming.feed(text(b"c") + CLOSE) == []
        (answer,) = end_of(core)[0]
        assert answer[0] is Opcode.CLOSE


def test_compressed_and_other_messages_on_one_connection():
    def deflate():
        return PerMessageDeflate(False, False, 12, 12, {"memLevel": 5})

    core = protocol()
    core.extensions = [deflate()]
    server = ServerProtocol(state=OPEN, max_size=None, logger=QUIET)
    server.extensions = [deflate()]
    incoming = Incoming(core, get_serializer("json"), LIMIT, lambda payload: None)
    for number in range(3):
        server.send_text(b'["again and again", %d]' % number)
    server.send_text(b'["again ', fin=False)
    server.send_ping(b"x")
    server.send_continuation(b'and again", 3]', fin=True)
    stream = text(b"not compressed") + b"".join(server.data_to_send()) + text(b"not compressed")
    heard = [message for octet in stream for message in incoming.feed(bytes([octet]))]
    again = [f'["again and again", {number}]' for number in range(4)]
    assert heard == ["not compressed", *again, "not compressed"]
    assert incoming.fault is None


def test_a_message_in_many_pieces_costs_no_more_than_its_bytes():
    """Its pieces are kept in one buffer: neither an object for each of them nor a copy of all at each."""
    core = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=None, logger=QUIET)
    incoming = Incoming(core, get_serializer("cbor"), None, lambda payload: None)
    stream = frame(Opcode.BINARY, b"x" * 1_000_000)
    for at in range(0, len(stream) - 1, 100):
        assert incoming.feed(stream[at : min(at + 100, len(stream) - 1)]) == []
    assert not core.reader.buffer
    assert [len(message) for message in incoming.feed(stream[-1:] + PING)] == [1_000_000]
    assert len(core.data_to_send()) == 1


@st.composite
def frames(draw):
    """A frame of any kind; most of them keep the rules."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.binary(min_size=1, max_size=12))
    opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.TEXT, Opcode.CONT, Opcode.PING, Opcode.PONG, Opcode.CLOSE]))
    size = draw(st.sampled_from([0, 1, 20, 125, 126, 200]))
    data = b"\x03\xe8" if opcode is Opcode.CLOSE else b"x" * size
    first = opcode | (0x80 if draw(st.integers(0, 3)) else 0)
    if draw(st.integers(0, 30)) == 0:
        return frame(opcode, data[:125])[:1] + b"\x80mask"
    return bytes([first]) + frame(Opcode.BINARY, data)[1:]


@given(st.lists(frames(), max_size=12).map(b"".join), st.data())
@settings(derandomize=True, deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_any_stream_in_any_pieces(stream, data):
    try:
        expected = by_the_library(stream)
    except UnicodeDecodeError:
        return  # this one is not for the library to find
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(stream) - 1, 1)), max_size=6)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    messages, broken, end = by_us([piece for piece in pieces if piece])
    if broken and not expected[1]:
        return  # a binary frame, which is a fault under JSON
    assert (messages, broken, end) == expected


@pytest.mark.parametrize("name", ["json", "cbor"])
def test_one_whole_message_is_what_is_found_in_it(name):
    serializer = get_serializer(name)
    incoming = Incoming(protocol(), serializer, 2000, lambda payload: None)
    first = 0x82 if serializer.binary else 0x81
    for size in (2, 125, 126, 127, 128, 2000):
        payload = b"x" * size
        header = bytes((first, size)) if size <= 125 else bytes((first, 126)) + size.to_bytes(2, "big")
        assert incoming.whole(header + payload) == (payload if serializer.binary else payload.decode())
        assert incoming.whole(header + payload[1:]) is incoming.whole(header + payload + b"x") is None
    for octet in (127, 128, 130, 255):  # a length behind it, or a mask
        assert incoming.whole(bytes((first, octet)) + b"x" * octet) is None
    assert incoming.whole(bytes((first, 126)) + (2001).to_bytes(2, "big") + b"x" * 2001) is None
    assert incoming.whole(bytes((first ^ 3, 2)) + b"xx") is incoming.whole(bytes((first & 15, 2)) + b"xx") is None
    assert (incoming.whole(bytes((first, 2)) + b"\xff\xff") is None) is not serializer.binary
    # In the midst of something it is none.
    fragment, header = bytes((first & 15, 1)) + b"a", bytes((first,))
    for beginning in (fragment, header, header + b"\x09abc", b"\x89\x09abc"):
        incoming = Incoming(protocol(), serializer, 2000, lambda payload: None)
        assert incoming.feed(beginning) == []
        assert incoming.whole(bytes((first, 2)) + b"xx") is None
    incoming = Incoming(protocol(), serializer, 2000, lambda payload: None)
    incoming.feed(bytes((first, 129)) + b"mask?")
    assert incoming.fault is not None
    assert incoming.whole(bytes((first, 2)) + b"xx") is None
