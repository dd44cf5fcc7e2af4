"""Every way to a real Crossbar with every serializer: six transports, and the same scenarios over each of them."""

import hashlib
import json
import logging
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from wampy import Client, RemoteError, callee, subscribe
from wampy.errors import ConnectionClosed, ConnectionError, HandshakeError, SerializationError
from wampy.peers._probe import is_answering, why_not_joinable
from wampy.peers.routers import Crossbar
from wampy.serializers import JsonSerializer
from wampy.urls import SCHEMES as KNOWN

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "wampy" / "testing" / "configs"
KEYS = ROOT / "wampy" / "testing" / "keys"
CA = str(KEYS / "ca.pem")
MIB = 1 << 20

SCHEMES = ("ws", "wss", "ws+unix", "rs", "rss", "rs+unix")
SERIALIZERS = ("json", "msgpack", "cbor", "ubjson")

# Clients come and go in every test.
pytestmark = pytest.mark.usefixtures("quick_leak_check")

# Bytes that the "small" transports take; a power of two, so that RawSocket can announce it.
SMALL = 65_536

TLS = {"certificate": str(KEYS / "server.pem"), "key": str(KEYS / "server.key")}


class Ways:
    """A Crossbar with many transports, by name.

    Each of `SCHEMES`, the same with "small " in front, and a few that have one setting of their own.
    """

    def __init__(self, folder):
        transports = {}
        for scheme in SCHEMES:
            transports[scheme] = self._transport(scheme, f"{scheme}.sock")
            small = {"max_message_size": SMALL}
            transports[f"small {scheme}"] = self._transport(scheme, f"small.{scheme}.sock", **small)
        transports["deflate ws"] = self._transport("ws", compression={"deflate": {}})
        transports["json rs"] = self._transport("rs") | {"serializers": ["json"]}
        content = json.loads((CONFIGS / "crossbar.json").read_text())
        content["workers"][0]["transports"] = list(transports.values())
        path = folder / "config.json"
        path.write_text(json.dumps(content))
        self.router = Crossbar(url=f"rs+unix://{folder}/rs+unix.sock", config_path=path).start()
        self.urls = {}
        places = self.router._read().places(folder)
        for name, place in zip(transports, places, strict=True):
            scheme = name.split()[-1]
            if isinstance(place, str):
                self.urls[name] = f"{scheme}://{place}"
            else:
                # The certificate is for the name.
                host = "localhost" if KNOWN[scheme].secure else "127.0.0.1"
                self.urls[name] = f"{scheme}://{host}:{place[1]}"
        # `start` waits for its own URL only; Crossbar opens one transport after the other.
        deadline = time.monotonic() + 20
        while obstacles := list(filter(None, (why_not_joinable(url, "realm1", 2) for url in self.urls.values()))):
            assert time.monotonic() < deadline, obstacles
            time.sleep(0.05)

    def _transport(self, scheme, path="", **options):
        endpoint = {"type": "tcp", "interface": "127.0.0.1", "port": 0}
        if scheme.endswith("+unix"):
            endpoint = {"type": "unix", "path": path}
        elif KNOWN[scheme].secure:
            endpoint["tls"] = TLS
        kind, settings = "websocket", {"max_message_size": 1 << 26, "max_frame_size": 0, "auto_fragment_size": 0}
        if KNOWN[scheme].framing == "rawsocket":
            kind, settings = "rawsocket", {"max_message_size": 1 << 24}
        return {"type": kind, "endpoint": endpoint, "serializers": list(SERIALIZERS), "options": settings | options}


@pytest.fixture(scope="session")
def make_ways():
    """Start routers with many transports; they are stopped in the end."""
    made = []

    def make():
        # A folder of our own: a Unix socket's path must be short, and pytest's may be long.
        folder = Path(tempfile.mkdtemp(prefix="wampy-ways-"))
        made.append((folder, None))
        ways = Ways(folder)
        made[-1] = folder, ways
        return ways

    yield make
    for folder, ways in made:
        if ways is not None:
            ways.router.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def transports_router(make_ways):
    return make_ways()


