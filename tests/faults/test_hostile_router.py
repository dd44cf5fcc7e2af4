"""A router that lies in bytes: no handshake, no frames, no text, no JSON; and half of anything, and then silence.

What it says in well-formed messages is in `test_state_table`, closing at every moment in `test_cut_off`.
"""

import struct
import time

import pytest

from wampy.errors import (
    ConnectionClosed,
    ConnectionError,
    HandshakeError,
    SessionClosed,
    WampProtocolError,
    WampyError,
    WampyTimeOutError,
)

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(opcode, payload=b"", *, fin=True, reserved=0, mask=None, length=None):
    """Give the bytes of a frame, also of one that must not be.

    Args:
        opcode, payload, fin: What it is.
        reserved: The three reserved bits, as 0 to 7.
        mask: Four bytes to mask it with, as only a client may.
        length: What the frame says that its length is, if not the truth.
    """
    length = len(payload) if length is None else length
    masked = 0 if mask is None else 128
    head = bytes([fin << 7 | reserved << 4 | opcode])
    if length < 126:
        head += bytes([masked | length])
    elif length < 65536:
        head += bytes([masked | 126]) + struct.pack("!H", length)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", length)
    if mask is not None:
        head += mask
        payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    return head + payload


# Frames. The WebSocket is broken then, so that there is no ABORT: its close code tells the router.

RESULT = b'[50,1,{},["too late"]]'

