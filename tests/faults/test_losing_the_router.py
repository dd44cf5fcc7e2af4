"""The router dies, freezes, or ends the session: everybody who waits is told, and nothing is left."""

import os
import signal
import socket
import struct
import time

import psutil
import pytest

from wampy import Client, callee, subscribe
from wampy.errors import (
    AbortError,
    ConnectionClosed,
    SessionClosed,
    WampProtocolError,
    WampyError,
    WampyTimeOutError,
)

# "Within a second", with slack for a busy machine.
SOON = 3.0


class Watcher(Client):
    """Notes what its hooks are told, and never answers a call."""

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.told = []

    @callee(procedure="com.example.never")
    def never(self):
        self._session.backend.sleep(300)

    @subscribe(topic="com.example.topic")
    def on_topic(self, **_):
        pass

    def on_join(self, details):
        self.told.append(("on_join", details))

    def on_leave(self, reason):
        self.told.append(("on_leave", reason))

    def on_disconnect(self, error):
        self.told.append(("on_disconnect", error))

    @property
    def hooks(self):
        return [name for name, _ in self.told]


@pytest.fixture(scope="module")
def router():
    """A Crossbar of this file's own."""
    from wampy.peers.routers import Crossbar

    crossbar = Crossbar()
    yield crossbar
    crossbar.stop()


@pytest.fixture
def mortal_router(router):
    """That Crossbar, running again after whatever the test before did to it."""
    if router.pid is None:
        router.start()
    return router


def test_the_router_is_killed_with_a_hundred_calls_in_flight(mortal_router, make_client, green, caplog):
    subscriber = make_client(Watcher, url=mortal_router.url)
    caller = make_client(url=mortal_router.url, call_timeout=60.0)
    subscriber.start()
    caller.start()
    calls = [green.spawn(caller.call, "com.example.never") for _ in range(100)]
    green.wait_until(lambda: len(caller.session.pending) == 100)
    green.wait_until(lambda: len(subscriber.session.invocations) == 100)
    processes = [psutil.Process(mortal_router.pid), *psutil.Process(mortal_router.pid).children(recursive=True)]
    killed = time.monotonic()
    for process in processes:
        process.send_signal(signal.SIGKILL)
    errors = [call.error(SOON) for call in calls]
    assert time.monotonic() - killed < SOON
    assert {type(error) for error in errors} == {ConnectionClosed}
    assert len({id(error) for error in errors}) == 100, "an error is shared"
    assert all(error.clean is False and error.reason for error in errors)
    green.wait_until(lambda: "on_disconnect" in subscriber.hooks, SOON)
    assert subscriber.hooks == ["on_join", "on_disconnect"]
    assert isinstance(subscriber.told[1][1], ConnectionClosed)
    assert caller.session is None and subscriber.session is None
    with pytest.raises(ConnectionClosed):
        caller.call("com.example.never")
    with pytest.raises(ConnectionClosed):
        caller.publish(topic="com.example.topic", x=1)
    caplog.clear()
    caller.stop()
    subscriber.stop()
    assert not caplog.records, "stop() is not silent"


def test_a_client_whose_router_died_can_start_again(own_router, make_client, green):
    client = make_client(Watcher, url=own_router.url)
    client.start()
    own_router.kill()
    with pytest.raises(ConnectionClosed):
        client.wait(SOON)
    with pytest.raises(WampyError):
        client.start()
    own_router.start()
    client.start()
    assert client.call("wamp.session.count") >= 1
    assert len(client.registration_map) == len(client.subscription_map) == 1
    green.wait_until(lambda: client.hooks == ["on_join", "on_disconnect", "on_join"])


