"""The way through an HTTP proxy; the scripted router plays the proxy first, and then the router behind it."""

import sys

import pytest

from wampy.errors import AddressError, ConnectionClosed, ConnectionError, HandshakeError, WampyError, WampyTimeOutError
from wampy.transports.proxy import proxy_for
from wampy.urls import parse_url

# Whoever is here is reached through the proxy only.
FAR = "ws://router.example.com:8080/ws"

VARIABLES = ["ws", "wss", "http", "https", "all", "no"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Set what the environment says of proxies; nothing at first: ``environment(http_proxy="…")``."""
    for name in VARIABLES:
        for spelling in (f"{name}_proxy", f"{name}_PROXY".upper()):
            monkeypatch.delenv(spelling, raising=False)

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


# Which one.


def chosen(url, proxy=True):
    found = proxy_for(parse_url(url), proxy)
    return found and found.host


def test_without_a_word_there_is_none():
    assert chosen(FAR) is None


@pytest.mark.parametrize(
    ("url", "variables", "host"),
    [
        ("ws://far.example/", {"http_proxy": "http://one:3128"}, "one"),
        ("ws://far.example/", {"HTTP_PROXY": "http://one:3128"}, "one"),
        ("ws://far.example/", {"https_proxy": "http://one:3128"}, None),
        ("wss://far.example/", {"https_proxy": "http://one:3128"}, "one"),
        ("wss://far.example/", {"http_proxy": "http://one:3128"}, None),
        ("ws://far.example/", {"all_proxy": "http://one:3128"}, "one"),
        ("wss://far.example/", {"ALL_PROXY": "http://one:3128"}, "one"),
        ("ws://far.example/", {"ws_proxy": "http://one", "http_proxy": "http://two", "all_proxy": "http://x"}, "one"),
        ("wss://far.example/", {"wss_proxy": "http://one", "https_proxy": "http://two"}, "one"),
        ("ws://far.example/", {"http_proxy": "http://one", "all_proxy": "http://two"}, "one"),
        ("ws://far.example/", {"http_proxy": "one:3128"}, "one"),
        ("ws://far.example/", {"http_proxy": ""}, None),
        ("ws://far.example/", {"http_proxy": "http://one", "no_proxy": "far.example"}, None),
        ("ws://a.far.example/", {"http_proxy": "http://one", "no_proxy": "far.example"}, None),
        ("ws://afar.example/", {"http_proxy": "http://one", "no_proxy": "far.example"}, "one"),
        ("ws://far.example/", {"http_proxy": "http://one", "no_proxy": "near.example, .far.example"}, None),
        ("ws://far.example:8080/", {"http_proxy": "http://one", "no_proxy": "far.example:8080"}, None),
        ("ws://far.example:8081/", {"http_proxy": "http://one", "no_proxy": "far.example:8080"}, "one"),
        ("ws://far.example/", {"http_proxy": "http://one", "NO_PROXY": "*"}, None),
        ("ws://10.0.0.1/", {"http_proxy": "http://one", "no_proxy": "10.0.0.1"}, None),
        ("ws://localhost:8080/", {"http_proxy": "http://one"}, None),
        ("ws://router.localhost/", {"http_proxy": "http://one"}, None),
        ("ws://127.0.0.1:8080/", {"http_proxy": "http://one"}, None),
        ("ws://127.9.9.9:8080/", {"all_proxy": "http://one"}, None),
        ("wss://[::1]/", {"https_proxy": "http://one"}, None),
        ("ws+unix:///run/router.sock", {"http_proxy": "http://one", "all_proxy": "http://one"}, None),
        ("rs://far.example:8081", {"http_proxy": "http://one", "all_proxy": "http://one"}, None),
        ("rss://far.example:8081", {"https_proxy": "http://one", "all_proxy": "http://one"}, None),
    ],
)
def test_the_environment_chooses(environment, url, variables, host):
    environment(**variables)
    assert chosen(url) == host
    assert chosen(url, False) is None


@pytest.mark.parametrize(
    "url", ["ws://far.example/", "wss://far.example/", "rs://far.example:1", "rss://far.example:1", "ws://localhost/"]
)
def test_one_that_is_given_counts_for_every_router(environment, url):
    environment(http_proxy="http://other", https_proxy="http://other", no_proxy="*")
    assert chosen(url, "http://one:3128") == "one"


def test_one_that_is_given_does_not_count_for_a_unix_socket():
    assert chosen("ws+unix:///run/router.sock", "http://one:3128") is None


@pytest.mark.parametrize("value", ["socks5://joe:tell-tale@one:1080", "https://one", "http://one:port", "one/path"])
def test_an_environment_that_cannot_be_used_is_told_with_the_variable(environment, value):
    environment(all_proxy=value)
    with pytest.raises(AddressError) as caught:
        chosen(FAR)
    assert "the environment's all_proxy" in str(caught.value)
    assert "proxy=False" in str(caught.value)
    assert "tell-tale" not in str(caught.value)


# Through it.


class Way:
    """A connection through the proxy that the test plays."""

    def __init__(self, green, backend, router, transport, seconds):
        self.connecting = green.spawn(transport.connect, backend.monotonic() + seconds)
        self.transport = transport
        self.proxy = router.accept(handshake=False)
        self.request = b""
        while b"\r\n\r\n" not in self.request:
            self.request += self.proxy.read()

    def answer(self, data):
        self.proxy.raw(data.encode() if isinstance(data, str) else data)


@pytest.fixture
def way(green, backend, router, make_transport):
    ways = []

    def go(url=FAR, credentials="", seconds=5.0, **options):
        proxy = f"http://{credentials}127.0.0.1:{router.port}"
        transport = make_transport(url, proxy=proxy, **options)
        ways.append(Way(green, backend, router, transport, seconds))
        return ways[-1]

    yield go
    for each in ways:
        each.transport._stream.close()


OK = "HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.mark.parametrize("pieces", ["whole", "byte by byte"])
@pytest.mark.parametrize(
    "answer",
    [
        OK,
        "HTTP/1.0 200 OK\r\nVia: 1.1 x\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n" + OK,
    ],
    ids=["200", "HTTP/1.0", "204", "chunked", "100"],
)
def test_the_router_is_spoken_to_behind_the_proxy(way, green, answer, pieces):
    it, payloads, lost = way(), [], []
    assert it.request == b"CONNECT router.example.com:8080 HTTP/1.1\r\nHost: router.example.com:8080\r\n\r\n"
    if pieces == "whole":
        it.answer(answer)
    else:
        for char in answer:
            it.answer(char)
            green.sleep(0)
    it.proxy.shake_hands()
    it.connecting.result()
    assert it.proxy.request.headers["Host"] == "router.example.com:8080"
    it.transport.start(payloads.extend, lost.append)
    it.transport.send(b'"there"')
    assert it.proxy.hear() == "there"
    it.proxy.say("back")
    green.wait_until(lambda: payloads == ["back"])
    it.proxy.drop()
    green.wait_until(lambda: lost)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://router.example.com/", b"router.example.com:80"),
        ("wss://router.example.com/", b"router.example.com:443"),
        ("ws://[2001:db8::1]:8080/", b"[2001:db8::1]:8080"),
        ("ws://[fe80::1%25eth0]:8080/", b"[fe80::1]:8080"),
        ("ws://b\xfccher.example/", b"xn--bcher-kva.example:80"),
        ("rs://router.example.com:8081", b"router.example.com:8081"),
    ],
)
def test_the_router_is_named_by_host_and_port(way, url, target):
    it = way(url)
    assert it.request == b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, target)
    it.proxy.drop()
    assert isinstance(it.connecting.error(), ConnectionError)


def test_rawsocket_goes_through_it_too(way, green):
    it = way("rs://router.example.com:8081")
    it.answer(OK)
    assert it.proxy.read() == b"\x7f\xf1\0\0"
    it.answer(b"\x7f\xf1\0\0")
    it.connecting.result()


@pytest.mark.parametrize(
    ("credentials", "header"),
    [("joe:tell-tale@", b"am9lOnRlbGwtdGFsZQ=="), ("joe@", b"am9lOg=="), ("j%40e:p%3A%C3%A4@", b"akBlOnA6w6Q=")],
)
def test_the_proxys_credentials_go_to_the_proxy_only(way, credentials, header):
    it = way("ws://ann:other@router.example.com/", credentials)
    assert b"\r\nProxy-Authorization: Basic %s\r\n" % header in it.request
    assert b"\r\nAuthorization" not in it.request
    it.answer(OK)
    it.proxy.shake_hands()
    it.connecting.result()
    assert it.proxy.request.headers["Authorization"] == "Basic YW5uOm90aGVy"
    assert "Proxy-Authorization" not in it.proxy.request.headers


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("403 Forbidden", "does not allow this address"),
        ("405 Method Not Allowed", "may be a web server and no proxy"),
        ("407 Proxy Authentication Required", "does not accept this user and password"),
        ("502 Bad Gateway", "cannot reach the router"),
        ("503 Service Unavailable", "cannot reach the router"),
        ("504 Gateway Timeout", "cannot reach the router"),
        ("404 Not Found", "lets CONNECT through to this port?"),
        ("302 Found", "lets CONNECT through to this port?"),
        ("500", "lets CONNECT through to this port?"),
    ],
)
def test_a_refusal_tells_the_status_and_the_likely_cause(way, router, status, cause):
    it = way(credentials="joe:tell-tale@")
    it.answer(f"HTTP/1.1 {status}\r\nX-Why: because\r\nContent-Length: 100\r\n\r\nsorry")
    error = it.connecting.error()
    assert type(error) is HandshakeError
    assert error.status == int(status[:3])
    assert error.headers["x-why"] == "because"
    assert f"http://joe:…@127.0.0.1:{router.port} does not connect to {FAR}: HTTP {status}:" in str(error)
    assert cause in str(error)
    assert "tell-tale" not in str(error)
    assert it.proxy.read() == b"", "the socket is still open"


def test_a_proxy_that_wants_a_user_says_how_to_give_one(way):
    it = way()
    it.answer("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    assert "wants a user and a password; write it as http://user:password@host:port" in str(it.connecting.error())


@pytest.mark.parametrize(
    "answer", ["SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03\x01\0\x02\x02\x46\r\n\r\n", "\0" * 100], ids=["SSH", "TLS", "zeros"]
)
def test_something_that_is_no_proxy(way, answer):
    it = way()
    it.answer(answer)
    it.proxy.drop()
    error = it.connecting.error()
    assert type(error) is HandshakeError
    assert "Is it an HTTP proxy?" in str(error)


def test_headers_without_end(way):
    it = way()
    it.answer("HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 50_000)
    error = it.connecting.error()
    assert type(error) is HandshakeError
    assert "Is it an HTTP proxy?" in str(error)


@pytest.mark.parametrize("answer", ["", "HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_proxy_that_closes_without_an_answer(way, router, answer):
    it = way()
    it.answer(answer)
    it.proxy.drop()
    error = it.connecting.error()
    assert type(error) is HandshakeError
    assert f"no answer of the proxy http://127.0.0.1:{router.port} about {FAR}: it closed the connection" in str(error)


def test_half_an_answer(way):
    it = way()
    it.answer("HTTP/1.1 200 Conn")
    it.proxy.drop()
    assert type(it.connecting.error()) is HandshakeError


def test_a_reset_is_told_with_the_proxy(way, router):
    it = way()
    it.proxy.drop(reset=True)
    error = it.connecting.error()
    assert isinstance(error, ConnectionError)
    assert str(error).startswith(f"the proxy http://127.0.0.1:{router.port} for {FAR} broke the connection off")


@pytest.mark.parametrize("answer", ["", "HTTP/1.1 200 OK\r\n"])
def test_silence_ends_at_the_deadline_and_the_phase_is_named(way, router, answer):
    it = way(seconds=0.1)
    it.answer(answer)
    error = it.connecting.error()
    assert isinstance(error, WampyTimeOutError)
    assert f"no answer of the proxy http://127.0.0.1:{router.port} about {FAR}" in str(error)
    assert it.proxy.read() == b"", "the socket is still open"


def test_whoever_says_more_than_the_answer_is_not_trusted(way):
    # It would be taken for the router's own first words, also inside TLS.
    it = way()
    it.answer(OK + "HTTP/1.1 101 Switching Protocols\r\n")
    error = it.connecting.error()
    assert type(error) is HandshakeError
    assert "said more than its answer" in str(error)


def test_stopping_while_the_proxy_is_asked(way):
    it = way(seconds=30.0)
    it.transport.close(1.0)
    assert isinstance(it.connecting.error(2.0), ConnectionClosed)


def test_a_proxy_where_nobody_listens(make_transport, router, backend):
    port = router.port
    router.close()
    transport = make_transport(FAR, proxy=f"http://joe:tell-tale@127.0.0.1:{port}")
    with pytest.raises(ConnectionError) as caught:
        transport.connect(backend.monotonic() + 5)
    assert f"cannot connect to the proxy http://joe:…@127.0.0.1:{port}: 127.0.0.1 port {port}" in str(caught.value)
    assert "Is the proxy running there?" in str(caught.value)


def test_an_unknown_proxy(make_transport, backend):
    transport = make_transport(FAR, proxy="http://no-such-proxy.invalid")
    with pytest.raises(ConnectionError, match=r"the proxy http://no-such-proxy\.invalid: host name"):
        transport.connect(backend.monotonic() + 5)


def test_the_environments_proxy_is_used(environment, make_transport, green, backend, router):
    environment(HTTP_PROXY=f"127.0.0.1:{router.port}")
    transport = make_transport(FAR)
    connecting = green.spawn(transport.connect, backend.monotonic() + 5)
    peer = router.accept(handshake=False)
    assert peer.read().startswith(b"CONNECT router.example.com:8080 ")
    peer.raw(OK.encode())
    peer.shake_hands()
    connecting.result()
    transport._stream.close()


def test_without_its_package_the_way_there_and_the_way_round_are_told(make_transport, backend, router, monkeypatch):
    monkeypatch.setitem(sys.modules, "h11", None)
    transport = make_transport(FAR, proxy=f"http://127.0.0.1:{router.port}")
    with pytest.raises(WampyError, match=r"pip install 'wampy\[proxy\]'.*proxy=False"):
        transport.connect(backend.monotonic() + 5)


def test_tls_is_with_the_router_and_not_with_the_proxy(way, keys):
    it = way("wss://localhost:1/", cert_path=keys / "ca.pem", seconds=10.0)
    it.answer(OK)
    hello = it.proxy.read()
    assert hello[:2] == b"\x16\x03", "no ClientHello"
    assert b"localhost" in hello, "no server name in it"
    it.proxy.drop()
    error = it.connecting.error()
    assert type(error) is HandshakeError
    assert "no TLS with wss://localhost:1/" in str(error)