FRAMES = {
    "a length of 4 GiB": (frame(TEXT, length=2**32), "max_message_size", 1009),
    "a length of 2**63 - 1": (frame(TEXT, length=2**63 - 1), "max_message_size", 1009),
    "a length of 2**63": (frame(TEXT, length=2**63), "max_message_size", 1009),
    "a length of 2**64 - 1": (frame(TEXT, length=2**64 - 1), "max_message_size", 1009),
    "one byte over the limit": (frame(TEXT, b"[" * 2001), "max_message_size (2000 bytes)", 1009),
    "fragments over the limit": (
        frame(TEXT, b"[" * 1500, fin=False) + frame(CONT, b"[" * 501),
        "max_message_size",
        1009,
    ),
    "many fragments over the limit": (
        frame(TEXT, fin=False) + frame(CONT, b"[" * 99, fin=False) * 21,
        "max_message_size",
        1009,
    ),
    "fragments that say they will be over the limit": (
        frame(TEXT, b"[", fin=False) + frame(CONT, length=2**32),
        "max_message_size",
        1009,
    ),
    **{
        f"reserved bits {bits:03b}": (frame(TEXT, RESULT, reserved=bits), "reserved bits", 1002)
        for bits in (1, 2, 4, 7)
    },
    "a reserved bit in a PING": (frame(PING, reserved=4), "reserved bits", 1002),
    "a masked frame": (frame(TEXT, RESULT, mask=b"\1\2\3\4"), "masking", 1002),
    "a masked frame with a mask of zeros": (frame(TEXT, RESULT, mask=bytes(4)), "masking", 1002),
    "a PING that is too long": (frame(PING, bytes(126)), "control frame too long", 1002),
    "a PING of 4 GiB": (frame(PING, length=2**32), "max_message_size", 1009),
    "a CLOSE that is too long": (frame(CLOSE, bytes(126)), "control frame too long", 1002),
    "a fragmented PING": (frame(PING, fin=False), "fragmented control frame", 1002),
    "a fragmented CLOSE": (frame(CLOSE, fin=False), "fragmented control frame", 1002),
    **{f"opcode {code}": (frame(code, RESULT), "opcode", 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a continuation of nothing": (frame(CONT, RESULT), "continuation", 1002),
    "a message in the middle of another": (
        frame(TEXT, RESULT[:5], fin=False) + frame(TEXT, RESULT),
        "continuation",
        1002,
    ),
    "text that is not UTF-8": (frame(TEXT, b'[50,1,{},["\xff"]]'), "not UTF-8", 1007),
    "text with an overlong form": (frame(TEXT, b'[50,1,{},["\xc0\xaf"]]'), "not UTF-8", 1007),
    "text with half a surrogate pair in UTF-8": (frame(TEXT, b'[50,1,{},["\xed\xa0\x80"]]'), "not UTF-8", 1007),
    "text that ends in the middle of a character": (frame(TEXT, b'[50,1,{},["\xc3'), "not UTF-8", 1007),
    "fragments that are not UTF-8": (
        frame(TEXT, b'[50,1,{},["\xc3', fin=False) + frame(CONT, b'"]]'),
        "not UTF-8",
        1007,
    ),
    "a binary frame under a text subprotocol": (frame(BINARY, RESULT), "a binary frame under wamp.2.json", 1003),
    "binary fragments under a text subprotocol": (
        frame(BINARY, RESULT[:7], fin=False) + frame(CONT, RESULT[7:]),
        "a binary frame under wamp.2.json",
        1003,
    ),
    "a CLOSE with half a code": (frame(CLOSE, b"\3"), "close frame", 1002),
    "a CLOSE with a code that there is not": (frame(CLOSE, struct.pack("!H", 999)), "invalid status code", 1002),
    "a CLOSE with a code for nobody to send": (frame(CLOSE, struct.pack("!H", 1006)), "invalid status code", 1002),
    "a CLOSE whose reason is not UTF-8": (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), "WebSocket", 1007),
    "an HTTP answer": (b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"<p>This is a web server.</p>" * 3, "WebSocket", 1002),
    "a TLS record": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "WebSocket", 1002),
    "a RawSocket handshake": (b"\x7f\xf1\x00\x00", "WebSocket", 1002),
    "bytes without sense": (bytes(range(0xF0, 0x100)) * 10, "WebSocket", 1002),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_that_must_not_be(ordeal, name):
    sent, cause, code = FRAMES[name]
    ordeal.suspend(max_message_size=2000)
    # What comes after it, in the same piece, must not be looked at.
    ordeal.suffer(lambda peer: peer.raw(sent + frame(TEXT, RESULT)))
    ordeal.is_over(cause, ConnectionClosed, code=code)
    ordeal.recovers()


def test_empty_fragments_for_ever(ordeal, green, hostile):
    """They cost the sender nothing, and no limit of sizes catches them."""
    peer = ordeal.suspend()
    peer.raw(frame(TEXT, fin=False) + frame(CONT, fin=False) * 65_535 + frame(PING, b"so far"))
    while not peer.frames:
        peer._pump(hostile.PATIENCE)
    ordeal.suffer(lambda peer: peer.raw(frame(CONT, fin=False)))
    ordeal.is_over("over 65536 fragments", ConnectionClosed, code=1008)
    ordeal.recovers()


def test_what_came_before_a_bad_frame_in_one_piece_counts(ordeal, green, wamp):
    peer = ordeal.join()
    calling = green.spawn(ordeal.client.call, "com.example.a")
    peer.expect(wamp.CALL)
    peer.raw(frame(TEXT, b'[50,1,{},["in time"]]') + frame(TEXT, RESULT, reserved=1))
    assert calling.result() == "in time"
    with pytest.raises(ConnectionClosed):
        ordeal.client.wait(1.0)
    assert peer.until_closed() == 1002
    ordeal.has_logged("reserved bits")
    ordeal.recovers()


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1011, 3000, 4999])
def test_a_close_frame_in_the_middle_of_a_call(ordeal, code):
    ordeal.suspend()
    ordeal.suffer(lambda peer: peer.close_websocket(code, "that is all"))
    ordeal.is_over(f"{code} (that is all)", ConnectionClosed, code=code)
    ordeal.recovers()


def test_a_close_frame_that_would_forge_a_log_record(ordeal):
    ordeal.suspend()
    ordeal.suffer(lambda peer: peer.close_websocket(1011, "oops\nERROR: all is lost"))
    ordeal.is_over(r"1011 (oops\nERROR: all is lost)", ConnectionClosed, code=1011)
    ordeal.recovers()


# Text that is no JSON, or no message's JSON. Here the WebSocket stands, and the router is told why it is to fall.

