"""stop(drain=seconds): what is under way ends and is answered, nothing new begins, and then it is over."""

import contextlib
import time

import pytest

from wampy import Client, Reconnect, callee, subscribe
from wampy.errors import ConnectionClosed, NoSuchProcedure, RemoteError, WampyError
from wampy.message_handler import MessageHandler

AT_ONCE = 2.0
NEVER = Reconnect(first_delay=60.0, longest_delay=60.0)


class Slow(Client):
    """Its callee and handler end when they are let; they note how far they have come."""

    def __init__(self, *args, **parameters):
        super().__init__(*args, **parameters)
        self.begun, self.ended, self.told = [], [], []
        self.gate = None
        self.stopped = False

    def work(self, n):
        self.begun.append(n)
        self.gate.wait(20)
        self._session.backend.sleep(0.01)
        self.ended.append(n)
        return n * 10

    @callee(procedure="com.example.slow")
    def slow(self, n):
        return self.work(n)

    @subscribe(topic="com.example.topic")
    def on_topic(self, n, **_):
        self.work(n)

    def on_leave(self, reason):
        self.told.append(("on_leave", reason))

    def on_disconnect(self, error):
        self.told.append(("on_disconnect", error))


@contextlib.contextmanager
def taking(at_most, at_least=0.0):
    started = time.monotonic()
    yield
    assert at_least <= time.monotonic() - started < at_most


# With Crossbar.


@pytest.fixture
def service(join, green):
    """Make a service: ``service(Class, **parameters)``; its gate is shut."""

    def service(cls=Slow, **parameters):
        client = join(cls, **parameters)
        client.gate = green.slot()
        return client

    return service


def test_what_runs_and_what_waits_is_answered_and_nothing_new_begins(service, join, green):
    slow, caller = service(max_workers=3), join()
    calls = [green.spawn(caller.call, "com.example.slow", n) for n in range(8)]
    green.wait_until(lambda: len(slow.session.invocations) == 8)
    green.wait_until(lambda: len(slow.begun) == 3)
    stopping = green.spawn(slow.stop, 20.0)
    green.wait_until(lambda: not slow.registration_map)
    with pytest.raises(NoSuchProcedure):
        caller.call("com.example.slow", 99)
    caller.publish(topic="com.example.topic", n=99)
    green.sleep(0.05)
    assert not stopping.done
    slow.gate.set()
    assert [call.result() for call in calls] == [n * 10 for n in range(8)]
    stopping.result(AT_ONCE)
    assert sorted(slow.ended) == list(range(8))
    assert slow.wait(0) is True
    assert [name for name, _ in slow.told] == ["on_leave", "on_disconnect"]
    assert slow.told[1] == ("on_disconnect", None)


def test_without_drain_callees_are_interrupted(service, join, green):
    slow, caller = service(), join()
    call = green.spawn(caller.call, "com.example.slow", 1)
    green.wait_until(lambda: slow.begun == [1])
    with taking(at_most=AT_ONCE):
        slow.stop()
    assert isinstance(call.error(), RemoteError)
    assert slow.ended == []


def test_nothing_under_way_takes_no_time(service):
    slow = service()
    with taking(at_most=AT_ONCE):
        slow.stop(drain=20.0)
    assert slow.wait(0) is True


def test_a_client_without_roles(join):
    client = join()
    with taking(at_most=AT_ONCE):
        client.stop(drain=20.0)


def test_a_client_that_was_never_started(make_client):
    with taking(at_most=AT_ONCE):
        make_client(Slow).stop(drain=20.0)


def test_a_stop_after_a_stop(service):
    slow = service()
    slow.stop(drain=1.0)
    with taking(at_most=AT_ONCE):
        slow.stop(drain=20.0)


@pytest.mark.parametrize("drain", [0, -1, "5", True, float("nan"), float("inf")])
def test_what_is_no_time(drain, service):
    slow = service()
    with pytest.raises(WampyError, match="drain is a number of seconds above 0"):
        slow.stop(drain=drain)
    assert slow.session is not None


def test_the_time_is_up(service, join, green):
    slow, caller = service(max_workers=1), join()
    calls = [green.spawn(caller.call, "com.example.slow", n) for n in range(2)]
    green.wait_until(lambda: len(slow.session.invocations) == 2)
    with taking(at_least=0.3, at_most=0.3 + AT_ONCE):
        slow.stop(drain=0.3)
    assert {isinstance(call.error(), RemoteError) for call in calls} == {True}
    assert slow.ended == []
    assert slow.wait(0) is True


