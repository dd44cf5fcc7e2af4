"""WAMP over RawSocket, against a scripted server on a real socket."""

import itertools
import select
import socket
import ssl

import pytest

from wampy.errors import ConnectionClosed, ConnectionError, HandshakeError, SerializationError, WampyError
from wampy.errors import WampyTimeOutError as TimeOutError
from wampy.serializers import JsonSerializer, get_serializer
from wampy.transports import RawSocket, base

TAKEN = b"\x7f\xf1\0\0"


@pytest.fixture
def rawsocket(connect):
    """Connect a RawSocket with the scripted router and start it."""
    return lambda **options: connect(rawsocket=True, **options)


# The opening handshake.


class Asked:
    """A transport that connects, while the test plays the router."""

    def __init__(self, green, backend, router, transport, seconds):
        self.router, self.transport = router, transport
        self.connecting = green.spawn(transport.connect, backend.monotonic() + seconds)

    def accept(self):
        """Take the next connection and its handshake; give the peer and the serializer's number."""
        peer = self.router.accept(handshake=False, rawsocket=True)
        peer.handshake()
        return peer, peer.opening[1] & 0x0F


@pytest.fixture
def ask(green, backend, router, make_transport):
    asked = []

    def ask(*names, seconds=5.0, **options):
        serializers = [get_serializer(name) for name in names or ["json"]]
        transport = make_transport(router.rawsocket_url, serializers, **options)
        asked.append(Asked(green, backend, router, transport, seconds))
        return asked[-1]

    yield ask
    for each in asked:
        each.transport.close(0.0)
        each.transport._stream.close()


@pytest.mark.parametrize("url", ["rs://localhost:1", "rss://localhost:1", "rs+unix:///run/router.sock"])
def test_the_url_chooses_the_class(make_transport, url):
    assert type(make_transport(url)) is RawSocket


@pytest.mark.parametrize(("name", "number"), [("json", 1), ("msgpack", 2), ("cbor", 3), ("ubjson", 4)])
def test_the_handshake_names_the_serializer(ask, name, number):
    asked = ask(name)
    peer, wanted = asked.accept()
    assert wanted == number
    assert peer.opening == bytes((0x7F, 0xF0 + number, 0, 0)), "messages of 16 MiB are asked for"
    peer.raw(bytes((0x7F, 0xF0 + number, 0, 0)))
    asked.connecting.result()
    assert asked.transport.serializer.name == name


def test_the_longest_message_is_asked_for_also_under_a_smaller_limit_of_ours(ask):
    # Routers drop what is over the client's limit in silence, so the limit is looked after here.
    asked = ask(max_message_size=1000)
    peer, _ = asked.accept()
    assert peer.opening[1] >> 4 == 15
    peer.raw(TAKEN)
    asked.connecting.result()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"\x7f\x10\0\0", "serializer unsupported"),
        (b"\x7f\x20\0\0", "maximum message length unacceptable"),
        (b"\x7f\x30\0\0", "use of reserved bits"),
        (b"\x7f\x40\0\0", "maximum connection count reached"),
        (b"\x7f\x50\0\0", "unknown error 5"),
        (b"\x7f\xf0\0\0", "unknown error 15"),
    ],
)
def test_an_error_in_the_answer_is_told(ask, answer, text):
    asked = ask()
    peer, _ = asked.accept()
    peer.raw(answer)
    error = asked.connecting.error()
    # Not a child class of it either, which would tell of how it is done.
    assert isinstance(error, HandshakeError)
    assert str(error).startswith(f"{asked.router.rawsocket_url} refused the RawSocket handshake for 'json': {text}")
    assert peer.read() == b"", "the socket is still open"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"\x7f\xf2\0\0", "was asked for serializer 1 ('json') and chose 2"),
        (b"\x7f\xff\0\0", "chose 15"),
        (b"\x7f\0\0\0", "neither a serializer nor an error"),
        (b"\x7f\xf1\0\1", "reserved octets"),
        (b"\x7e\xf1\0\0", "0x7F"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP; for a WebSocket write ws://, or wss:// with TLS"),
        (b"\x15\x03\x01\0\2\2\x46", "it speaks TLS; write rss://"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it said b'SSH-2.0-OpenSSH_9.2"),
        (b"220 " + b"mail" * 1000, "it said b'220 mailmail"),
    ],
    ids=["another serializer", "none of ours", "zero", "reserved", "magic", "HTTP", "TLS", "SSH", "long"],
)
def test_an_answer_against_the_rules(ask, answer, text):
    asked = ask("json", "msgpack")
    peer, _ = asked.accept()
    peer.raw(answer)
    error = asked.connecting.error()
    assert type(error) is HandshakeError
    assert text in str(error)
    assert len(str(error)) < 300
    assert peer.read() == b"", "the socket is still open"