@pytest.fixture(params=SCHEMES)
def scheme(request):
    return request.param


@pytest.fixture(params=SERIALIZERS)
def serializer(request):
    return request.param


class Peer(Client):
    """Writes down what its hooks are told, and every event."""

    def __init__(self, *args, **parameters):
        super().__init__(*args, **{"cert_path": CA, "call_timeout": 30.0} | parameters)
        self.told = []
        self.heard = []

    def on_leave(self, reason):
        self.told.append(("on_leave", reason))

    def on_disconnect(self, error):
        self.told.append(("on_disconnect", error))


class Service(Peer):
    @callee(procedure="com.example.echo")
    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    @callee(procedure="com.example.same")
    def same(self, value):
        return value

    @callee(procedure="com.example.digested")
    def digested(self, value):
        return [hashlib.sha256(value).digest(), value]

    @callee(procedure="com.example.fail")
    def fail(self, *args, **kwargs):
        raise RemoteError("com.example.failed", *args, **kwargs)

    @callee(procedure="com.example.wait")
    def wait_for(self, seconds):
        self._session.backend.sleep(seconds)
        return seconds

    @callee(procedure="com.example.large")
    def large(self, size):
        return "x" * size

    @subscribe(topic="com.example.topic")
    def on_topic(self, *args, meta, **kwargs):
        self.heard.append((list(args), kwargs))


@pytest.fixture
def connect(transports_router, make_client):
    """Make clients that have joined by a way, and do not come back: ``connect(name, Class, …)``."""

    def connect(name, cls=Peer, **parameters):
        client = make_client(cls, **{"url": transports_router.urls[name], "reconnect": False} | parameters)
        client.start()
        assert client.url.startswith(f"{name.split()[-1]}://")
        return client

    return connect


@pytest.fixture
def pair(connect, scheme, serializer):
    """A service and a client, both over one transport and one serializer."""
    service, client = (connect(scheme, cls, serializers=serializer) for cls in (Service, Peer))
    assert {each.session.serializer.name for each in (service, client)} == {serializer}
    return service, client


# Every transport with every serializer.


def test_calls_errors_and_events(pair, green):
    service, client = pair
    value = [None, True, -1, 2**53, 0.1, "größer", b"\0\xff", {"deep": [b"er", {}]}]
    assert client.call("com.example.echo", *value, k=value) == [value, {"k": value}]
    with pytest.raises(RemoteError) as caught:
        client.call("com.example.fail", 1, b"\xff", why="größer")
    assert (caught.value.uri, caught.value.args) == ("com.example.failed", (1, b"\xff"))
    assert caught.value.kwargs["why"] == "größer"
    for number in range(20):
        client.session.publish("com.example.topic", [number, b"\0"], {"k": value})
    green.wait_until(lambda: len(service.heard) == 20)
    assert service.heard == [([number, b"\0"], {"k": value}) for number in range(20)]


def test_thirty_calls_at_once_get_each_its_own_answer(pair):
    _, client = pair
    # The last ones are answered first.
    waits = [(30 - number) / 500 for number in range(30)]
    calls = [client.rpc.com.example.wait.call_async(seconds) for seconds in waits]
    assert [call.result(20) for call in calls] == waits


