"""A conversation with a router: joining, replies, deadlines, violations and the end, against the scripted router."""

import logging
import os
import threading
import time

import pytest

from wampy import Client
from wampy.errors import (
    AbortError,
    ConnectionClosed,
    HandshakeError,
    SerializationError,
    SessionClosed,
    WampProtocolError,
    WampyError,
    WampyTimeOutError,
)
from wampy.message_handler import MessageHandler
from wampy.protocol.states import State

VIOLATION = "wamp.error.protocol_violation"


class Told(Client):
    """A client that notes what its hooks are told."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.told = []

    def on_leave(self, reason):
        self.told.append(("leave", reason))

    def on_disconnect(self, error):
        self.told.append(("disconnect", error))


# Joining.


def test_hello_and_welcome(join):
    client, peer = join(realm="realm2", welcome={"session_id": 77, "authid": "joe"})
    _, realm, details = peer.hello
    assert realm == "realm2"
    assert set(details["roles"]) == {"caller", "callee", "publisher", "subscriber"}
    assert details["roles"]["callee"]["features"]["call_canceling"] is True
    assert client.session.id == client.session.session_id == 77
    assert client.session.details["authid"] == "joe"
    assert client._session is client.session


def test_no_session_before_welcome_and_after_stop(join, green, router):
    client = Client(router.url)
    assert client.session is None
    assert client._session is not None
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.expect(1)
    assert client.session is None
    peer.say([2, 1, {"roles": {}}])
    joining.result()
    assert client.session is not None
    stopping = green.spawn(client.stop)
    peer.farewell()
    stopping.result()
    assert client.session is None
    assert client._session is not None


@pytest.mark.parametrize("answers", [True, False], ids=["answers the close", "hangs"])
def test_abort_while_joining(green, router, answers):
    client = Told(router.url)
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.answers = answers
    peer.expect(1)
    before = time.monotonic()
    peer.say([3, {"message": "no such realm"}, "wamp.error.no_such_realm"])
    error = joining.error(8.0)
    assert time.monotonic() - before < 1.0
    assert isinstance(error, AbortError)
    assert error.uri == "wamp.error.no_such_realm"
    assert "wamp.error.no_such_realm" in str(error)
    assert "no such realm" in str(error)
    peer.until_closed()
    client.stop()
    assert client.told == [], "who has not joined does not leave"
    # And once more, with the same client.
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.welcome()
    joining.result()
    peer.drop()
    client.stop()


def test_a_router_that_says_nothing_after_hello(green, router):
    client = Client(router.url, open_timeout=0.1)
    joining = green.spawn(client.start)
    peer = router.accept()
    error = joining.error(2.0)
    assert isinstance(error, WampyTimeOutError)
    assert error.seconds == 0.1
    assert "WELCOME" in str(error)
    peer.until_closed()


@pytest.mark.parametrize("what", ["close", "drop", "goodbye", "result", "event", "garbage"])
def test_a_router_that_does_not_let_us_in(green, router, what):
    client = Client(router.url)
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.expect(1)
    if what == "close":
        peer.close_websocket(1001, "going away")
    elif what == "drop":
        peer.drop()
    else:
        sent = {"goodbye": [6, {}, "a.b"], "result": [50, 1, {}], "event": [36, 1, 1, {}], "garbage": "what?"}
        peer.say(sent[what])
    error = joining.error(2.0)
    kind = ConnectionClosed if what in ("close", "drop") else WampProtocolError
    assert isinstance(error, kind)
    assert client.session is None
    client.stop()


def test_nobody_there(backend, green, router):
    url = router.url
    router.close()
    client = Client(url)
    with pytest.raises(WampyError, match="cannot connect"):
        client.start()
    assert client.session is None


def test_no_websocket_there(green, router):
    client = Client(router.url)
    joining = green.spawn(client.start)
    peer = router.accept(handshake=False)
    peer.read()
    peer.raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    error = joining.error(2.0)
    assert isinstance(error, HandshakeError)
    assert error.status == 404


# Replies.


def test_replies_in_any_order_find_their_callers(join, green):
    client, peer = join()
    calls = [green.spawn(client.call, f"com.example.p{number}") for number in range(10)]
    requests = [peer.expect(48) for _ in calls]
    peer.say(*([50, request[1], {}, [request[3]]] for request in reversed(requests)))
    assert [call.result() for call in calls] == [f"com.example.p{number}" for number in range(10)]
    assert [request[1] for request in requests] == list(range(1, 11))
    assert len(client.session.pending) == 0


def test_one_counter_for_all_requests(join, green):
    client, peer = join()
    session = client.session
    pending = session.call_async("com.example.a")
    session.publish("com.example.t")
    subscribing = green.waiting(session.subscribe, "com.example.t", print)
    registering = green.spawn(session.register, "com.example.p", print)
    requests = [peer.hear() for _ in range(4)]
    assert [(request[0], request[1]) for request in requests] == [(48, 1), (16, 2), (32, 3), (64, 4)]
    peer.say([50, 1, {}], [33, 3, 10], [65, 4, 11])
    subscribing.result()
    registering.result()
    assert pending.result() is None


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        (lambda client: client.call("com.example.a", object()), SerializationError),
        (lambda client: client.call("com.example.a", {1: 2}), SerializationError),
        (lambda client: client.call("not a uri"), WampProtocolError),
        (lambda client: client.publish(topic="com..example", x=1), WampProtocolError),
        (lambda client: client.session.subscribe("com..example", print), WampProtocolError),
        (lambda client: client.session.register("com.example.#", print), WampProtocolError),
        (lambda client: client.session.call("com.example.a", options={"timeout": "soon"}), WampProtocolError),
    ],
)
def test_a_request_that_cannot_be_sent_leaves_no_trace(join, green, fail, error):
    client, peer = join()
    with pytest.raises(error):
        fail(client)
    assert len(client.session.pending) == 0
    calling = green.spawn(client.call, "com.example.a")
    assert peer.hear() == [48, 1, {}, "com.example.a"]
    peer.say([50, 1, {}, ["fine"]])
    assert calling.result() == "fine"


def test_a_late_reply_is_dropped(join, green):
    client, peer = join()
    with pytest.raises(WampyTimeOutError) as caught:
        client.options(timeout=0.05).call("com.example.slow")
    assert caught.value.procedure == "com.example.slow"
    assert caught.value.seconds == 0.05
    assert peer.expect(48)[1] == 1
    assert peer.hear() == [49, 1, {"mode": "killnowait"}]
    later = green.spawn(client.call, "com.example.quick")
    peer.expect(48)
    peer.say([50, 1, {}, ["late"]], [8, 48, 1, {}, "wamp.error.canceled"], [50, 2, {}, ["right"]])
    assert later.result() == "right"


def test_a_reply_of_another_kind_settles_nothing(join, green):
    client, peer = join()
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.say([17, 1, 5], [65, 1, 5], [8, 16, 1, {}, "a.b"], [50, 1, {}, ["right"]])
    assert calling.result() == "right"


def test_an_answer_that_lies_in_the_kernel_beats_the_timer(join, green):
    client, peer = join()
    calling = green.spawn(client.options(timeout=0.1).call, "com.example.a")
    peer.expect(48)
    peer.say([50, 1, {}, ["in time"]])
    time.sleep(0.2)  # the whole program is busy past the deadline
    assert calling.result() == "in time"


def test_a_call_that_nobody_awaits_expires_too(join, green):
    client, peer = join()
    pending = client.session.call_async("com.example.a", timeout=0.05)
    assert peer.expect(48)
    assert peer.hear() == [49, 1, {"mode": "killnowait"}]
    assert pending.done()
    assert len(client.session.pending) == 0
    with pytest.raises(WampyTimeOutError):
        pending.result()


def test_a_shorter_deadline_that_comes_later_counts(join, green):
    client, peer = join()
    longer = client.session.call_async("com.example.a", timeout=30.0)
    shorter = client.session.call_async("com.example.b", timeout=0.05)
    with pytest.raises(WampyTimeOutError):
        shorter.result()
    assert not longer.done()
    peer.expect(48)
    peer.say([50, 1, {}, [1]])
    assert longer.result() == 1


def test_waiting_a_while_for_a_result_leaves_the_call_alone(join, green):
    client, peer = join()
    pending = client.session.call_async("com.example.a")
    with pytest.raises(WampyTimeOutError):
        pending.result(timeout=0.02)
    assert not pending.done()
    peer.expect(48)
    peer.say([50, 1, {}, [1]])
    assert pending.result(timeout=2.0) == 1
    assert pending.result() == 1


def test_a_killed_caller_cancels_its_call(join, green):
    client, peer = join()
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    calling.kill()
    assert peer.hear() == [49, 1, {"mode": "killnowait"}]
    assert len(client.session.pending) == 0
    assert calling.error() is not None


def test_a_router_that_cannot_cancel_gets_no_cancel(join, green):
    client, peer = join(welcome={"roles": {"dealer": {"features": {}}}})
    with pytest.raises(WampyTimeOutError):
        client.options(timeout=0.02).call("com.example.a")
    peer.expect(48)
    assert peer.hears_nothing()


def test_waiting_for_an_answer_costs_nothing(join, green):
    client, _peer = join()
    before = time.process_time()
    with pytest.raises(WampyTimeOutError):
        client.options(timeout=0.3).call("com.example.a")
    assert time.process_time() - before < 0.1


def test_a_router_that_does_not_read_times_the_sender_out(join, green, router):
    client, peer = join(send_timeout=0.1)
    big = "x" * 1_000_000
    with pytest.raises(WampyTimeOutError, match="does not read"):
        for _ in range(100):
            client.publish(topic="com.example.t", big=big)
    assert client.session is not None
    number = 0
    while peer.hears_nothing(0.3) is False:
        number += 1
        assert peer.hear()[1] == number, "ids without a gap, frames whole"
    calling = green.spawn(client.call, "com.example.a")
    assert peer.expect(48)[1] == number + 1
    peer.say([50, number + 1, {}])
    calling.result()


# Who may block.


class Asking(MessageHandler):
    """Makes blocking requests where they cannot be answered."""

    def __init__(self, client):
        super().__init__(client)
        self.errors = []
        self.elapsed = []

    def handle_event_received(self, message_obj):
        session = self.session
        for ask in (
            lambda: self.client.call("com.example.a"),
            lambda: self.client.rpc.com.example.a(),
            lambda: session.call("com.example.a"),
            lambda: session.register("com.example.a", print),
            lambda: session.subscribe("com.example.a", print),
            lambda: session.publish("com.example.a", options={"acknowledge": True}),
        ):
            before = time.monotonic()
            try:
                ask()
            except WampyError as error:
                self.errors.append(str(error))
            self.elapsed.append(time.monotonic() - before)


def test_a_blocking_request_in_a_handler_hook_raises_at_once_and_sends_nothing(join, green):
    client, peer = join(message_handler_cls=Asking)
    peer.say([337, 1])
    green.wait_until(lambda: len(client.message_handler.elapsed) == 6)
    assert len(client.message_handler.errors) == 6
    assert all("spawn_worker" in text for text in client.message_handler.errors)
    assert max(client.message_handler.elapsed) < 0.5
    assert peer.hears_nothing()
    assert len(client.session.pending) == 0


@pytest.mark.parametrize("what", ["call", "publish", "stop", "cancel"])
def test_another_os_thread_gets_an_error(join, green, what):
    if green.os_threads:
        pytest.skip("any thread may use a client here; see tests/integration/test_threads.py")
    client, peer = join()
    pending = client.session.call_async("com.example.a") if what == "cancel" else None
    if pending is not None:
        peer.expect(48)
    does = {
        "call": lambda: client.call("com.example.a"),
        "publish": lambda: client.publish(topic="com.example.a", x=1),
        "stop": client.stop,
        "cancel": lambda: pending.cancel(),
    }
    errors = []

    def other():
        try:
            does[what]()
        except WampyError as error:
            errors.append(str(error))

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert errors and "OS thread" in errors[0]
    assert peer.hears_nothing()
    assert client.session is not None, "the session lives on"


@pytest.mark.filterwarnings("ignore:Using fork:DeprecationWarning")
@pytest.mark.parametrize("what", ["call", "stop"])
def test_a_forked_child_touches_nothing(join, what):
    client, peer = join()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if what == "stop":
                client.stop()  # it is the parent's to stop: nothing happens, as at the end of a with block
                code = 0
            else:
                client.call("com.example.a")
        except WampyError as error:
            code = 0 if what == "call" and "fork" in str(error) else 2
        except BaseException:
            code = 3
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert peer.hears_nothing()
    assert client.session is not None


def test_a_client_made_in_one_os_thread_can_be_used_in_another(run_python):
    done = run_python(
        """
        import threading
        from wampy import Client
        client = Client("ws://127.0.0.1:9/")
        def other():
            try:
                client.start()
            except Exception as error:
                print(type(error).__name__)
            client.stop()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        """
    )
    assert done.stdout == "ConnectionError\n", done.stderr


# Violations.

VIOLATIONS = {
    "garbage": "what is this",
    "a scalar": "5",
    "nothing": "",
    "an object": "{}",
    "an empty list": "[]",
    "an unknown type": "[999, 1]",
    "a short RESULT": "[50, 1]",
    "a boolean for an id": "[50, true, {}]",
    "a string for an id": '[50, "1", {}]',
    "an id too large": "[50, 9007199254740993, {}]",
    "a second WELCOME": '[2, 5, {"roles": {}}]',
    "CHALLENGE in the session": '[4, "ticket", {}]',
    "HELLO from a router": '[1, "realm1", {}]',
    "CALL from a router": '[48, 1, {}, "a.b"]',
    "a RESULT for no call": "[50, 500, {}]",
    "an ERROR for no call": '[8, 48, 500, {}, "a.b"]',
    "a REGISTERED for no request": "[65, 500, 5]",
    "a SUBSCRIBED for no request": "[33, 500, 5]",
    "an EVENT for no subscription": "[36, 500, 1, {}]",
    "an INVOCATION for no registration": "[68, 1, 500, {}]",
    "deep nesting": "[" * 100_000,
    "a bad error URI": '[8, 48, 1, {}, "not a uri"]',
}


@pytest.mark.parametrize("text", VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_violation_ends_the_session_with_an_abort(join, green, caplog, text):
    client, peer = join(Told)
    session = client.session
    calls = [green.spawn(client.call, "com.example.a") for _ in range(3)]
    for _ in calls:
        peer.expect(48)
    before = time.monotonic()
    peer.say(text)
    abort = peer.expect(3)
    assert abort[2] == VIOLATION
    assert abort[1]["message"]
    errors = [call.error(2.0) for call in calls]
    assert time.monotonic() - before < 1.0
    assert all(isinstance(error, WampProtocolError) for error in errors)
    assert len(set(map(id, errors))) == 3, "each has an instance of its own"
    assert client.session is None
    peer.until_closed()
    green.wait_until(lambda: client.told)
    ((what, error),) = client.told
    assert what == "disconnect"
    assert isinstance(error, WampProtocolError)
    assert session.state is State.ENDED
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    with pytest.raises(ConnectionClosed):
        session.call("com.example.a")
    with pytest.raises(ConnectionClosed):
        client.call("com.example.a")


def test_what_follows_a_violation_is_not_looked_at(join, green, caplog):
    client, peer = join()
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.say("nonsense", [50, 1, {}, ["too late"]], "more nonsense")
    assert isinstance(calling.error(), WampProtocolError)
    peer.until_closed()
    with pytest.raises(WampProtocolError):
        client.wait(2.0)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


@pytest.mark.parametrize("text", ['[65,1,5,"more"]', "[33]"])
def test_a_violation_while_the_roles_are_registered(green, router, text):
    client = Client(router.url)
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.welcome()
    joining.result()
    registering = green.spawn(client.session.register, "com.example.a", print)
    peer.expect(64)
    peer.say(text)
    assert isinstance(registering.error(2.0), WampProtocolError)
    peer.expect(3)
    peer.until_closed()
    client.stop()


# The end.


def test_stop_says_goodbye_and_waits_for_the_answer(join, green):
    client, peer = join(Told)
    stopping = green.spawn(client.stop)
    assert peer.hear() == [6, {}, "wamp.close.close_realm"]
    green.sleep(0.02)
    assert not stopping.done
    peer.say([6, {}, "wamp.close.normal"])
    assert peer.until_closed() == 1000
    stopping.result()
    green.wait_until(lambda: len(client.told) == 2)
    assert client.told == [("leave", "wamp.close.normal"), ("disconnect", None)]
    client.stop()


def test_several_stops_at_once(join, green):
    client, peer = join()
    stops = [green.spawn(client.stop) for _ in range(3)]
    peer.farewell()
    for stop in stops:
        stop.result()
    assert [message[0] for message in peer.heard].count(6) == 1


def test_nothing_is_sent_after_goodbye(join, green):
    client, peer = join()
    session = client.session
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    stopping = green.spawn(client.stop)
    peer.expect(6)
    for send in (lambda: session.publish("com.example.t"), lambda: session.call("com.example.b")):
        with pytest.raises(ConnectionClosed):
            send()
    peer.say([50, 1, {}, ["crossing"]], [6, {}, "wamp.close.normal"])
    assert calling.result() == "crossing", "what the router had sent before it read our GOODBYE counts"
    peer.until_closed()
    stopping.result()


@pytest.mark.parametrize("hangs", ["at once", "after GOODBYE"])
def test_a_router_that_hangs_does_not_keep_stop(join, green, hangs):
    # Over a second, because stop() grants a second of grace.
    client, peer = join(close_timeout=1.2 if hangs == "at once" else 0.2)
    session = client._session
    before = time.monotonic()
    stopping = green.spawn(client.stop)
    if hangs == "after GOODBYE":
        peer.expect(6)
        peer.answers = False
        peer.say([6, {}, "wamp.close.normal"])
    stopping.result(10)
    assert time.monotonic() - before < 2.4
    assert session.gone.done, "stop() came back, and the socket is still open"


@pytest.mark.parametrize("how", ["drop", "close"])
def test_a_router_that_answers_goodbye_by_closing(join, green, caplog, how):
    client, peer = join(Told)
    stopping = green.spawn(client.stop)
    peer.expect(6)
    peer.drop() if how == "drop" else peer.close_websocket(1000)
    stopping.result(2.0)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text
    green.wait_until(lambda: client.told)
    assert ("disconnect", None) in client.told


def test_an_unasked_goodbye_is_answered(join, green):
    client, peer = join(Told)
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.say([6, {"message": "maintenance"}, "wamp.close.system_shutdown"])
    assert peer.hear() == [6, {}, "wamp.close.goodbye_and_out"]
    error = calling.error(2.0)
    assert isinstance(error, SessionClosed)
    assert error.uri == "wamp.close.system_shutdown"
    assert "maintenance" in str(error)
    peer.until_closed()
    green.wait_until(lambda: len(client.told) == 2)
    assert client.told[0] == ("leave", "wamp.close.system_shutdown")
    assert isinstance(client.told[1][1], SessionClosed)


def test_a_goodbye_and_a_close_in_one_read(join, green):
    client, peer = join(Told)
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.protocol.send_text(b'[6, {}, "wamp.close.killed"]')
    peer.protocol.send_close(1000)
    peer._flush()
    error = calling.error(2.0)
    assert isinstance(error, SessionClosed), error
    assert error.uri == "wamp.close.killed"


def test_an_abort_in_the_session(join, green):
    client, peer = join(Told)
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.say([3, {}, "wamp.error.system_error"])
    error = calling.error(2.0)
    assert isinstance(error, AbortError)
    assert peer.until_closed() == 1000
    assert [message[0] for message in peer.heard] == [1, 48], "an ABORT is not answered"


@pytest.mark.parametrize("reset", [False, True])
def test_the_router_dies(join, green, reset):
    client, peer = join(Told)
    calls = [green.spawn(client.call, "com.example.a") for _ in range(5)]
    for _ in calls:
        peer.expect(48)
    peer.drop(reset)
    errors = [call.error(1.0) for call in calls]
    assert all(type(error) is ConnectionClosed for error in errors)
    assert len(set(map(id, errors))) == 5
    green.wait_until(lambda: client.told)
    assert client.told[0][0] == "disconnect"
    assert isinstance(client.told[0][1], ConnectionClosed)
    client.stop()


def test_wait_ends_with_the_session(join, green):
    client, peer = join()
    waiting = green.spawn(client.wait)
    assert client.wait(0.02) is False
    peer.drop()
    first = waiting.error(2.0)
    assert isinstance(first, ConnectionClosed) and not first.clean
    with pytest.raises(ConnectionClosed) as second:
        client.wait()
    assert second.value is not first and str(second.value) == str(first)
    client.stop()
    assert client.wait() is True  # whoever has stopped it need not be told


class Stopping(MessageHandler):
    def handle_event_received(self, message_obj):
        self.before = time.monotonic()
        self.client.stop()
        self.after = time.monotonic()


def test_stop_in_a_handler_hook_begins_and_returns(join, green):
    client, peer = join(message_handler_cls=Stopping)
    peer.say([337, 1])
    peer.farewell()
    assert client.message_handler.after - client.message_handler.before < 0.5
    assert client.wait(2.0)


def test_stop_in_a_handler_hook_does_not_wait_for_a_client_hook(green, router):
    class Slow(Client):
        def on_join(self, details):
            self.answer = self.call("com.example.a")

    client = Slow(router.url, message_handler_cls=Stopping)
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.welcome()
    joining.result()
    peer.expect(48)
    peer.say([337, 1])
    peer.expect(6)
    green.wait_until(lambda: hasattr(client.message_handler, "after"), 2.0)
    assert client.message_handler.after - client.message_handler.before < 0.5
    peer.say([6, {}, "wamp.close.normal"])
    peer.until_closed()
    client.stop()


def test_a_second_start_is_an_error_and_changes_nothing(join, green):
    client, peer = join()
    session = client.session
    with pytest.raises(WampyError, match="started already"):
        client.start()
    assert client.session is session
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.say([50, 1, {}])
    calling.result()


def test_a_client_can_be_started_again(join, green, router):
    client, peer = join()
    first = client.session
    stopping = green.spawn(client.stop)
    peer.farewell()
    stopping.result()
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.welcome(session_id=2)
    joining.result()
    assert client.session.id == 2
    assert client.session is not first
    with pytest.raises(ConnectionClosed):
        first.call("com.example.a")
    calling = green.spawn(client.call, "com.example.a")
    assert peer.expect(48)[1] == 1, "a counter of its own"
    peer.say([50, 1, {}])
    calling.result()
    peer.drop()
    client.stop()


def test_leaving_a_with_by_an_exception_stops_the_client(router, green):
    client = Client(router.url)

    def use():
        with client:
            raise KeyError("through")

    using = green.spawn(use)
    peer = router.accept()
    peer.welcome()
    peer.farewell()
    assert isinstance(using.error(), KeyError)
    assert client.session is None


def test_a_close_at_every_byte_of_a_message(green, router):
    whole = None
    for cut in range(0, 60, 7):
        client = Client(router.url, close_timeout=1.0)
        joining = green.spawn(client.start)
        peer = router.accept()
        peer.welcome()
        joining.result()
        calling = green.spawn(client.call, "com.example.a")
        peer.expect(48)
        whole = peer.frame([50, 1, {}, ["x" * 40]])
        peer.raw(whole[:cut])
        peer.drop()
        assert isinstance(calling.error(2.0), ConnectionClosed)
        client.stop()
    assert len(whole) > 53
