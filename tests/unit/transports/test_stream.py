"""The byte stream: connecting, TLS, deadlines, and the two calls that never block."""

import errno
import socket
import ssl
from pathlib import Path

import pytest

from wampy.config.transport import TransportOptions
from wampy.errors import ConnectionClosed, ConnectionError, HandshakeError, WampyError, WampyTimeOutError
from wampy.transports.stream import Stream
from wampy.urls import parse_url

# A client's certificate, signed by itself, and its key.
CLIENT = Path(__file__).with_name("client.pem")


@pytest.fixture
def make(backend):
    streams = []

    def make(url, **options):
        streams.append(Stream(parse_url(url), options.pop("backend", backend), TransportOptions(**options)))
        return streams[-1]

    yield make
    for stream in streams:
        stream.close()


def soon(backend, seconds=5.0):
    return backend.monotonic() + seconds


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_no_io_before_connect(make):
    stream = make("ws://no-such-host.invalid/")
    stream.close()


def test_bytes_go_both_ways(make, router, backend, green):
    stream = make(router.url)
    stream.connect(soon(backend))
    peer = router.accept(handshake=False)
    stream.write(b"to the router", soon(backend))
    assert peer.read() == b"to the router"
    peer.raw(b"to the client")
    assert stream.read("word from", soon(backend)) == b"to the client"
    peer.drop()
    assert stream.read("word from", soon(backend)) == b""


def test_a_large_write_waits_for_a_slow_reader(make, router, backend, green):
    stream = make(router.url)
    stream.connect(soon(backend))
    peer = router.accept(handshake=False, receive_buffer=4096)
    data = bytes(range(256)) * 20_000
    writing = green.spawn(stream.write, data, soon(backend))
    heard = bytearray()
    while len(heard) < len(data):
        heard += peer.read()
    writing.result()
    assert heard == data


def test_an_unknown_host(make, backend):
    with pytest.raises(ConnectionError, match=r"no-such-host\.invalid"):
        make("ws://no-such-host.invalid/").connect(soon(backend))


def test_a_host_that_cannot_be_a_name(make, backend):
    with pytest.raises(ConnectionError, match=r"two\.\.dots"):
        make("ws://two..dots/").connect(soon(backend))


def test_a_connection_may_be_made_again(make, router, backend):
    stream = make(router.url)
    for word in (b"one", b"two"):
        stream.connect(soon(backend))
        peer = router.accept(handshake=False)
        stream.write(word, soon(backend))
        assert peer.read() == word
        stream.close()


def test_a_question_and_its_answer(make, router, backend, green):
    stream = make(router.url)
    stream.connect(soon(backend))
    peer = router.accept(handshake=False)
    asking = green.spawn(stream.ask, b"how much?", "answer from", soon(backend))
    assert peer.read() == b"how much?"
    peer.raw(b"42")
    assert asking.result() == b"42"
    peer.raw(b"and more")
    assert stream.ask(b"", "answer from", soon(backend)) == b"and more"


def refuse_unasked(make, router, backend, green, said=b""):
    """Connect to a router that says this and is gone before it is asked."""
    stream = make(router.url)
    stream.connect(soon(backend))
    peer = router.accept(handshake=False)
    peer.raw(said)
    peer.drop(reset=True)
    green.sleep(0.02)
    return stream


def test_an_answer_that_comes_before_a_write_that_fails_counts(make, router, backend, green):
    stream = refuse_unasked(make, router, backend, green, b"we are closed")
    assert stream.ask(b"how much?", "answer from", soon(backend)) == b"we are closed"
    stream = refuse_unasked(make, router, backend, green, b"we are closed")
    with pytest.raises(ConnectionError, match="broke the connection off"):
        stream.write(b"how much?", soon(backend))


def test_a_write_that_fails_without_an_answer_is_told(make, router, backend, green):
    stream = refuse_unasked(make, router, backend, green)
    with pytest.raises(ConnectionError, match=r"broke the connection off: (Connection reset|Broken pipe)"):
        stream.ask(b"how much?", "answer from", soon(backend))


def test_giving_up_while_the_question_is_written(make, router, backend, green):
    stream = make(router.url)
    stream.connect(soon(backend))
    router.accept(handshake=False, receive_buffer=4096)
    asking = green.waiting(stream.ask, bytes(50_000_000), "answer from", None)
    stream.give_up()
    assert isinstance(asking.error(2.0), ConnectionClosed)


def test_silence_ends_at_the_deadline(make, router, backend):
    stream = make(router.url)
    stream.connect(soon(backend))
    with pytest.raises(WampyTimeOutError, match="no word from ws://"):
        stream.read("word from", soon(backend, 0.05))


def test_a_reset_while_shaking_hands(make, router, backend):
    stream = make(router.url)
    stream.connect(soon(backend))
    router.accept(handshake=False).drop(reset=True)
    with pytest.raises(ConnectionError, match="broke the connection off"):
        stream.read("word from", soon(backend))


