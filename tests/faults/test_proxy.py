"""Through an HTTP proxy: to a real router, or refused, or lied to; and what the environment says of proxies."""

import base64
import re
import select
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from wampy import Client, callee
from wampy.errors import (
    AddressError,
    ConnectionClosed,
    ConnectionError,
    HandshakeError,
    WampyError,
    WampyTimeOutError,
)

CA = str(Path(__file__).resolve().parents[2] / "wampy" / "testing" / "keys" / "ca.pem")

SOON = 4.0
MIB = 1 << 20

# A name that nobody but the proxy can resolve.
NAME = "router.test"

VARIABLES = ("ws_proxy", "wss_proxy", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """Whatever proxies this machine has are not these tests'."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Proxy:
    """An HTTP proxy that knows CONNECT only, in OS threads.

    Attributes:
        url: For the client.
        requests: The requests so far: the first line, and the headers.
        answer: Called with the socket instead of connecting, when it is set.
        success: What it says when it has connected.
        user: ``b"user:password"``, when it wants them.
    """

    def __init__(self):
        self.requests = []
        self.answer = None
        self.success = b"HTTP/1.1 200 Connection established\r\n\r\n"
        self.user = None
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def _listen(self):
        while not self._stopping.is_set():
            if self._ready(self._listener, 0.05):
                thread = threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True)
                self._threads.append(thread)
                thread.start()

    @staticmethod
    def _ready(sock, seconds):
        return bool(select.select([sock], [], [], seconds)[0])

    def _serve(self, client):
        try:
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line, headers = self._request(client)
                self.requests.append((line, headers))
                if self.answer is not None:
                    self.answer(client)
                    return
                if self.user is not None:
                    wanted = "Basic " + base64.b64encode(self.user).decode()
                    if headers.get("proxy-authorization") != wanted:
                        client.sendall(
                            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
                            b"Content-Length: 0\r\n\r\n"
                        )
                        return
                self._connect(client, line.split()[1])
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has gone, which is its right

    def _request(self, client):
        data = b""
        while b"\r\n\r\n" not in data:
            more = client.recv(65536)
            if not more:
                raise BrokenPipeError
            data += more
        line, *rest = data.decode("ascii").split("\r\n")[:-2]
        return line, {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}

    def _connect(self, client, target):
        port = int(target.rpartition(":")[2])  # every name is this machine here
        with socket.create_connection(("127.0.0.1", port)) as router:
            router.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(self.success)
            others = {client: router, router: client}
            while not self._stopping.is_set():
                for sock in select.select(list(others), [], [], 0.05)[0]:
                    data = sock.recv(65536)
                    if not data:
                        return
                    others[sock].sendall(data)

    def hold(self, client):
        """Wait until the client has gone; for answers."""
        while not self._stopping.is_set():
            if self._ready(client, 0.05) and not client.recv(65536):
                return

    def close(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()


@pytest.fixture
def proxy():
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture
def failure(make_client, proxy):
    """Start a client that cannot get through; return the error, which names the proxy and the router."""

    def failure(kind=HandshakeError, url=f"ws://{NAME}:8080/ws", **parameters):
        client = make_client(**{"url": url, "proxy": proxy.url} | parameters)
        started = time.monotonic()
        with pytest.raises(WampyError) as caught:
            client.start()
        assert time.monotonic() - started < SOON
        error = caught.value
        assert isinstance(error, kind), repr(error)
        assert f"127.0.0.1:{proxy.port}" in str(error) and "proxy" in str(error)
        assert url in str(error)
        assert len(str(error)) < 1000
        assert client.session is None and client.wait(0.1), "it still runs"
        return error

    return failure


class Echo(Client):
    @callee(procedure="com.example.proxy.echo")
    def echo(self, value):
        return value


# Through.


@pytest.mark.usefixtures("wampy_router", "tls_router")
@pytest.mark.parametrize("scheme", ["ws", "wss", "rs", "rss"])
def test_a_tunnel_to_a_real_router(scheme, request, proxy, make_client):
    router = request.getfixturevalue("tls_router" if scheme.endswith("ss") else "wampy_router")
    path = "/" if scheme.startswith("ws") else ""
    client = make_client(
        Echo, url=f"{scheme}://127.0.0.1:{router.port}{path}", proxy=proxy.url, cert_path=CA, call_timeout=30.0
    )
    client.start()
    assert client.call("com.example.proxy.echo", "größer") == "größer"
    assert client.call("com.example.proxy.echo", "x" * MIB) == "x" * MIB
    [(line, headers)] = proxy.requests
    assert line == f"CONNECT 127.0.0.1:{router.port} HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{router.port}"
    assert "proxy-authorization" not in headers
    client.stop()
    client.start()
    assert client.call("com.example.proxy.echo", 1) == 1
    assert len(proxy.requests) == 2


def test_the_proxy_resolves_the_name(proxy, make_client, wampy_router):
    client = make_client(url=f"ws://{NAME}:{wampy_router.port}/", proxy=proxy.url)
    client.start()
    assert client.call("wamp.session.count") >= 1
    assert proxy.requests[0][0] == f"CONNECT {NAME}:{wampy_router.port} HTTP/1.1"


def test_an_ipv6_address_is_in_brackets(proxy, make_client, wampy_router):
    client = make_client(url=f"ws://[2001:db8::1]:{wampy_router.port}/", proxy=proxy.url)
    client.start()
    assert proxy.requests[0][0] == f"CONNECT [2001:db8::1]:{wampy_router.port} HTTP/1.1"


def test_the_certificate_is_checked_for_the_router_and_not_the_proxy(proxy, make_client, tls_router):
    client = make_client(url=f"wss://{NAME}:{tls_router.port}/", proxy=proxy.url, cert_path=CA)
    with pytest.raises(HandshakeError, match="Use the host name that the certificate is for"):
        client.start()


def test_a_user_and_a_password(proxy, make_client, wampy_router):
    proxy.user = "jürgen:p@ss:word/".encode()
    url = f"http://j%C3%BCrgen:p%40ss%3Aword%2F@127.0.0.1:{proxy.port}"
    client = make_client(url=f"ws://{NAME}:{wampy_router.port}/", proxy=url)
    client.start()
    assert client.session is not None


@pytest.mark.parametrize("credentials", ["", "me:hunter2@"])
def test_a_proxy_that_wants_another_password(proxy, failure, credentials):
    proxy.user = b"me:secret"
    error = failure(proxy=f"http://{credentials}127.0.0.1:{proxy.port}")
    assert error.status == 407
    assert error.headers["proxy-authenticate"] == "Basic"
    assert ("does not accept this user and password" if credentials else "http://user:password@host:port") in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    "success",
    [
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nProxy-Agent: test\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
    ],
    ids=["HTTP/1.0", "a length", "chunked", "204", "after a 100", "no reason"],
)
def test_all_that_means_yes(proxy, make_client, wampy_router, success):
    proxy.success = success
    client = make_client(url=f"ws://{NAME}:{wampy_router.port}/", proxy=proxy.url)
    client.start()
    assert client.call("wamp.session.count") >= 1


def test_an_answer_that_comes_byte_by_byte(proxy, make_client, well_behaved):
    router = well_behaved()

    def answer(client):
        for byte in proxy.success:
            client.sendall(bytes([byte]))
            time.sleep(0.002)
        proxy.success = b""
        proxy._connect(client, f"x:{router.port}")

    proxy.answer = answer
    client = make_client(url=f"ws://{NAME}:{router.port}/", proxy=proxy.url)
    client.start()
    assert client.session.id == 1234


def test_a_proxy_that_dies_ends_the_session(proxy, make_client, wampy_router, green):
    client = make_client(url=f"ws://{NAME}:{wampy_router.port}/", proxy=proxy.url)
    client.start()
    proxy._stopping.set()
    assert isinstance(green.spawn(client.wait).error(SOON), ConnectionClosed)
    assert client.session is None


# Refused.


@pytest.mark.parametrize(
    ("status", "reason", "cause"),
    [
        (403, "Forbidden", "does not allow this address"),
        (405, "Method Not Allowed", "a web server and no proxy"),
        (502, "Bad Gateway", "cannot reach the router"),
        (503, "Service Unavailable", "cannot reach the router"),
        (504, "Gateway Timeout", "cannot reach the router"),
        (302, "Found", "lets CONNECT through"),
        (418, "I am a teapot", "lets CONNECT through"),
    ],
)
@pytest.mark.parametrize("then", ["close", "wait"])
def test_a_proxy_that_refuses(proxy, failure, status, reason, cause, then):
    def answer(client):
        client.sendall(f"HTTP/1.1 {status} {reason}\r\nX-Cause: policy\r\nContent-Length: 3\r\n\r\nno!".encode())
        if then == "wait":
            proxy.hold(client)

    proxy.answer = answer
    error = failure()
    assert error.status == status
    assert error.headers["x-cause"] == "policy"
    assert str(status) in str(error) and reason in str(error) and cause in str(error)


def test_a_refusal_of_http_1_0_without_a_length(proxy, failure):
    proxy.answer = lambda client: client.sendall(b"HTTP/1.0 403 Forbidden\r\n\r\n<html>" + b"x" * 100_000)
    assert failure().status == 403


def test_a_router_that_the_proxy_cannot_reach(proxy, failure, closed_port):
    # What a real one does when it is connecting in vain.
    proxy.answer = lambda client: client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    assert failure(url=f"rs://{NAME}:{closed_port}").status == 502


def test_nobody_listens_at_the_proxys_port(make_client, closed_port):
    client = make_client(url=f"ws://{NAME}:8080/", proxy=f"http://127.0.0.1:{closed_port}")
    with pytest.raises(ConnectionError) as caught:
        client.start()
    text = str(caught.value)
    assert f"the proxy http://127.0.0.1:{closed_port}" in text and "refused" in text
    assert "Is the proxy running there?" in text


# Lies.


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        bytes(1000),
        b"\xff" * 100_000,
        b"\x7f\xf1\0\0",
        b"\x15\x03\x01\0\x02\x02\x28",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"<html></html>\r\n\r\n",
        b"\r\n\r\n",
    ],
    ids=["ssh", "zeros", "0xFF", "rawsocket", "tls", "words", "no header", "a page", "nothing"],
)
@pytest.mark.parametrize("then", ["close", "wait"])
def test_a_proxy_that_speaks_no_http(proxy, failure, answer, then):
    def lie(client):
        client.sendall(answer)
        if then == "wait":
            proxy.hold(client)

    proxy.answer = lie
    error = failure(kind=(HandshakeError, WampyTimeOutError) if then == "wait" else HandshakeError, open_timeout=0.6)
    assert getattr(error, "status", None) is None


@pytest.mark.parametrize(
    "answer",
    [b"", b"H", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\n"],
    ids=["nothing", "a byte", "half a line", "a line", "half of the headers"],
)
def test_a_proxy_that_closes_before_it_has_answered(proxy, failure, answer):
    proxy.answer = lambda client: client.sendall(answer)
    failure(kind=ConnectionError)


def test_a_proxy_that_resets_the_connection(proxy, failure):
    proxy.answer = lambda client: client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert type(failure(kind=ConnectionError)) in (ConnectionError, HandshakeError)


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: y"])
@pytest.mark.parametrize("scheme", ["ws", "wss", "rs", "rss"])
def test_a_proxy_that_falls_silent(proxy, failure, beginning, scheme):
    def stall(client):
        client.sendall(beginning)
        proxy.hold(client)

    proxy.answer = stall
    error = failure(kind=WampyTimeOutError, url=f"{scheme}://{NAME}:8080", open_timeout=0.3)
    assert error.seconds == 0.3
    assert f"answer of the proxy {proxy.url}" in str(error)


def test_a_proxy_that_trickles_does_not_extend_open_timeout(proxy, failure):
    def trickle(client):
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Header: value\r\n" * 100:
            client.sendall(bytes([byte]))
            time.sleep(0.02)

    proxy.answer = trickle
    failure(kind=WampyTimeOutError, open_timeout=0.4)


@pytest.mark.parametrize("piece", [b"X-Header: value\r\n", b"x" * 1000], ids=["many headers", "one long header"])
def test_headers_without_an_end_are_bounded(proxy, failure, piece):
    sent = []

    def pour(client):
        client.sendall(b"HTTP/1.1 200 OK\r\nX-First: ")
        while True:
            client.sendall(piece * 100)
            sent.append(len(piece) * 100)

    proxy.answer = pour
    failure(open_timeout=20.0)
    assert sum(sent) < 16 * MIB, "it was read without end"


@pytest.mark.parametrize("scheme", ["ws", "wss", "rs", "rss"])
def test_bytes_behind_the_answer_are_nobodys(proxy, failure, scheme):
    """A router speaks when it is asked; what comes before is not its word, and must not pass for it under TLS."""

    def answer(client):
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n")
        proxy.hold(client)

    proxy.answer = answer
    error = failure(url=f"{scheme}://{NAME}:8080")
    assert "more than its answer" in str(error)


def test_informational_answers_without_an_end_are_ended_by_open_timeout(proxy, failure):
    def answer(client):
        while True:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
            time.sleep(0.01)

    proxy.answer = answer
    failure(kind=(WampyTimeOutError, HandshakeError), open_timeout=0.4)


def test_stop_while_the_proxy_is_silent(proxy, make_client, green):
    proxy.answer = proxy.hold
    client = make_client(url=f"ws://{NAME}:8080/", proxy=proxy.url, open_timeout=30.0)
    starting = green.spawn(client.start)
    green.wait_until(lambda: proxy.requests)
    green.sleep(0.02)
    client.stop()
    assert isinstance(starting.error(SOON), ConnectionClosed)
    assert client.session is None and client.wait(0.1)


def test_a_start_that_is_killed_while_the_proxy_is_silent(proxy, green):
    proxy.answer = proxy.hold
    client = Client(url=f"ws://{NAME}:8080/", proxy=proxy.url, open_timeout=30.0)
    starting = green.spawn(client.start)
    green.wait_until(lambda: proxy.requests)
    green.sleep(0.02)
    starting.kill()
    assert starting.error(SOON) is not None
    assert client.session is None


def test_the_next_url_is_tried_when_a_proxy_refuses(proxy, make_client, wampy_router):
    def answer(client):
        proxy.answer = None
        client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    proxy.answer = answer
    urls = [f"ws://{NAME}:8080/", f"ws://{NAME}:{wampy_router.port}/"]
    client = make_client(url=urls, proxy=proxy.url)
    client.start()
    assert client.url == urls[1]
    assert [line.split()[1] for line, _ in proxy.requests] == [f"{NAME}:8080", f"{NAME}:{wampy_router.port}"]


# What the environment says.


@pytest.mark.parametrize("upper", [False, True], ids=["lower", "upper"])
@pytest.mark.parametrize("variable", ["ws_proxy", "http_proxy", "all_proxy"])
def test_a_variable_of_the_environment(proxy, make_client, wampy_router, monkeypatch, variable, upper):
    monkeypatch.setenv(variable.upper() if upper else variable, proxy.url)
    client = make_client(url=f"ws://{NAME}:{wampy_router.port}/")
    client.start()
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("variable", ["wss_proxy", "https_proxy", "all_proxy"])
def test_a_variable_for_tls(proxy, make_client, tls_router, monkeypatch, variable):
    monkeypatch.setenv(variable, proxy.url)
    client = make_client(url=f"wss://{NAME}:{tls_router.port}/", cert_path=CA)
    with pytest.raises(HandshakeError, match="certificate"):  # which is for another name
        client.start()
    assert len(proxy.requests) == 1


def test_a_variable_without_a_scheme(proxy, make_client, wampy_router, monkeypatch):
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
    client = make_client(url=f"ws://{NAME}:{wampy_router.port}/")
    client.start()
    assert len(proxy.requests) == 1


def test_the_schemes_own_variable_comes_first(proxy, make_client, wampy_router, monkeypatch, closed_port):
    monkeypatch.setenv("ws_proxy", proxy.url)
    for variable in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{closed_port}")
    make_client(url=f"ws://{NAME}:{wampy_router.port}/").start()
    assert len(proxy.requests) == 1


def test_a_proxy_that_is_given_counts_more_than_the_environment(
    proxy, make_client, wampy_router, monkeypatch, closed_port
):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("no_proxy", "*")
    make_client(url=f"ws://{NAME}:{wampy_router.port}/", proxy=proxy.url).start()
    assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    ("scheme", "variable"),
    [("ws", "https_proxy"), ("wss", "http_proxy"), ("rs", "http_proxy"), ("rs", "all_proxy"), ("rss", "https_proxy")],
)
def test_a_variable_that_is_for_others(proxy, make_client, monkeypatch, scheme, variable):
    monkeypatch.setenv(variable, proxy.url)
    with pytest.raises(WampyError, match=re.escape(NAME)):  # which has no address
        make_client(url=f"{scheme}://{NAME}:8080", open_timeout=3.0).start()
    assert proxy.requests == []


@pytest.mark.parametrize("exempt", ["*", NAME, ".test", "test", f"{NAME}:8080", f"elsewhere.example, {NAME}"])
def test_no_proxy(proxy, make_client, monkeypatch, exempt):
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", exempt)
    with pytest.raises(WampyError, match=re.escape(NAME)):
        make_client(url=f"ws://{NAME}:8080/", open_timeout=3.0).start()
    assert proxy.requests == []


@pytest.mark.parametrize("exempt", ["elsewhere.example", "outer.test", f"{NAME}:9090", ""])
def test_no_proxy_for_others(proxy, make_client, wampy_router, monkeypatch, exempt):
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", exempt)
    make_client(url=f"ws://{NAME}:{wampy_router.port}/").start()
    assert len(proxy.requests) == 1


def test_false_is_for_no_proxy_at_all(proxy, make_client, monkeypatch):
    monkeypatch.setenv("all_proxy", proxy.url)
    with pytest.raises(WampyError, match=re.escape(NAME)):
        make_client(url=f"ws://{NAME}:8080/", proxy=False, open_timeout=3.0).start()
    assert proxy.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_without_the_environments_proxy(proxy, make_client, wampy_router, monkeypatch, host):
    monkeypatch.setenv("all_proxy", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    make_client(url=f"ws://{host}:{wampy_router.port}/").start()
    assert proxy.requests == []


@pytest.mark.parametrize(
    "value",
    ["socks5://127.0.0.1:1080", "https://proxy.example.com", "http://", "http://proxy.example.com:port", "http://a b"],
)
def test_a_variable_that_cannot_be_used_is_named(make_client, monkeypatch, value):
    monkeypatch.setenv("http_proxy", value)
    client = make_client(url=f"ws://{NAME}:8080/")
    with pytest.raises(AddressError, match="http_proxy") as caught:
        client.start()
    assert "proxy=False" in str(caught.value)
    assert caught.value.url == value
    assert client.session is None and client.wait(0.1)


def test_the_password_of_a_variable_that_cannot_be_used_is_not_shown(make_client, monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://me:hunter2@proxy.example.com:1080")
    with pytest.raises(AddressError, match="all_proxy") as caught:
        make_client(url=f"ws://{NAME}:8080/").start()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["socks5://127.0.0.1:1080", "127.0.0.1:3128", "http://", "http://proxy.example.com/path", ""]
)
def test_a_proxy_that_cannot_be_used_is_told_by_the_constructor(value):
    with pytest.raises(AddressError, match=r"http://proxy\.example\.com:3128"):
        Client(url=f"ws://{NAME}:8080/", proxy=value)


@pytest.mark.parametrize("value", [None, 3128, b"http://proxy.example.com:3128"])
def test_a_proxy_that_is_no_url(value):
    with pytest.raises(WampyError, match="proxy is"):
        Client(url=f"ws://{NAME}:8080/", proxy=value)


# The package that it needs.


def test_a_missing_h11_is_told_with_what_to_install(proxy, make_client, monkeypatch):
    monkeypatch.setitem(sys.modules, "h11", None)  # which is how Python notes that there is none
    client = make_client(url=f"ws://{NAME}:8080/", proxy=proxy.url)
    with pytest.raises(WampyError) as caught:
        client.start()
    text = str(caught.value)
    assert "wampy[proxy]" in text and "proxy=False" in text
    assert client.session is None and client.wait(0.1)


def test_a_missing_h11_matters_to_nobody_else(make_client, wampy_router, monkeypatch):
    monkeypatch.setitem(sys.modules, "h11", None)
    make_client(url=wampy_router.url).start()
