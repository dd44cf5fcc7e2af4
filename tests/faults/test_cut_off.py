"""A connection that is cut at every possible moment, with FIN and with RST: an error for who waits, and no more."""

import pytest

from wampy import callee, subscribe
from wampy.auth import Ticket
from wampy.errors import ConnectionClosed, ConnectionError

both_ways = pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])

WELCOME = [2, 1, {"roles": {"dealer": {"features": {"call_canceling": True}}, "broker": {}}}]


def cut(peer, data, at, reset):
    peer.raw(data[:at])
    peer.drop(reset)


def starts_not(ordeal, starting, kind=ConnectionClosed, records=0):
    """Assert that start() raises for a connection that was cut; the client is then as new."""
    error = starting.error(1.0)
    assert type(error) is kind, repr(error)
    # A reset can overtake the bytes before it, and find the client writing.
    assert any(word in str(error) for word in ("without a word", "reset", "broke", "closed", "Broken pipe")), error
    assert ordeal.client.session is None
    assert ordeal.client.wait(1.0)
    assert len(ordeal.records()) <= records, ordeal.caplog.text
    ordeal.caplog.clear()


# The opening.


@both_ways
def test_in_the_opening_handshake(ordeal, green, reset):
    client = ordeal.make()
    at, length = 0, 1
    while at < length:
        starting = green.spawn(client.start)
        peer = ordeal.router.accept(handshake=False)
        answer = peer.handshake()
        length = len(answer)
        cut(peer, answer, at, reset)
        error = starting.error(1.0)
        assert isinstance(error, ConnectionError), repr(error)
        assert ordeal.router.url in str(error)
        assert client.wait(1.0)
        at += 9
    assert length > 100
    assert not ordeal.records()
    ordeal.recovers(records=0)


@both_ways
@pytest.mark.parametrize("read", ["nothing", "half a request"])
def test_before_the_opening_handshake(ordeal, green, reset, read):
    client = ordeal.make()
    starting = green.spawn(client.start)
    peer = ordeal.router.accept(handshake=False)
    if read != "nothing":
        assert green.backend.wait(peer.sock, "read", green.backend.monotonic() + 5)
        peer.sock.recv(10)
    peer.drop(reset)
    error = starting.error(1.0)
    assert isinstance(error, ConnectionError), repr(error)
    assert not ordeal.records()
    ordeal.recovers(records=0)


@both_ways
def test_between_the_handshake_and_welcome(ordeal, wamp, reset):
    ordeal.make()
    for reads_hello in (False, True):
        starting, peer = ordeal.begin()
        if reads_hello:
            peer.expect(wamp.HELLO)
        peer.drop(reset)
        starts_not(ordeal, starting)
    ordeal.recovers(records=0)


@both_ways
@pytest.mark.parametrize(
    "message",
    [WELCOME, [3, {"message": "no"}, "com.example.no"], [4, "ticket", {}]],
    ids=["WELCOME", "ABORT", "CHALLENGE"],
)
def test_in_the_first_word(ordeal, wamp, reset, message):
    ordeal.make(auth=Ticket("joe", "secret"))
    at, length = 0, 1
    while at < length:
        starting, peer = ordeal.begin()
        peer.expect(wamp.HELLO)
        data = peer.frame(message)
        length = len(data)
        cut(peer, data, at, reset)
        starts_not(ordeal, starting)
        at += 1
    assert length > 15
    ordeal.recovers(records=0)


@both_ways
def test_while_authenticating(ordeal, wamp, reset):
    ordeal.make(auth=Ticket("joe", "secret"))
    for reads_answer in (False, True):
        starting, peer = ordeal.begin()
        peer.expect(wamp.HELLO)
        peer.say([wamp.CHALLENGE, "ticket", {}])
        if reads_answer:
            peer.expect(wamp.AUTHENTICATE)
        peer.drop(reset)
        starts_not(ordeal, starting)
    ordeal.recovers(records=0)


