"""A transport, connected to the scripted router; and servers that speak TLS."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest

KEYS = Path(__file__).resolve().parents[3] / "wampy" / "testing" / "keys"


class Opened:
    """A transport that is connected, what it pushed, and the router's end of it.

    Attributes:
        batches: The lists that `on_payloads` got.
        lost: What `on_lost` got; nothing, or one error.
    """

    def __init__(self, transport, peer):
        self.transport = transport
        self.peer = peer
        self.batches = []
        self.lost = []
        self.late = []
        self.react = None

    def start(self):
        self.transport.start(self._on_payloads, self.lost.append)
        return self

    def _on_payloads(self, payloads):
        (self.late if self.lost else self.batches).append(list(payloads))
        if self.react is not None:
            self.react(payloads)

    @property
    def payloads(self):
        return [payload for batch in self.batches for payload in batch]


def end(green, opened):
    """Close what a test has opened, and see that each was lost at most once."""
    for each in opened:
        each.transport.close(0.0)
    green.wait_until(lambda: all(each.lost for each in opened if each.transport._watch is not None))
    for each in opened:
        assert len(each.lost) <= 1, "told of the loss twice"
        assert not each.late, "pushed something after the loss"


@pytest.fixture
def make_transport(backend, router):
    """Make an unconnected transport to the scripted router, or to another URL."""
    from wampy.serializers import get_serializer
    from wampy.transports import transport_for

    def make(url=None, serializers=None, **options):
        options = {"max_message_size": None, **options}
        return transport_for(url or router.url, backend, serializers or [get_serializer("json")], **options)

    return make


@pytest.fixture
def unix_router(backend, wamp, tmp_path, monkeypatch):
    """A scripted router that listens on a Unix socket."""
    # The path of a test's own folder may be longer than a Unix socket's may be.
    monkeypatch.chdir(tmp_path)
    path = Path("/proc/self/cwd/router.sock")
    router = wamp.ScriptedRouter(backend, path=path)
    yield router
    router.close()


@pytest.fixture
def connect(backend, green, router, make_transport):
    """Connect a transport with the scripted router, or another one, and start it."""
    opened = []

    def connect(start=True, receive_buffer=None, rawsocket=False, to=router, limit=15, **options):
        transport = make_transport(to.rawsocket_url if rawsocket else to.url, **options)
        connecting = green.spawn(transport.connect, backend.monotonic() + 5)
        peer = to.accept(handshake=False, receive_buffer=receive_buffer, rawsocket=rawsocket)
        if rawsocket:
            peer.shake_hands(limit=limit)
        else:
            peer.shake_hands()
        connecting.result()
        opened.append(Opened(transport, peer))
        return opened[-1].start() if start else opened[-1]

    yield connect
    end(green, opened)


@pytest.fixture(scope="session")
def keys():
    return KEYS


@pytest.fixture
def tls_echo():
    """Start a TLS server that sends back what it reads; ``tls_echo(certificate)`` gives its port.

    With `authority`, a file, it wants a certificate of the client's that this one has signed.
    """
    stops, accepted = [], []

    def start(certificate="server", greeting=b"", authority=None, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(KEYS / f"{certificate}.pem", KEYS / f"{certificate}.key")
        if version is not None:
            context.maximum_version = version
        if authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(authority)
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            plain.settimeout(10)
            try:
                with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as sock:
                    accepted.append(sock)
                    sock.do_handshake()
                    if greeting:
                        sock.sendall(greeting)
                    while (data := sock.recv(65536)) not in (b"", b"bye"):
                        sock.sendall(data)
                    sock.unwrap()
            except OSError:
                pass
            finally:
                plain.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        stops.append((listener, thread))
        return listener.getsockname()[1]

    yield start
    for sock in accepted:
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
    for listener, thread in stops:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


class OverTls:
    """A peer whose words go through TLS, with a hold on its records.

    Attributes:
        peer: A `RawPeer`; its `raw` and `read` are in plaintext.
        wire: Writes bytes as they are.
        object: The server's side of TLS.
    """

    def __init__(self, peer, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(KEYS / "server.pem", KEYS / "server.key")
        if version is not None:
            context.maximum_version = version
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.peer, self.wire, self._read = peer, peer.raw, peer.read
        peer.raw, peer.read = self.write, self.read

    def shake_hands(self):
        while True:
            try:
                self.object.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.wire(self._outgoing.read())
                self._incoming.write(self._read())
        self.wire(self._outgoing.read())

    def seal(self, data):
        """Give the records that carry it."""
        self.object.write(data)
        return self._outgoing.read()

    def seal_end(self):
        """Give the record that says that nothing follows."""
        with suppress(ssl.SSLWantReadError):  # it would wait for the client's own
            self.object.unwrap()
        return self._outgoing.read()

    def write(self, data):
        self.wire(self.seal(data))

    def read(self, *timeout):
        while True:
            try:
                return self.object.read(65536)
            except ssl.SSLWantReadError:
                data = self._read(*timeout)
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""


@pytest.fixture
def over_tls(router):
    """Take a client of the scripted router that speaks TLS, and shake hands; its URL is ``over_tls.url``."""

    def accept(receive_buffer=None, version=None):
        peer = router.accept(handshake=False, rawsocket=True, receive_buffer=receive_buffer)
        tls = OverTls(peer, version)
        tls.shake_hands()
        return tls

    # The certificate is for the name.
    accept.url = f"rss://localhost:{router.port}"
    accept.options = {"cert_path": KEYS / "ca.pem", "ipv": 4}
    return accept


@pytest.fixture
def connect_by_tls(backend, green, make_transport, over_tls):
    """Connect a RawSocket over TLS with the scripted router; gives what `connect` gives, and the router's TLS."""
    opened = []

    def connect(start=True, receive_buffer=None, version=None, **options):
        transport = make_transport(over_tls.url, **over_tls.options | options)
        connecting = green.spawn(transport.connect, backend.monotonic() + 5)
        tls = over_tls(receive_buffer, version)
        tls.peer.shake_hands()
        connecting.result()
        opened.append(Opened(transport, tls.peer))
        return (opened[-1].start() if start else opened[-1]), tls

    yield connect
    end(green, opened)
