"""WAMP over WebSocket, against a scripted server on a real socket."""

import logging
import os
import ssl
import threading
import time
import tracemalloc

import pytest
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Opcode
from websockets.sync.server import serve

from wampy.errors import ConnectionClosed, ConnectionError, HandshakeError, WampyTimeOutError
from wampy.transports import SecureWebSocket, WebSocket, frames, transport_for

SUBPROTOCOL = "Sec-WebSocket-Protocol: wamp.2.json\r\n"


# The opening handshake.


def test_the_url_chooses_the_class(backend, make_transport):
    assert type(make_transport("ws://localhost/")) is WebSocket
    assert type(make_transport("wss://localhost/")) is SecureWebSocket
    assert transport_for("ws://localhost/", backend, [], max_message_size=None).url.host == "localhost"


def test_the_request(connect):
    opened = connect()
    request = opened.peer.request
    assert request.path == "/ws"
    assert request.headers["Sec-WebSocket-Protocol"] == "wamp.2.json"
    assert "Sec-WebSocket-Extensions" not in request.headers
    assert request.headers["Host"] == f"127.0.0.1:{opened.transport.url.port}"
    assert "Authorization" not in request.headers
    assert opened.transport.serializer.name == "json"


def test_path_query_and_credentials_of_the_url(router, make_transport, green):
    url = router.url.replace("ws://", "ws://joe:secret@").replace("/ws", "/a/b?c=d&e")
    transport = make_transport(url)
    connecting = green.spawn(transport.connect, None)
    request = router.accept().request
    connecting.result()
    assert request.path == "/a/b?c=d&e"
    assert request.headers["Authorization"] == "Basic am9lOnNlY3JldA=="
    transport.close(0)
    transport._stream.close()


def test_headers_of_the_users_own_go_with_the_request(connect):
    opened = connect(headers={"X-Team": "red, blue", "X-Empty": "", "Origin": "https://example.com"})
    headers = opened.peer.request.headers
    assert (headers["X-Team"], headers["X-Empty"], headers["Origin"]) == ("red, blue", "", "https://example.com")
    assert headers["Host"] == f"127.0.0.1:{opened.transport.url.port}"


@pytest.mark.parametrize("name", ["Host", "host"])
def test_a_host_of_the_users_own_replaces_ours(connect, name):
    request = connect(headers={name: "router.example.com"}).peer.request
    assert request.headers.get_all("Host") == ["router.example.com"]


def test_an_authorization_of_the_users_own_replaces_that_of_the_url(router, make_transport, green):
    url = router.url.replace("ws://", "ws://joe:secret@")
    transport = make_transport(url, headers={"authorization": "Bearer abc=="})
    connecting = green.spawn(transport.connect, None)
    request = router.accept().request
    connecting.result()
    assert request.headers.get_all("Authorization") == ["Bearer abc=="]
    transport._stream.close()


def test_over_a_unix_socket(connect, unix_router, green):
    opened = connect(to=unix_router)
    assert opened.peer.request.path == "/ws"
    assert opened.peer.request.headers["Host"] == "localhost"
    opened.transport.send(b'"there"')
    assert opened.peer.hear() == "there"
    opened.peer.say("back")
    green.wait_until(lambda: opened.payloads == ["back"])


class Refused:
    """Answer a handshake with these bytes; ``refused(answer)`` gives what `connect` raised."""

    def __init__(self, backend, green, router, make_transport):
        self.backend, self.green, self.router, self.make = backend, green, router, make_transport

    def __call__(self, answer, then="stay", seconds=5.0, pieces=1):
        connecting = self.green.spawn(self.make().connect, self.backend.monotonic() + seconds)
        peer = self.router.accept(handshake=False)
        while b"\r\n\r\n" not in peer.read():
            pass
        data = answer.encode() if isinstance(answer, str) else answer
        if pieces > 1:
            for start in range(len(data)):
                peer.raw(data[start : start + 1])
                self.green.sleep(0)
        else:
            peer.raw(data)
        if then == "close":
            peer.drop()
        self.error = connecting.error()
        if then == "stay":
            assert peer.read() == b"", "the socket is still open"
        return self.error


@pytest.fixture
def refused(backend, green, router, make_transport):
    return Refused(backend, green, router, make_transport)


