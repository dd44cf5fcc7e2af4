"""A connection dies without a packet, or only seems to: who is noticed, and who is let live."""

import logging
import socket
import time
from pathlib import Path

import pytest

from wampy import Client, callee
from wampy.errors import ConnectionClosed

CA = str(Path(__file__).resolve().parents[2] / "wampy" / "testing" / "keys" / "ca.pem")

# Heartbeat and timeout are well under a second; the rest is slack for a busy machine.
SOON = 6.0
QUICK = {"heartbeat": 0.2, "heartbeat_timeout": 0.8}
MIB = 1 << 20

# Started before a test's first look at what there is, whichever of them it asks for by name.
pytestmark = pytest.mark.usefixtures("wampy_router", "tls_router")


class Watcher(Client):
    """Notes what its hooks are told."""

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.told = []

    def on_leave(self, reason):
        self.told.append(("on_leave", reason))

    def on_disconnect(self, error):
        self.told.append(("on_disconnect", error))


class Worker(Watcher):
    """Has a procedure that takes until it is let go."""

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.go = self._session.backend.slot()
        self.did = []

    @callee(procedure="com.example.half_open.work", invocation_policy="roundrobin")
    def work(self):
        self.did.append("began")
        try:
            self.go.wait()
            self.did.append("finished")
        finally:
            self.did.append("ended")


@pytest.fixture(params=["ws", "wss"])
def link(request, forward):
    """A forwarder in front of a Crossbar, and how a client goes through it."""
    router = request.getfixturevalue("wampy_router" if request.param == "ws" else "tls_router")
    forwarder = forward(router.port)
    forwarder.router = router
    forwarder.parameters = {"url": f"{request.param}://127.0.0.1:{forwarder.port}/"}
    if request.param == "wss":
        forwarder.parameters["cert_path"] = CA
    return forwarder


def is_silence(error):
    """Assert that an error says that a heartbeat was missed."""
    assert type(error) is ConnectionClosed, repr(error)
    assert "no sign of life" in str(error) and "0.8 seconds" in str(error) and "heartbeat_timeout" in str(error)
    assert error.clean is False
    return True


# Dead.


def test_an_idle_connection_that_goes_dead_is_noticed(link, make_client, green, caplog):
    client = make_client(Watcher, **link.parameters, **QUICK)
    client.start()
    green.sleep(0.7)
    assert client.session is not None, "it was given up while it was well"
    link.freeze()
    assert is_silence(green.spawn(client.wait).error(SOON))
    assert client.session is None
    green.wait_until(lambda: client.told, SOON)
    [(hook, error)] = client.told
    assert hook == "on_disconnect" and is_silence(error)
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "heartbeat_timeout" in record.getMessage()


def test_all_that_waits_is_told_when_a_connection_goes_dead(link, make_client, green):
    worker = make_client(Worker, **{**link.parameters, "url": link.router.url})
    worker.start()
    client = make_client(Watcher, **link.parameters, **QUICK, call_timeout=60.0)
    client.start()
    calls = [green.spawn(client.call, "com.example.half_open.work") for _ in range(5)]
    green.wait_until(lambda: len(worker.did) == 5)
    link.freeze()
    session = client.session
    calls.append(green.spawn(client.call, "com.example.half_open.not_even_asked"))
    calls.append(green.spawn(session.subscribe, "com.example.half_open.topic", print))
    calls.append(green.spawn(session.publish, "com.example.topic", ["x"], options={"acknowledge": True}))
    errors = [call.error(SOON) for call in calls]
    assert all(is_silence(error) for error in errors)
    assert len({id(error) for error in errors}) == len(errors), "an error is shared"
    with pytest.raises(ConnectionClosed):
        client.call("com.example.half_open.work")
    assert not session.pending
    worker.go.set()


def test_nothing_is_left_of_a_dead_connection_also_without_stop(link, green):
    client = Client(**link.parameters, **QUICK, reconnect=False)
    client.start()
    link.freeze()
    assert is_silence(green.spawn(client.wait).error(SOON))


def test_what_a_callee_works_on_goes_on_and_its_answer_is_dropped(link, make_client, green, caplog):
    worker = make_client(Worker, **link.parameters, **QUICK)
    worker.start()
    caller = make_client(url=link.router.url, cert_path=CA, call_timeout=60.0)
    caller.start()
    call = green.spawn(caller.call, "com.example.half_open.work")
    green.wait_until(lambda: worker.did)
    link.freeze()
    green.wait_until(lambda: worker.told, SOON)
    assert worker.did == ["began"]
    worker.go.set()
    green.wait_until(lambda: len(worker.did) == 3, SOON)
    assert worker.did == ["began", "finished", "ended"]
    green.sleep(0.02)
    records = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(records) == 1, caplog.text
    caller.stop()
    assert isinstance(call.error(SOON), ConnectionClosed)


