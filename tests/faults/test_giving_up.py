"""Requests whose caller gives up, and what the router says about them later."""

import time

import pytest

from wampy import Client, callee
from wampy.errors import RemoteError, Unavailable, WampyError, WampyTimeOutError


@pytest.fixture
def late_router(fake_router):
    """A router that acknowledges roles 0.3 seconds late, and at once sends an event and an invocation."""

    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 32:
                time.sleep(0.3)
                peer.send([33, message[1], 500], [36, 500, 1, {}, [1]])
            elif message[0] == 64:
                time.sleep(0.3)
                peer.send([65, message[1], 600], [68, 1, 600, {}, [1]])
            elif message[0] == 48:
                peer.send([50, message[1], {}, ["answered"]])
            elif message[0] in (34, 66):
                peer.send([message[0] + 1, message[1]])
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.normal"])

    return fake_router(script)


@pytest.mark.parametrize("what", ["subscribe", "register"])
def test_a_role_that_is_acknowledged_too_late_does_not_end_the_session(late_router, make_client, what, green):
    client = make_client(url=late_router.url, call_timeout=0.1)
    client.start()
    heard = []
    with pytest.raises(WampyTimeOutError):
        getattr(client.session, what)("com.example.late", heard.append)
    # The router has sent all of it before it answers this.
    assert client.options(timeout=5.0).call("com.example.any") == "answered"
    assert client.session is not None
    assert heard == []


@pytest.mark.parametrize("what", ["subscribe", "register"])
def test_a_role_whose_asker_is_killed_does_not_end_the_session(late_router, make_client, what, green):
    client = make_client(url=late_router.url)
    client.start()
    asking = green.spawn(getattr(client.session, what), "com.example.late", print)
    green.wait_until(lambda: len(client.session.pending) == 1)
    asking.kill()
    assert asking.error() is not None
    assert client.call("com.example.any") == "answered"
    assert client.session is not None


def test_a_callee_that_is_registered_too_late_refuses_and_is_taken_back(late_router, make_client, green):
    """Whoever calls it meanwhile hears of it, and the router is told that nobody serves it."""
    client = make_client(url=late_router.url, call_timeout=0.1)
    client.start()
    with pytest.raises(WampyTimeOutError):
        client.session.register("com.example.late", print)
    client.options(timeout=5.0).call("com.example.any")
    green.wait_until(lambda: [m for m in late_router.received if m[0] == 8])
    (error,) = [m for m in late_router.received if m[0] == 8]
    assert error[:3] == [8, 68, 1]
    green.wait_until(lambda: [m for m in late_router.received if m[0] == 66], what="UNREGISTER")
    assert [m[2] for m in late_router.received if m[0] == 66] == [600]


def test_two_wait_for_one_call_and_the_first_is_killed(fake_router, make_client, green):
    def script(peer):
        peer.welcome()
        for message in peer:
            if message[0] == 48 and message[3] == "com.example.go":
                peer.send([50, 1, {}, ["first"]], [50, message[1], {}])
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.normal"])

    client = make_client(url=fake_router(script).url, call_timeout=2.0)
    client.start()
    pending = client.rpc.com.example.slow.call_async()
    first, second = green.spawn(pending.result), green.spawn(pending.result)
    green.sleep(0.02)
    first.kill()
    assert first.error() is not None
    client.call("com.example.go")
    # The second may get the answer, or be told that the call was given up; it must not wait for ever.
    error = second.error(5)
    assert error is None or isinstance(error, WampyError)
    try:
        assert pending.result(timeout=1) == "first"
    except WampyTimeOutError:
        pytest.fail("its outcome never comes")
    except WampyError:
        assert pending.done()


def test_an_answer_that_lies_in_the_kernel_at_the_deadline_counts(fake_router, make_client, hold_up):
    def answer(message):
        if message[0] == 48:
            time.sleep(0.2)
            return [[50, message[1], {}, ["in time"]]]

    def script(peer):
        peer.welcome()
        peer.serve(answer)

    client = make_client(url=fake_router(script).url)
    client.start()
    call = client.options(timeout=0.1).rpc.com.example.any.call_async()
    hold_up(0.4)  # the timer is overdue when its turn comes, and the answer is there
    assert call.result() == "in time"


def test_a_callee_that_calls_itself_without_end_is_refused_in_the_end(join):
    depth = 0

    class Service(Client):
        @callee(procedure="com.example.deeper")
        def deeper(self):
            nonlocal depth
            depth += 1
            return self.call("com.example.deeper")

    service = join(Service, max_workers=1, call_timeout=60.0)
    with pytest.raises(RemoteError) as caught:
        service.call("com.example.deeper")
    assert isinstance(caught.value, Unavailable)
    assert depth > 100
    assert service.call("wamp.session.count") == 1


def test_an_event_that_finds_its_handlers_mailbox_full_is_dropped_with_a_log_record(join, green, caplog):
    heard = []
    go = green.slot()

    def handler(n):
        heard.append(n)
        go.wait(5)

    listener, publisher = join(max_queue=5), join()
    listener.session.subscribe("com.example.flood", handler)
    options = {"acknowledge": True}
    for number in range(20):
        publisher.publish(topic="com.example.flood", n=number, options=options)
    listener.call("wamp.session.count")  # what the router sent before this answer has come in
    assert "max_queue" in caplog.text
    go.set()
    green.wait_until(lambda: len(heard) >= 6)
    publisher.publish(topic="com.example.flood", n=20, options=options)
    green.wait_until(lambda: 20 in heard)
    # One was being handled and five had room; the rest is lost.
    assert heard == [0, 1, 2, 3, 4, 5, 20]
    assert listener.session is not None