PAYLOADS = {
    "garbage": "what is this",
    "nothing": "",
    "white space": " \n ",
    "half a message": '[50, 1, {}, ["too',
    "two messages": "[50,1,{}][50,2,{}]",
    "a message and more": "[50,1,{}] and more",
    "a delimiter": "[50,1,{}]\x1e",
    "a single quote": "[50,1,{},['x']]",
    "a comma too many": "[50,1,{},[1,]]",
    "a comment": "[50,1,{} /* fine */]",
    "a number that begins with 0": "[50,01,{}]",
    "a line break in a string": '[50,1,{},["a\nb"]]',
    "a NUL in a string": '[50,1,{},["a\0b"]]',
    "an escape that there is not": r'[50,1,{},["\x41"]]',
    "half a Unicode escape": r'[50,1,{},["\u00"]]',
    "a key that is no text": "[50,1,{1:2}]",
    "lists 100,000 deep": "[" * 100_000,
    "lists 100,000 deep, closed again": "[50,1,{},[" + "[" * 100_000 + "]" * 100_000 + "]]",
    "dictionaries 100,000 deep": "[50,1,{},[]," + '{"a":' * 100_000 + "1" + "}" * 100_000 + "]",
    "details 100,000 deep": "[50,1," + '{"a":' * 100_000 + "1" + "}" * 100_000 + "]",
    "an integer of 100,000 digits": f"[50,1,{{}},[{'9' * 100_000}]]",
    "an id of 100,000 digits": f"[50,{'9' * 100_000},{{}}]",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_text_that_is_no_json(ordeal, name):
    ordeal.suspend()
    ordeal.suffer(lambda peer: peer.say(PAYLOADS[name], [50, 1, {}, ["too late"]]))
    ordeal.is_over("no JSON")
    ordeal.recovers()


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("\ufeff[50,1,{},[1]]", 1),
        (r'[50,1,{},["\ud800"]]', "\ud800"),
        (r'[50,1,{},["\udc00\ud800"]]', "\udc00\ud800"),
        ('[50,1,{"x":1,"x":2},["first"],{}]', "first"),
        ('[50,1,{},[{"a":1,"a":2}]]', {"a": 2}),
        (r'[50,1,{},["\u0000"]]', b""),
        # What a router makes of texts and numbers that came to it in another format.
        (r'[50,1,{},["\u0000!!!!"]]', "\0!!!!"),
        (r'[50,1,{},["\u0000YQ"]]', "\0YQ"),
        (r'[50,1,{},[{"a":[{"b":"\u0000*"}]}]]', {"a": [{"b": "\0*"}]}),
        ("[50,1,{},[Infinity]]", float("inf")),
        ("[50,1,{},[[1,-Infinity]]]", [1, -float("inf")]),
        ("[50,1,{},[1e999]]", float("inf")),
        ("[50,1,{},[" + "[" * 100 + "]" * 100 + "]]", eval("[" * 100 + "]" * 100)),
        (f"[50,1,{{}},[{'9' * 4000}]]", int("9" * 4000)),
        (" \t\r\n[50 , 1 , {} , [ null ] ] \n", None),
        ('[50,1,{"of the future":[1]},["fine"]]', "fine"),
    ],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode(),
)
def test_odd_json_that_is_no_lie(ordeal, green, wamp, sent, got):
    peer = ordeal.join()
    calling = green.spawn(ordeal.client.call, "com.example.a")
    peer.expect(wamp.CALL)
    peer.say(sent)
    assert calling.result() == got
    ordeal.leaves()
    assert not ordeal.records()


# A liar may also stop listening: whoever breaks off the session does not wait long for the answer to the close.


@pytest.mark.parametrize(
    ("sent", "cause", "kind"),
    [
        ("garbage", "no JSON", WampProtocolError),
        ([2, 1, {}], "WELCOME", WampProtocolError),
        ([6, {}, "com.example.enough"], "com.example.enough", SessionClosed),
    ],
    ids=["garbage", "WELCOME twice", "GOODBYE"],
)
def test_a_liar_that_does_not_answer_the_close(ordeal, sent, cause, kind):
    peer = ordeal.suspend()
    peer.answers = False
    ordeal.suffer(lambda peer: peer.say(sent))
    ordeal.is_over(cause, kind)
    ordeal.recovers()


def test_a_liar_that_goes_on_and_on(ordeal, green):
    """It never reads again, and sends without end: the session is over all the same."""
    peer = ordeal.suspend()
    flood = peer.frame("garbage") + frame(TEXT, RESULT) * 1000
    flooding = []

    def flood_on(peer):
        def go_on():
            while True:
                peer.raw(flood)
                green.sleep(0)

        flooding.append(green.spawn(go_on))

    ordeal.suffer(flood_on)
    for wait in ordeal.waits:
        assert "no JSON" in str(wait.error(1.0))
    assert "no JSON" in str(ordeal.waiting.error(1.0))
    assert flooding[0].error() is not None, "the connection is still there"
    ordeal.has_logged("no JSON")
    ordeal.recovers()