@both_ways
def test_right_behind_welcome(ordeal, green, wamp, reset):
    """Whether start() still returns or raises already, the client is told, and at most one record tells the log."""
    client = ordeal.make()
    for _ in range(10):
        starting, peer = ordeal.begin()
        peer.expect(wamp.HELLO)
        peer.say(WELCOME)
        peer.drop(reset)
        error = starting.error(1.0)
        assert error is None or type(error) is ConnectionClosed
        if error is None:
            with pytest.raises(ConnectionClosed):
                client.wait(1.0)
        else:
            assert client.wait(1.0)
        assert client.session is None
        assert len(ordeal.records()) <= 1
        if error is None:
            assert type(ordeal.told()) is ConnectionClosed
            ordeal.has_logged("closed the connection" if not reset else "reset")
        assert [kind for kind, _ in client.told] == (["join", "disconnect"] if error is None else [])
        client.told.clear()
        ordeal.caplog.clear()
    ordeal.recovers(records=0)


# The roles.


@pytest.fixture
def with_roles(hostile):
    class WithRoles(hostile.Witness):
        @callee(procedure="com.example.one")
        def one(self):
            pass

        @callee(procedure="com.example.two")
        def two(self):
            pass

        @subscribe(topic="com.example.topic")
        def on_topic(self, meta):
            pass

    return WithRoles


@both_ways
def test_while_the_roles_are_registered(ordeal, with_roles, reset):
    client = ordeal.make(with_roles)
    at, length = 0, 1
    while at < length:
        starting, peer = ordeal.begin()
        peer.welcome()
        requests = [peer.hear() for _ in range(3)]
        # Cut in each of the three, and between them.
        data = peer.frame(*([request[0] + 1, request[1], 100 + request[1]] for request in requests))
        length = len(data)
        cut(peer, data, at, reset)
        starts_not(ordeal, starting, records=1)
        assert client.told == [], "who was never quite there is not gone"
        assert not client.registration_map and not client.subscription_map
        at += 1
    assert length > 30
    starting, peer = ordeal.begin()
    peer.welcome()
    peer.acknowledge(3)
    starting.result()
    ordeal.leaves()


# The session.


@both_ways
@pytest.mark.parametrize(
    "message",
    [[50, 1, {}, ["x" * 8]], [68, 1, 1, {}], [6, {}, "com.example.over"], [3, {}, "com.example.over"]],
    ids=["RESULT", "INVOCATION", "GOODBYE", "ABORT"],
)
def test_in_the_middle_of_a_call(ordeal, reset, message):
    """Cut at each byte of a frame; 0 is without any."""
    at, length = 0, 1
    while at < length:
        peer = ordeal.suspend()
        data = peer.frame(message)
        length = len(data)
        ordeal.suffer(lambda peer: cut(peer, data, at, reset))  # noqa: B023 - called at once
        ordeal.is_over("reset" if reset else "without a word", ConnectionClosed, code=None)
        at += 1
    assert length > 12
    ordeal.recovers()