def test_what_a_callee_works_on_for_ever_ends_with_stop(link, make_client, green):
    worker = make_client(Worker, **link.parameters, **QUICK)
    worker.start()
    caller = make_client(url=link.router.url, cert_path=CA, call_timeout=60.0)
    caller.start()
    call = green.spawn(caller.call, "com.example.half_open.work")
    green.wait_until(lambda: worker.did)
    link.freeze()
    green.wait_until(lambda: worker.told, SOON)
    started = time.monotonic()
    worker.stop()
    assert time.monotonic() - started < SOON
    assert worker.did == ["began", "ended"]
    caller.stop()
    assert call.error(SOON) is not None


def test_whoever_waits_for_room_is_told_when_the_connection_goes_dead(link, make_client, green):
    client = make_client(Watcher, **link.parameters, **QUICK, send_timeout=60.0)
    client.start()
    payload = "x" * MIB

    def flood():
        while True:
            client.publish(topic="com.example.half_open.flood", data=payload)

    link.freeze()
    floods = [green.spawn(flood) for _ in range(10)]
    green.wait_until(lambda: client._session._transport.unwritten > 0)
    assert all(is_silence(each.error(SOON)) for each in floods)
    assert client.session is None


def test_a_client_can_start_again_after_its_connection_went_dead(link, make_client, green):
    client = make_client(Watcher, **link.parameters, **QUICK)
    for _ in range(2):
        client.start()
        assert client.call("wamp.session.count") >= 1
        link.freeze()
        assert is_silence(green.spawn(client.wait).error(SOON))
        link.thaw()
    client.start()
    assert client.call("wamp.session.count") >= 1


def test_stop_on_a_dead_connection_that_nobody_watches_takes_close_timeout(link, make_client):
    client = make_client(**link.parameters, heartbeat=None, close_timeout=0.5)
    client.start()
    link.freeze()
    started = time.monotonic()
    client.stop()
    assert time.monotonic() - started < SOON
    assert client.session is None


def test_a_ping_without_a_timeout_ends_nothing(link, make_client, green):
    client = make_client(**link.parameters, heartbeat=0.1, heartbeat_timeout=None)
    client.start()
    link.freeze()
    green.sleep(0.5)
    assert client.session is not None
    link.thaw()
    assert client.call("wamp.session.count") >= 1


# Alive, though it does not look so.


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_slow_link_with_a_large_message_on_it_is_not_dead(scheme, request, forward, make_client, green):
    router = request.getfixturevalue("wampy_router" if scheme == "ws" else "tls_router")
    forwarder = forward(router.port, rate=500_000)
    client = make_client(
        Watcher,
        url=f"{scheme}://127.0.0.1:{forwarder.port}/",
        cert_path=CA,
        heartbeat=0.1,
        heartbeat_timeout=1.0,
        call_timeout=60.0,
    )
    client.start()
    started = time.monotonic()
    client.session.publish("com.example.half_open.slow", ["x" * MIB], options={"acknowledge": True})
    assert time.monotonic() - started > 1.5, "the link was not slow, this tests nothing"
    assert client.told == []


def test_a_link_that_brings_a_large_message_slowly_is_not_dead(forward, wampy_router, make_client, join):
    class Large(Client):
        @callee(procedure="com.example.half_open.large")
        def large(self):
            return "x" * MIB

    join(Large)
    forwarder = forward(wampy_router.port, rate=500_000)
    client = make_client(
        Watcher, url=f"ws://127.0.0.1:{forwarder.port}/", heartbeat=0.1, heartbeat_timeout=1.0, call_timeout=60.0
    )
    client.start()
    assert len(client.call("com.example.half_open.large")) == MIB
    assert client.told == []


@pytest.mark.parametrize("kind", ["ws", "wss", "rs"])
def test_a_program_that_computes_for_long_keeps_a_healthy_session(
    kind, request, make_client, green, scripted, hold_up
):
    peer, parameters = None, {"heartbeat": 0.1, "heartbeat_timeout": 0.5}
    if kind == "rs":
        client = make_client(Watcher, url=scripted.rawsocket_url, rawsocket_ping=True, **parameters)
        starting = green.spawn(client.start)
        peer = scripted.accept(rawsocket=True)
        peer.welcome()
        starting.result()
        serving = green.spawn(peer.until_closed)
    else:
        router = request.getfixturevalue("wampy_router" if kind == "ws" else "tls_router")
        client = make_client(Watcher, url=router.url, cert_path=CA, **parameters)
        client.start()
    for pause in (0.0, 0.1, 0.12):
        green.sleep(pause)
        hold_up(0.8)
    green.sleep(0.15)
    assert client.session is not None and client.told == []
    if peer is not None:
        assert len(peer.frames) >= 2, "there were no pings, this tests nothing"
        peer.drop()
        serving.kill()