@pytest.mark.parametrize("reset", [False, True])
def test_a_close_is_told_with_its_likely_causes(ask, reset):
    asked = ask()
    peer, _ = asked.accept()
    peer.drop(reset)
    error = asked.connecting.error()
    assert isinstance(error, HandshakeError)
    assert "closed the connection in the RawSocket handshake" in str(error)
    assert "'json', or be no RawSocket port" in str(error)


def test_an_error_that_comes_before_the_question_is_written_is_told(ask, monkeypatch):
    # Its answer and its reset are there before the first octet of ours: the write fails.
    asked = ask()
    write, failures = asked.transport._stream.write, []

    def late(*args):
        peer = asked.router.accept(handshake=False, rawsocket=True)
        peer.raw(b"\x7f\x40\0\0")
        peer.drop(reset=True)
        try:
            write(*args)
        except ConnectionError as error:
            failures.append(error)
            raise

    monkeypatch.setattr(asked.transport._stream, "write", late)
    error = asked.connecting.error()
    assert failures, "it was written after all"
    assert type(error) is HandshakeError
    assert "maximum connection count reached" in str(error)


@pytest.mark.parametrize("answer", [b"\x7f", b"\x7f\xf1\0"])
def test_an_answer_that_ends_too_soon(ask, answer):
    asked = ask()
    peer, _ = asked.accept()
    peer.raw(answer)
    peer.drop()
    error = asked.connecting.error()
    assert type(error) is HandshakeError
    assert "ends too soon" in str(error)


@pytest.mark.parametrize("answer", [b"", b"\x7f\xf1\0"], ids=["nothing", "a part"])
def test_silence_ends_at_the_deadline_and_the_text_says_what_port_it_may_be(ask, answer):
    asked = ask("json", "msgpack", seconds=0.1)
    peer, _ = asked.accept()
    peer.raw(answer)
    error = asked.connecting.error()
    assert isinstance(error, TimeOutError)
    assert "no answer to the RawSocket handshake from rs://127.0.0.1" in str(error)
    assert "for those write ws:// or rss://" in str(error)
    assert peer.read() == b"", "the socket is still open"


def test_the_answer_byte_by_byte(ask, green):
    asked = ask()
    peer, _ = asked.accept()
    for byte in TAKEN:
        peer.raw(bytes([byte]))
        green.sleep(0.005)
    asked.connecting.result()


def test_whoever_trickles_its_answer_does_not_extend_the_deadline(ask, green, backend):
    asked = ask(seconds=0.1)
    peer, _ = asked.accept()
    peer.raw(b"\x7f")
    green.sleep(0.15)
    assert isinstance(asked.connecting.error(3.0), TimeOutError)


def test_messages_that_came_with_the_handshake_are_not_lost(ask, green):
    asked, batches, lost = ask(), [], []
    peer, _ = asked.accept()
    peer.raw(TAKEN + peer.frame("early", "bird") + b"\0")
    asked.connecting.result()
    asked.transport.start(batches.append, lost.append)
    green.wait_until(lambda: batches)
    assert batches == [[b"early", b"bird"]]
    peer.raw(b"\0\0\4late")
    green.wait_until(lambda: len(batches) == 2)
    assert batches[1] == [b"late"]
    peer.drop()
    green.wait_until(lambda: lost)