@pytest.mark.parametrize("pieces", [1, 2], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 404, "its WebSocket at another path"),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nX-Why: because\r\n\r\n", 401, "HTTP authentication"),
        ("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 503, "WAMP router"),
    ],
    ids=["404", "401", "503"],
)
def test_a_refusal_tells_status_url_and_likely_cause(refused, answer, status, text, pieces):
    error = refused(answer, pieces=pieces)
    assert type(error) is HandshakeError
    assert error.status == status
    assert f"HTTP {status} at '/ws' of ws://127.0.0.1:" in str(error)
    assert text in str(error)
    if status == 401:
        assert error.headers["x-why"] == "because"


@pytest.mark.parametrize(
    ("url", "answer", "text"),
    [
        ("ws://{}/", "404 Not Found", "Crossbar's usual path is '/ws'"),
        ("ws://{}/", "401 Unauthorized", "write it as ws://user:password@host"),
        ("ws://ann:tell-tale@{}/", "401 Unauthorized", "does not accept this user and password"),
    ],
)
def test_what_would_help_depends_on_what_was_given(backend, green, router, make_transport, url, answer, text):
    transport = make_transport(url.format(router.url.split("/")[2]))
    connecting = green.spawn(transport.connect, backend.monotonic() + 5)
    peer = router.accept(handshake=False)
    while b"\r\n\r\n" not in peer.read():
        pass
    peer.raw(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
    error = connecting.error()
    assert text in str(error)
    assert "tell-tale" not in str(error)


def test_a_refusal_s_own_words_are_passed_on(refused):
    error = refused("HTTP/1.1 400 We only speak wamp.2.morse\r\n\r\n", "close")
    assert str(error).endswith(
        "it may have none of the subprotocols that were offered, wamp.2.json. It says: We only speak wamp.2.morse"
    )


@pytest.mark.parametrize("then", ["stay", "close"])
@pytest.mark.parametrize(
    "answer",
    ["HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\nnothing here", "HTTP/1.0 404 Not Found\r\n\r\nnothing here"],
    ids=["without a length", "HTTP/1.0"],
)
def test_a_refusal_without_a_length_does_not_wait_for_the_deadline(refused, backend, answer, then):
    before = backend.monotonic()
    error = refused(answer, then, seconds=30.0)
    assert error.status == 404
    assert backend.monotonic() - before < 3


@pytest.mark.parametrize(
    ("banner", "shown"),
    [("SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0"), ("220 mail.example.com ESMTP\r\n", "220 mail"), ("\x15\3\3\0\2", "")],
    ids=["SSH", "SMTP", "TLS"],
)
def test_a_port_that_speaks_something_else(refused, banner, shown):
    error = refused(banner)
    assert type(error) is HandshakeError
    assert error.status is None
    assert "no WebSocket at ws://127.0.0.1" in str(error)
    assert shown in str(error)


def test_a_port_that_closes_at_once(refused):
    error = refused("", "close")
    assert isinstance(error, HandshakeError)
    assert "closed the connection" in str(error)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Switch"], ids=["nothing", "a part"])
def test_a_reset_in_the_handshake(backend, green, router, make_transport, answer):
    connecting = green.spawn(make_transport().connect, backend.monotonic() + 5)
    peer = router.accept(handshake=False)
    while b"\r\n\r\n" not in peer.read():
        pass
    peer.raw(answer)
    peer.drop(reset=True)
    error = connecting.error()
    assert type(error) is HandshakeError
    assert "no WebSocket at ws://127.0.0.1" in str(error)
    assert ("rs://" in str(error)) is (answer == b"")


def test_a_port_that_stays_silent(refused):
    error = refused("", seconds=0.1)
    assert isinstance(error, WampyTimeOutError)
    assert "handshake" in str(error)


def test_a_welcome_that_never_ends(refused):
    error = refused("HTTP/1.1 101 Switching Protocols\r\nUpgrade: web", seconds=0.1)
    assert isinstance(error, WampyTimeOutError)


def test_headers_without_end(refused):
    error = refused("HTTP/1.1 404 Not Found\r\n" + "X: y\r\n" * 5000, seconds=5)
    assert isinstance(error, HandshakeError)


@pytest.mark.parametrize(
    ("subprotocol", "text"),
    [
        (None, "chose none of the WAMP subprotocols wamp.2.json"),
        ("wamp.2.msgpack", "wamp.2.msgpack"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_subprotocol_that_was_not_offered(backend, green, router, make_transport, subprotocol, text):
    connecting = green.spawn(make_transport().connect, backend.monotonic() + 5)
    peer = router.accept(handshake=False)
    while not peer.frames:
        peer._pump(5)
    response = peer.protocol.accept(peer.frames[0])
    del response.headers["Sec-WebSocket-Protocol"]
    if subprotocol is not None:
        response.headers["Sec-WebSocket-Protocol"] = subprotocol
    peer.protocol.send_response(response)
    peer._flush()
    error = connecting.error()
    assert isinstance(error, HandshakeError)
    assert text in str(error)
    assert peer.read() == b"", "the socket is still open"


def test_a_wrong_answer_to_the_challenge(refused):
    error = refused(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: bm9uc2Vuc2U=\r\n{SUBPROTOCOL}\r\n"
    )
    assert isinstance(error, HandshakeError)
    assert error.status in (None, 101)


def test_nobody_there_is_a_connection_error(make_transport, router, backend):
    url = router.url
    router.close()
    with pytest.raises(ConnectionError, match="cannot connect to ws://"):
        make_transport(url).connect(backend.monotonic() + 5)


# Frames.


def test_a_message_in_one_frame(connect, green):
    opened = connect()
    opened.peer.say([1, "ä"])
    green.wait_until(lambda: opened.payloads)
    assert opened.payloads == ['[1, "\\u00e4"]']


def test_several_messages_in_one_read_are_one_batch(connect, green):
    opened = connect()
    opened.peer.say("one", "two", "three")
    green.wait_until(lambda: opened.payloads)
    assert opened.batches == [["one", "two", "three"]]


def test_messages_that_came_with_the_handshake_are_not_lost(backend, green, router, make_transport):
    transport, batches, lost = make_transport(), [], []
    connecting = green.spawn(transport.connect, None)
    peer = router.accept(handshake=False)
    while not peer.frames:
        peer._pump(5)
    peer.protocol.send_response(peer.protocol.accept(peer.frames[0]))
    peer.say("early", "bird")
    connecting.result()
    transport.start(batches.append, lost.append)
    green.wait_until(lambda: batches)
    assert batches == [["early", "bird"]]
    peer.drop()
    green.wait_until(lambda: lost)


@pytest.mark.parametrize("pieces", ["whole", "byte by byte"])
def test_a_fragmented_message_with_a_ping_inside(connect, green, pieces):
    opened = connect()
    protocol = opened.peer.protocol
    text = '["ä€", 1]'.encode()
    protocol.send_text(text[:3], fin=False)  # in the middle of a character
    protocol.send_continuation(b"", fin=False)
    protocol.send_ping(b"are you there")
    protocol.send_continuation(text[3:5], fin=False)
    protocol.send_continuation(text[5:], fin=True)
    protocol.send_text(b"next")
    data = b"".join(protocol.data_to_send())
    if pieces == "whole":
        opened.peer.raw(data)
    else:
        for start in range(len(data)):
            opened.peer.raw(data[start : start + 1])
            green.sleep(0)
    green.wait_until(lambda: len(opened.payloads) == 2)
    assert opened.payloads == [text.decode(), "next"]
    opened.peer._pump(5)
    assert (opened.peer.frames[0].opcode, opened.peer.frames[0].data) == (Opcode.PONG, b"are you there")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_sizes_both_ways(connect, green, size):
    opened = connect()
    text = "x" * size
    sending = green.spawn(opened.peer.say, text)
    green.wait_until(lambda: opened.payloads)
    sending.result()
    assert opened.payloads == [text]
    opened.transport.send(b'"' + text.encode() + b'"')
    assert opened.peer.hear() == text


def test_pings_are_answered_and_stray_pongs_are_not(connect, green):
    opened = connect()
    opened.peer.protocol.send_pong(b"stray")
    opened.peer.protocol.send_ping(b"one")
    opened.peer.protocol.send_ping(b"")
    opened.peer._flush()
    while len(opened.peer.frames) < 2:
        opened.peer._pump(5)
    assert [(frame.opcode, bytes(frame.data)) for frame in opened.peer.frames] == [
        (Opcode.PONG, b"one"),
        (Opcode.PONG, b""),
    ]
    assert opened.payloads == []


# Closing.


@pytest.mark.parametrize(("code", "clean"), [(1000, True), (1001, True), (1008, False), (1011, False)])
def test_the_router_closes(connect, green, code, clean):
    opened = connect()
    opened.peer.say("last words")
    opened.peer.close_websocket(code, "because")
    green.wait_until(lambda: opened.lost)
    (error,) = opened.lost
    assert opened.payloads == ["last words"]
    assert isinstance(error, ConnectionClosed)
    assert error.clean is clean
    assert f"{code} (because)" in str(error)
    assert opened.peer.until_closed() == code, "the close frame is answered"
    with pytest.raises(ConnectionClosed):
        opened.transport.send(b"[]")


def test_a_close_for_what_was_too_big_says_what_to_do(connect, green):
    opened = connect()
    opened.peer.close_websocket(CloseCode.MESSAGE_TOO_BIG, "over 100 bytes")
    green.wait_until(lambda: opened.lost)
    assert str(opened.lost[0]).endswith(
        "closed the WebSocket with 1009: a message that was sent is larger than it takes; raise its limit or send less "
        "at once (over 100 bytes)"
    )
    assert not opened.lost[0].clean


def test_words_and_close_in_one_read(connect, green):
    opened = connect()
    opened.peer.protocol.send_text(b"last words")
    opened.peer.protocol.send_close(1000)
    opened.peer._flush()
    green.wait_until(lambda: opened.lost)
    assert opened.payloads == ["last words"]


def test_answering_words_that_came_with_a_close_is_a_closed_connection(connect, green):
    opened, errors = connect(), []

    def react(_payloads):
        try:
            opened.transport.send(b"[]")
        except Exception as error:
            errors.append(error)

    opened.react = react
    opened.peer.protocol.send_text(b"last words")
    opened.peer.protocol.send_close(1000)
    opened.peer._flush()
    green.wait_until(lambda: opened.lost)
    assert [type(error) for error in errors] == [ConnectionClosed]


def test_the_client_closes(connect, green, backend):
    opened = connect()
    opened.transport.close(5.0)
    opened.transport.close(5.0)
    with pytest.raises(ConnectionClosed):
        opened.transport.send(b"[]")
    assert opened.lost == [], "the router's close frame is awaited"
    assert opened.peer.until_closed() == 1000
    green.wait_until(lambda: opened.lost)
    assert opened.lost[0].clean


def test_what_comes_before_the_answer_to_our_close_is_still_pushed(connect, green):
    opened = connect()
    opened.transport.close(5.0)
    opened.peer.say("crossing")
    green.wait_until(lambda: opened.payloads == ["crossing"])
    opened.peer.until_closed()
    green.wait_until(lambda: opened.lost)


def test_a_close_that_is_not_answered_ends_at_the_timeout(connect, green):
    opened = connect()
    opened.peer.answers = False
    opened.transport.close(0.05)
    green.wait_until(lambda: opened.lost, 2.0)
    assert not opened.lost[0].clean
    assert "close handshake" in str(opened.lost[0])
    assert opened.peer.until_closed() == 1000


def test_a_shorter_timeout_counts_when_it_is_closing_already(connect, green):
    opened = connect()
    opened.peer.answers = False
    opened.transport.close(30.0)
    opened.transport.close(0.0)
    green.wait_until(lambda: opened.lost, 2.0)


def test_a_longer_timeout_does_not_count_when_it_is_closing_already(connect, green):
    opened = connect()
    opened.peer.answers = False
    opened.transport.close(0.05)
    opened.transport.close(30.0)
    green.wait_until(lambda: opened.lost, 2.0)


@pytest.mark.parametrize("reset", [False, True])
def test_the_router_vanishes(connect, green, reset):
    opened = connect()
    opened.peer.drop(reset)
    green.wait_until(lambda: opened.lost)
    assert isinstance(opened.lost[0], ConnectionClosed)
    assert not opened.lost[0].clean


def test_half_a_frame_and_the_end(connect, green):
    opened = connect()
    opened.peer.raw(opened.peer.frame("x" * 1000)[:500])
    opened.peer.drop()
    green.wait_until(lambda: opened.lost)
    assert opened.payloads == []


# A server that breaks the rules.


def fails(opened, green):
    green.wait_until(lambda: opened.lost, 2.0)
    (error,) = opened.lost
    assert isinstance(error, ConnectionClosed)
    assert not error.clean
    code = opened.peer.until_closed()
    return str(error), code


def test_the_largest_message_passes_and_a_larger_one_does_not(connect, green):
    opened = connect(max_message_size=1000)
    opened.peer.say("x" * 1000)
    green.wait_until(lambda: opened.payloads)
    opened.peer.say("x" * 1001)
    text, code = fails(opened, green)
    assert "max_message_size (1000 bytes)" in text
    assert code == CloseCode.MESSAGE_TOO_BIG
    assert len(opened.payloads) == 1


def test_the_sum_of_the_fragments_counts(connect, green):
    opened = connect(max_message_size=1000)
    opened.peer.protocol.send_text(b"x" * 600, fin=False)
    opened.peer.protocol.send_continuation(b"x" * 600, fin=True)
    opened.peer._flush()
    text, code = fails(opened, green)
    assert "max_message_size" in text
    assert code == CloseCode.MESSAGE_TOO_BIG


def test_a_length_of_four_gigabytes(connect, green):
    opened = connect(max_message_size=1000)
    opened.peer.raw(b"\x81\x7f" + (1 << 32).to_bytes(8, "big") + b"x")
    text, _ = fails(opened, green)
    assert "max_message_size" in text


def test_text_that_is_not_utf8(connect, green):
    opened = connect()
    opened.peer.say(b"fine", b"\xff\xfe", b"too late")
    text, code = fails(opened, green)
    assert "UTF-8" in text
    assert code == CloseCode.INVALID_DATA
    assert opened.payloads == ["fine"]


def test_a_binary_frame_under_json(connect, green):
    opened = connect()
    opened.peer.protocol.send_binary(b"[]")
    opened.peer._flush()
    text, code = fails(opened, green)
    assert "binary" in text
    assert "wamp.2.json" in text
    assert code == CloseCode.UNSUPPORTED_DATA


@pytest.mark.parametrize(
    "data",
    [b"\x81\x81\0\0\0\0x", b"\x83\0", b"\xc1\0", b"\x80\0", b"\x01\1a\x01\1b", b"\x89\x7e\0\xff" + b"x" * 255],
    ids=["masked", "opcode", "reserved bit", "stray continuation", "text in text", "long ping"],
)
def test_frames_that_are_none(connect, green, data):
    opened = connect()
    opened.peer.raw(data)
    text, code = fails(opened, green)
    assert "broke the rules of WebSocket" in text
    assert code == CloseCode.PROTOCOL_ERROR


def test_empty_fragments_without_end(connect, green, monkeypatch):
    monkeypatch.setattr(frames, "MAX_FRAGMENTS", 100)
    opened = connect()
    opened.peer.raw(b"\x01\0" + b"\0\0" * 200)
    text, code = fails(opened, green)
    assert "fragments" in text
    assert code == CloseCode.POLICY_VIOLATION


def test_nothing_of_a_payload_is_logged(connect, green, caplog):
    with caplog.at_level(logging.DEBUG):
        opened = connect()
        opened.transport.send(b'"secret"')
        opened.peer.say("secret")
        opened.peer.hear()
        green.wait_until(lambda: opened.payloads)
    assert "secret" not in caplog.text


# Compression.


class Deflating:
    """A server's side that takes permessage-deflate when it is offered, and looks at the bytes on the wire."""

    def __init__(self, peer):
        self.peer = peer
        self.protocol = peer.protocol
        self.protocol.available_extensions = [
            ServerPerMessageDeflateFactory(client_max_window_bits=12, server_max_window_bits=12)
        ]
        self.came = 0
        read = peer.read

        def counted(*args):
            data = read(*args)
            self.came += len(data)
            return data

        peer.read = counted


@pytest.fixture
def deflating(green, backend, router, make_transport, connect, monkeypatch):
    """Connect a transport with a server that deflates."""
    sides = []
    accept = router.accept

    def accept_deflating(handshake=True, **options):
        peer = accept(handshake=False, **options)
        sides.append(Deflating(peer))
        if handshake:
            peer.shake_hands()
        return peer

    monkeypatch.setattr(router, "accept", accept_deflating)

    def start(**options):
        opened = connect(**options)
        return opened, sides[-1]

    return start


def test_compression_is_off_by_default(deflating, green):
    opened, side = deflating()
    assert "Sec-WebSocket-Extensions" not in opened.peer.request.headers
    side.came = 0
    opened.transport.send(b'"' + b"x" * 50_000 + b'"')
    assert len(opened.peer.hear()) == 50_000
    assert side.came > 50_000


def test_messages_travel_compressed_both_ways_when_that_is_asked_for(deflating, green):
    opened, side = deflating(compression="deflate")
    assert "permessage-deflate" in opened.peer.request.headers["Sec-WebSocket-Extensions"]
    side.came = 0
    for word in "xy":
        opened.transport.send(f'"{word * 50_000}"'.encode())
        assert opened.peer.hear() == word * 50_000
    assert side.came < 2000
    wire = opened.peer.frame("z" * 50_000, "short")
    assert len(wire) < 2000
    opened.peer.raw(wire)
    green.wait_until(lambda: len(opened.payloads) == 2)
    assert opened.payloads == ["z" * 50_000, "short"]


def test_a_router_that_cannot_compress_is_spoken_to_plainly(connect, green):
    opened = connect(compression="deflate")
    opened.transport.send(b'"' + b"x" * 500 + b'"')
    assert opened.peer.hear() == "x" * 500
    opened.peer.say("plain")
    green.wait_until(lambda: opened.payloads == ["plain"])


def test_a_compressed_frame_that_nobody_asked_for_is_against_the_rules(connect, green):
    opened = connect()
    opened.peer.raw(b"\xc1\x03abc")
    text, code = fails(opened, green)
    assert "broke the rules of WebSocket" in text
    assert code == CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize("fragments", [1, 4])
def test_a_bomb_is_stopped_by_what_it_would_inflate_to(deflating, green, fragments):
    opened, side = deflating(compression="deflate", max_message_size=1_000_000)
    piece = b"\0" * (50_000_000 // fragments)
    side.protocol.send_text(piece, fin=fragments == 1)
    for n in range(1, fragments):
        side.protocol.send_continuation(piece, fin=n == fragments - 1)
    bomb = b"".join(side.protocol.data_to_send())
    assert len(bomb) < 120_000
    tracemalloc.start()
    try:
        opened.peer.raw(bomb)
        text, code = fails(opened, green)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000, "it was inflated beyond the limit"
    finally:
        tracemalloc.stop()
    assert "max_message_size (1000000 bytes)" in text
    assert code == CloseCode.MESSAGE_TOO_BIG
    assert opened.payloads == []


def test_the_largest_message_is_counted_inflated(deflating, green):
    opened, _ = deflating(compression="deflate", max_message_size=100_000)
    opened.peer.say("x" * 100_000)
    green.wait_until(lambda: opened.payloads)
    opened.peer.say("x" * 100_001)
    assert "max_message_size" in fails(opened, green)[0]
    assert [len(payload) for payload in opened.payloads] == [100_000]


# Heartbeats.


def pings_of(peer):
    return [bytes(frame.data) for frame in peer.frames if frame.opcode is Opcode.PING]


def test_pings_go_out_and_their_pongs_keep_it_alive(connect, green):
    opened = connect(heartbeat=0.03, heartbeat_timeout=2.0)
    assert opened.transport.is_pinging
    while len(pings_of(opened.peer)) < 4:
        opened.peer._pump(5)
    assert pings_of(opened.peer)[:4] == [b"wampy 1", b"wampy 2", b"wampy 3", b"wampy 4"]
    assert opened.lost == []
    assert opened.payloads == []


def test_without_a_heartbeat_there_are_no_pings(connect, green):
    opened = connect(heartbeat=None, heartbeat_timeout=0.02)
    assert not opened.transport.is_pinging
    assert opened.peer.hears_nothing(0.15)
    assert opened.peer.frames == []
    assert opened.lost == []


def test_the_default_is_on_and_seldom(connect):
    opened = connect()
    assert opened.transport.is_pinging
    assert opened.peer.hears_nothing()
    assert opened.peer.frames == []


def test_a_ping_that_nobody_answers_ends_it(connect, green):
    opened = connect(heartbeat=0.05, heartbeat_timeout=0.1)
    opened.peer.answers = False
    green.wait_until(lambda: opened.lost, 3.0)
    (error,) = opened.lost
    assert type(error) is ConnectionClosed
    assert not error.clean
    assert "no sign of life within 0.1 seconds of a ping (heartbeat_timeout)" in str(error)
    assert not opened.transport.is_pinging
    with pytest.raises(ConnectionClosed, match="sign of life"):
        opened.transport.send(b"[]")


def test_messages_count_as_signs_of_life_too(connect, green):
    opened = connect(heartbeat=0.03, heartbeat_timeout=0.2)
    opened.peer.answers = False
    for number in range(20):
        opened.peer.say(number)
        green.sleep(0.02)
    assert opened.lost == []
    while len(pings_of(opened.peer)) < 3:
        opened.peer._pump(5)
    green.wait_until(lambda: opened.lost, 3.0)


def test_a_part_of_a_message_counts_as_well(connect, green):
    opened = connect(heartbeat=0.03, heartbeat_timeout=0.2)
    opened.peer.answers = False
    data = opened.peer.frame("x" * 100)
    for n in range(20):
        opened.peer.raw(data[n : n + 1])
        green.sleep(0.02)
    assert opened.lost == []
    assert opened.payloads == []


def test_an_answer_that_lies_in_the_kernel_at_the_deadline_counts(connect, green):
    opened = connect(heartbeat=0.05, heartbeat_timeout=0.1)
    for _ in range(3):
        opened.peer._pump(5)  # the ping, and its pong goes out
        opened.peer.frames.clear()
        time.sleep(0.3)  # natively: nobody else runs, and the deadline passes with the pong unread
        green.sleep(0.01)
        assert opened.lost == []


def test_no_ping_behind_the_close_frame(connect, green):
    opened = connect(heartbeat=0.03, heartbeat_timeout=5.0)
    opened.peer.answers = False
    opened.transport.close(0.2)
    green.wait_until(lambda: opened.lost)
    assert opened.peer.until_closed() == 1000
    assert pings_of(opened.peer) == []


def test_a_slow_router_with_a_large_message_before_the_ping_is_not_dead(connect, green):
    opened = connect(receive_buffer=4096, heartbeat=0.05, heartbeat_timeout=0.25)
    opened.transport.send(b'"' + b"x" * 8_000_000 + b'"')
    until = green.backend.monotonic() + 0.8
    while green.backend.monotonic() < until:
        opened.peer._pump(5)  # 64 KiB at once at most
        green.sleep(0.02)
    assert opened.lost == []
    assert opened.peer.heard == [], "it took so long that this test shows something"
    while not opened.peer.heard:
        opened.peer._pump(5)
    while not pings_of(opened.peer):
        opened.peer._pump(5)


def test_a_router_that_takes_nothing_any_more_is_dead(connect, green):
    opened = connect(receive_buffer=4096, heartbeat=0.05, heartbeat_timeout=0.1)
    opened.transport.send(b'"' + b"x" * 20_000_000 + b'"')
    green.wait_until(lambda: opened.lost, 5.0)
    assert "heartbeat_timeout" in str(opened.lost[0])


# Over TLS, with a server of somebody else's.


@pytest.fixture
def echo(keys):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem", keys / "server.key")

    def handler(connection):
        for message in connection:
            connection.send(message)

    server = serve(handler, "127.0.0.1", 0, ssl=context, subprotocols=["wamp.2.json"], max_size=None)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.socket.getsockname()[1]
    server.shutdown()
    thread.join(5)
    for end in (server.shutdown_watcher, server.shutdown_notifier):
        if isinstance(end, int):  # the server of websockets 15 leaves its pipe open
            os.close(end)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_wss_both_ways(backend, green, make_transport, keys, echo, host):
    transport, payloads, lost = make_transport(f"wss://{host}:{echo}/", cert_path=str(keys / "ca.pem")), [], []
    transport.connect(backend.monotonic() + 5)
    transport.start(payloads.extend, lost.append)
    sizes = [0, 1, 125, 126, 16384, 65536, 3_000_000]
    for size in sizes:
        assert transport.wait_for_room(backend.monotonic() + 5)
        transport.send(b"x" * size)
    green.wait_until(lambda: len(payloads) == len(sizes))
    assert [len(payload) for payload in payloads] == sizes
    assert lost == []
    transport.close(5.0)
    green.wait_until(lambda: lost)
    assert lost[0].clean


def test_round_trips_of_pings_are_known(connect, green):
    opened = connect(heartbeat=0.03, heartbeat_timeout=2.0)
    assert opened.transport.traffic[2] is None
    while opened.transport.traffic[2] is None:
        opened.peer._pump(5)
        green.sleep(0)
    assert 0 < opened.transport.traffic[2] < 2
