"""Outgoing bytes under pressure: no frame is torn and no id is lost, whoever is killed or times out."""

import threading
import time

import pytest

from wampy import Client, callee
from wampy.errors import ConnectionClosed, SerializationError, WampProtocolError, WampyError, WampyTimeOutError
from wampy.messages import Call, Publish

REQUESTS = {16, 32, 34, 48, 64, 66}
MIB = 1 << 20


@pytest.fixture
def stalling_router(fake_router):
    """A router that lets a client in and then does not read until ``go.set()``; it answers calls with their id."""
    go = threading.Event()

    def script(peer):
        peer.welcome()
        assert go.wait(30)
        peer.serve(lambda message: [[50, message[1], {}, [message[1]]]] if message[0] == 48 else None)

    router = fake_router(script)
    router.go = go
    yield router
    go.set()


def request_ids(router):
    return [message[1] for message in router.received if message[0] in REQUESTS]


def wait_for_waiters(client, green, count):
    """Wait until so many wait for room in the outgoing buffer."""
    writer = client.session._transport._writer
    green.wait_until(lambda: len(writer.room_waiters) == count)


def wait_for_all(router, client, green):
    """Make sure that the router has read everything, by a call of its own."""
    client.call("com.example.last")
    return request_ids(router)


def test_a_sender_killed_in_the_middle_of_a_large_message_with_fifty_others_writing(
    stalling_router, make_client, green
):
    client = make_client(url=stalling_router.url, call_timeout=30.0)
    client.start()
    big = green.has_sent(client, client.call, "com.example.big", "b" * (32 * MIB))
    # The kernel has taken its part, the rest is in the buffer.
    others = [green.spawn(client.call, "com.example.other", n, "x" * 1000 * n) for n in range(50)]
    wait_for_waiters(client, green, 50)
    big.kill()
    assert big.error() is not None
    doomed, survivors = others[::5], [call for n, call in enumerate(others) if n % 5]
    for call in doomed:
        call.kill()
        assert call.error() is not None
    stalling_router.go.set()
    answers = [call.result() for call in survivors]
    ids = wait_for_all(stalling_router, client, green)
    assert ids == list(range(1, len(ids) + 1)), "ids are not sequential"
    assert len(ids) == 1 + len(survivors) + 1, "who waited for room has taken an id"
    others = [message for message in stalling_router.received if message[3:4] == ["com.example.other"]]
    others.sort(key=lambda message: message[4][0])
    assert [message[4] for message in others] == [[n, "x" * 1000 * n] for n in range(50) if n % 5]
    assert answers == [message[1] for message in others], "an answer went to somebody else"
    (whole,) = [message for message in stalling_router.received if message[3:4] == ["com.example.big"]]
    assert whole[4] == ["b" * (32 * MIB)]


def test_the_same_with_a_real_router(join, green):
    class Echo(Client):
        @callee(procedure="com.example.echo", invocation_policy="roundrobin")
        def echo(self, *args):
            return args[0]

    join(Echo)
    client = join(call_timeout=30.0)
    for _ in range(3):
        big = green.has_sent(client, client.call, "com.example.echo", "b" * (8 * MIB))
        others = [green.spawn(client.call, "com.example.echo", n, "x" * 1000 * n) for n in range(50)]
        big.kill()
        for other in others[::7]:
            other.kill()
        assert big.error() is not None
        for n, other in enumerate(others):
            if n % 7:
                assert other.result() == n
            else:
                # Threads of the system run on while they are killed, and who has its answer by then keeps it.
                assert other.error() is not None or (green.os_threads and other.result() == n)
    assert client.call("com.example.echo", "still here") == "still here"


def test_whoever_waits_for_room_times_out_and_takes_no_id(stalling_router, make_client, green):
    client = make_client(url=stalling_router.url, call_timeout=30.0, send_timeout=0.2)
    client.start()
    client.session.publish("com.example.big", ["b" * (32 * MIB)])
    with pytest.raises(WampyTimeOutError) as caught:
        client.call("com.example.other")
    assert caught.value.seconds == 0.2
    assert "room" in str(caught.value)
    with pytest.raises(WampyTimeOutError):
        client.publish(topic="com.example.other", n=1)
    stalling_router.go.set()
    green.wait_until(lambda: request_ids(stalling_router) == [1])
    assert wait_for_all(stalling_router, client, green) == [1, 2]


def test_whoever_waits_for_room_within_a_shorter_call_timeout(stalling_router, make_client):
    client = make_client(url=stalling_router.url, close_timeout=0.3)
    client.start()
    client.session.publish("com.example.big", ["b" * (32 * MIB)])
    started = time.monotonic()
    with pytest.raises(WampyTimeOutError):
        client.options(timeout=0.2).call("com.example.other")
    assert time.monotonic() - started < 3