def test_a_frame_that_is_none_with_the_handshake_ends_it(ask, green):
    asked, lost = ask(), []
    peer, _ = asked.accept()
    peer.raw(TAKEN + b"\x09\0\0\0")
    asked.connecting.result()
    asked.transport.start(lambda payloads: None, lost.append)
    green.wait_until(lambda: lost)
    assert "unknown type 9" in str(lost[0])


# Which serializer.


@pytest.mark.parametrize("how", ["error 1", "close", "reset"])
def test_the_next_serializer_is_asked_for_over_a_new_connection(ask, how):
    asked, wanted = ask("cbor", "msgpack", "json"), []
    for _ in range(2):
        peer, number = asked.accept()
        wanted.append(number)
        if how == "error 1":
            peer.raw(b"\x7f\x10\0\0")
            assert peer.read() == b"", "the first connection is still open"
        else:
            peer.drop(how == "reset")
    peer, number = asked.accept()
    peer.raw(TAKEN)
    asked.connecting.result()
    assert [*wanted, number] == [3, 2, 1]
    assert asked.transport.serializer.name == "json"


def test_when_none_is_taken_each_refusal_is_told(ask):
    asked = ask("cbor", "json")
    asked.accept()[0].raw(b"\x7f\x10\0\0")
    asked.accept()[0].drop()
    error = asked.connecting.error()
    assert type(error) is HandshakeError
    assert "'cbor': serializer unsupported; " in str(error)
    assert "closed the connection in the RawSocket handshake" in str(error)
    assert "'json'" in str(error)


@pytest.mark.parametrize("answer", [b"\x7f\x20\0\0", b"\x7f\x40\0\0", b"\x7f\xf7\0\0", b"HTTP/1.1 200 OK\r\n"])
def test_another_refusal_asks_for_no_other_serializer(ask, green, answer):
    asked = ask("json", "msgpack")
    asked.accept()[0].raw(answer)
    assert type(asked.connecting.error()) is HandshakeError
    assert not asked.router.backend.wait(
        asked.router._listener, "read", asked.router.backend.monotonic() + 0.05
    ), "there was another connection"


def test_the_deadline_is_that_of_all_connections_together(ask, green, backend):
    before = backend.monotonic()
    asked = ask("cbor", "msgpack", "json", seconds=0.3)
    for _ in range(2):
        asked.accept()[0].raw(b"\x7f\x10\0\0")
    asked.accept()
    assert isinstance(asked.connecting.error(), TimeOutError)
    assert backend.monotonic() - before < 3


def test_when_the_last_one_is_met_by_silence_the_refusals_before_it_are_told(ask):
    asked = ask("cbor", "msgpack", "json", seconds=0.3)
    asked.accept()[0].raw(b"\x7f\x10\0\0")
    asked.accept()[0].drop()
    asked.accept()
    error = asked.connecting.error()
    assert type(error) is TimeOutError
    first, separator, rest = str(error).partition(", after ")
    assert separator, first
    assert first.startswith("no answer to the RawSocket handshake from rs://")
    assert "for 'cbor': serializer unsupported; " in rest
    assert "closed the connection in the RawSocket handshake: it may not have the serializer 'msgpack'" in rest
    assert "'json'" not in rest


def test_silence_at_the_only_one_tells_of_no_refusals(ask):
    asked = ask("json", seconds=0.05)
    asked.accept()
    assert ", after " not in str(asked.connecting.error())


def test_a_router_that_is_gone_at_the_second_try(ask):
    asked = ask("cbor", "json")
    peer, _ = asked.accept()
    asked.router._listener.close()
    peer.raw(b"\x7f\x10\0\0")
    assert isinstance(asked.connecting.error(), ConnectionError)


def test_closing_before_the_second_try_ends_it(ask, green):
    asked = ask("cbor", "json")
    peer, _ = asked.accept()
    peer.raw(b"\x7f\x10\0\0")
    asked.transport.close(1.0)
    assert isinstance(asked.connecting.error(2.0), ConnectionClosed)


def test_serializers_that_rawsocket_has_no_number_for_are_passed_over(ask):
    asked = ask("json.batched", "msgpack.batched", "msgpack")
    peer, number = asked.accept()
    assert number == 2
    peer.raw(b"\x7f\xf2\0\0")
    asked.connecting.result()