def test_a_callee_that_fails_or_calls_is_seen_through_as_well(service, join, green):
    class Calling(Slow):
        @callee(procedure="com.example.calls")
        def calls(self):
            self.begun.append("calls")
            self.gate.wait(20)
            return self.call("com.example.other")

        @callee(procedure="com.example.fails")
        def fails(self):
            self.begun.append("fails")
            self.gate.wait(20)
            raise RemoteError("com.example.mine")

    class Other(Client):
        @callee(procedure="com.example.other")
        def other(self):
            green.sleep(0.05)
            return "other"

    calling, caller = service(Calling, max_workers=1), join(Other)
    calls = [green.spawn(caller.call, f"com.example.{name}") for name in ("calls", "fails")]
    green.wait_until(lambda: len(calling.session.invocations) == 2)
    stopping = green.spawn(calling.stop, 20.0)
    green.wait_until(lambda: not calling.registration_map)
    calling.gate.set()
    assert calls[0].result() == "other"
    assert calls[1].error().uri == "com.example.mine"
    stopping.result(AT_ONCE)


def test_events_that_have_come_are_all_handled(service, join, green):
    slow, publisher = service(max_workers=2), join()
    for n in range(20):
        publisher.publish(topic="com.example.topic", n=n)
    green.wait_until(lambda: slow.begun == [0])
    green.sleep(0.1)
    stopping = green.spawn(slow.stop, 20.0)
    green.sleep(0.05)
    assert not stopping.done
    slow.gate.set()
    stopping.result(AT_ONCE)
    assert slow.ended == list(range(20))


def test_events_are_handled_while_another_worker_is_idle(service, join, green):
    """The next job is handed to the idle one, which has not woken up when the first looks whether all is done."""
    slow, publisher = service(max_workers=4), join()
    slow.gate.set()
    calls = [green.spawn(publisher.call, "com.example.slow", n) for n in range(4)]
    for call in calls:  # now there are idle workers
        call.result()
    slow.gate = green.slot()
    slow.ended.clear()
    for n in range(5):
        publisher.publish(topic="com.example.topic", n=n)
    green.wait_until(lambda: len(slow.begun) == 5)
    green.sleep(0.1)
    stopping = green.spawn(slow.stop, 20.0)
    green.sleep(0.05)
    slow.gate.set()
    stopping.result(AT_ONCE)
    assert slow.ended == [0, 1, 2, 3, 4]


# From wherever it is called.


def test_in_a_worker_with_no_other(service, join, green):
    class Stopping(Slow):
        @callee(procedure="com.example.stop")
        def stop_yourself(self):
            self.gate.wait(20)
            self.stop(drain=20.0)
            self.stopped = True

    stopping, caller = service(Stopping, max_workers=1), join()
    stop = green.spawn(caller.call, "com.example.stop")
    green.wait_until(lambda: len(stopping.session.invocations) == 1)
    calls = [green.spawn(caller.call, "com.example.slow", n) for n in range(3)]
    green.wait_until(lambda: len(stopping.session.invocations) == 4)
    with taking(at_most=AT_ONCE):
        stopping.gate.set()
        assert [call.result() for call in calls] == [0, 10, 20]
        assert stopping.wait(AT_ONCE) is True
        assert isinstance(stop.error(), RemoteError), "its own invocation cannot be answered after the session"
    green.wait_until(lambda: stopping.stopped)


def test_in_an_event_handler(service, join, green):
    class Stopping(Slow):
        @subscribe(topic="com.example.stop")
        def on_stop(self, **_):
            self.stop(drain=20.0)
            self.stopped = True

    stopping, caller = service(Stopping), join()
    call = green.spawn(caller.call, "com.example.slow", 1)
    green.wait_until(lambda: stopping.begun == [1])
    caller.publish(topic="com.example.stop", n=1)
    green.wait_until(lambda: not stopping.registration_map)
    stopping.gate.set()
    assert call.result() == 10
    assert stopping.wait(AT_ONCE) is True
    green.wait_until(lambda: stopping.stopped)