def test_a_mebibyte_there_and_back_as_a_call_and_as_an_event(pair, green):
    service, client = pair
    text, binary = "ü" * (MIB // 2), bytes(range(256)) * (MIB // 256)
    assert client.call("com.example.same", text) == text
    assert client.call("com.example.same", binary) == binary
    client.session.subscribe("com.example.other", lambda *args, meta, **kwargs: client.heard.append((args, kwargs)))
    client.session.publish("com.example.topic", [text], {"k": binary})
    service.session.publish("com.example.other", [binary], {"k": text})
    green.wait_until(lambda: service.heard and client.heard)
    assert service.heard == [([text], {"k": binary})]
    assert client.heard == [((binary,), {"k": text})]


def test_stop_is_clean_also_while_a_call_waits_and_it_starts_again(pair, green, caplog):
    caplog.set_level(logging.WARNING)
    service, client = pair
    first = client.session.id
    for _ in range(2):
        waiting = green.spawn(client.call, "com.example.wait", 30)
        green.wait_until(lambda: service.session.invocations)
        started = time.monotonic()
        client.stop()
        assert time.monotonic() - started < 3  # and not the call's 30, nor close_timeout
        error = waiting.error(1)
        assert isinstance(error, ConnectionClosed) and error.clean
        assert client.told == [("on_leave", "wamp.close.normal"), ("on_disconnect", None)]
        assert client.session is None and client.wait(0.1)
        client.told.clear()
        client.start()
        assert client.call("com.example.same", 1) == 1
        # Crossbar has the callee interrupted when the caller leaves.
        green.wait_until(lambda: not service.session.invocations)
    assert client.session.id != first
    service.stop()
    assert caplog.records == []


# Every transport.


def test_every_transport_at_once_notices_a_killed_router(make_ways, make_client, green, caplog):
    ways = make_ways()
    clients = [make_client(Peer, url=ways.urls[scheme], reconnect=False) for scheme in SCHEMES]
    callees = [make_client(Peer, url=ways.urls[scheme], reconnect=False) for scheme in SCHEMES]
    for number, each in enumerate(callees):
        each.start()
        each.session.register(f"com.example.never{number}", lambda: green.sleep(60))
    for each in clients:
        each.start()
    calls = [
        green.spawn(client.call, f"com.example.never{number}") for number, client in enumerate(clients) for _ in "123"
    ]
    green.wait_until(lambda: all(len(each.session.invocations) == 3 for each in callees))
    ways.router.kill()
    for call in calls:
        error = call.error(5)
        assert type(error) is ConnectionClosed and not error.clean
    for each in clients + callees:
        with pytest.raises(ConnectionClosed):
            each.wait(5)
        assert each.session is None
        green.wait_until(lambda: each.told, 5)  # noqa: B023
        ((hook, error),) = each.told
        assert hook == "on_disconnect" and type(error) is ConnectionClosed, each.url
    lost = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lost) == len(clients + callees)
    assert {record.levelno for record in lost} == {logging.ERROR}


@pytest.fixture
def limited(connect, scheme):
    """A service over a transport that takes small messages only, and a client over one that takes large ones."""
    return connect(f"small {scheme}", Service), connect(scheme)


RAW = pytest.mark.parametrize("scheme", ["rs", "rss", "rs+unix"], indirect=True)
WEB = pytest.mark.parametrize("scheme", ["ws", "wss", "ws+unix"], indirect=True)


@RAW
def test_a_message_over_the_router_s_limit_is_an_error_of_its_sender(connect, scheme):
    client = connect(f"small {scheme}", Service)
    session, before = client.session, client.session.request_ids.peek()
    for send in (
        lambda value: client.call("com.example.same", value),
        lambda value: session.publish("com.example.topic", [value]),
        lambda value: session.publish("com.example.topic", [value], options={"acknowledge": True}),
    ):
        with pytest.raises(SerializationError, match=rf"larger than the {SMALL} bytes that the router takes"):
            send("x" * SMALL)
    assert session.request_ids.peek() == before
    # To the very byte; and the session goes on.
    frame = [16, before, {"acknowledge": True}, "com.example.topic", [""]]
    room = SMALL - len(session.serializer.dumps(frame))
    with pytest.raises(SerializationError):
        session.publish("com.example.topic", ["x" * (room + 1)], options={"acknowledge": True})
    assert session.publish("com.example.topic", ["x" * room], options={"acknowledge": True})
    assert client.session is session


