"""A router that is not there, or is none, or does not want us: one clear error each, soon, and nothing is left."""

import socket
import ssl
import threading
import time

import pytest

from wampy import Client, callee
from wampy.errors import (
    AbortError,
    AddressError,
    ConnectionClosed,
    ConnectionError,
    HandshakeError,
    WampyError,
    WampyTimeOutError,
)

# "In a second or less", with slack for a busy machine.
SOON = 3.0


def failure(client, kind, within=SOON):
    """Start a client that cannot be started; return the error."""
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        client.start()
    assert time.monotonic() - started < within
    assert client.session is None
    assert client.wait(0.1), "it still runs"
    client.stop()
    return caught.value


def answering(fake_router, answer):
    """Start a server that reads a request, sends `answer` and closes."""

    def script(peer):
        peer.sock.recv(65536)
        peer.sock.sendall(answer)

    return fake_router(script)


def test_nobody_listens(make_client, closed_port):
    error = failure(make_client(url=f"ws://127.0.0.1:{closed_port}/"), ConnectionError)
    assert f"127.0.0.1 port {closed_port}" in str(error)
    assert "refused" in str(error)
    assert isinstance(error, OSError)


def test_a_host_that_does_not_exist(make_client):
    error = failure(make_client(url="ws://no-such-host.invalid:8080/"), WampyError, within=15)
    assert "no-such-host.invalid" in str(error)


@pytest.mark.parametrize(
    "url",
    ["localhost:8080", "127.0.0.1:8080/ws", "example.com", "", "http://localhost/", "ws://", "ws:///ws", None, 80],
)
def test_a_url_that_is_none(url):
    with pytest.raises(AddressError) as caught:
        Client(url=url).start()
    assert isinstance(caught.value, ValueError)
    assert caught.value.url == url
    assert "ws://localhost:8080/ws" in str(caught.value), "it does not say what would do"


def test_a_url_without_a_scheme_is_named():
    with pytest.raises(AddressError, match="no scheme"):
        Client(url="localhost:8080/ws").start()


def test_http_404(make_client, fake_router):
    page = b"<html>nothing here</html>"
    server = answering(
        fake_router, b"HTTP/1.1 404 Not Found\r\nServer: test\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)
    )
    error = failure(make_client(url=server.url + "nothing"), HandshakeError)
    assert error.status == 404
    assert error.headers["server"] == "test"
    for part in ("404", "'/nothing'", "/ws", server.url):
        assert part in str(error)


def test_http_404_from_a_real_crossbar(make_client, auth_router):
    error = failure(make_client(url=auth_router.url.replace("/ws", "/elsewhere")), HandshakeError)
    assert error.status == 404
    assert "/elsewhere" in str(error)


def test_http_404_without_a_length_on_a_connection_that_stays_open(make_client, fake_router):
    def script(peer):
        peer.sock.recv(65536)
        peer.sock.sendall(b"HTTP/1.1 404 Not Found\r\n\r\nnothing here")
        peer.wait_for_end()

    error = failure(make_client(url=fake_router(script).url), HandshakeError)
    assert error.status == 404


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html></html>",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ],
    ids=["with a length", "without a length", "HTTP/1.0"],
)
def test_a_web_server(make_client, fake_router, answer):
    error = failure(make_client(url=answering(fake_router, answer).url), HandshakeError)
    assert error.status == 200
    assert "200" in str(error)


@pytest.mark.parametrize("code", [301, 401, 403, 426, 500, 503])
def test_other_refusals_have_their_status(make_client, fake_router, code):
    server = answering(fake_router, b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % code)
    error = failure(make_client(url=server.url), HandshakeError)
    assert error.status == code


@pytest.mark.parametrize(
    "banner",
    [b"SSH-2.0-OpenSSH_9.9\r\n", b"220 mail.example.com ESMTP\r\n", b"\x7f\xf1\x00\x00", b"\x00" * 2000],
    ids=["ssh", "smtp", "rawsocket", "zeros"],
)
def test_another_protocol(make_client, fake_router, banner):
    def script(peer):
        peer.sock.sendall(banner)
        while peer.sock.recv(65536):
            pass

    server = fake_router(script)
    error = failure(make_client(url=server.url), HandshakeError)
    assert error.status is None
    assert server.url in str(error)
    assert "WAMP router" in str(error)