def test_without_any_that_it_has_a_number_for_there_is_no_transport(make_transport):
    with pytest.raises(WampyError, match=r"no number for 'json\.batched', 'cbor\.batched'; rs://h:1 needs a plain"):
        make_transport("rs://h:1", [get_serializer("json.batched"), get_serializer("cbor.batched")])


def test_a_users_own_serializer_with_a_number_of_its_own(ask, make_transport, router, green, backend):
    class Mine(JsonSerializer):
        name = "mine"
        rawsocket_id = 9

    transport = make_transport(router.rawsocket_url, [Mine()])
    connecting = green.spawn(transport.connect, backend.monotonic() + 5)
    router.accept(rawsocket=True)
    connecting.result()
    assert transport.serializer.name == "mine"
    assert router.peers[-1].opening == b"\x7f\xf9\0\0"
    transport._stream.close()


# Frames.


def test_messages_both_ways(rawsocket, green):
    opened = rawsocket()
    opened.peer.say([1, "ä"])
    green.wait_until(lambda: opened.payloads)
    assert opened.payloads == [b'[1, "\\u00e4"]']
    opened.transport.send(b'["\xc3\xa4"]')
    assert opened.peer.hear() == ["ä"]


def test_several_messages_in_one_read_are_one_batch(rawsocket, green):
    opened = rawsocket()
    opened.peer.say("one", "two", "three")
    green.wait_until(lambda: opened.payloads)
    assert opened.batches == [[b"one", b"two", b"three"]]


@pytest.mark.parametrize("to", ["tcp", "unix"])
@pytest.mark.parametrize("size", [2, 4095, 4096, 65_536, 2**24 - 1])
def test_sizes_both_ways(rawsocket, green, request, to, size):
    opened = rawsocket(**({"to": request.getfixturevalue("unix_router")} if to == "unix" else {}))
    text = b'"' + b"x" * (size - 2) + b'"'
    sending = green.spawn(opened.peer.say, text)
    green.wait_until(lambda: opened.payloads)
    sending.result()
    assert opened.payloads == [text]
    opened.transport.send(text)
    assert opened.peer.hear() == "x" * (size - 2)


def test_what_comes_in_byte_by_byte(rawsocket, green):
    opened = rawsocket()
    for byte in opened.peer.frame("one", "two"):
        opened.peer.raw(bytes([byte]))
        green.sleep(0)
    green.wait_until(lambda: len(opened.payloads) == 2)
    assert opened.payloads == [b"one", b"two"]


def test_what_a_turn_sends_leaves_in_one_piece(rawsocket, green):
    opened = rawsocket()
    opened.react = lambda payloads: [opened.transport.send(b'"answer"') for _ in payloads]
    opened.peer.say(*["question"] * 10)
    green.wait_until(lambda: opened.payloads)
    green.sleep(0.05)
    assert len(opened.peer.read()) == 10 * (4 + 8)


def test_many_senders_of_large_messages_tear_nothing(rawsocket, green):
    opened = rawsocket(receive_buffer=4096)

    def send(number):
        opened.transport.wait_for_room(None)
        opened.transport.send(f'"{number}:{"x" * 100_000}"'.encode())

    senders = [green.spawn(send, number) for number in range(20)]
    heard = [opened.peer.hear().split(":") for _ in senders]
    assert sorted(int(number) for number, _ in heard) == list(range(20))
    assert {len(text) for _, text in heard} == {100_000}
    for sender in senders:
        sender.result()


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)), b"x" * 70_000])
def test_a_ping_is_answered_with_its_own_payload(rawsocket, data):
    opened = rawsocket()
    opened.peer.ping(data)
    while not opened.peer.frames:
        opened.peer._pump(5)
    assert opened.peer.frames == [(2, data)]
    assert opened.payloads == []


def test_pings_between_messages_are_answered_in_order(rawsocket, green):
    opened = rawsocket()
    peer = opened.peer
    peer.raw(peer.frame_of(1, b"one") + peer.frame("a") + peer.frame_of(1, b"two") + peer.frame("b"))
    while len(peer.frames) < 2:
        peer._pump(5)
    assert peer.frames == [(2, b"one"), (2, b"two")]
    assert opened.batches == [[b"a", b"b"]]