@RAW
def test_a_callee_s_result_over_the_router_s_limit_is_an_error_at_the_caller(limited):
    service, client = limited
    session = service.session
    with pytest.raises(RemoteError) as caught:
        client.call("com.example.large", SMALL)
    assert f"larger than the {SMALL} bytes that the router takes" in str(caught.value)
    assert service.session is session
    assert client.call("com.example.large", 1000) == "x" * 1000


@WEB
@pytest.mark.parametrize("what", ["call", "result", "event"])
def test_a_message_over_a_websocket_s_limit_ends_with_a_text_about_it(limited, what, green):
    service, client = limited
    if what == "result":
        with pytest.raises(RemoteError):
            client.call("com.example.large", 2 * SMALL)
    elif what == "event":
        service.session.publish("com.example.other", ["x" * 2 * SMALL])
    else:
        with pytest.raises(ConnectionClosed, match=r"1009.* larger than it takes; raise its limit"):
            service.call("com.example.same", "x" * 2 * SMALL)
    with pytest.raises(ConnectionClosed):
        service.wait(5)
    green.wait_until(lambda: service.told, 5)
    ((hook, error),) = service.told
    assert hook == "on_disconnect"
    assert "1009" in str(error) and "raise its limit" in str(error)
    # And nobody else.
    assert client.call("wamp.session.count") >= 1


@pytest.mark.parametrize("serializer", ["json", "msgpack"], indirect=True)
def test_a_message_over_max_message_size_ends_the_session_by_the_setting_s_name(connect, scheme, serializer, green):
    limit = 100_000
    service = connect(scheme, Service)
    client = connect(scheme, serializers=serializer, max_message_size=limit)
    just = "x" * (limit - 1000)
    assert client.call("com.example.same", just) == just
    with pytest.raises(ConnectionClosed, match=rf"over max_message_size \({limit} bytes\)"):
        client.call("com.example.large", limit)
    with pytest.raises(ConnectionClosed):
        client.wait(5)
    green.wait_until(lambda: client.told, 5)
    ((hook, error),) = client.told
    assert hook == "on_disconnect" and "max_message_size" in str(error)
    # It was the client's own doing: the service goes on, and the client starts again.
    client.start()
    assert client.call("com.example.large", 1000) == "x" * 1000
    assert service.told == []


@pytest.mark.parametrize("scheme", ["wss", "rss"], indirect=True)
def test_fifty_writers_of_a_mebibyte_on_one_tls_connection_and_a_reader(connect, scheme, green):
    connect("rs+unix", Service, serializers="msgpack", max_workers=8)
    client = connect(scheme, serializers="msgpack", call_timeout=120.0, send_timeout=120.0)

    def write(number):
        value = hashlib.shake_128(bytes([number])).digest(MIB)
        digest = hashlib.sha256(value).digest()
        # Not all at one moment: some write while others read.
        green.sleep(number / 1000)
        # The service's own word for what it got: what is done wrong there and back may come to nothing.
        return client.call("com.example.digested", value) == [digest, value]

    session = client.session
    writers = [green.spawn(write, number) for number in range(50)]
    assert [writer.result(120) for writer in writers] == [True] * 50
    assert client.session is session


def test_the_probe_knows_every_transport(transports_router, scheme):
    url = transports_router.urls[scheme]
    assert why_not_joinable(url, "realm1", 5) is None
    assert why_not_joinable(url, "realm2", 5) == "there is no realm 'realm2' (yet)"
    assert is_answering(url, 5)
    # The same place, by what it does not speak; some of them wait for more octets than they get.
    other = url.replace("ws", "rs", 1) if url.startswith("ws") else url.replace("rs", "ws", 1)
    assert not is_answering(other, 0.2)
    assert why_not_joinable(other, "realm1", 0.2) is not None


# Options.


