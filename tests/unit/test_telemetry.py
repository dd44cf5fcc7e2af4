"""The seam: who watches, whom, and that nobody does unless asked to."""

import gc

import pytest

from wampy import Client, callee, telemetry


class Recording(telemetry.Observer):
    """Notes what it stands round."""

    def __init__(self):
        self.seen = []

    def _round(self, what, method, session, *args, **kwargs):
        self.seen.append(what)
        return method(session, *args, **kwargs)

    def call(self, method, session, /, *args, **kwargs):
        return self._round("call", method, session, *args, **kwargs)

    def call_async(self, method, session, /, *args, **kwargs):
        call = self._round("call_async", method, session, *args, **kwargs)
        session.when_done(call, lambda pending: self.seen.append(("done", pending.slot.done)))
        return call

    def publish(self, method, session, /, *args, **kwargs):
        return self._round("publish", method, session, *args, **kwargs)

    def waiting(self, operation, name, wait):
        self.seen.append(("waiting", operation, name))
        return wait()

    def invocation(self, session, registration, message, function):
        self.seen.append(("invocation", registration.procedure))
        return lambda *args, **kwargs: ("observed", function(*args, **kwargs))

    def event(self, session, subscription, message, function):
        self.seen.append(("event", subscription.topic))
        return function

    def stopped(self, keeper):
        self.seen.append(("stopped", keeper.who))


class Service(Client):
    @callee(procedure="com.example.work")
    def work(self, value):
        return value


@pytest.fixture
def observer():
    observer = Recording()
    telemetry.watch(observer)
    yield observer
    telemetry.watch(None)


def test_nobody_watches():
    assert telemetry.observer is None


def test_what_is_observed(observer, join, green):
    client, peer = join(Service, roles=1)
    calling = green.spawn(client.call, "com.example.a")
    request = peer.expect(48)
    peer.say([50, request[1], {}, [1]])
    assert calling.result() == 1
    call = client.rpc.com.example.b.call_async()
    peer.say([50, peer.expect(48)[1], {}, [2]])
    assert call.result() == 2
    client.publish(topic="com.example.topic", number=1)
    peer.expect(16)
    peer.say([68, 1, 100, {}, [3]])
    assert peer.expect(70)[3] == [["observed", 3]]
    client.session.when_done(call, lambda pending: observer.seen.append(pending.about))
    client.stop()
    while observer.seen[-2:] == [("stopped", "Service")] * 2:
        observer.seen.pop()
    assert observer.seen == [
        ("waiting", "call", "com.example.a"),
        "call",
        ("waiting", "call_async", "com.example.b"),
        "call_async",
        ("done", True),
        ("waiting", "publish", "com.example.topic"),
        "publish",
        ("invocation", "com.example.work"),
        "com.example.b",
        ("stopped", "Service"),
    ]


@pytest.mark.parametrize("end", ["answer", "error", "timeout", "cancel", "loss"])
def test_a_call_is_done_once(observer, join, green, end):
    client, peer = join()
    call = client.options(timeout=0.1 if end == "timeout" else 5.0).rpc.com.example.a.call_async()
    request = peer.expect(48)
    if end == "answer":
        peer.say([50, request[1], {}, [1]], [50, request[1], {}, [1]])
    elif end == "error":
        peer.say([8, 48, request[1], {}, "com.example.error"])
    elif end == "cancel":
        call.cancel("skip")
        call.cancel("skip")
    elif end == "loss":
        peer.drop()
    green.wait_until(call.done)
    client.stop()
    assert observer.seen.count(("done", True)) == 1


def test_the_keepers_are_those_of_the_clients_that_there_are():
    client = Client(name="known")
    assert client._keeper in telemetry.keepers()
    del client
    gc.collect()
    assert "known" not in [keeper.who for keeper in telemetry.keepers()]