def test_a_router_that_does_not_read_and_is_lost(fake_router, make_client, green):
    go = threading.Event()

    def script(peer):
        peer.welcome()
        assert go.wait(30)

    client = make_client(url=fake_router(script).url, call_timeout=30.0)
    client.start()
    client.session.publish("com.example.big", ["b" * (32 * MIB)])
    waiting = [green.spawn(client.call, "com.example.other", n) for n in range(10)]
    wait_for_waiters(client, green, 10)
    go.set()
    assert {type(call.error()) for call in waiting} == {ConnectionClosed}
    with pytest.raises(ConnectionClosed):
        client.wait(3)


def test_stop_does_not_wait_for_ever_for_a_router_that_does_not_read(stalling_router, make_client):
    client = make_client(url=stalling_router.url, close_timeout=0.3)
    client.start()
    client.session.publish("com.example.big", ["b" * (32 * MIB)])
    started = time.monotonic()
    client.stop()
    assert time.monotonic() - started < 3
    assert client.session is None


def test_what_cannot_travel_raises_at_the_caller_and_leaves_no_gap(well_behaved, make_client, green):
    router = well_behaved(lambda message: [[50, message[1], {}]] if message[0] == 48 else None)
    client = make_client(url=router.url)
    client.start()

    class Strange:
        pass

    loop = []
    loop.append(loop)
    session = client.session
    bad = [
        (SerializationError, lambda: client.call("com.example.x", Strange())),
        (SerializationError, lambda: client.call("com.example.x", deep={"list": [1, Strange()]})),
        (SerializationError, lambda: client.call("com.example.x", float("nan"))),
        (SerializationError, lambda: client.call("com.example.x", loop)),
        (SerializationError, lambda: client.publish(topic="com.example.x", value={1, 2})),
        (SerializationError, lambda: session.publish("com.example.x", ["\ud800"])),
        (WampProtocolError, lambda: client.call("com example")),
        (WampProtocolError, lambda: client.call("com..example")),
        (WampProtocolError, lambda: client.call("")),
        (WampProtocolError, lambda: client.call("com.example.#")),
        (WampProtocolError, lambda: client.publish(topic="com.example.", x=1)),
        (WampProtocolError, lambda: session.register("com..example", print)),
        (WampProtocolError, lambda: session.subscribe("com example", print)),
        (WampProtocolError, lambda: session.send_message(Call(99, {}, "com.example.x"))),
        (WampProtocolError, lambda: session.send_message(Publish(None, {}, "com..x"))),
    ]
    for number, (kind, request) in enumerate(bad, 1):
        with pytest.raises(kind):
            request()
        client.call("com.example.good")
        assert session.request_ids.peek() == number + 1
    assert request_ids(router) == list(range(1, len(bad) + 1))
    assert len(session.pending) == 0


def test_a_serialization_error_says_what_and_where(well_behaved, make_client):
    client = make_client(url=well_behaved().url)
    client.start()
    with pytest.raises(SerializationError) as caught:
        client.call("com.example.x", 1, when=[1, {"at": object()}])
    assert caught.value.value_type == "object"
    assert "when" in caught.value.where and "at" in caught.value.where


def test_messages_of_many_green_threads_leave_in_the_order_of_their_ids(well_behaved, make_client, green):
    router = well_behaved(lambda message: [[50, message[1], {}]] if message[0] == 48 else None)
    client = make_client(url=router.url)
    client.start()

    def work(number):
        for turn in range(10):
            if number % 3 == 0:
                client.publish(topic="com.example.topic", number=number, turn=turn)
            elif number % 3 == 1:
                client.call("com.example.procedure", number)
            else:
                client.publish(topic="com.example.topic", options={"acknowledge": True}, number=number)
            green.sleep()

    for running in [green.spawn(work, number) for number in range(60)]:
        running.result()
    assert wait_for_all(router, client, green) == list(range(1, 602))


def test_a_request_without_an_answer_can_be_sent_by_hand(well_behaved, make_client, green):
    router = well_behaved()
    client = make_client(url=router.url)
    client.start()
    client.send_message(Call(None, {}, "com.example.x", (1,), {"a": 2}))
    client.send_message(Publish(client.request_ids.peek(), {}, "com.example.t"))
    green.wait_until(lambda: len(router.received) == 3)
    assert router.received[1:] == [[48, 1, {}, "com.example.x", [1], {"a": 2}], [16, 2, {}, "com.example.t"]]
    with pytest.raises(WampyError):
        client.send_message(Call(2**53, {}, "com.example.x"))


def test_several_answers_in_one_read_go_to_their_callers(fake_router, make_client, green):
    def script(peer):
        peer.welcome()
        waiting = []
        for message in peer:
            if message[0] == 48:
                waiting.append(message[1])
                if len(waiting) == 100:
                    peer.send(*[[50, number, {}, [number]] for number in reversed(waiting)])
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.normal"])

    client = make_client(url=fake_router(script).url)
    client.start()
    calls = [client.rpc.com.example.x.call_async() for _ in range(100)]
    assert [call.result() for call in calls] == [call.request_id for call in calls] == list(range(1, 101))