def test_stray_pongs_are_ignored(rawsocket, green):
    opened = rawsocket()
    peer = opened.peer
    peer.raw(peer.frame_of(2, b"stray") + peer.frame_of(2) + peer.frame("fine"))
    green.wait_until(lambda: opened.payloads)
    assert opened.payloads == [b"fine"]
    assert opened.lost == []
    assert peer.hears_nothing()


@pytest.mark.parametrize("kind", [3, 7, 0x80, 0xFF])
def test_a_frame_of_an_unknown_type_ends_it(rawsocket, green, kind):
    opened = rawsocket()
    opened.peer.raw(opened.peer.frame("fine") + bytes((kind, 0, 0, 0)) + opened.peer.frame("too late"))
    green.wait_until(lambda: opened.lost)
    (error,) = opened.lost
    assert type(error) is ConnectionClosed
    assert not error.clean
    assert f"broke the rules of RawSocket: a frame of the unknown type {kind}" in str(error)
    assert opened.payloads == [b"fine"]
    assert opened.peer.read() == b""


# Limits.


@pytest.mark.parametrize("limit", range(16))
def test_nothing_over_the_routers_limit_is_sent(rawsocket, limit):
    opened, largest = rawsocket(limit=limit), min(2 ** (9 + limit), 2**24 - 1)
    written = opened.transport.written
    with pytest.raises(SerializationError, match=rf"{largest + 1} bytes is larger than the {largest} bytes"):
        opened.transport.send(b'"' + b"x" * (largest - 1) + b'"')
    assert (opened.transport.unwritten, opened.transport.written) == (0, written)
    opened.transport.send(b'"' + b"x" * (largest - 2) + b'"')
    assert len(opened.peer.hear()) == largest - 2
    assert opened.lost == []


def test_a_call_over_the_routers_limit_leaves_the_request_ids_intact(backend, router, green, wamp):
    from wampy import Client

    client = Client(router.rawsocket_url, close_timeout=2.0, call_timeout=5.0)
    joining = green.spawn(client.start)
    peer = router.accept(handshake=False, rawsocket=True)
    peer.shake_hands(limit=1)  # 1024 bytes
    peer.welcome()
    joining.result()
    with pytest.raises(SerializationError, match="1024 bytes that the router takes"):
        client.call("com.example.echo", "x" * 1024)
    with pytest.raises(SerializationError):
        client.publish(topic="com.example.news", text="x" * 1024)
    calling = green.spawn(client.call, "com.example.echo", "x")
    assert peer.expect(wamp.CALL)[1] == 1, "the next id is the first one still"
    peer.say([wamp.RESULT, 1, {}, ["x"]])
    assert calling.result() == "x"
    stopping = green.spawn(client.stop)
    peer.farewell()
    stopping.result()


def test_the_largest_message_passes_and_a_larger_one_does_not(rawsocket, green):
    opened = rawsocket(max_message_size=1000)
    opened.peer.say("x" * 1000)
    green.wait_until(lambda: opened.payloads)
    opened.peer.raw(b"\0" + (1001).to_bytes(3, "big"))  # the header is enough
    green.wait_until(lambda: opened.lost)
    assert "a message of 1001 bytes, over max_message_size (1000 bytes)" in str(opened.lost[0])
    assert not opened.lost[0].clean
    assert [len(payload) for payload in opened.payloads] == [1000]


def test_a_ping_over_the_limit_ends_it_too(rawsocket, green):
    opened = rawsocket(max_message_size=1000)
    opened.peer.raw(b"\1" + (1001).to_bytes(3, "big"))
    green.wait_until(lambda: opened.lost)
    assert "1001 bytes" in str(opened.lost[0])


@pytest.mark.parametrize("size", [None, 2**24, 2**30])
def test_a_limit_beyond_what_a_frame_can_hold_is_none(rawsocket, green, size):
    opened = rawsocket(max_message_size=size)
    sending = green.spawn(opened.peer.say, b"x" * (2**24 - 1))
    green.wait_until(lambda: opened.payloads)
    sending.result()
    assert len(opened.payloads[0]) == 2**24 - 1