def test_compression_is_agreed_on_and_payloads_are_right(connect, green):
    service = connect("ws", Service, max_message_size=None)
    client = connect("deflate ws", compression="deflate")
    transport = client._session._transport
    assert [each.name for each in transport._protocol.extensions] == ["permessage-deflate"]
    before = transport.written
    text, noise = "größer " * 50_000, hashlib.shake_128(b"noise").digest(100_000)
    assert client.call("com.example.same", text) == text
    assert 0 < transport.written - before < len(text) / 10
    assert client.call("com.example.echo", text, k=noise) == [[text], {"k": noise}]
    client.session.publish("com.example.topic", [text], {"k": noise})
    green.wait_until(lambda: service.heard)
    assert service.heard == [([text], {"k": noise})]


def test_an_inflated_message_counts_as_what_it_becomes(connect):
    connect("ws", Service)
    client = connect("deflate ws", compression="deflate", max_message_size=100_000)
    with pytest.raises(ConnectionClosed, match="max_message_size"):
        client.call("com.example.large", 200_000)
    with pytest.raises(ConnectionClosed):
        client.wait(5)


def test_a_router_without_compression_is_used_without(connect):
    connect("ws", Service)
    client = connect("ws", compression="deflate")
    assert client._session._transport._protocol.extensions == []
    assert client.call("com.example.same", "x" * 10_000) == "x" * 10_000


def test_headers_reach_the_router(connect, scheme):
    client = connect(scheme, headers={"X-Wampy": "größer".encode().hex(), "User-Agent": "a test"})
    details = client.call("wamp.session.get", client.session.id)
    seen = details["transport"].get("http_headers_received")
    if KNOWN[scheme].framing == "rawsocket":
        assert not seen  # there is no HTTP
    else:
        assert seen["x-wampy"] == "größer".encode().hex()
        assert seen["user-agent"] == "a test"


@pytest.mark.parametrize("name", ["ws", "wss", "rs", "rss"])
def test_ipv(connect, transports_router, make_client, name):
    url = transports_router.urls[name].replace("127.0.0.1", "localhost")
    assert connect(name, url=url, ipv=4).call("wamp.session.count") >= 1
    client = make_client(Peer, url=url.replace("localhost", "127.0.0.1"), ipv=6)
    with pytest.raises(ConnectionError):
        client.start()


class Unknown(JsonSerializer):
    """A serializer that Crossbar cannot know."""

    name = "own"
    subprotocol = "wamp.2.own"
    rawsocket_id = 9


@pytest.mark.parametrize("first", [("ubjson",), (Unknown(),), ("msgpack", Unknown(), "cbor")], ids=len)
def test_rawsocket_falls_back_to_a_serializer_that_the_router_has(connect, first):
    connect("rs", Service)
    client = connect("json rs", serializers=(*first, "json"))
    assert client.session.serializer.name == "json"
    assert client.call("com.example.same", b"\0") == b"\0"


def test_rawsocket_without_a_common_serializer_says_which_were_asked_for(transports_router, make_client):
    client = make_client(Peer, url=transports_router.urls["json rs"], serializers=("ubjson", "cbor"))
    with pytest.raises(HandshakeError) as caught:
        client.start()
    assert "'ubjson'" in str(caught.value) and "'cbor'" in str(caught.value)


@RAW
def test_a_rawsocket_ping_that_crossbar_does_not_stand_ends_with_the_setting_s_name(connect, scheme, green):
    client = connect(scheme, rawsocket_ping=True, heartbeat=0.1)
    assert client.is_pinging
    with pytest.raises(ConnectionClosed):
        client.wait(5)
    green.wait_until(lambda: client.told)
    ((hook, error),) = client.told
    assert hook == "on_disconnect" and type(error) is ConnectionClosed
    assert "after a PING" in str(error) and "rawsocket_ping=False" in str(error)


def test_is_pinging(connect, scheme, green):
    client = connect(scheme, heartbeat=0.1, heartbeat_timeout=5.0)
    assert client.is_pinging is (KNOWN[scheme].framing == "websocket")
    green.sleep(0.35)  # some pings, and their pongs
    assert client.told == []
    assert client.call("wamp.session.count") >= 1
    client.stop()
    assert not client.is_pinging
    client = connect(scheme, heartbeat=None)
    assert not client.is_pinging
