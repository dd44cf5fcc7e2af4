"""A router that stalls, in every phase of a start and over every way to it: the timeout comes, and names the phase."""

import json
import select
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from wampy import Client, callee
from wampy.errors import ConnectionClosed, ConnectionError, WampyError, WampyTimeOutError

KEYS = Path(__file__).resolve().parents[2] / "wampy" / "testing" / "keys"
CA = str(KEYS / "ca.pem")

# What a phase may take, and what it takes on a busy machine.
SECONDS = 0.4
SOON = 4.0

SCHEMES = ["ws", "wss", "ws+unix", "rs", "rss", "rs+unix"]
PHASES = ["handshake", "welcome", "roles"]
CASES = [(scheme, phase) for scheme in SCHEMES for phase in PHASES] + [("wss", "tls"), ("rss", "tls")]


class Stalling:
    """A router that does all that it should, up to a phase, in OS threads.

    Attributes:
        url: For the client.
        phase: The one in which it stalls, ``None`` for none.
        manner: How: "silent", "half" of an answer and no more, or a "trickle" of single bytes.
        stalled: Whether somebody has come so far.
    """

    def __init__(self, scheme, folder, phase, manner="silent"):
        self.phase, self.manner = phase, manner
        self.stalled = threading.Event()
        self.failures = []
        self._is_raw = scheme.startswith("rs")
        self._is_secure = scheme in ("wss", "rss")
        self._stopping = threading.Event()
        if scheme.endswith("+unix"):
            path = str(folder / "router.sock")
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen()
            self.url = f"{scheme}://{path}"
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def _listen(self):
        while not self._stopping.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                thread = threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock):
        try:
            with sock:
                Visit(self, sock).serve()
        except (ConnectionError, OSError, EOFError):
            pass  # the client has gone, which is what it should do
        except BaseException as error:
            self.failures.append(error)

    @property
    def stopping(self):
        return self._stopping.is_set()

    def close(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()
        for error in self.failures:
            raise error


class Visit:
    """One client's connection."""

    def __init__(self, router, sock):
        self._router, self._sock = router, sock
        self._tls = None

    def serve(self):
        router = self._router
        if router._is_secure:
            self._encrypt()
        if router._is_raw:
            request = self._read()
            self._say("handshake", bytes((0x7F, 0xF0 | request[1] & 0x0F, 0, 0)))
        else:
            protocol = ServerProtocol(subprotocols=["wamp.2.json"])
            while not (requests := protocol.events_received()):
                protocol.receive_data(self._read())
            protocol.send_response(protocol.accept(requests[0]))
            self._say("handshake", b"".join(protocol.data_to_send()))
        self._read()
        self._say("welcome", self._message([2, 1, {"roles": {"broker": {}, "dealer": {}}}]))
        self._read()
        self._say("roles", self._message([65, 1, 100]))
        while True:
            self._read()

    def _encrypt(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(KEYS / "server.pem", KEYS / "server.key")
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    self._write("tls", self._outgoing.read())
                self._incoming.write(self._receive())
        self._tls = tls
        self._write("tls", self._outgoing.read())  # the tickets of TLS 1.3

    def _message(self, message):
        payload = json.dumps(message).encode()
        if self._router._is_raw:
            return b"\0" + len(payload).to_bytes(3, "big") + payload
        return Frame(Opcode.TEXT, payload).serialize(mask=False)

    def _read(self):
        while self._tls is not None:
            try:
                data = self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._incoming.write(self._receive())
                continue
            if not data:
                raise EOFError
            return data
        return self._receive()

    def _receive(self):
        while not select.select([self._sock], [], [], 0.05)[0]:
            if self._router.stopping:
                raise EOFError
        data = self._sock.recv(65536)
        if not data:
            raise EOFError
        return data

    def _say(self, phase, data):
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self._write(phase, data)

    def _write(self, phase, data):
        router = self._router
        if phase != router.phase:
            self._sock.sendall(data)
            return
        if router.manner == "half":
            self._sock.sendall(data[: len(data) // 2])
        router.stalled.set()
        if router.manner == "trickle":
            pause = 0.25 if len(data) < 10 else 0.05  # RawSocket's answer has four bytes only
            for byte in data:
                self._sock.sendall(bytes([byte]))
                if select.select([self._sock], [], [], pause)[0] or router.stopping:
                    break  # the client closes, having had enough
        while True:
            self._receive()


@pytest.fixture
def stalling(tmp_path):
    """Start routers that stall: ``stalling(scheme, phase, manner="silent")``."""
    routers = []

    def start(*args, **kwargs):
        # A Unix socket's path must be short.
        folder = tmp_path / str(len(routers))
        folder.mkdir()
        routers.append(Stalling(args[0], folder, *args[1:], **kwargs))
        return routers[-1]

    yield start
    for router in routers:
        router.close()


class WithRole(Client):
    """Has something to register, and notes what its hooks are told."""

    told = ()

    @callee(procedure="com.example.stalled")
    def procedure(self):
        pass

    def on_join(self, details):
        self.told += ("on_join",)

    def on_leave(self, reason):
        self.told += ("on_leave",)

    def on_disconnect(self, error):
        self.told += ("on_disconnect",)


def names_phase(error, scheme, phase, url):
    """Assert that the error says in which phase and, where that matters, at which router the time was up."""
    framing = "RawSocket" if scheme.startswith("rs") else "WebSocket"
    words = {
        "connect": ["connection to", url],
        "tls": ["TLS handshake", url],
        "handshake": [f"{framing} handshake", url],
        "welcome": ["WELCOME", "realm1"],
        "roles": ["com.example.stalled"],
    }[phase]
    for word in words:
        assert word in str(error), str(error)
    assert error.seconds == SECONDS
    assert f"{SECONDS:g}" in str(error)


def timeouts(client):
    started = time.monotonic()
    with pytest.raises(WampyTimeOutError) as caught:
        client.start()
    taken = time.monotonic() - started
    assert SECONDS * 0.9 < taken < SOON
    assert client.session is None and client.wait(0.1), "it still runs"
    assert client.told == ()
    return caught.value


@pytest.mark.parametrize("manner", ["silent", "half", "trickle"])
@pytest.mark.parametrize(("scheme", "phase"), CASES)
def test_every_phase_ends_in_its_timeout(stalling, make_client, scheme, phase, manner):
    router = stalling(scheme, phase, manner)
    parameters = {"open_timeout": SECONDS, "close_timeout": 0.2}
    if phase == "roles":
        # Each role is a request like any other.
        parameters = {"open_timeout": 20.0, "call_timeout": SECONDS, "close_timeout": 0.2}
    client = make_client(WithRole, url=router.url, cert_path=CA, **parameters)
    error = timeouts(client)
    assert router.stalled.is_set()
    names_phase(error, scheme, phase, router.url)


@pytest.mark.parametrize(("scheme", "phase"), CASES)
def test_the_same_client_can_start_once_the_router_stalls_no_more(stalling, make_client, scheme, phase):
    router = stalling(scheme, phase, "half")
    client = make_client(
        WithRole, url=router.url, cert_path=CA, open_timeout=SECONDS, call_timeout=SECONDS, close_timeout=0.2
    )
    timeouts(client)
    router.phase = None
    client.start()
    assert client.session.id == 1


@pytest.mark.parametrize(("scheme", "phase"), CASES)
def test_stop_during_every_phase_returns_soon_and_leaves_nothing(stalling, make_client, green, scheme, phase):
    router = stalling(scheme, phase)
    client = make_client(
        WithRole, url=router.url, cert_path=CA, open_timeout=30.0, call_timeout=30.0, close_timeout=0.2
    )
    starting = green.spawn(client.start)
    green.wait_until(router.stalled.is_set)
    green.sleep(0.02)
    assert not starting.done
    started = time.monotonic()
    client.stop()
    assert time.monotonic() - started < SOON
    assert isinstance(starting.error(SOON), ConnectionClosed)
    assert client.session is None and client.wait(0.1)
    assert client.told == ()


@pytest.mark.parametrize(("scheme", "phase"), CASES)
def test_a_start_that_is_killed_during_any_phase_leaves_nothing(stalling, green, scheme, phase):
    router = stalling(scheme, phase)
    # Not of make_client, which would stop it.
    client = WithRole(url=router.url, cert_path=CA, open_timeout=30.0, call_timeout=30.0, close_timeout=0.2)
    starting = green.spawn(client.start)
    green.wait_until(router.stalled.is_set)
    green.sleep(0.02)
    starting.kill()
    assert type(starting.error(SOON)) is green.backend.kill_error
    assert client.session is None
    green.wait_until(lambda: client.wait(0.01), SOON)
    assert client.told == ()


# A queue of new connections that is full: nobody ever accepts.


@pytest.fixture
def full_port():
    """A port whose queue is full, so that the kernel lets nobody in."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        try:
            for _ in range(4):
                fillers.append(socket.socket())
                fillers[-1].setblocking(False)
                fillers[-1].connect_ex(listener.getsockname())
            # Those that the kernel let in have become writable.
            assert len(select.select([], fillers, [], 0.1)[1]) < len(fillers), "the queue is not full"
            yield listener.getsockname()[1]
        finally:
            for filler in fillers:
                filler.close()


@pytest.fixture
def full_socket(tmp_path):
    """The path of a Unix socket whose queue is full, its listener, and who is in the queue."""
    path = str(tmp_path / "full.sock")
    fillers = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        try:
            while True:
                fillers.append(socket.socket(socket.AF_UNIX))
                fillers[-1].setblocking(False)
                if fillers[-1].connect_ex(path):
                    break
            yield path, listener
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.parametrize("scheme", ["ws", "wss", "rs", "rss"])
def test_a_port_whose_queue_is_full(make_client, full_port, scheme):
    url = f"{scheme}://127.0.0.1:{full_port}"
    client = make_client(WithRole, url=url, open_timeout=SECONDS)
    names_phase(timeouts(client), scheme, "connect", url)


@pytest.mark.parametrize("scheme", ["ws+unix", "rs+unix"])
def test_a_unix_socket_whose_queue_is_full(make_client, full_socket, scheme):
    url = f"{scheme}://{full_socket[0]}"
    client = make_client(WithRole, url=url, open_timeout=SECONDS)
    error = timeouts(client)
    names_phase(error, scheme, "connect", url)
    assert "queue" in str(error)


def test_a_unix_socket_whose_queue_gets_room_is_connected_to(make_client, full_socket, green):
    path, listener = full_socket
    client = make_client(url=f"rs+unix://{path}", open_timeout=10.0, close_timeout=0.2)
    starting = green.spawn(client.start)
    green.sleep(0.1)
    assert not starting.done
    listener.setblocking(False)
    deadline = time.monotonic() + SOON
    while True:
        green.wait_until(lambda: select.select([listener], [], [], 0)[0], SOON)
        with listener.accept()[0] as sock:
            sock.setblocking(False)
            green.sleep(0.1)
            try:
                opening = sock.recv(4)
            except BlockingIOError:
                opening = b""  # one of those who were in the queue
            if opening:
                assert opening == b"\x7f\xf1\0\0"
                break
        assert time.monotonic() < deadline
    assert isinstance(starting.error(SOON), WampyError)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_stop_while_a_queue_is_full(kind, request, make_client, green):
    if kind == "tcp":
        url = f"ws://127.0.0.1:{request.getfixturevalue('full_port')}/"
    else:
        url = f"ws+unix://{request.getfixturevalue('full_socket')[0]}"
    client = make_client(WithRole, url=url, open_timeout=30.0)
    starting = green.spawn(client.start)
    green.sleep(0.1)
    assert not starting.done
    client.stop()
    assert isinstance(starting.error(SOON), ConnectionClosed)
    assert client.session is None and client.wait(0.1)