def test_a_ping_that_the_router_would_not_take_back_is_not_answered(rawsocket, green):
    opened = rawsocket(limit=0)
    opened.peer.ping(b"x" * 513)
    opened.peer.ping(b"x" * 512)
    while not opened.peer.frames:
        opened.peer._pump(5)
    assert opened.peer.frames == [(2, b"x" * 512)]
    assert opened.lost == []


def test_answers_to_pings_that_nobody_reads_end_it(rawsocket, green, monkeypatch):
    monkeypatch.setattr(base, "MOST_UNREAD_ANSWERS", 8_000_000)
    opened = rawsocket(receive_buffer=4096)
    with pytest.raises(OSError):
        for _ in range(100):
            opened.peer.ping(bytes(1_000_000))
            green.sleep(0)
    green.wait_until(lambda: opened.lost)
    assert "does not read the answers" in str(opened.lost[0])


def test_answers_to_pings_that_are_read_may_be_any_number(rawsocket, green, monkeypatch):
    monkeypatch.setattr(base, "MOST_UNREAD_ANSWERS", 1_500_000)
    opened = rawsocket()
    for number in range(1, 11):
        opened.peer.ping(bytes(1_000_000))
        while len(opened.peer.frames) < number:
            opened.peer._pump(5)
    assert opened.lost == []


# The end.


def test_the_client_closes_by_halves(rawsocket, green):
    opened = rawsocket()
    opened.transport.send(b'"last words"')
    opened.transport.close(5.0)
    opened.transport.close(5.0)
    with pytest.raises(ConnectionClosed):
        opened.transport.send(b"[]")
    assert opened.peer.hear() == "last words"
    assert opened.peer.read() == b"", "the client's half is over"
    opened.peer.say("crossing")
    green.wait_until(lambda: opened.payloads == [b"crossing"])
    assert opened.lost == [], "the router's half is awaited"
    opened.peer.drop()
    green.wait_until(lambda: opened.lost)
    assert opened.lost[0].clean


def test_the_half_is_closed_when_all_is_written(rawsocket, green):
    opened, count = rawsocket(receive_buffer=4096), 0
    while opened.transport.unwritten == 0:
        opened.transport.send(b'"' + b"x" * 100_000 + b'"')
        count += 1
    opened.transport.close(5.0)
    assert [len(opened.peer.hear()) for _ in range(count)] == [100_000] * count
    opened.peer.until_closed()
    green.wait_until(lambda: opened.lost)
    assert opened.lost[0].clean


def test_a_close_in_a_turn_of_the_reader_comes_behind_what_the_turn_sends(rawsocket, green):
    opened = rawsocket()

    def react(_payloads):
        opened.transport.send(b'"answer"')
        opened.transport.close(5.0)

    opened.react = react
    opened.peer.say("question")
    assert opened.peer.hear() == "answer"
    opened.peer.until_closed()
    green.wait_until(lambda: opened.lost)
    assert opened.lost[0].clean


def test_a_ping_while_closing_is_not_answered(rawsocket, green):
    opened = rawsocket()
    opened.transport.close(5.0)
    opened.peer.ping()
    opened.peer.say("crossing")
    green.wait_until(lambda: opened.payloads)
    opened.peer.until_closed()
    assert opened.peer.frames == []
    green.wait_until(lambda: opened.lost)


def test_a_router_that_keeps_its_half_open_ends_at_the_timeout(rawsocket, green):
    opened = rawsocket()
    opened.transport.close(0.05)
    green.wait_until(lambda: opened.lost, 3.0)
    assert not opened.lost[0].clean
    assert "in time" in str(opened.lost[0])


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (b"", "without a word"),
        (b"\0\0", "in the middle of a message"),
        (b"\0\0\0\5x", "in the middle of a message"),
        (b"\0\0\0\1x", "without a word"),
    ],
)
def test_the_router_vanishes(rawsocket, green, before, text):
    opened = rawsocket()
    opened.peer.raw(before)
    opened.peer.drop()
    green.wait_until(lambda: opened.lost)
    assert type(opened.lost[0]) is ConnectionClosed
    assert not opened.lost[0].clean
    assert text in str(opened.lost[0])