def test_a_server_that_closes_at_once(make_client, fake_router):
    error = failure(make_client(url=fake_router(lambda peer: None).url), ConnectionError)
    assert "127.0.0.1" in str(error)


def test_a_websocket_server_that_chooses_no_subprotocol(make_client, fake_router):
    def script(peer):
        peer._protocol.available_subprotocols = None
        peer.handshake()
        peer.wait_for_end()

    error = failure(make_client(url=fake_router(script).url), HandshakeError)
    assert "subprotocol" in str(error)


def test_a_wrong_accept_key(make_client, fake_router):
    server = answering(
        fake_router,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n",
    )
    failure(make_client(url=server.url), HandshakeError)


def test_the_wrong_realm(wampy_router, make_client):
    error = failure(make_client(url=wampy_router.url, realm="no.such.realm"), AbortError)
    assert error.uri == "wamp.error.no_such_realm"
    assert "wamp.error.no_such_realm" in str(error)
    assert "no.such.realm" in str(error)


def test_an_abort_has_the_routers_words(make_client, fake_router):
    def script(peer):
        peer.handshake()
        peer.receive()
        peer.send([3, {"message": "we are closed on Mondays"}, "com.example.closed"])
        peer.wait_for_end()

    error = failure(make_client(url=fake_router(script).url), AbortError)
    assert (error.uri, error.details) == ("com.example.closed", {"message": "we are closed on Mondays"})
    assert "com.example.closed" in str(error) and "Mondays" in str(error)


def test_a_port_that_accepts_and_stays_silent(make_client, frozen_port):
    started = time.monotonic()
    client = make_client(url=f"ws://127.0.0.1:{frozen_port}/", open_timeout=0.5)
    error = failure(client, WampyTimeOutError)
    assert time.monotonic() - started >= 0.4
    assert error.seconds == 0.5
    assert isinstance(error, TimeoutError)
    assert f"127.0.0.1:{frozen_port}" in str(error)


def test_a_port_that_accepts_and_stays_silent_under_tls(make_client, frozen_port):
    error = failure(make_client(url=f"wss://127.0.0.1:{frozen_port}/", open_timeout=0.5), WampyTimeOutError)
    assert error.seconds == 0.5


def test_other_green_threads_run_while_one_waits_for_a_silent_port(make_client, frozen_port, green):
    client = make_client(url=f"ws://127.0.0.1:{frozen_port}/", open_timeout=0.5)
    starting = green.spawn(client.start)
    turns = 0
    while not starting.done:
        green.sleep(0.01)
        turns += 1
    assert isinstance(starting.error(), WampyTimeOutError)
    assert turns > 10


def test_a_router_that_shakes_hands_and_never_says_welcome(make_client, fake_router):
    def script(peer):
        peer.handshake()
        peer.wait_for_end()

    error = failure(make_client(url=fake_router(script).url, open_timeout=0.5), WampyTimeOutError)
    assert error.seconds == 0.5
    assert "WELCOME" in str(error)


def test_a_handshake_that_trickles_in_does_not_extend_open_timeout(make_client, fake_router):
    def script(peer):
        peer.sock.recv(65536)
        for byte in b"HTTP/1.1 101 Switching Protocols\r\n" * 50:
            peer.sock.sendall(bytes([byte]))
            time.sleep(0.02)

    failure(make_client(url=fake_router(script).url, open_timeout=0.5), WampyTimeOutError)


def test_a_welcome_that_comes_byte_by_byte(make_client, fake_router):
    def script(peer):
        write = peer.write
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.write = lambda data: [write(bytes([byte])) for byte in bytes(data)]
        peer.welcome(77)
        peer.serve()

    client = make_client(url=fake_router(script).url)
    client.start()
    assert client.session.id == 77


def test_welcome_in_the_same_packet_as_the_handshakes_answer(make_client, fake_router):
    """A router that does not wait for HELLO: rude, and readable only if no byte of the handshake's read is lost."""
    seen = []

    def script(peer):
        pieces = []
        peer.write, write = pieces.append, peer.write
        peer.handshake()
        peer.ping(b"hurry")
        peer.write = write
        write(b"".join(map(bytes, pieces)))
        hello = peer.receive()
        seen.append(hello)
        peer.send([2, 5, {"roles": {}}])
        peer.serve()

    client = make_client(url=fake_router(script).url)
    client.start()
    assert client.session.id == 5
    assert seen[0][0] == 1