def test_in_a_hook(service, join, green):
    class Stopping(Slow):
        def on_join(self, details):
            self.may_stop.wait(20)
            self.stop(drain=20.0)
            self.stopped = True

    Stopping.may_stop = green.slot()
    stopping, caller = service(Stopping), join()
    call = green.spawn(caller.call, "com.example.slow", 1)
    green.wait_until(lambda: stopping.begun == [1])
    Stopping.may_stop.set()
    green.wait_until(lambda: not stopping.registration_map)
    stopping.gate.set()
    assert call.result() == 10
    assert stopping.wait(AT_ONCE) is True
    green.wait_until(lambda: stopping.stopped)


def test_in_the_reader(service, join, green):
    class Stopping(MessageHandler):
        def handle_event(self, message_obj):
            super().handle_event(message_obj)
            self.client.stop(drain=20.0)

    slow, caller = service(message_handler_cls=Stopping), join()
    call = green.spawn(caller.call, "com.example.slow", 1)
    green.wait_until(lambda: slow.begun == [1])
    caller.publish(topic="com.example.topic", n=2)
    green.wait_until(lambda: not slow.registration_map)
    slow.gate.set()
    assert call.result() == 10
    assert slow.wait(AT_ONCE) is True
    assert sorted(slow.ended) == [1, 2]


# Cut short.


def test_a_second_stop_ends_it(service, join, green):
    slow, caller = service(), join()
    call = green.spawn(caller.call, "com.example.slow", 1)
    green.wait_until(lambda: slow.begun == [1])
    stopping = green.spawn(slow.stop, 20.0)
    green.wait_until(lambda: not slow.registration_map)
    with taking(at_most=AT_ONCE):
        slow.stop()
        stopping.result()
        assert isinstance(call.error(), RemoteError)
    assert slow.ended == []


def test_a_second_stop_with_time_waits_too(service, join, green):
    slow, caller = service(), join()
    call = green.spawn(caller.call, "com.example.slow", 1)
    green.wait_until(lambda: slow.begun == [1])
    stops = [green.spawn(slow.stop, 20.0) for _ in range(2)]
    green.wait_until(lambda: not slow.registration_map)
    green.sleep(0.1)
    assert not any(stop.done for stop in stops)
    slow.gate.set()
    assert call.result() == 10
    for stop in stops:
        stop.result(AT_ONCE)


def test_the_one_who_drains_is_killed(service, join, green):
    """The client is neither here nor there, but another stop() ends it."""
    slow, caller = service(), join()
    call = green.spawn(caller.call, "com.example.slow", 1)
    green.wait_until(lambda: slow.begun == [1])
    stopping = green.spawn(slow.stop, 20.0)
    green.wait_until(lambda: not slow.registration_map)
    stopping.kill()
    assert isinstance(stopping.error(), green.backend.kill_error)
    with taking(at_most=AT_ONCE):
        slow.stop()
    assert isinstance(call.error(), RemoteError)
    assert slow.wait(0) is True


# With a router that does as it is told.


@pytest.fixture
def scripted(green, wamp, make_client):
    """A client of a scripted router: ``client, peer = scripted(Class, **parameters)``."""
    router = wamp.ScriptedRouter(green.backend)

    def scripted(cls=Slow, roles=2, **parameters):
        client = make_client(cls, url=router.url, **parameters)
        client.gate = green.slot()
        joining = green.spawn(client.start)
        peer = router.accept()
        peer.welcome()
        peer.acknowledge(roles)
        joining.result()
        return client, peer

    yield scripted
    router.close()


def test_what_goes_over_the_wire(scripted, green, wamp):
    client, peer = scripted()
    peer.say([wamp.INVOCATION, 1, 100, {}, [1]], [wamp.EVENT, 101, 1, {}, [], {"n": 2}])
    green.wait_until(lambda: len(client.begun) == 2)
    stopping = green.spawn(client.stop, 20.0)
    unregister, unsubscribe = peer.expect(wamp.UNREGISTER), peer.expect(wamp.UNSUBSCRIBE)
    # What was on its way is still taken.
    peer.say([wamp.INVOCATION, 2, 100, {}, [3]], [wamp.EVENT, 101, 2, {}, [], {"n": 4}])
    peer.say([wamp.UNREGISTERED, unregister[1]], [wamp.UNSUBSCRIBED, unsubscribe[1]])
    assert peer.hears_nothing()
    client.gate.set()
    assert sorted((peer.expect(wamp.YIELD), peer.expect(wamp.YIELD))) == [
        [wamp.YIELD, 1, {}, [10]],
        [wamp.YIELD, 2, {}, [30]],
    ]
    peer.farewell()
    stopping.result(AT_ONCE)
    assert sorted(client.ended) == [1, 2, 3, 4]