@pytest.mark.parametrize("what", ["read", "write"])
def test_giving_up_wakes_who_waits(make, router, backend, green, what):
    stream = make(router.url)
    stream.connect(soon(backend))
    router.accept(handshake=False, receive_buffer=4096)
    waiting = (
        green.spawn(stream.read, "word from", None)
        if what == "read"
        else green.spawn(stream.write, b"x" * 10_000_000, None)
    )
    green.sleep(0.02)
    assert not waiting.done
    stream.give_up()
    assert isinstance(waiting.error(2.0), ConnectionClosed)


def test_ipv_chooses_the_version(make, router, backend):
    make(router.url, ipv=4).connect(soon(backend))
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1"):
        make(router.url, ipv=6).connect(soon(backend))
    with pytest.raises(WampyError, match="ipv is 4, 6 or None"):
        make(router.url, ipv=5)


def test_ipv6(make, backend):
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        make(f"ws://[::1]:{listener.getsockname()[1]}/").connect(soon(backend))


# Without waiting.


def test_receive_and_transmit_never_block(make, router, backend, green):
    stream = make(router.url)
    stream.connect(soon(backend))
    peer = router.accept(handshake=False, receive_buffer=4096)
    assert stream.receive() is None
    peer.raw(b"x")
    green.wait_until(lambda: stream.receive() == b"x")
    total = 0
    while sent := stream.transmit(b"y" * 65536):
        total += sent
    assert total > 0
    peer.drop(reset=True)
    green.sleep(0.01)
    with pytest.raises(OSError):
        while True:
            stream.transmit(b"y")
    try:
        assert stream.receive() == b"", "the reset has been told by transmit"
    except ConnectionClosed as error:
        assert "reset" in str(error)


# TLS.


def test_tls_both_ways(make, backend, tls_echo, keys):
    stream = make(f"wss://localhost:{tls_echo()}/", cert_path=str(keys / "ca.pem"))
    stream.connect(soon(backend))
    data, heard = bytes(range(256)) * 1000, b""
    stream.write(data, soon(backend))
    while len(heard) < len(data):
        heard += stream.read("echo from", soon(backend))
    assert heard == data


def test_tls_without_waiting(make, backend, green, tls_echo, keys):
    stream = make(f"wss://localhost:{tls_echo(greeting=b'hello')}/", cert_path=str(keys / "ca.pem"))
    stream.connect(soon(backend))
    heard = []
    green.wait_until(lambda: heard.append(stream.receive()) or b"".join(filter(None, heard)) == b"hello")
    wire = stream.seal(b"ping")
    assert b"ping" not in wire
    assert stream.transmit(wire) == len(wire)
    assert stream.seal(b"") == b""
    green.wait_until(lambda: heard.append(stream.receive()) or b"".join(filter(None, heard)) == b"helloping")


def test_the_end_of_tls(make, backend, green, tls_echo, keys):
    stream = make(f"wss://localhost:{tls_echo()}/", cert_path=str(keys / "ca.pem"))
    stream.connect(soon(backend))
    stream.write(b"bye", soon(backend))
    heard = []
    green.wait_until(lambda: heard.append(stream.receive()) or heard[-1] == b"")
    assert set(heard) <= {None, b""}


def test_a_name_that_is_not_in_the_certificate(make, backend, tls_echo, keys):
    stream = make(f"wss://localhost:{tls_echo('elsewhere')}/", cert_path=str(keys / "ca.pem"))
    with pytest.raises(HandshakeError, match=r"certificate of wss://localhost.*localhost"):
        stream.connect(soon(backend))


def test_an_unknown_authority(make, backend, tls_echo):
    with pytest.raises(HandshakeError, match="cert_path"):
        make(f"wss://localhost:{tls_echo()}/").connect(soon(backend))


def test_a_context_of_the_users_own(make, backend, tls_echo):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    make(f"wss://localhost:{tls_echo('elsewhere')}/", ssl_context=context).connect(soon(backend))


def test_a_port_without_tls(make, router, backend, green):
    connecting = green.spawn(make(router.url.replace("ws://", "wss://")).connect, soon(backend))
    peer = router.accept(handshake=False)
    peer.read()
    peer.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    error = connecting.error()
    assert isinstance(error, HandshakeError)
    assert "Is it a TLS port?" in str(error)


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_ends_in_the_tls_handshake(make, router, backend, green, reset):
    connecting = green.spawn(make(router.url.replace("ws://", "wss://")).connect, soon(backend))
    peer = router.accept(handshake=False)
    peer.read()
    peer.drop(reset)
    error = connecting.error(2.0)
    assert type(error) is HandshakeError
    assert "it closed the connection. Is it a TLS port?" in str(error)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_router_that_wants_a_certificate_of_the_clients(make, backend, tls_echo, keys, version):
    port = tls_echo(authority=CLIENT, version=version)
    stream = make(f"wss://localhost:{port}/", cert_path=keys / "ca.pem")
    with pytest.raises(HandshakeError, match="may want a client certificate"):
        stream.connect(soon(backend))
        # In TLS 1.3 the client's side of the handshake is complete before the server finds that one is missing.
        stream.ask(b"how much?", "answer from", soon(backend))