def test_a_reset_is_told(rawsocket, green):
    opened = rawsocket()
    opened.peer.drop(reset=True)
    green.wait_until(lambda: opened.lost)
    assert "reset" in str(opened.lost[0])


# Watching over it.


def test_it_does_not_ping_of_itself(rawsocket, green):
    opened = rawsocket(heartbeat=0.02, heartbeat_timeout=0.02)
    assert opened.peer.hears_nothing(0.2)
    assert opened.peer.frames == []
    assert opened.lost == []
    assert not opened.transport.is_pinging


@pytest.mark.parametrize("secure", [False, True])
def test_the_kernel_watches_over_it_instead(rawsocket, backend, make_transport, tls_echo, keys, secure, green):
    if secure:
        port = tls_echo(greeting=TAKEN)
        transport, lost = make_transport(f"rss://localhost:{port}", cert_path=keys / "ca.pem", heartbeat=7.0), []
        transport.connect(backend.monotonic() + 5)
        transport.start(lambda payloads: None, lost.append)
    else:
        transport = rawsocket(heartbeat=7.0).transport
    sock = transport._stream.socket
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
    if secure:
        transport.close(0.0)
        green.wait_until(lambda: lost)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system gives up when it likes to")
@pytest.mark.parametrize("first", ["reader", "writer"])
def test_one_that_the_kernel_has_given_up_is_told_with_the_settings(rawsocket, green, first):
    opened = rawsocket(receive_buffer=4096, heartbeat=0.1, heartbeat_timeout=0.2)
    while opened.transport.unwritten < 5_000_000:  # more than the kernel takes; and nobody reads it
        opened.transport.send(b"x" * 1_000_000)
    # The kernel tells it once, to whoever is first; natively, so that nobody is before the time.
    poll = select.poll()
    poll.register(opened.transport._stream.socket, 0)
    assert poll.poll(10_000), "it was not given up"
    opened.transport.poke() if first == "reader" else opened.transport._writer.write_out()
    green.wait_until(lambda: opened.lost, 10.0)
    assert "took nothing of what was to be written, for 0.3 seconds (heartbeat and heartbeat_timeout)" in str(
        opened.lost[0]
    )


@pytest.mark.parametrize("parameter", ["heartbeat", "heartbeat_timeout"])
def test_nobody_watches_over_it_when_that_is_turned_off(rawsocket, parameter):
    sock = rawsocket(**{parameter: None}).transport._stream.socket
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


@pytest.mark.parametrize("asked_for", [False, True])
def test_a_unix_socket_needs_no_watching_but_may_have_pings(rawsocket, green, unix_router, asked_for):
    opened = rawsocket(to=unix_router, heartbeat=0.05, rawsocket_ping=asked_for)
    assert opened.transport.is_pinging is asked_for
    if asked_for:
        while not opened.peer.frames:
            opened.peer._pump(5)
        assert opened.peer.frames[0] == (1, b"wampy 1")


def test_pings_when_they_are_asked_for(rawsocket, green):
    opened = rawsocket(heartbeat=0.03, heartbeat_timeout=3.0, rawsocket_ping=True)
    assert opened.transport.is_pinging
    assert opened.transport._stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
    while len(opened.peer.frames) < 4:
        opened.peer._pump(5)
    assert opened.peer.frames == [(1, b"wampy %d" % number) for number in range(1, 1 + len(opened.peer.frames))]
    assert opened.lost == []


def test_a_ping_that_nobody_answers_ends_it(rawsocket, green):
    opened = rawsocket(heartbeat=0.05, heartbeat_timeout=0.1, rawsocket_ping=True)
    opened.peer.answers = False
    green.wait_until(lambda: opened.lost, 3.0)
    assert "no sign of life within 0.1 seconds of a ping (heartbeat_timeout)" in str(opened.lost[0])
    assert not opened.transport.is_pinging