def test_one_that_comes_in_the_same_piece_as_the_last_word(scripted, green, wamp):
    """On OS threads the idle worker it is handed to may wake up after the one who drains."""
    for _ in range(10):
        client, peer = scripted()
        client.gate.set()
        peer.say([wamp.INVOCATION, 1, 100, {}, [1]])
        peer.expect(wamp.YIELD)
        stopping = green.spawn(client.stop, 20.0)
        unregister, unsubscribe = peer.expect(wamp.UNREGISTER), peer.expect(wamp.UNSUBSCRIBE)
        peer.say(
            [wamp.UNSUBSCRIBED, unsubscribe[1]],
            [wamp.INVOCATION, 2, 100, {}, [2]],
            [wamp.UNREGISTERED, unregister[1]],
        )
        assert peer.expect(wamp.YIELD) == [wamp.YIELD, 2, {}, [20]]
        peer.farewell()
        stopping.result(AT_ONCE)


def test_a_router_that_does_not_answer_has_the_time_that_was_given(scripted, green, wamp):
    client, peer = scripted()
    peer.say([wamp.INVOCATION, 1, 100, {}, [1]])
    green.wait_until(lambda: client.begun == [1])
    with taking(at_least=0.3, at_most=0.3 + AT_ONCE):
        stopping = green.spawn(client.stop, 0.3)
        peer.farewell()
        stopping.result()


def test_a_router_that_knows_nothing_of_them(scripted, green, wamp):
    client, peer = scripted()
    stopping = green.spawn(client.stop, 20.0)
    for code, uri in ((wamp.UNREGISTER, "registration"), (wamp.UNSUBSCRIBE, "subscription")):
        request = peer.expect(code)
        peer.say([wamp.ERROR, code, request[1], {}, f"wamp.error.no_such_{uri}"])
    peer.farewell()
    stopping.result(AT_ONCE)


@pytest.mark.parametrize("when", ["before the router's word", "after it"])
def test_the_router_dies_meanwhile(when, scripted, green, wamp):
    client, peer = scripted()
    peer.say([wamp.INVOCATION, 1, 100, {}, [1]])
    green.wait_until(lambda: client.begun == [1])
    waiting = green.spawn(client.wait)
    stopping = green.spawn(client.stop, 20.0)
    requests = [peer.hear(), peer.hear()]
    if when == "after it":
        peer.say(*([request[0] + 1, request[1]] for request in requests))
        green.wait_until(lambda: not client.registration_map)
    peer.drop()
    stopping.result(AT_ONCE)
    assert waiting.result() is True
    assert client.wait(0) is True
    assert client.ended == [], "nobody waits for its answer any more"
    green.wait_until(lambda: len(client.told) == 1)
    name, error = client.told[0]
    assert (name, type(error)) == ("on_disconnect", ConnectionClosed)
    green.sleep(0.3)
    assert client.session is None, "it came back although it was being stopped"


def test_the_router_says_goodbye_meanwhile(scripted, green, wamp):
    client, peer = scripted()
    peer.say([wamp.INVOCATION, 1, 100, {}, [1]])
    green.wait_until(lambda: client.begun == [1])
    stopping = green.spawn(client.stop, 20.0)
    peer.expect(wamp.UNREGISTER)
    peer.say([wamp.GOODBYE, {}, "wamp.close.system_shutdown"])
    stopping.result(AT_ONCE)
    assert client.wait(0) is True


def test_while_it_waits_for_an_attempt(scripted, green, wamp):
    client, peer = scripted(reconnect=NEVER)
    peer.say([wamp.INVOCATION, 1, 100, {}, [1]])
    green.wait_until(lambda: client.begun == [1])
    peer.drop()
    green.wait_until(lambda: client.session is None)
    with taking(at_most=AT_ONCE):
        client.stop(drain=20.0)
    assert client.wait(0) is True


def test_start_after_it(service, green):
    slow = service()
    slow.stop(drain=1.0)
    slow.start()
    assert len(slow.registration_map) == len(slow.subscription_map) == 1
    slow.stop(drain=1.0)