def test_the_answer_to_a_ping_that_comes_just_after_a_long_computation_is_seen(make_client, green, scripted, hold_up):
    client = make_client(Watcher, url=scripted.url, heartbeat=0.05, heartbeat_timeout=0.2)
    starting = green.spawn(client.start)
    peer = scripted.accept()
    peer.welcome()
    starting.result()
    peer.answers = False
    while not peer.frames:
        peer._pump(2.0)
    # The deadline passes, and the answer lies in the kernel, before the client can look.
    hold_up(0.4, then=peer._flush)
    green.sleep(0.03)
    assert client.session is not None and client.told == []
    peer.drop()


# The router's own pings.


@pytest.fixture(params=["websocket", "rawsocket"])
def joined(request, make_client, green, scripted):
    """Join a client with a scripted router over either framing: ``joined(Class, roles=0, …)``."""

    def joined(cls=Watcher, roles=0, **parameters):
        raw = request.param == "rawsocket"
        client = make_client(cls, url=scripted.rawsocket_url if raw else scripted.url, close_timeout=1.0, **parameters)
        starting = green.spawn(client.start)
        peer = scripted.accept(rawsocket=raw)
        peer.is_raw = raw
        peer.welcome()
        peer.acknowledge(roles)
        starting.result()
        return client, peer

    yield joined
    scripted.drop_all()


def pongs(peer, wamp):
    """Return the payloads of the pongs that came in."""
    if peer.is_raw:
        return [payload for kind, payload in peer.frames if kind == wamp.PONG]
    return [bytes(frame.data) for frame in peer.frames if frame.opcode is wamp.Opcode.PONG]


def pings(peer, wamp):
    """Return the payloads of the pings that came in."""
    if peer.is_raw:
        return [payload for kind, payload in peer.frames if kind == wamp.PING]
    return [bytes(frame.data) for frame in peer.frames if frame.opcode is wamp.Opcode.PING]


def ping(peer, data):
    if peer.is_raw:
        peer.ping(data)
    else:
        peer.protocol.send_ping(data)
        peer._flush()


