"""A router that does what a script says, on a real socket: the faults that a real router will not make to order."""

import contextlib
import importlib.util
import json
import select
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol

WELCOME_DETAILS = {
    "roles": {
        "broker": {"features": {"pattern_based_subscription": True}},
        "dealer": {"features": {"call_canceling": True}},
    }
}


def load(module_name):
    """Import a module beside this file, by path: there are no packages in tests/."""
    name = f"wampy_tests_{module_name}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{module_name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def make_client(make_client):
    """Make clients whose session is the only one: what it does with a fault is the question here.

    Coming back has files of its own.
    """
    return lambda *args, **parameters: make_client(*args, **{"reconnect": False} | parameters)


class Peer:
    """One client's connection, as its script sees it. Everything blocks, in an OS thread of its own.

    Attributes:
        received: Every message that came in, as a list.
        sock: The socket, for scripts that want to break something.
    """

    def __init__(self, sock, stopping):
        self.sock = sock
        self.received = []
        self.closed_by_client = False
        self._stopping = stopping
        self._waiting = []
        self._text = b""
        self._protocol = ServerProtocol(subprotocols=["wamp.2.json"], max_size=None)

    # What scripts are made of.

    def handshake(self):
        """Answer the WebSocket handshake."""
        while self._protocol.state is CONNECTING:
            assert self.fill(), "the client went away during the handshake"
            for event in self._protocol.events_received():
                assert isinstance(event, Request)
                self._protocol.send_response(self._protocol.accept(event))
                self.flush()

    def welcome(self, session_id=1234, details=WELCOME_DETAILS):
        """Let a client in: the handshake, HELLO, WELCOME."""
        self.handshake()
        hello = self.receive()
        assert hello is not None and hello[0] == 1, hello
        self.send([2, session_id, details])
        return hello

    def receive(self):
        """Wait for a message; ``None`` when the client has closed the connection."""
        while not self._waiting:
            if self.closed_by_client or not self.fill():
                return None
        message = self._waiting.pop(0)
        self.received.append(message)
        return message

    def __iter__(self):
        return iter(self.receive, None)

    def serve(self, answer=None):
        """Answer every message until the client leaves.

        Args:
            answer: Called with each message; returns the messages to send, or ``None`` for the usual ones.
        """
        for message in self:
            replies = answer(message) if answer is not None else None
            if replies is None:
                replies = usual(message)
            self.send(*replies)

    def send(self, *messages):
        """Send messages, all in one piece."""
        if self._protocol.state is not OPEN:
            raise ConnectionAbortedError("the client has begun to close")
        for message in messages:
            text = message if isinstance(message, bytes) else json.dumps(message).encode()
            self._protocol.send_text(text)
        self.flush()

    def send_frame(self, opcode, data=b"", fin=True):
        """Send any frame, for example a fragment."""
        self.write(Frame(opcode, data, fin).serialize(mask=False))

    def ping(self, data=b"are you there"):
        self._protocol.send_ping(data)
        self.flush()

    def close_websocket(self, code=1000, reason=""):
        self._protocol.send_close(code, reason)
        self.flush()

    def wait_for_end(self):
        """Read on until the client ends the stream."""
        while self.receive() is not None:
            pass
        while self.fill():
            pass

    # How.

    def fill(self):
        """Read once; say whether the stream goes on."""
        while not select.select([self.sock], [], [], 0.05)[0]:
            if self._stopping.is_set():
                return False
        data = self.sock.recv(1 << 20)
        if not data:
            self._protocol.receive_eof()
            return False
        opened = self._protocol.state is not CONNECTING
        self._protocol.receive_data(data)
        if opened:
            for frame in self._protocol.events_received():
                self._take(frame)
        self.flush()
        return True

    def _take(self, frame):
        if frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._text += bytes(frame.data)
            if frame.fin:
                self._waiting.append(json.loads(self._text))
                self._text = b""
        elif frame.opcode is Opcode.CLOSE:
            self.closed_by_client = True

    def flush(self):
        ending = False
        for piece in self._protocol.data_to_send():
            if piece:
                self.write(piece)
            else:
                ending = True
        if ending:
            with contextlib.suppress(OSError):  # the client may be gone altogether
                self.sock.shutdown(socket.SHUT_WR)

    def write(self, data):
        # Not sendall on a blocking socket: a client that does not read must not keep the test from ending.
        view = memoryview(data)
        while view:
            if not select.select([], [self.sock], [], 0.05)[1]:
                if self._stopping.is_set():
                    raise ConnectionAbortedError("the test is over")
                continue
            view = view[self.sock.send(view) :]