def test_tls_to_a_port_without_tls(make_client, wampy_router):
    error = failure(make_client(url=wampy_router.url.replace("ws://", "wss://")), ConnectionError)
    assert "TLS" in str(error)
    assert isinstance(error, HandshakeError)
    assert not isinstance(error, ssl.SSLError)


def test_no_tls_to_a_tls_port(make_client, tls_router):
    url = tls_router.url.replace("wss://", "ws://")
    error = failure(make_client(url=url), ConnectionError)
    assert url in str(error)
    assert "wss://" in str(error)


def test_every_failure_is_a_wampy_error_that_can_be_tried_again(make_client, closed_port):
    client = make_client(url=f"ws://127.0.0.1:{closed_port}/")
    for _ in range(3):
        failure(client, WampyError)


def test_calling_before_start_and_after_a_failed_start(make_client, closed_port):
    client = make_client(url=f"ws://127.0.0.1:{closed_port}/")
    with pytest.raises(ConnectionClosed, match="not started"):
        client.call("com.example.x")
    failure(client, ConnectionError)
    with pytest.raises(ConnectionClosed):
        client.call("com.example.x")


def test_a_list_of_urls_is_tried_in_turn(make_client, wampy_router, closed_port, fake_router):
    not_found = answering(fake_router, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
    dead = f"ws://127.0.0.1:{closed_port}/"
    client = make_client(url=[dead, not_found.url, wampy_router.url, "ws://127.0.0.1:1/"])
    client.start()
    assert client.url == wampy_router.url
    assert client.session is not None


def aborting(fake_router):
    """Start a router that wants no session."""

    def script(peer):
        peer.handshake()
        peer.receive()
        peer.send([3, {"message": "we are closed on Mondays"}, "com.example.closed"])
        peer.wait_for_end()

    return fake_router(script)


def test_a_list_of_urls_none_of_which_works_tells_why_each_of_them_failed(make_client, closed_port, fake_router):
    not_found = answering(fake_router, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
    urls = [f"rs://127.0.0.1:{closed_port}", not_found.url, aborting(fake_router).url]
    error = failure(make_client(url=urls), ConnectionError)
    assert type(error) is ConnectionError
    assert [type(each) for each in error.errors] == [ConnectionError, HandshakeError, AbortError]
    assert error.errors[1].status == 404
    text = str(error)
    places = [text.index(part) for url, each in zip(urls, error.errors, strict=True) for part in (url, str(each)[-30:])]
    assert places == sorted(places), "they are not in order"
    assert all(str(each) in text for each in error.errors)
    for part in ("none of 3 routers", "refused", "404", "com.example.closed", "Mondays"):
        assert part in text


def test_the_text_about_a_list_of_urls_has_no_password(make_client, closed_port):
    urls = [f"ws://me:hunter2@127.0.0.1:{closed_port}/", f"ws://127.0.0.1:{closed_port}/"]
    error = failure(make_client(url=urls), ConnectionError)
    assert urls[1] in str(error)
    assert "hunter2" not in str(error) and "hunter2" not in repr(error)


def test_a_silent_router_takes_only_its_share_of_open_timeout(make_client, frozen_port, well_behaved, caplog):
    silent = f"ws://127.0.0.1:{frozen_port}/"
    router = well_behaved()
    client = make_client(url=[silent, router.url], open_timeout=1.6)
    started = time.monotonic()
    client.start()
    assert 0.7 < time.monotonic() - started < SOON
    assert client.url == router.url
    assert any(silent in record.getMessage() and "next URL" in record.getMessage() for record in caplog.records)


def test_silent_routers_only_end_within_open_timeout_together(make_client, frozen_port):
    urls = [f"{scheme}://127.0.0.1:{frozen_port}" for scheme in ("ws", "rs", "wss", "rss")]
    client = make_client(url=urls, open_timeout=0.8)
    started = time.monotonic()
    error = failure(client, ConnectionError)
    assert time.monotonic() - started >= 0.7
    assert {type(each) for each in error.errors} == {WampyTimeOutError}
    assert [each.seconds for each in error.errors] == pytest.approx([0.2] * 4, abs=0.15)
    for url in urls:
        assert url in str(error)


def test_time_that_a_quick_failure_leaves_is_the_next_ones(make_client, closed_port, frozen_port):
    dead, silent = f"ws://127.0.0.1:{closed_port}/", f"ws://127.0.0.1:{frozen_port}/"
    error = failure(make_client(url=[dead, silent], open_timeout=0.6), ConnectionError)
    assert error.errors[1].seconds > 0.4, "it got half of it"


def test_a_refused_session_counts_as_a_failure_in_a_list(make_client, fake_router, wampy_router):
    client = make_client(url=[aborting(fake_router).url, wampy_router.url])
    client.start()
    assert client.url == wampy_router.url


def test_a_list_may_mix_all_kinds_of_ways(make_client, wampy_router, closed_port, tmp_path):
    dead = [f"wss://127.0.0.1:{closed_port}/", f"rs+unix://{tmp_path}/nobody.sock", f"ws+unix://{tmp_path}/nobody.sock"]
    client = make_client(url=[*dead, f"rs://127.0.0.1:{wampy_router.port}"])
    client.start()
    assert client.url.startswith("rs://")
    assert client.call("wamp.session.count") >= 1


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("localhost:8080", "no scheme"),
        ("http://localhost/", "unknown scheme http://"),
        ("rs://localhost", "no port"),
        ("rs://localhost:8081/ws", "no path"),
        ("ws://localhost:99999/", "[Pp]ort"),
        ("ws://localhost:one/", "[Pp]ort"),
        ("ws://[::1/", "IPv6 address stands in brackets"),
        ("rs+unix://host/run/router.sock", "host"),
        ("rs+unix://", "no socket file"),
        ("ws://localhost/#there", "fragment"),
        (80, "int"),
    ],
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_bad_url_anywhere_in_a_list_is_told_by_the_constructor(bad, problem, position):
    urls = ["ws://localhost:8080/ws", "rs://localhost:8081"]
    urls.insert(position, bad)
    with pytest.raises(AddressError, match=problem) as caught:
        Client(url=urls)
    assert caught.value.url == bad


def test_a_list_of_one_url_raises_its_own_error(make_client, closed_port, fake_router):
    not_found = answering(fake_router, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
    assert failure(make_client(url=[not_found.url]), HandshakeError).status == 404
    assert failure(make_client(url=[aborting(fake_router).url]), AbortError).uri == "com.example.closed"
    error = failure(make_client(url=[f"ws://127.0.0.1:{closed_port}/"]), ConnectionError)
    assert error.errors == ()


def test_a_list_is_tried_from_its_beginning_at_each_start(make_client, well_behaved, closed_port):
    router = well_behaved()
    client = make_client(url=[f"ws://127.0.0.1:{closed_port}/", router.url])
    for _ in range(2):
        client.start()
        assert client.url == router.url
        client.stop()
    assert len(router.peers) == 2


def test_stopping_while_a_later_url_is_tried(make_client, closed_port, frozen_port, well_behaved, green):
    dead, silent = f"ws://127.0.0.1:{closed_port}/", f"ws://127.0.0.1:{frozen_port}/"
    router = well_behaved()
    client = make_client(url=[dead, silent, router.url], open_timeout=30.0)
    starting = green.spawn(client.start)
    green.wait_until(lambda: client.url == silent)
    green.sleep(0.05)
    client.stop()
    assert isinstance(starting.error(SOON), ConnectionClosed)
    assert client.session is None
    assert not router.peers, "the next one was tried after stop()"


def test_stopping_while_starting(make_client, frozen_port, green):
    client = make_client(url=f"ws://127.0.0.1:{frozen_port}/", open_timeout=30.0)
    starting = green.spawn(client.start)
    green.wait_until(lambda: client._keeper.running)
    green.sleep(0.05)
    client.stop()
    error = starting.error(SOON)
    assert isinstance(error, WampyError), error
    assert client.session is None


def test_a_start_that_is_killed_leaves_nothing(make_client, frozen_port, green):
    client = make_client(url=f"ws://127.0.0.1:{frozen_port}/", open_timeout=30.0)
    starting = green.spawn(client.start)
    green.sleep(0.05)
    starting.kill()
    assert starting.error(SOON) is not None
    assert client.wait(0.1)


def test_a_start_that_is_killed_while_waiting_for_welcome_leaves_nothing(make_client, fake_router, green):
    handshaken = threading.Event()

    def script(peer):
        peer.handshake()
        handshaken.set()
        peer.wait_for_end()

    client = make_client(url=fake_router(script).url, open_timeout=30.0)
    starting = green.spawn(client.start)
    green.wait_until(handshaken.is_set)
    green.sleep(0.02)
    starting.kill()
    assert starting.error(SOON) is not None
    assert client.wait(0.1)


# While the roles are registered.


class WithRoles(Client):
    told = ()

    @callee(procedure="com.example.one")
    def one(self):
        pass

    @callee(procedure="com.example.two")
    def two(self):
        pass

    def on_join(self, details):
        self.told += ("on_join",)

    def on_leave(self, reason):
        self.told += ("on_leave",)

    def on_disconnect(self, error):
        self.told += ("on_disconnect",)


@pytest.fixture
def holding_router(fake_router):
    """A router that lets a client in, acknowledges its first procedure only, and then goes on as told."""
    go = threading.Event()
    seen = threading.Event()

    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 64 and message[1] == 1:
                peer.send([65, 1, 100])
            elif message[0] == 64:
                seen.set()
                if router.then == "wait":
                    continue
                assert go.wait(30)
                if router.then == "die":
                    return
                peer.send(router.then)
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.normal"])

    router = fake_router(script)
    router.go, router.seen, router.then = go, seen, "wait"
    yield router
    go.set()


def start_and_wait(client, router, green):
    starting = green.spawn(client.start)
    green.wait_until(router.seen.is_set)
    green.sleep(0.02)
    assert not starting.done, "start() did not wait for the roles"
    router.go.set()
    return starting


def test_stop_while_the_roles_are_registered(holding_router, make_client, green):
    client = make_client(WithRoles, url=holding_router.url)
    starting = start_and_wait(client, holding_router, green)
    client.stop()
    assert isinstance(starting.error(SOON), ConnectionClosed)
    assert client.session is None and client.wait(0.1)
    assert client.told == ()


def test_a_start_that_is_killed_while_the_roles_are_registered(holding_router, make_client, green):
    client = make_client(WithRoles, url=holding_router.url)
    starting = start_and_wait(client, holding_router, green)
    starting.kill()
    assert starting.error(SOON) is not None
    green.wait_until(lambda: client.wait(0.01), SOON)
    assert client.session is None
    assert client.told == ()


def test_the_router_dies_while_the_roles_are_registered(holding_router, make_client, green):
    holding_router.then = "die"
    client = make_client(WithRoles, url=holding_router.url)
    starting = start_and_wait(client, holding_router, green)
    assert isinstance(starting.error(SOON), ConnectionClosed)
    assert client.session is None and client.wait(0.1)
    assert client.told == ()


@pytest.mark.parametrize(
    "answer",
    [
        [8, 64, 2, {}, "wamp.error.procedure_already_exists", ["taken"]],
        [6, {}, "wamp.close.system_shutdown"],
        [3, {}, "com.example.enough"],
        [2, 1, {}],
    ],
    ids=["ERROR", "GOODBYE", "ABORT", "violation"],
)
def test_the_router_changes_its_mind_while_the_roles_are_registered(answer, holding_router, make_client, green):
    holding_router.then = answer
    client = make_client(WithRoles, url=holding_router.url)
    starting = start_and_wait(client, holding_router, green)
    assert isinstance(starting.error(SOON), WampyError)
    assert client.session is None and client.wait(0.1)
    assert client.told == ()


def test_roles_that_are_never_acknowledged(holding_router, make_client):
    client = make_client(WithRoles, url=holding_router.url, call_timeout=0.3, open_timeout=0.3)
    error = failure(client, WampyTimeOutError)
    assert "com.example.two" in str(error)


def test_all_roles_leave_before_an_answer_is_awaited(holding_router, make_client, green):
    client = make_client(WithRoles, url=holding_router.url)
    starting = start_and_wait(client, holding_router, green)
    codes = [message[:2] + message[3:] for message in holding_router.received[1:]]
    assert codes == [[64, 1, "com.example.one"], [64, 2, "com.example.two"]]
    client.stop()
    assert starting.error(SOON) is not None