@both_ways
@pytest.mark.parametrize("length", [70_000, 200], ids=["of 64 bits", "of 16 bits"])
def test_in_a_long_frame(ordeal, reset, length):
    for at in (1, 2, 3, 4, 9, 10, 11, length // 2, length - 1):
        peer = ordeal.suspend()
        data = peer.frame([50, 1, {}, ["x" * length]])
        ordeal.suffer(lambda peer: cut(peer, data, at, reset))  # noqa: B023 - called at once
        ordeal.is_over("reset" if reset else "without a word", ConnectionClosed, code=None)
    ordeal.recovers()


@both_ways
def test_between_the_fragments_of_a_message(ordeal, reset):
    ordeal.suspend()
    ordeal.suffer(lambda peer: cut(peer, b'\x01\x05[50,1\x00\x03,{}', 12, reset))
    ordeal.is_over("reset" if reset else "without a word", ConnectionClosed, code=None)
    ordeal.recovers()


@both_ways
def test_a_whole_reply_before_the_cut_counts(ordeal, green, wamp, reset):
    peer = ordeal.join()
    calling = green.spawn(ordeal.client.call, "com.example.a")
    peer.expect(wamp.CALL)
    peer.say([50, 1, {}, ["in time"]])
    if reset:
        # The reset would overtake it: the kernel throws away what has not been read.
        assert calling.result() == "in time"
    peer.drop(reset)
    assert calling.result() == "in time"
    with pytest.raises(ConnectionClosed):
        ordeal.client.wait(1.0)
    ordeal.has_logged("reset" if reset else "without a word")
    ordeal.recovers()


@both_ways
def test_while_a_sender_waits_for_room(ordeal, green, reset):
    ordeal.join(send_timeout=20.0)
    client = ordeal.client

    def publish_on():
        while True:
            client.publish(topic="com.example.t", big="x" * 100_000)

    senders = [green.spawn(publish_on) for _ in range(3)]
    waiting = client._session._transport
    green.wait_until(lambda: len(waiting._writer.room_waiters) == 3)
    ordeal.peer.drop(reset)
    errors = [sender.error(1.0) for sender in senders]
    assert {type(error) for error in errors} == {ConnectionClosed}
    assert len({id(error) for error in errors}) == 3
    with pytest.raises(ConnectionClosed):
        client.wait(1.0)
    # What had come in and was not read makes the kernel send a reset in any case.
    ordeal.has_logged("")
    assert len({str(error) for error in errors}) == 1
    assert errors[0].reason in ordeal.records()[0].getMessage()
    ordeal.recovers()


@both_ways
def test_while_a_callee_works(ordeal, green, hostile, reset):
    class Callee(hostile.Witness):
        @callee(procedure="com.example.p")
        def p(self):
            working.append(1)
            finish.wait(5.0)
            working.append(2)

    working, finish = [], green.slot()
    ordeal.make(Callee)
    starting, peer = ordeal.begin()
    peer.welcome()
    peer.acknowledge(1)
    starting.result()
    peer.say([68, 1, 100, {}])
    green.wait_until(lambda: working)
    peer.drop(reset)
    with pytest.raises(ConnectionClosed):
        ordeal.client.wait(1.0)
    finish.set()
    green.wait_until(lambda: len(working) == 2)
    green.sleep(0.01)  # it finds nobody to answer, which is not worth a record
    ordeal.has_logged("reset" if reset else "without a word")
    ordeal.client.stop()


# The end.


@both_ways
def test_in_the_answer_to_our_goodbye(ordeal, green, wamp, reset):
    """Some routers answer so: whatever is left of the answer, the client has left in good order."""
    at, length = 0, 1
    while at <= length:
        peer = ordeal.join()
        client = ordeal.client
        calling = green.spawn(client.call, "com.example.a")
        peer.expect(wamp.CALL)
        stopping = green.spawn(client.stop)
        peer.expect(wamp.GOODBYE)
        data = peer.frame([6, {}, "wamp.close.normal"])
        length = len(data)
        cut(peer, data, at, reset)
        stopping.result(1.0)
        assert isinstance(calling.error(1.0), ConnectionClosed)
        ordeal.has_left()
        at += 1
    assert length > 25
    assert not ordeal.records()
    ordeal.recovers(records=0)


@both_ways
def test_before_our_goodbye_is_read(ordeal, green, reset):
    for cut_first in (True, False):
        peer = ordeal.join()
        client = ordeal.client
        if cut_first:
            peer.drop(reset)
        stopping = green.spawn(client.stop)
        if not cut_first:
            green.wait_until(lambda: client.session is None)  # noqa: B023 - called at once
            peer.drop(reset)
        stopping.result(1.0)
        assert client.session is None and client.wait(0.0)
        ordeal.told()
    assert len(ordeal.records()) <= 1, "the loss may have been seen before stop()"
    ordeal.recovers(records=len(ordeal.records()))


@both_ways
def test_in_the_close_handshake(ordeal, green, wamp, reset):
    """After both GOODBYEs, before and in the answer to our close frame."""
    for at in range(5):
        peer = ordeal.join()
        client = ordeal.client
        stopping = green.spawn(client.stop)
        peer.expect(wamp.GOODBYE)
        peer.answers = False
        peer.say([6, {}, "wamp.close.normal"])
        while peer.protocol.close_rcvd is None:
            peer._pump(5.0)
        answer = b"".join(peer.protocol.data_to_send())
        assert len(answer) == 4
        cut(peer, answer, at, reset)
        stopping.result(1.0)
        ordeal.has_left()
    assert not ordeal.records()
    ordeal.recovers(records=0)


@both_ways
def test_in_a_close_frame_that_comes_unasked(ordeal, reset):
    for at in range(2 + 2 + 4):
        ordeal.suspend()
        ordeal.suffer(lambda peer: cut(peer, b"\x88\x06\x03\xe9away", at, reset))  # noqa: B023 - called at once
        ordeal.is_over("reset" if reset else "without a word", ConnectionClosed, code=None)
    ordeal.recovers()
