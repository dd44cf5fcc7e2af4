"""What a client has done, in figures: exactly, and over all its sessions."""

import dataclasses

import pytest

from wampy import Client, Reconnect, RemoteError, Stats, WampyTimeOutError, callee, subscribe
from wampy.errors import SerializationError

AT_ONCE = Reconnect(first_delay=0.01, longest_delay=0.01)
GAUGES = ("pending", "workers_busy", "queue")


class Service(Client):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.go = self._session.backend.slot()
        self.heard = []

    @callee(procedure="com.example.work")
    def work(self):
        self.go.wait()

    @subscribe(topic="com.example.topic")
    def on_topic(self, number):
        self.heard.append(number)


WORK, TOPIC = 100, 101


def figures(client, *names):
    stats = client.stats
    return tuple(getattr(stats, name) for name in names)


def test_they_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Stats().calls = 1


def test_they_add_up():
    numbers = {field.name: at for at, field in enumerate(dataclasses.fields(Stats)) if field.name != "last_ping"}
    total = Stats(**numbers, last_ping=0.5) + Stats(**numbers)
    assert total == Stats(**{name: 2 * at for name, at in numbers.items()}, last_ping=0.5)
    assert (total + Stats(last_ping=0.25)).last_ping == 0.25
    with pytest.raises(TypeError):
        Stats() + 1


def test_before_the_start_there_is_nothing():
    assert Client().stats == Stats()


def test_messages_calls_and_errors(join, green):
    client, peer = join()
    assert figures(client, "messages_in", "messages_out", "calls") == (1, 1, 0)
    calls = [green.spawn(client.call, f"com.example.{n}") for n in range(3)]
    requests = [peer.expect(48) for _ in calls]
    assert figures(client, "messages_out", "calls", "pending", "errors") == (4, 3, 3, 0)
    peer.say([50, requests[0][1], {}, [1]], [8, 48, requests[1][1], {}, "com.example.error"], [50, requests[2][1], {}])
    assert sorted(type(call.error()).__name__ for call in calls) == ["NoneType", "NoneType", "RemoteError"]
    assert figures(client, "messages_in", "calls", "pending", "errors") == (4, 3, 0, 1)
    client.publish(topic="com.example.t", x=1)
    with pytest.raises(RemoteError):
        subscribing = green.spawn(client.session.subscribe, "com.example.t", print)
        peer.expect(16)
        peer.say([8, 32, peer.expect(32)[1], {}, "wamp.error.not_authorized"])
        subscribing.result()
    assert figures(client, "messages_in", "messages_out", "calls", "errors") == (5, 6, 3, 2)


def test_a_call_that_times_out_is_one_error_whatever_comes_later(join, green):
    client, peer = join(call_timeout=0.05)
    with pytest.raises(WampyTimeOutError):
        client.call("com.example.slow")
    request_id = peer.expect(48)[1]
    peer.expect(49)
    peer.say([8, 48, request_id, {}, "wamp.error.canceled"])
    green.wait_until(lambda: client.stats.messages_in == 2)
    assert figures(client, "calls", "errors", "pending", "messages_out") == (1, 1, 0, 3)


def test_a_message_that_could_not_be_sent_is_none(join):
    client, _ = join()
    before = client.stats
    with pytest.raises(SerializationError):
        client.call("com.example.x", object())
    assert client.stats == before


def test_invocations_and_events_and_those_that_were_too_many(join, green, caplog):
    client, peer = join(Service, roles=2, max_workers=1, max_queue=2)
    peer.say([68, 1, WORK, {}])
    green.wait_until(lambda: client.stats.workers_busy == 1)
    peer.say(*([68, number, WORK, {}] for number in range(2, 6)))
    peer.say(*([36, TOPIC, number, {}, [number]] for number in range(1, 6)))
    green.wait_until(lambda: client.stats.events == 5)
    assert figures(client, "invocations", "invocations_refused", "events_dropped", "queue") == (5, 2, 3, 4)
    client.go.set()
    green.wait_until(lambda: client.heard == [4, 5])
    green.wait_until(lambda: figures(client, *GAUGES) == (0, 0, 0))
    assert figures(client, "invocations", "invocations_refused", "events", "events_dropped") == (5, 2, 5, 3)
    assert client.stats.messages_out == 3 + 5, "HELLO, REGISTER, SUBSCRIBE, and the answers"


def test_an_event_that_two_handlers_share_came_once(join, green):
    client, peer = join(Service, roles=2)
    subscribing = green.spawn(client.session.subscribe, "com.example.topic", lambda number: None)
    peer.say([33, peer.expect(32)[1], TOPIC])
    subscribing.result()
    peer.say([36, TOPIC, 1, {}, [1]])
    green.wait_until(lambda: client.heard == [1])
    assert client.stats.events == 1


def test_they_go_on_over_a_reconnect_and_stay_after_the_end(join, green, router):
    client, peer = join(Service, roles=2, reconnect=AT_ONCE)
    peer.say([68, 1, WORK, {}], *([36, TOPIC, number, {}, [number]] for number in range(1, 4)))
    green.wait_until(lambda: client.heard == [1, 2, 3] and client.stats.workers_busy == 1)
    waiting = green.spawn(client.call, "com.example.x")
    peer.expect(48)
    before = client.stats
    assert (before.messages_in, before.messages_out, before.reconnects) == (1 + 2 + 4, 1 + 2 + 1, 0)
    peer.drop()
    assert waiting.error() is not None
    assert figures(client, "pending", "workers_busy", "queue") == (0, 1, 0), "the callee goes on"
    again = router.accept()
    again.welcome(session_id=2)
    again.acknowledge(2)
    green.wait_until(lambda: client.session is not None and client.stats.reconnects == 1)
    after = client.stats
    assert (after.messages_in, after.messages_out) == (before.messages_in + 3, before.messages_out + 3)
    assert (after.invocations, after.events, after.calls, after.errors) == (1, 3, 1, 0)
    assert after.bytes_in > before.bytes_in and after.bytes_out > before.bytes_out
    client.go.set()
    green.wait_until(lambda: client.stats.workers_busy == 0)
    again.drop()
    client.stop()
    done = client.stats
    assert (done.messages_in, done.calls, done.reconnects) == (after.messages_in, 1, 1)
    assert figures(client, *GAUGES) == (0, 0, 0)


def test_an_attempt_that_fails_counts_too(router, green):
    client = Client(router.url, close_timeout=0.2)
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.expect(1)
    peer.say([3, {}, "wamp.error.no_such_realm"])
    assert joining.error() is not None
    assert figures(client, "messages_in", "messages_out") == (1, 1)
    assert client.stats.bytes_out > 100


def test_the_round_trip_of_the_last_ping(join, green):
    client, peer = join(heartbeat=0.03, heartbeat_timeout=3.0)
    assert client.stats.last_ping is None
    while client.stats.last_ping is None:
        peer.hears_nothing(0.01)
    assert 0 < client.stats.last_ping < 3