def test_a_certificate_of_the_clients(make, backend, tls_echo, keys):
    context = ssl.create_default_context(cafile=keys / "ca.pem")
    context.load_cert_chain(CLIENT)
    stream = make(f"wss://localhost:{tls_echo(authority=CLIENT)}/", ssl_context=context)
    stream.connect(soon(backend))
    assert stream.ask(b"how much?", "answer from", soon(backend)) == b"how much?"


def test_an_end_that_is_told_lets_the_other_side_finish(make, backend, green, tls_echo, keys):
    stream = make(f"rss://localhost:{tls_echo()}", cert_path=keys / "ca.pem")
    stream.connect(soon(backend))
    stream.write(b"last words", soon(backend))
    stream.end()
    heard = []
    green.wait_until(lambda: heard.append(stream.receive()) or heard[-1] == b"")
    assert b"".join(filter(None, heard)) == b"last words"


def test_tls_silence_ends_at_the_deadline(make, router, backend):
    with pytest.raises(WampyTimeOutError, match="no TLS handshake with wss://"):
        make(router.url.replace("ws://", "wss://")).connect(soon(backend, 0.05))


# The end of TLS behind the last words, while the socket stays open and tells of nothing more.


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def open_tls(request, make, over_tls, backend, green):
    """A stream, connected by TLS, and the other side of it."""
    stream = make(over_tls.url, **over_tls.options)
    connecting = green.spawn(stream.connect, soon(backend))
    tls = over_tls(version=request.param)
    connecting.result()
    return stream, tls


def test_an_end_behind_the_last_words_is_seen_in_a_handshake(open_tls, backend):
    stream, tls = open_tls
    tls.wire(tls.seal(b"last ") + tls.seal(b"words") + tls.seal_end())
    assert stream.read("word from", soon(backend)) == b"last words"
    assert stream.read("word from", soon(backend)) == b""
    assert stream.read("word from", soon(backend)) == b""


def test_an_end_behind_the_last_words_is_seen_without_waiting(open_tls, green):
    stream, tls = open_tls
    tls.wire(tls.seal(b"last words") + tls.seal_end())
    heard = []
    green.wait_until(lambda: heard.append(stream.receive()) or heard[-1] is not None)
    assert heard[-1] == b"last words"
    assert stream.has_ended
    assert [stream.receive(), stream.receive()] == [b"", b""]


def test_an_end_without_last_words_is_seen_too(open_tls, green):
    stream, tls = open_tls
    tls.wire(tls.seal_end())
    heard = []
    green.wait_until(lambda: heard.append(stream.receive()) or heard[-1] is not None)
    assert heard[-1] == b""


def test_a_connection_that_is_made_again_has_not_ended(make, over_tls, backend, green):
    stream = make(over_tls.url, **over_tls.options)
    for word in (b"one", b"two"):
        connecting = green.spawn(stream.connect, soon(backend))
        tls = over_tls()
        connecting.result()
        tls.wire(tls.seal(word) + tls.seal_end())
        assert stream.read("word from", soon(backend)) == word
        assert stream.read("word from", soon(backend)) == b""
        stream.close()


def test_ciphertext_that_completes_nothing_is_counted(open_tls, green):
    stream, tls = open_tls
    green.wait_until(lambda: stream.receive() is None)
    before, record = stream.reads, tls.seal(b"x" * 1000)
    for part, reads in ((record[:500], 1), (record[500:-1], 2)):
        tls.wire(part)
        green.wait_until(lambda: (stream.receive(), stream.reads)[1] > before + reads - 1)  # noqa: B023
        assert stream.receive() is None, "the record is not whole"
        assert stream.reads == before + reads
    tls.wire(record[-1:])
    green.wait_until(lambda: stream.receive() == b"x" * 1000)


# What a broken connection is told as.


def test_one_that_timed_out_names_the_settings_behind_it(make):
    stream = make("rs://localhost:1")
    timed_out, reset = OSError(errno.ETIMEDOUT, "Connection timed out"), OSError(errno.ECONNRESET, "Reset")
    assert str(stream.gone(timed_out)).endswith("rs://localhost:1: Connection timed out"), "nobody asked the kernel"
    stream.kept_alive_for = 30.0
    assert "for 30 seconds (heartbeat and heartbeat_timeout)" in str(stream.gone(timed_out))
    assert str(stream.gone(reset)).endswith("rs://localhost:1: Reset")


# A name that TLS cannot take.


@pytest.mark.parametrize("host", [".example.com", f"{'a' * 64}.example.com"], ids=["a dot first", "too long"])
def test_a_name_that_tls_cannot_take_is_a_refusal(make, router, backend, green, host):
    # Through a proxy, or nobody would get so far: the system looks up no such name.
    stream = make(f"wss://{host}/", proxy=f"http://127.0.0.1:{router.port}")
    connecting = green.spawn(stream.connect, soon(backend))
    proxy = router.accept(handshake=False)
    assert proxy.read().startswith(f"CONNECT {host}:443 ".encode())
    proxy.raw(b"HTTP/1.1 200 OK\r\n\r\n")
    error = connecting.error()
    assert type(error) is HandshakeError
    assert str(error).startswith(f"no TLS with wss://{host}/: ")