def test_a_frozen_router(mortal_router, make_client, green):
    """SIGSTOP: nothing breaks, nothing answers."""
    client = make_client(url=mortal_router.url, call_timeout=0.3, close_timeout=0.5)
    client.start()
    processes = [psutil.Process(mortal_router.pid), *psutil.Process(mortal_router.pid).children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        with pytest.raises(WampyTimeOutError) as caught:
            client.call("wamp.session.count")
        assert (caught.value.procedure, caught.value.seconds) == ("wamp.session.count", 0.3)
        other = make_client(url=mortal_router.url, open_timeout=0.3)
        with pytest.raises(WampyTimeOutError):
            other.start()
        started = time.monotonic()
        client.stop()
        assert time.monotonic() - started < SOON
        assert client.session is None
    finally:
        for process in processes:
            process.resume()


def test_a_frozen_router_that_goes_on_in_time(mortal_router, make_client, green):
    client = make_client(url=mortal_router.url, call_timeout=20.0)
    client.start()
    processes = [psutil.Process(mortal_router.pid), *psutil.Process(mortal_router.pid).children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        calls = [green.spawn(client.call, "wamp.session.count") for _ in range(10)]
        green.sleep(0.2)
        assert not any(call.done for call in calls)
    finally:
        for process in processes:
            process.resume()
    assert [call.result() for call in calls] == [1] * 10


def test_the_router_goes_away_in_good_order(mortal_router, make_client, green):
    client = make_client(Watcher, url=mortal_router.url)
    client.start()
    os.kill(mortal_router.pid, signal.SIGTERM)
    with pytest.raises(ConnectionClosed):
        client.wait(10)
    green.wait_until(lambda: "on_disconnect" in client.hooks)
    assert client.session is None
    client.stop()


# The same and more with a router that does as it is told.


def test_the_connection_is_reset(well_behaved, make_client, green):
    def answer(message):
        if message[0] == 48:
            # Closed with this, the kernel sends a reset.
            server.peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionError("enough")

    server = well_behaved(answer)
    client = make_client(Watcher, url=server.url)
    client.start()
    error = green.spawn(client.call, "com.example.x").error(SOON)
    assert type(error) is ConnectionClosed
    assert "reset" in str(error)
    green.wait_until(lambda: client.hooks == ["on_join", "on_disconnect"])


def test_the_stream_ends_without_a_word(well_behaved, make_client, green):
    def answer(message):
        if message[0] == 48:
            raise ConnectionError("enough")

    server = well_behaved(answer)
    client = make_client(Watcher, url=server.url)
    client.start()
    with pytest.raises(ConnectionClosed):
        client.call("com.example.x")
    green.wait_until(lambda: client.hooks == ["on_join", "on_disconnect"])
    with pytest.raises(ConnectionClosed):
        client.wait(SOON)


def test_the_router_says_goodbye(fake_router, make_client, green):
    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 48:
                peer.send([6, {"message": "maintenance"}, "wamp.close.system_shutdown"])
            elif message[0] == 6:
                break
            else:
                peer.send([message[0] + 1, message[1], 7])
        peer.wait_for_end()

    server = fake_router(script)
    client = make_client(Watcher, url=server.url)
    client.start()
    with pytest.raises(SessionClosed) as caught:
        client.call("com.example.x")
    assert caught.value.uri == "wamp.close.system_shutdown"
    assert "maintenance" in str(caught.value)
    assert caught.value.clean
    with pytest.raises(SessionClosed):
        client.wait(SOON)
    green.wait_until(lambda: "on_disconnect" in client.hooks)
    assert client.hooks == ["on_join", "on_leave", "on_disconnect"]
    assert client.told[1][1] == "wamp.close.system_shutdown"
    client.stop()
    assert server.received[-1] == [6, {}, "wamp.close.goodbye_and_out"]


def test_the_router_aborts_a_session(fake_router, make_client, green):
    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 48:
                peer.send([3, {"message": "enough"}, "com.example.enough"])
            elif message[0] in (32, 64):
                peer.send([message[0] + 1, message[1], 7])

    client = make_client(Watcher, url=fake_router(script).url)
    client.start()
    error = green.spawn(client.call, "com.example.x").error()
    assert isinstance(error, WampyError)
    assert "com.example.enough" in str(error)
    with pytest.raises(AbortError):
        client.wait(SOON)
    green.wait_until(lambda: "on_disconnect" in client.hooks)
    assert ("on_leave", "com.example.enough") in client.told
    assert isinstance(client.told[-1][1], AbortError)


def test_the_router_closes_the_websocket(fake_router, make_client):
    def script(peer):
        peer.welcome()
        peer.receive()
        peer.close_websocket(1011, "internal error")
        peer.wait_for_end()

    client = make_client(url=fake_router(script).url)
    client.start()
    with pytest.raises(ConnectionClosed) as caught:
        client.call("com.example.x")
    assert "1011" in str(caught.value) and "internal error" in str(caught.value)
    with pytest.raises(ConnectionClosed):
        client.wait(SOON)


def test_the_close_handshake_is_answered(fake_router, make_client):
    ended = []

    def script(peer):
        peer.welcome()
        peer.close_websocket(1001, "bye")
        peer.wait_for_end()
        ended.append(peer.closed_by_client)

    client = make_client(url=fake_router(script).url)
    client.start()
    with pytest.raises(ConnectionClosed):
        client.wait(SOON)
    client.stop()
    deadline = time.monotonic() + SOON
    while not ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended == [True]


VIOLATIONS = {
    "a second WELCOME": [2, 99, {}],
    "a CHALLENGE in the session": [4, "ticket", {}],
    "a message of a client": [48, 1, {}, "com.example.x"],
    "an unknown type": [99, 1],
    "a wrong shape": [50, "x"],
    "an empty message": [],
    "no list": {"hello": "world"},
    "no JSON": b"[50, 1, {}",
    "not what it says": [50, True, {}],
    "a reply to an id that was never given out": [50, 4711, {}],
    "an acknowledgement that was never asked for": [65, 4711, 1],
    "an event of a subscription that never was": [36, 4711, 1, {}],
    "an invocation of a registration that never was": [68, 1, 4711, {}],
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name, fake_router, make_client, green):
    seen = []

    def script(peer):
        peer.welcome()
        assert peer.receive()[0] == 48
        peer.send(VIOLATIONS[name], [50, 1, {}, ["too late"]])
        seen.append(peer.receive())
        peer.wait_for_end()
        seen.append("end")

    client = make_client(Client, url=fake_router(script).url)
    client.start()
    with pytest.raises(WampyError) as caught:
        client.call("com.example.x")
    assert isinstance(caught.value, (WampProtocolError, ConnectionClosed)), caught.value
    with pytest.raises(WampProtocolError):
        client.wait(SOON)
    green.wait_until(lambda: len(seen) == 2, SOON)
    assert seen[0][0] == 3, "no ABORT"
    assert seen[0][2] == "wamp.error.protocol_violation"
    assert seen[0][1]["message"]


def test_a_violation_while_joining(fake_router, make_client):
    def script(peer):
        peer.handshake()
        peer.receive()
        peer.send([36, 1, 1, {}])
        peer.wait_for_end()

    client = make_client(url=fake_router(script).url)
    with pytest.raises(WampProtocolError, match="EVENT"):
        client.start()
    assert client.wait(0.1)


@pytest.mark.parametrize("reply", [[50, 1, {}, ["late"]], [8, 48, 1, {}, "com.example.late"]], ids=["result", "error"])
def test_a_late_answer_disturbs_nobody(reply, fake_router, make_client):
    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 49:
                peer.send(reply)
            elif message[0] == 48 and message[1] > 1:
                peer.send([50, message[1], {}, [f"answer to {message[1]}"]])
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.goodbye_and_out"])

    server = fake_router(script)
    client = make_client(url=server.url)
    client.start()
    with pytest.raises(WampyTimeOutError) as caught:
        client.options(timeout=0.1).call("com.example.slow")
    assert (caught.value.procedure, caught.value.seconds) == ("com.example.slow", 0.1)
    for number in range(2, 6):
        assert client.call("com.example.quick") == f"answer to {number}"
    cancels = [message for message in server.received if message[0] == 49]
    assert len(cancels) == 1
    assert cancels[0][1] == 1


def test_null_for_payloads_is_accepted(fake_router, make_client, green):
    heard = []

    class Listener(Client):
        @subscribe(topic="com.example.topic")
        def on_topic(self, *args, **kwargs):
            heard.append((args, sorted(kwargs)))

    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 32:
                # Back to back: the handler must be bound before the next message is looked at.
                peer.send([33, message[1], 5], [36, 5, 1, {}, None, None], [36, 5, 2, {}, [1], None])
            elif message[0] == 48:
                peer.send([50, message[1], {}, None, None])
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.normal"])

    client = make_client(Listener, url=fake_router(script).url)
    client.start()
    assert client.call("com.example.x") is None
    green.wait_until(lambda: len(heard) == 2)
    assert heard == [((), ["meta"]), ((1,), ["meta"])]


def test_an_invocation_right_behind_registered(fake_router, make_client, green):
    answers = []

    class Service(Client):
        @callee(procedure="com.example.add")
        def add(self, a, b):
            return a + b

    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 64:
                peer.send(
                    [65, message[1], 9],
                    [68, 1, 9, {}, [1, 2]],
                    [68, 2, 9, {"progress": False}, [], {"a": 3, "b": 4}],
                )
            elif message[0] == 70:
                answers.append(message)
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.normal"])

    make_client(Service, url=fake_router(script).url).start()
    green.wait_until(lambda: len(answers) == 2)
    # Both run at once on threads of the system, and either may be done first.
    assert sorted(answers) == [[70, 1, {}, [3]], [70, 2, {}, [7]]]


def test_a_ping_is_answered_and_fragments_are_joined(fake_router, make_client, green):
    from websockets.frames import Opcode

    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 48:
                text = f'[50, {message[1]}, {{}}, ["größer"]]'.encode()
                peer.send_frame(Opcode.TEXT, text[:10], fin=False)
                peer.send_frame(Opcode.CONT, b"", fin=False)
                peer.ping(b"between fragments")
                for number in range(10, len(text)):
                    peer.send_frame(Opcode.CONT, text[number : number + 1], fin=False)
                peer.send_frame(Opcode.CONT, b"", fin=True)
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.normal"])

    server = fake_router(script)
    client = make_client(url=server.url)
    client.start()
    assert client.call("com.example.x") == "größer"
    assert client.call("com.example.x") == "größer"


def test_a_router_that_never_answers_the_goodbye(fake_router, make_client):
    def script(peer):
        peer.welcome()
        peer.wait_for_end()

    client = make_client(url=fake_router(script).url, close_timeout=0.3)
    client.start()
    started = time.monotonic()
    client.stop()
    assert time.monotonic() - started < SOON
    assert client.session is None


def test_a_router_that_answers_the_goodbye_and_keeps_the_connection(fake_router, make_client):
    """Crossbar does so: the WebSocket's own close handshake must end it."""

    def script(peer):
        peer.welcome()
        peer.serve()

    client = make_client(Watcher, url=fake_router(script).url)
    client.start()
    started = time.monotonic()
    client.stop()
    assert time.monotonic() - started < SOON
    assert client.hooks[-2:] == ["on_leave", "on_disconnect"]
    assert client.told[-1][1] is None


def test_replies_and_events_between_the_two_goodbyes_are_no_violation(fake_router, make_client, caplog):
    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 6:
                peer.send([36, 5, 1, {}, [], {"n": 1}], [68, 1, 6, {}], [6, {}, "wamp.close.goodbye_and_out"])
                break
            if message[0] in (32, 64):
                peer.send([message[0] + 1, message[1], 5 if message[0] == 32 else 6])
        peer.wait_for_end()

    server = fake_router(script)
    client = make_client(Watcher, url=server.url)
    client.start()
    client.stop()
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    names = [message[0] for message in server.received]
    assert names[names.index(6) :] == [6], "something was sent after GOODBYE"
