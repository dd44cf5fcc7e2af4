"""What a client has done, in figures, against a real router."""

import socket
import sys
import threading
import time

import pytest

from wampy import Client, Reconnect, RemoteError, Stats, callee, subscribe


class Service(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []

    @callee(procedure="com.example.stats.add")
    def add(self, one, two):
        return one + two

    @subscribe(topic="com.example.stats.topic")
    def on_topic(self, number):
        self.heard.append(number)


def traffic(client, number=5):
    """Make calls, one of them wrong, and publish."""
    for one in range(number):
        assert client.call("com.example.stats.add", one, 1) == one + 1
    with pytest.raises(RemoteError):
        client.call("com.example.stats.add", "no number", 1)
    for one in range(3):
        client.publish(topic="com.example.stats.topic", options={"acknowledge": True}, number=one)


def test_all_that_was_done_is_counted(join, green):
    service, client = join(Service), join()
    assert client.stats == Stats(
        messages_in=1, messages_out=1, bytes_in=client.stats.bytes_in, bytes_out=client.stats.bytes_out
    )
    traffic(client)
    green.wait_until(lambda: len(service.heard) == 3 and service.stats.workers_busy == 0)
    done = client.stats
    assert done.bytes_in > 500 and done.bytes_out > 500
    # HELLO, 6 calls, 3 publications, and what they are answered with.
    assert (done.messages_out, done.messages_in) == (10, 10)
    assert (done.calls, done.errors, done.pending, done.invocations, done.events) == (6, 1, 0, 0, 0)
    served = service.stats
    # HELLO, REGISTER, SUBSCRIBE, 6 answers; their replies, 6 invocations, 3 events.
    assert (served.messages_out, served.messages_in) == (9, 12)
    assert (served.invocations, served.invocations_refused, served.events, served.events_dropped) == (6, 0, 3, 0)
    assert (served.calls, served.queue, served.workers_busy, served.reconnects) == (0, 0, 0, 0)
    client.stop()
    stopped = client.stats
    # GOODBYE.
    assert (stopped.messages_out, stopped.messages_in, stopped.calls, stopped.errors) == (11, 11, 6, 1)
    assert stopped.bytes_out > done.bytes_out
    assert client.stats == stopped


def test_the_next_start_goes_on_counting(join, green):
    join(Service)
    client = join()
    traffic(client)
    client.stop()
    client.start()
    traffic(client)
    assert (client.stats.messages_out, client.stats.calls, client.stats.errors) == (11 + 10, 12, 2)
    assert client.stats.reconnects == 0, "it was not lost"


def test_across_a_reconnect(join, green):
    policy = Reconnect(first_delay=0.05, longest_delay=0.05)
    service, client = join(Service, reconnect=policy), join(reconnect=policy)
    for number in range(1, 4):
        traffic(client)
        green.wait_until(lambda number=number: len(service.heard) == 3 * number)
        before = client.session
        for each in (client, service):
            each._session._transport._stream.socket.shutdown(socket.SHUT_RDWR)
        green.wait_until(lambda number=number: service.stats.reconnects == number == client.stats.reconnects)
        assert client.session is not before
    traffic(client)
    green.wait_until(lambda: len(service.heard) == 12)
    assert (client.stats.calls, client.stats.errors, client.stats.reconnects) == (24, 4, 3)
    # Four times HELLO and traffic.
    assert (client.stats.messages_out, client.stats.messages_in) == (40, 40)
    assert (service.stats.invocations, service.stats.events) == (24, 12)


def test_the_round_trip_of_the_last_ping(join, green):
    client = join(heartbeat=0.05)
    green.wait_until(lambda: client.stats.last_ping is not None)
    assert 0 < client.stats.last_ping < 5


def test_while_calls_are_under_way(join, green):
    class Waiting(Client):
        @callee(procedure="com.example.stats.wait")
        def wait_here(self):
            go.wait()

    go = green.slot()
    service, client = join(Waiting, max_workers=2), join()
    calls = [green.spawn(client.call, "com.example.stats.wait") for _ in range(5)]
    green.wait_until(lambda: service.stats.queue == 3)
    assert (service.stats.workers_busy, client.stats.pending, client.stats.calls) == (2, 5, 5)
    go.set()
    for call in calls:
        call.result()
    assert client.stats.pending == 0


def test_any_thread_may_ask(join):
    """Whoever collects metrics asks from an OS thread of its own, while workers, green or not, come and go."""
    service, client = join(Service, max_workers=200), join()
    failures, asked, over = [], [], threading.Event()

    def ask():
        while not over.is_set():
            try:
                asked.append(service.stats.workers_busy)
            except Exception as error:
                failures.append(error)
                return

    asking = threading.Thread(target=ask)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    asking.start()
    try:
        end = time.monotonic() + 2.0
        while time.monotonic() < end and not failures:
            calls = [client.rpc.com.example.stats.add.call_async(number, 1) for number in range(150)]
            assert [call.result() for call in calls] == list(range(1, 151))
    finally:
        over.set()
        asking.join()
        sys.setswitchinterval(interval)
    assert not failures
    assert max(asked) > 1, "there was something to count"
