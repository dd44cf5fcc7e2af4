"""More than a client can do, against a real router: each call is answered, one way or the other."""

import logging

import pytest

from wampy import Client, RemoteError, callee, overload, subscribe

pytestmark = pytest.mark.usefixtures("wampy_router")


class Slow(Client):
    """Takes its time for everything."""

    SECONDS = 0.01

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []

    @callee(procedure="com.example.slow")
    def slow(self, number):
        self.message_handler.session.backend.sleep(self.SECONDS)
        return number

    @subscribe(topic="com.example.slow_topic")
    def on_slow_topic(self, number):
        self.message_handler.session.backend.sleep(self.SECONDS)
        self.heard.append(number)


def records_of(caplog, name="wampy.overload"):
    return [(record.levelno, record.getMessage()) for record in caplog.records if record.name == name]


def test_a_thousand_calls_at_two_workers_and_a_queue_of_ten(join, green, caplog, monkeypatch):
    monkeypatch.setattr(overload, "QUIET", 0.5)
    service = join(Slow, max_workers=2, max_queue=10, heartbeat=0.1, heartbeat_timeout=5.0)
    session_id = service.session.id
    caller = join(call_timeout=60.0)
    calls = [caller.rpc.com.example.slow.call_async(number) for number in range(1000)]
    answered, refused = [], []
    for number, call in enumerate(calls):
        try:
            assert call.result() == number, "somebody else's answer"
            answered.append(number)
        except RemoteError as error:
            assert error.uri == "wamp.error.unavailable"
            refused.append(number)
    assert len(answered) + len(refused) == 1000
    assert len(answered) >= 12, "those that run and those that wait"
    assert refused, "there was no overload"
    stats = service.stats
    assert (stats.invocations, stats.invocations_refused) == (1000, len(refused))
    assert caller.stats.errors == len(refused)
    green.wait_until(lambda: service.stats.workers_busy == service.stats.queue == 0)
    green.wait_until(lambda: service.stats.last_ping is not None)
    assert service.session.id == session_id, "the session was lost meanwhile"
    assert caller.call("com.example.slow", "and now") == "and now"
    green.wait_until(lambda: len(records_of(caplog)) >= 2)
    (level, begins), (_, ends), *more = records_of(caplog)
    assert level == logging.WARNING
    assert begins.startswith("invocations are refused (wamp.error.unavailable): 10 with ")
    assert ends == f"no more invocations are refused; {len(refused)} were"
    assert more == []


def test_heartbeats_are_answered_while_invocations_are_refused(join, green, caplog):
    service = join(Slow, max_workers=1, max_queue=1, heartbeat=0.05, heartbeat_timeout=5.0)
    caller = join(call_timeout=30.0)
    pings = set()
    for _ in range(20):
        calls = [caller.rpc.com.example.slow.call_async(number) for number in range(100)]
        for call in calls:
            try:
                call.result()
            except RemoteError as error:
                assert error.uri == "wamp.error.unavailable"
        pings.add(service.stats.last_ping)
    assert service.stats.invocations == 2000
    assert service.stats.invocations_refused > 1000
    assert len(pings - {None}) > 1, "no pong came through"


def test_the_oldest_events_are_dropped_and_the_newest_are_heard(join, green, caplog):
    listener = join(Slow, max_queue=10)
    publisher = join()
    for number in range(500):
        publisher.publish(topic="com.example.slow_topic", options={"acknowledge": number == 499}, number=number)
    green.wait_until(lambda: listener.stats.events == 500)
    green.wait_until(lambda: listener.heard[-1:] == [499])
    green.wait_until(lambda: listener.stats.queue == 0)
    assert listener.heard == sorted(listener.heard), "out of order"
    assert listener.heard[-10:] == list(range(490, 500)), "the newest count"
    assert len(listener.heard) + listener.stats.events_dropped == 500
    assert listener.stats.events_dropped > 100
    listener.stop()
    (level, begins), (_, ends) = records_of(caplog)
    assert level == logging.ERROR
    name, dropped = "the handler of com.example.slow_topic", listener.stats.events_dropped
    assert begins.startswith(f"{name} is too slow, the oldest of its events are dropped: 10 with ")
    assert ends == f"{name}: no more events are dropped; {dropped} were"