def hear_frames(peer, green, seconds):
    """Read for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        peer.hears_nothing(0.02)


def test_the_routers_pings_are_answered_while_every_worker_is_busy(joined, green, wamp):
    client, peer = joined(Worker, roles=1, max_workers=1, heartbeat=None)
    for request_id in range(1, 4):
        peer.say([wamp.INVOCATION, request_id, 100, {}])
    green.wait_until(lambda: client.did == ["began"])
    for number in range(5):
        ping(peer, b"number %d" % number)
        while len(pongs(peer, wamp)) == number:
            peer._pump(2.0)
    assert pongs(peer, wamp) == [b"number %d" % number for number in range(5)]
    assert client.did == ["began"]
    client.go.set()
    peer.expect(wamp.YIELD)


def test_the_routers_pings_are_answered_while_a_message_comes_in_pieces(joined, green, wamp):
    client, peer = joined(heartbeat=None)
    call = green.spawn(client.call, "com.example.half_open.pieces")
    peer.expect(wamp.CALL)
    if peer.is_raw:
        # There are no fragments here: a PING comes before or behind a message, in whatever pieces the kernel likes.
        data = peer.frame_of(wamp.PING, b"hey") + peer.frame([wamp.RESULT, 1, {}, ["fine"]])
        for byte in data:
            peer.raw(bytes([byte]))
            green.sleep(0)
    else:
        peer.raw(wamp.Frame(wamp.Opcode.TEXT, b"[50,1,", fin=False).serialize(mask=False))
        ping(peer, b"hey")
        while not pongs(peer, wamp):
            peer._pump(2.0)
        peer.raw(wamp.Frame(wamp.Opcode.CONT, b'{},["fine"]]', fin=True).serialize(mask=False))
    assert call.result() == "fine"
    while not pongs(peer, wamp):
        peer._pump(2.0)
    assert pongs(peer, wamp) == [b"hey"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"heartbeat": None}, False),
        ({"heartbeat": None, "heartbeat_timeout": 0.1}, False),
        ({"heartbeat": 0.05}, True),
        ({"heartbeat": 0.05, "heartbeat_timeout": None}, True),
        ({"heartbeat": 30.0, "heartbeat_timeout": 0.1}, False),
    ],
    ids=["None", "None with a timeout", "on", "on without a timeout", "not yet"],
)
def test_pings_go_out_only_when_they_are_wanted(joined, green, wamp, parameters, expected):
    client, peer = joined(rawsocket_ping=True, **parameters)
    hear_frames(peer, green, 0.3)
    assert bool(pings(peer, wamp)) is expected
    assert client.session is not None


def test_a_router_that_answers_no_ping_is_given_up(joined, green, wamp):
    client, peer = joined(rawsocket_ping=True, heartbeat=0.1, heartbeat_timeout=0.8)
    peer.answers = False
    call = green.spawn(client.call, "com.example.half_open.never")
    assert is_silence(call.error(SOON))
    while not peer.ended:
        peer._pump(2.0)
    assert pings(peer, wamp)


@pytest.mark.parametrize("sign", ["another message", "a ping", "half a message"])
def test_any_bytes_are_a_sign_of_life(joined, green, wamp, sign):
    client, peer = joined(rawsocket_ping=True, heartbeat=0.1, heartbeat_timeout=0.3)
    peer.answers = False
    if sign == "half a message":
        event = peer.frame([wamp.RESULT, 1, {}, ["x" * 100]])
        pieces = iter([event[at : at + 4] for at in range(0, len(event), 4)])
    call = green.spawn(client.call, "com.example.half_open.trickle")
    peer.expect(wamp.CALL)
    for _ in range(12):
        if sign == "another message":
            peer.say([wamp.RESULT, 1, {}])  # nobody waits for it any more, but it came
        elif sign == "a ping":
            ping(peer, b"x")
        else:
            peer.raw(next(pieces))
        green.sleep(0.08)
    assert client.told == [] and client.session is not None
    if sign == "half a message":
        peer.raw(b"".join(pieces))
        assert call.result() == "x" * 100
    elif sign == "a ping":
        peer.say([wamp.RESULT, 1, {}])
    assert call.error() is None


# RawSocket without pings: the kernel watches.


def option(client, level, name):
    return client._session._transport._stream.socket.getsockopt(level, name)


@pytest.mark.parametrize("scheme", ["rs", "rss"])
def test_the_kernel_watches_a_rawsocket_as_heartbeat_says(scheme, request, make_client):
    router = request.getfixturevalue("wampy_router" if scheme == "rs" else "tls_router")
    client = make_client(
        url=f"{scheme}://127.0.0.1:{router.port}", cert_path=CA, heartbeat=12.0, heartbeat_timeout=9.0
    )
    client.start()
    assert option(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert option(client, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 12
    assert option(client, socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * option(
        client, socket.IPPROTO_TCP, socket.TCP_KEEPCNT
    ) == 9
    assert option(client, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 21_000
    assert not client._session.is_pinging


@pytest.mark.parametrize(
    "parameters", [{"heartbeat": None}, {"heartbeat_timeout": None}], ids=["no heartbeat", "no timeout"]
)
def test_the_kernel_does_not_watch_a_rawsocket_that_shall_not_be(parameters, make_client, wampy_router):
    client = make_client(url=f"rs://127.0.0.1:{wampy_router.port}", **parameters)
    client.start()
    assert option(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
    assert option(client, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0


def test_a_rawsocket_without_pings_does_not_notice_a_frozen_peer_that_is_asked_nothing(
    forward, wampy_router, make_client, green
):
    """The kernel at the other end goes on acknowledging: this is what rawsocket_ping is for."""
    forwarder = forward(wampy_router.port)
    client = make_client(Watcher, url=f"rs://127.0.0.1:{forwarder.port}", **QUICK, close_timeout=0.2)
    client.start()
    forwarder.freeze()
    green.sleep(1.3)
    assert client.session is not None and client.told == []


def test_a_rawsocket_without_pings_is_given_up_when_its_bytes_are_not_taken(
    forward, wampy_router, make_client, green
):
    forwarder = forward(wampy_router.port)
    client = make_client(Watcher, url=f"rs://127.0.0.1:{forwarder.port}", **QUICK, send_timeout=60.0)
    client.start()
    payload = "x" * MIB

    def flood():
        while True:
            client.publish(topic="com.example.half_open.flood", data=payload)

    forwarder.freeze()
    errors = [each.error(SOON) for each in [green.spawn(flood) for _ in range(10)]]
    assert {type(error) for error in errors} == {ConnectionClosed}
    assert "timed out" in str(errors[0])
    green.wait_until(lambda: client.told, SOON)
    assert client.session is None