def usual(message):
    """Return what a well-behaved router answers; calls and publications go nowhere."""
    code = message[0]
    if code == 6:
        return [[6, {}, "wamp.close.goodbye_and_out"]]
    if code == 64:
        return [[65, message[1], 1000 + message[1]]]
    if code == 32:
        return [[33, message[1], 2000 + message[1]]]
    if code in (34, 66):
        return [[code + 1, message[1]]]
    if code == 16 and message[2].get("acknowledge"):
        return [[17, message[1], 3000 + message[1]]]
    return []


class FakeRouter:
    """Listens, and runs the script for each connection in an OS thread.

    Attributes:
        url: For the client.
        peers: The connections so far.
    """

    def __init__(self, script):
        self.script = script
        self.peers = []
        self.failures = []
        self._stopping = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/"
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    @property
    def peer(self):
        assert len(self.peers) == 1
        return self.peers[0]

    @property
    def received(self):
        return self.peer.received

    def _listen(self):
        while not self._stopping.is_set():
            if select.select([self._socket], [], [], 0.05)[0]:
                sock, _ = self._socket.accept()
                peer = Peer(sock, self._stopping)
                self.peers.append(peer)
                thread = threading.Thread(target=self._run, args=(peer,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self, peer):
        try:
            with peer.sock:
                self.script(peer)
        except ConnectionError:
            pass  # the client went away, which is its right
        except BaseException as error:
            self.failures.append(error)

    def close(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join(10)
        self._socket.close()
        for error in self.failures:
            raise error


@pytest.fixture
def fake_router():
    """Start routers that do as a script says: ``fake_router(script)``, the script called with each `Peer`."""
    routers = []

    def start(script):
        routers.append(FakeRouter(script))
        return routers[-1]

    yield start
    for router in routers:
        router.close()


@pytest.fixture
def well_behaved(fake_router):
    """Start a fake router that does as it should: ``well_behaved(answer)``; see `Peer.serve`."""

    def start(answer=None, **welcome):
        def script(peer):
            peer.welcome(**welcome)
            peer.serve(answer)

        return fake_router(script)

    return start


@pytest.fixture
def frozen_port():
    """A port that accepts connections and says nothing: nobody ever reads the connections."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


@pytest.fixture
def closed_port():
    """A port at which nobody listens."""
    with socket.socket() as sock:
        # Bound and not listening: nobody else can take it meanwhile.
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def own_router():
    """A Crossbar of the test's own, to be killed or stopped."""
    from wampy.peers.routers import Crossbar

    with Crossbar() as router:
        yield router


@pytest.fixture
def hold_up(green):
    """Let nothing of wampy's run for a while: ``hold_up(seconds)``; the rest of the world goes on.

    A program that computes does that to green threads, and one that keeps the interpreter to itself to OS threads.
    """

    def hold_up(seconds, then=lambda: None):
        """Hold it up.

        Args:
            seconds: How long.
            then: What to do before wampy goes on. Threads that wait for their turn mostly get it in the order in which
                they came, so that timers which are due come before a reader that sees what this does.
        """

        def hold():
            time.sleep(seconds)
            then()
            time.sleep(0.02)  # for the reader to stand in line

        green.backend.inside(hold)

    return hold_up


# Networks that fail.


@pytest.fixture
def forward():
    """Start forwarders: ``forward(port)``, or ``forward(port, rate=bytes_per_second)``; see `forwarder.py`."""
    forwarders = []
    module = load("forwarder")

    def start(port, rate=None, listener=None):
        forwarders.append(module.Forwarder(port, rate, listener))
        return forwarders[-1]

    yield start
    for forwarder in forwarders:
        forwarder.close()


# Routers that lie; the scripted router tells every word of theirs.


@pytest.fixture(scope="session")
def hostile(quick_leak_check):
    """The module `hostile`: `Ordeal`, `Witness`, and the request ids of what waits."""
    return load("hostile")


@pytest.fixture
def scripted(green, wamp):
    """A scripted router that listens; closed without a word at the end."""
    router = wamp.ScriptedRouter(green.backend)
    yield router
    router.close()


@pytest.fixture
def ordeal(hostile, green, wamp, scripted, caplog):
    """An `Ordeal` with the scripted router."""
    ordeal = hostile.Ordeal(green, wamp, scripted, caplog)
    yield ordeal
    ordeal.close()


@pytest.fixture
def raw_ordeal(hostile, green, wamp, scripted, caplog):
    """An `Ordeal` over RawSocket."""
    ordeal = hostile.Ordeal(green, wamp, scripted, caplog, rawsocket=True)
    yield ordeal
    ordeal.close()