def test_a_sender_that_waits_for_room_is_told_why(ordeal, green):
    peer = ordeal.join(send_timeout=20.0)
    client = ordeal.client

    def publish_on():
        while True:
            client.publish(topic="com.example.t", big="x" * 100_000)

    senders = [green.spawn(publish_on) for _ in range(3)]
    green.wait_until(lambda: len(client._session._transport._writer.room_waiters) == 3)
    peer.say("garbage")
    errors = [sender.error(1.0) for sender in senders]
    for error in errors:
        assert isinstance(error, ConnectionClosed)
        assert "no JSON" in str(error)
    assert len(set(map(id, errors))) == 3
    with pytest.raises(WampProtocolError):
        client.wait(1.0)
    ordeal.has_logged("no JSON")
    ordeal.recovers()


# The opening handshake.


def without(name):
    def change(headers):
        del headers[name]

    return change


def instead(name, *values):
    def change(headers):
        if name in headers:
            del headers[name]
        for value in values:
            headers[name] = value

    return change


HANDSHAKES = {
    "no subprotocol": (without("Sec-WebSocket-Protocol"), "subprotocol"),
    "a subprotocol never offered": (instead("Sec-WebSocket-Protocol", "wamp.2.msgpack"), "subprotocol"),
    "a subprotocol that is none": (instead("Sec-WebSocket-Protocol", "chat"), "subprotocol"),
    "a subprotocol in other letters": (instead("Sec-WebSocket-Protocol", "WAMP.2.JSON"), "subprotocol"),
    "two subprotocols": (instead("Sec-WebSocket-Protocol", "wamp.2.json, wamp.2.msgpack"), "multiple values"),
    "two headers with a subprotocol": (
        instead("Sec-WebSocket-Protocol", "wamp.2.json", "wamp.2.json"),
        "multiple values",
    ),
    "an empty subprotocol": (instead("Sec-WebSocket-Protocol", ""), "Sec-WebSocket-Protocol"),
    "an extension never offered": (instead("Sec-WebSocket-Extensions", "permessage-deflate"), "extension"),
    "no accept key": (without("Sec-WebSocket-Accept"), "Sec-WebSocket-Accept"),
    "a wrong accept key": (instead("Sec-WebSocket-Accept", "A" * 27 + "="), "Sec-WebSocket-Accept"),
    "two accept keys": (instead("Sec-WebSocket-Accept", "A" * 27 + "=", "B" * 27 + "="), "Sec-WebSocket-Accept"),
    "no upgrade": (without("Upgrade"), "pgrade"),
    "another upgrade": (instead("Upgrade", "h2c"), "pgrade"),
    "no connection": (without("Connection"), "onnection"),
    "another connection": (instead("Connection", "close"), "onnection"),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_handshake_that_is_none(ordeal, name):
    change, cause = HANDSHAKES[name]
    ordeal.make()
    starting, _ = ordeal.begin(change)
    error = ordeal.cannot_start(starting, cause, HandshakeError)
    assert ordeal.router.url in str(error)
    ordeal.tries_again()


ANSWERS = {
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "a page without an end": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "a page that is longer than it says": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhello",
    "a page with a length below zero": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
    "a page with a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello",
    "a page of 4 GiB": b"HTTP/1.1 404 Not Found\r\nContent-Length: 4294967296\r\n\r\nhello",
    "a page of a length with 10,000 digits": b"HTTP/1.1 404 Not Found\r\nContent-Length: " + b"9" * 8000 + b"\r\n\r\n",
    "a page in pieces": b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    "a way elsewhere": b"HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 101 Switching Protocols\r\n\r\n",
    "HTTP/2": b"HTTP/2 101\r\n\r\n",
    "HTTP/9.9": b"HTTP/9.9 101 Switching Protocols\r\n\r\n",
    "a status of one digit": b"HTTP/1.1 1 What\r\n\r\n",
    "a status of six digits": b"HTTP/1.1 101101 What\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 one What\r\n\r\n",
    "a status line and a bare line feed": b"HTTP/1.1 101 Switching Protocols\n\n",
    "a header without a colon": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade websocket\r\n\r\n",
    "a header with a NUL": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: web\0socket\r\n\r\n",
    "a header that is not ASCII": b"HTTP/1.1 101 Switching Protocols\r\nUpgr\xc3\xa4de: websocket\r\n\r\n",
    "a header of 100,000 bytes": b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "a header of 100,000 bytes without an end": b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 100_000,
    "ten thousand headers": b"HTTP/1.1 101 Switching Protocols\r\n" + b"X: x\r\n" * 10_000 + b"\r\n",
    "ten thousand headers without an end": b"HTTP/1.1 101 Switching Protocols\r\n" + b"X: x\r\n" * 10_000,
    "an answer that it is a teapot": b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "NUL bytes": bytes(1000),
    "a status line of NUL bytes": b"HTTP/" + bytes(10_000),
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "a frame": frame(TEXT, b'[2,1,{"roles":{}}]'),
    "letters without an end": b"x" * 100_000,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_no_handshake(ordeal, green, name):
    """The server keeps the connection open after it: nothing but the answer's own bytes tells that it is wrong."""
    client = ordeal.make()
    starting = green.spawn(client.start)
    peer = ordeal.router.accept(handshake=False)
    peer.read()
    peer.raw(ANSWERS[name])
    error = ordeal.cannot_start(starting, ordeal.router.url, HandshakeError)
    assert len(str(error)) < 1000
    ordeal.tries_again()


ENDLESS = {
    "headers": (b"HTTP/1.1 101 Switching Protocols\r\n", b"X: x\r\n" * 100),
    "one header": (b"HTTP/1.1 101 Switching Protocols\r\nX: ", b"x" * 1000),
    "a status line": (b"HTTP/1.1 101 ", b"x" * 1000),
    "a page": (b"HTTP/1.1 404 Not Found\r\n\r\n", b"x" * 10_000),
    "a page of pieces": (b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100),
    "letters": (b"x", b"x" * 1000),
    "informational answers": (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_that_never_ends(ordeal, green, name):
    beginning, more = ENDLESS[name]
    client = ordeal.make()
    starting = green.spawn(client.start)
    peer = ordeal.router.accept(handshake=False)
    peer.read()
    peer.raw(beginning)

    def go_on():
        while True:
            peer.raw(more)
            green.sleep(0)

    going_on = green.spawn(go_on)
    ordeal.cannot_start(starting, ordeal.router.url, HandshakeError, within=3.0)
    assert isinstance(going_on.error(), (ConnectionError, OSError)), "the connection is still there"
    ordeal.tries_again()


BEHIND = {
    "a bad frame": (frame(TEXT, RESULT, reserved=1), "reserved bits"),
    "a frame of 4 GiB": (frame(TEXT, length=2**32), "max_message_size"),
    "garbage": (frame(TEXT, b"garbage"), "no JSON"),
    "a RESULT": (frame(TEXT, RESULT), "RESULT"),
    "a close frame": (frame(CLOSE, struct.pack("!H", 1013) + b"later"), "1013 (later)"),
    "WELCOME twice": (frame(TEXT, b"[2,1,{}]") * 2, "WELCOME"),
    "WELCOME and garbage": (frame(TEXT, b"[2,1,{}]") + frame(TEXT, b"garbage"), "no JSON"),
    "WELCOME and a bad frame": (frame(TEXT, b"[2,1,{}]") + frame(TEXT, RESULT, reserved=1), "reserved bits"),
    "WELCOME and GOODBYE": (frame(TEXT, b"[2,1,{}]") + frame(TEXT, b'[6,{},"com.example.enough"]'), "example.enough"),
    "WELCOME and ABORT": (frame(TEXT, b"[2,1,{}]") + frame(TEXT, b'[3,{},"com.example.enough"]'), "example.enough"),
    "ABORT twice": (frame(TEXT, b'[3,{},"com.example.enough"]') * 2, "example.enough"),
}


@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "after it"])
@pytest.mark.parametrize("name", BEHIND)
def test_lies_right_behind_the_handshake(ordeal, green, wamp, name, together):
    """The router has not even waited for HELLO."""
    sent, cause = BEHIND[name]
    client = ordeal.make()
    starting = green.spawn(client.start)
    peer = ordeal.router.accept(handshake=False)
    answer = peer.handshake()
    if together:
        peer.raw(answer + sent)
    else:
        peer.raw(answer)
        peer.expect(wamp.HELLO)
        peer.raw(sent)
    ordeal.cannot_start(starting, cause, WampyError)
    peer.until_closed()
    ordeal.tries_again()


# Half of anything, and silence. While the client starts, open_timeout ends it, and the error names the phase.

START = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
WELCOME = frame(TEXT, b'[2,1,{"roles":{"dealer":{},"broker":{}}}]')


@pytest.mark.parametrize("sent", [b"", b"H", b"HTTP/1.1 10", START, START + b"Connection: Upgr"], ids=range(5))
def test_half_a_handshake_and_silence(ordeal, green, sent):
    client = ordeal.make(open_timeout=0.1)
    starting = green.spawn(client.start)
    peer = ordeal.router.accept(handshake=False)
    peer.read()
    peer.raw(sent)
    error = ordeal.cannot_start(starting, "answer to the WebSocket handshake", WampyTimeOutError)
    assert error.seconds == 0.1
    assert not ordeal.records()
    ordeal.tries_again()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        WELCOME[:1],
        WELCOME[:2],
        WELCOME[:20],
        WELCOME[:-1],
        frame(TEXT, WELCOME[2:8], fin=False),
        frame(TEXT, b"", length=3_000_000),
        frame(PING, b"still here"),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("challenged", [False, True], ids=["joining", "authenticating"])
def test_half_a_welcome_and_silence(ordeal, green, wamp, sent, challenged):
    from wampy.auth import Ticket

    ordeal.make(open_timeout=0.1, auth=Ticket("joe", "secret"))
    starting, peer = ordeal.begin()
    peer.expect(wamp.HELLO)
    if challenged:
        peer.say([wamp.CHALLENGE, "ticket", {}])
        peer.expect(wamp.AUTHENTICATE)
    peer.raw(sent)
    error = ordeal.cannot_start(starting, "WELCOME from the router", WampyTimeOutError)
    assert error.seconds == 0.1
    assert not ordeal.records()
    ordeal.tries_again()


def test_half_a_registered_and_silence(ordeal, green, wamp):
    from wampy import callee

    class Callee(type(ordeal.make())):
        @callee(procedure="com.example.p")
        def p(self):
            pass

    ordeal.make(Callee, call_timeout=0.1, close_timeout=0.2)
    starting, peer = ordeal.begin()
    peer.welcome()
    peer.expect(wamp.REGISTER)
    peer.raw(frame(TEXT, b"[65,1,10]")[:5])
    listening = green.spawn(peer.until_closed)
    error = ordeal.cannot_start(starting, "com.example.p", WampyTimeOutError)
    assert error.seconds == 0.1
    listening.result()
    assert peer.heard[-1][0] == wamp.GOODBYE, "it may still listen: the session is left in good order"
    assert not ordeal.records()


@pytest.mark.parametrize(
    "sent",
    [b"", b"\x81", frame(TEXT, RESULT)[:-1], frame(TEXT, length=3_000_000), frame(TEXT, RESULT[:9], fin=False)],
    ids=["nothing", "a byte", "all but a byte", "a promise of more", "a fragment"],
)
def test_half_a_frame_and_silence_in_the_session(ordeal, green, wamp, sent):
    """Nothing tells yet that the router is gone: each request ends by its own timeout, and stop() by close_timeout."""
    peer = ordeal.join(call_timeout=0.1, close_timeout=0.2)
    client = ordeal.client
    session = client.session
    peer.answers = False
    waits = [
        green.spawn(client.call, "com.example.a"),
        green.spawn(session.subscribe, "com.example.b", print),
        green.spawn(session.register, "com.example.c", print),
        green.spawn(session.publish, "com.example.d", options={"acknowledge": True}),
        green.spawn(session.call_async("com.example.e", timeout=0.1).result),
    ]
    for _ in waits:
        peer.hear()
    peer.raw(sent)
    for wait in waits:
        assert isinstance(wait.error(2.0), WampyTimeOutError)
    assert client.session is session
    before = time.monotonic()
    client.stop()
    assert time.monotonic() - before < 1.5
    ordeal.has_left()
    peer.drop()
    ordeal.recovers(records=0)