def test_a_router_that_closes_on_a_ping_is_told_apart(rawsocket, green):
    opened = rawsocket(heartbeat=0.03, rawsocket_ping=True)
    opened.peer.answers = False
    while not opened.peer.frames:
        opened.peer._pump(5)
    opened.peer.drop()
    green.wait_until(lambda: opened.lost)
    assert "rawsocket_ping=False" in str(opened.lost[0])


def test_a_router_that_has_answered_its_pings_is_not(rawsocket, green):
    opened = rawsocket(heartbeat=0.2, rawsocket_ping=True)
    while not opened.peer.frames:
        opened.peer._pump(5)
    green.wait_until(lambda: not opened.transport._pinged)
    opened.peer.drop()
    green.wait_until(lambda: opened.lost)
    assert "rawsocket_ping" not in str(opened.lost[0])


# Over TLS, with a server that says back what it hears.


def test_rss_both_ways(make_transport, backend, green, tls_echo, keys):
    url = f"rss://localhost:{tls_echo()}"
    transport, payloads, lost = make_transport(url, cert_path=keys / "ca.pem"), [], []
    transport.connect(backend.monotonic() + 5)  # what we say is just what the router would have to
    transport.start(payloads.extend, lost.append)
    sizes = [0, 1, 16_384, 3_000_000, 2**24 - 1]
    for size in sizes:
        assert transport.wait_for_room(backend.monotonic() + 10)
        transport.send(b"x" * size)
    green.wait_until(lambda: len(payloads) == len(sizes), 15.0)
    assert [len(payload) for payload in payloads] == sizes
    assert lost == []
    transport.close(5.0)
    green.wait_until(lambda: lost)
    assert lost[0].clean


def test_rss_verifies_the_host_name(make_transport, backend, tls_echo, keys):
    transport = make_transport(f"rss://localhost:{tls_echo('elsewhere')}", cert_path=keys / "ca.pem")
    with pytest.raises(HandshakeError, match="certificate of rss://localhost"):
        transport.connect(backend.monotonic() + 5)


def test_rss_silence_ends_at_the_deadline(make_transport, backend, keys):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = make_transport(f"rss://127.0.0.1:{listener.getsockname()[1]}", ssl_context=context)
        with pytest.raises(TimeOutError, match="no TLS handshake with rss://"):
            transport.connect(backend.monotonic() + 0.1)


# Whatever the path there.


@pytest.mark.parametrize(("rawsocket", "unix"), list(itertools.product([False, True], repeat=2)))
def test_a_client_over_every_path_without_tls(rawsocket, unix, router, green, wamp, request):
    from wampy import Client

    to = request.getfixturevalue("unix_router") if unix else router
    client = Client(to.rawsocket_url if rawsocket else to.url, close_timeout=2.0)
    joining = green.spawn(client.start)
    peer = to.accept(rawsocket=rawsocket)
    peer.welcome()
    joining.result()
    calling = green.spawn(client.call, "com.example.echo", 1)
    peer.say([wamp.RESULT, peer.expect(wamp.CALL)[1], {}, [1]])
    assert calling.result() == 1
    stopping = green.spawn(client.stop)
    peer.farewell()
    stopping.result()


# Figures.


def test_each_byte_on_the_socket_is_counted(rawsocket, green):
    opened = rawsocket()
    assert opened.transport.traffic == (4, 4, None), "the handshake"
    opened.transport.send(b'"abc"')
    assert opened.peer.hear() == "abc"
    opened.peer.say("defg")
    green.wait_until(lambda: opened.payloads)
    assert opened.transport.traffic == (4 + 4 + 4, 4 + 4 + 5, None)
    opened.transport.close(0.0)
    green.wait_until(lambda: opened.lost)
    assert opened.transport.traffic == (4 + 4 + 4, 4 + 4 + 5, None)


def test_round_trips_of_pings_are_known_when_they_are_asked_for(rawsocket, green):
    opened = rawsocket(heartbeat=0.03, heartbeat_timeout=3.0, rawsocket_ping=True)
    while opened.transport.traffic[2] is None:
        opened.peer._pump(5)
        green.sleep(0)
    assert 0 < opened.transport.traffic[2] < 3
