"""What messages mean: the user's functions in workers, and what a handler's hooks may do."""

import logging

import pytest

from wampy import Client, RemoteError, callee, subscribe
from wampy.errors import WampyError
from wampy.message_handler import MessageHandler


class OutOfStock(RemoteError):
    uri = "com.example.handler.out_of_stock"


class Forgetful(RemoteError):
    uri = "com.example.forgetful"

    def __init__(self, item):
        self.item = item  # and nothing else


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")


class NotAnException(BaseException):
    """What eventlet's Timeout is."""


class Service(Client):
    """Procedures that do what the test says, by name."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.does = {}
        self.events = []

    @callee(procedure="com.example.do")
    def do(self, name, *args, **kwargs):
        return self.does[name](*args, **kwargs)

    @callee(procedure="com.example.details", details_arg="details")
    def details(self, *args, details=None):
        return [list(args), details]

    @subscribe(topic="com.example.plain")
    def plain(self, x):
        self.events.append(x)

    @subscribe(topic="com.example.meta")
    def with_meta(self, *args, **kwargs):
        self.events.append((args, kwargs))

    @subscribe(topic="com.example.details", details_arg="details")
    def with_details(self, details):
        self.events.append(details)


DO, DETAILS, PLAIN, META, EVENT_DETAILS = 100, 101, 102, 103, 104


@pytest.fixture
def served(join, green):
    """Join a Service; ``served(handler)`` gives client and peer."""

    def served(**parameters):
        client, peer = join(Service, roles=5, **parameters)
        assert [request[3] for request in peer.roles] == [
            "com.example.do",
            "com.example.details",
            "com.example.plain",
            "com.example.meta",
            "com.example.details",
        ]
        return client, peer

    return served


# Invocations.


def test_an_invocation_is_answered_with_one_yield(served):
    client, peer = served()
    client.does["add"] = lambda x, y=1: x + y
    peer.say([68, 1, DO, {}, ["add", 2], {"y": 5}])
    assert peer.hear() == [70, 1, {}, [7]]
    assert peer.hears_nothing()


@pytest.mark.parametrize("result", [None, [1, 2], {"a": None}, "ä", 2**60, False])
def test_a_result_is_one_positional_value(served, result):
    client, peer = served()
    client.does["give"] = lambda: result
    peer.say([68, 1, DO, {}, ["give"]])
    assert peer.hear() == [70, 1, {}, [result]]


def test_the_details_when_the_callee_wants_them(served):
    _client, peer = served()
    peer.say([68, 1, DETAILS, {"caller": 5, "progress": False}, [1]])
    assert peer.hear() == [70, 1, {}, [[[1], {"caller": 5, "progress": False}]]]


def test_null_arguments_are_none(served):
    _client, peer = served()
    peer.say([68, 1, DETAILS, {}, None, None])
    assert peer.hear() == [70, 1, {}, [[[], {}]]]


def test_the_attribute_of_an_instance_counts(served):
    client, peer = served()
    client.do = lambda *args: "replaced"
    peer.say([68, 1, DO, {}])
    assert peer.hear() == [70, 1, {}, ["replaced"]]


def raising(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "uri", "args", "kwargs"),
    [
        (ValueError("went wrong"), "wamp.error.runtime_error", ["went wrong"], {"exc_type": "ValueError"}),
        (Unprintable(), "wamp.error.runtime_error", None, {"exc_type": "Unprintable"}),
        (NotAnException("late"), "wamp.error.runtime_error", ["late"], {"exc_type": "NotAnException"}),
        (SystemExit(3), "wamp.error.runtime_error", ["3"], {"exc_type": "SystemExit"}),
        (OutOfStock("apples", left=0), "com.example.handler.out_of_stock", ["apples"], {"left": 0}),
        (RemoteError("com.example.x", 1), "com.example.x", [1], None),
        (RemoteError("not a uri"), "wamp.error.runtime_error", None, {"exc_type": "WampProtocolError"}),
        (RemoteError("com.example.x", object()), "wamp.error.runtime_error", None, {"exc_type": "SerializationError"}),
        (Forgetful("keys"), "com.example.forgetful", ["keys"], None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_callee_that_raises_gives_one_error_and_the_session_lives_on(served, caplog, error, uri, args, kwargs):
    client, peer = served()
    client.does.update(fail=raising(error), work=lambda: "fine")
    peer.say([68, 1, DO, {}, ["fail"]])
    answer = peer.expect(8, 68, 1, {}, uri)
    if args is not None:
        assert answer[5] == args
    if kwargs is not None:
        assert kwargs.items() <= answer[6].items()
    assert "Traceback" not in str(answer)
    peer.say([68, 2, DO, {}, ["work"]])
    assert peer.hear() == [70, 2, {}, ["fine"]], "one answer, and the next invocation"
    assert client.session.invocations == {}


@pytest.mark.parametrize("result", [object(), {1: 2}, float("nan"), {"deep": [{"set": {1}}]}])
def test_a_result_that_cannot_travel_gives_one_error(served, result):
    client, peer = served()
    client.does["give"] = lambda: result
    peer.say([68, 1, DO, {}, ["give"]])
    answer = peer.expect(8, 68, 1, {}, "wamp.error.runtime_error")
    assert answer[6]["exc_type"] == "SerializationError"
    assert answer[6]["message"]
    assert peer.hears_nothing()


def test_wrong_arguments_are_the_callers_fault(served):
    client, peer = served()
    client.does["add"] = lambda x: x
    peer.say([68, 1, DO, {}, ["add", 1, 2, 3]])
    assert peer.expect(8, 68, 1)[6]["exc_type"] == "TypeError"


def test_a_callee_may_call(served, green):
    client, peer = served()
    client.does["relay"] = lambda: client.call("com.example.other") + 1
    peer.say([68, 1, DO, {}, ["relay"]])
    assert peer.hear() == [48, 6, {}, "com.example.other"]
    peer.say([50, 6, {}, [41]])
    assert peer.hear() == [70, 1, {}, [42]]


def test_max_workers_and_lending(served, green):
    client, peer = served(max_workers=1)
    started = []
    client.does.update(
        relay=lambda: client.call("com.example.other"), quick=lambda: started.append(1) or "quick"
    )
    peer.say([68, 1, DO, {}, ["relay"]], [68, 2, DO, {}, ["quick"]])
    peer.expect(48)
    assert peer.hear() == [70, 2, {}, ["quick"]]
    peer.say([50, 6, {}, ["late"]])
    assert peer.hear() == [70, 1, {}, ["late"]]


def test_a_full_queue_is_unavailable(served, green):
    client, peer = served(max_workers=1, max_queue=1)
    let_go = green.slot()
    client.does["wait"] = lambda: let_go.wait()
    peer.say([68, 1, DO, {}, ["wait"]])
    green.wait_until(lambda: client.session.invocations)
    peer.say([68, 2, DO, {}, ["wait"]], [68, 3, DO, {}, ["wait"]])
    assert peer.hear()[:5] == [8, 68, 3, {}, "wamp.error.unavailable"]
    let_go.set()
    assert [peer.hear()[:2] for _ in range(2)] == [[70, 1], [70, 2]]
    assert client.session.invocations == {}


def test_at_the_ceiling_an_invocation_is_unavailable_and_forgotten(served, green):
    client, peer = served(max_workers=1)
    client.session.workers.ceiling = 1
    client.does["relay"] = lambda: client.call("com.example.other")
    peer.say([68, 1, DO, {}, ["relay"]])
    peer.expect(48)
    peer.say([68, 2, DO, {}, ["relay"]])
    assert peer.hear()[:5] == [8, 68, 2, {}, "wamp.error.unavailable"]
    peer.say([69, 2, {}])
    assert peer.hears_nothing(), "answered once"
    peer.say([50, 6, {}, ["fine"]])
    assert peer.hear() == [70, 1, {}, ["fine"]]
    assert client.session.invocations == {}
    assert client.session.unanswered == set()


def test_an_interrupt_kills_the_invocation_and_no_other(served, green):
    client, peer = served()
    let_go = green.slot()
    client.does["wait"] = lambda: let_go.wait()
    peer.say([68, 1, DO, {}, ["wait"]], [68, 2, DO, {}, ["wait"]])
    green.sleep(0.02)
    peer.say([69, 1, {}])
    assert peer.hear()[:5] == [8, 68, 1, {}, "wamp.error.canceled"]
    let_go.set()
    assert peer.hear() == [70, 2, {}, [True]]
    peer.say([69, 2, {}], [69, 999, {}])
    assert peer.hears_nothing()


def test_an_interrupt_of_what_has_not_started(served, green):
    client, peer = served(max_workers=1)
    let_go, ran = green.slot(), []
    client.does.update(wait=lambda: let_go.wait(), run=lambda: ran.append(1))
    peer.say([68, 1, DO, {}, ["wait"]], [68, 2, DO, {}, ["run"]], [69, 2, {}])
    assert peer.hear()[:5] == [8, 68, 2, {}, "wamp.error.canceled"]
    let_go.set()
    assert peer.hear() == [70, 1, {}, [True]]
    green.sleep(0.02)
    assert ran == []
    assert peer.hears_nothing()


def test_an_interrupt_that_meets_the_end_of_the_job_leaves_the_next_alone(served, green):
    client, peer = served(max_workers=1)
    client.does.update(relay=lambda: client.call("com.example.other"), next=lambda: green.sleep(0.05) or "next")
    peer.say([68, 1, DO, {}, ["relay"]])
    peer.expect(48)
    client.session.workers.max_workers = 0  # the second one waits for the first one's worker
    peer.say([68, 2, DO, {}, ["next"]])
    green.sleep(0.02)
    client.session.workers.max_workers = 1
    peer.say([50, 6, {}, ["answer"]], [69, 1, {}])
    if green.os_threads:
        # When it takes the monitor, its wait has not ended yet, and there the throw strikes.
        assert peer.hear()[:5] == [8, 68, 1, {}, "wamp.error.canceled"]
    else:
        # The answer wakes the worker, which ends job 1 and begins job 2 before the throw strikes.
        assert peer.hear() == [70, 1, {}, ["answer"]]
    assert peer.hear() == [70, 2, {}, ["next"]]


def test_an_interrupted_callee_may_clean_up_and_call(served, green):
    client, peer = served()

    def careful():
        try:
            green.sleep(60)
        finally:
            client.publish(topic="com.example.cleaned", up=True)

    client.does["careful"] = careful
    peer.say([68, 1, DO, {}, ["careful"]])
    green.sleep(0.02)
    peer.say([69, 1, {}])
    assert peer.hear()[3] == "com.example.cleaned"
    assert peer.hear()[:5] == [8, 68, 1, {}, "wamp.error.canceled"]


def test_an_invocation_for_a_role_that_is_being_registered_is_no_violation(served, green):
    client, peer = served()
    registering = green.spawn(client.session.register, "com.example.new", print)
    request = peer.expect(64)
    peer.say([68, 1, 500, {}])
    assert peer.hear()[:5] == [8, 68, 1, {}, "wamp.error.no_such_registration"]
    peer.say([65, request[1], 500])
    registering.result()


def test_an_answer_after_the_end_is_silent(served, green, caplog):
    client, peer = served()
    let_go = green.slot()
    client.does["wait"] = lambda: let_go.wait()
    peer.say([68, 1, DO, {}, ["wait"]])
    green.sleep(0.02)
    peer.drop()
    green.wait_until(lambda: client.session is None)
    caplog.clear()
    let_go.set()
    green.sleep(0.02)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_stopping_kills_callees_and_a_callee_may_stop_its_client(served, green):
    client, peer = served()
    ended = []

    def wait():
        try:
            green.sleep(60)
        finally:
            ended.append("waiter")

    client.does.update(wait=wait, stop=lambda: (client.stop(), ended.append("stopper")))
    peer.say([68, 1, DO, {}, ["wait"]], [68, 2, DO, {}, ["stop"]])
    peer.farewell()
    green.wait_until(lambda: sorted(ended) == ["stopper", "waiter"])
    assert client.session is None


# Events.


def test_an_events_payload(served, green):
    client, peer = served()
    peer.say([36, PLAIN, 1, {}, [1]], [36, PLAIN, 2, {}, [], {"x": 2}])
    green.wait_until(lambda: client.events == [1, 2])


def test_meta_is_exactly_two_things_and_cannot_be_forged(served, green):
    client, peer = served()
    peer.say([36, META, 1, {"publisher": 5}, [1], {"x": 2, "meta": "forged"}])
    peer.say([36, META, 1, {"topic": "com.example.matched"}])
    green.wait_until(lambda: len(client.events) == 2)
    meta = {"topic": "com.example.meta", "subscription_id": META}
    assert client.events[0] == ((1,), {"x": 2, "meta": meta})
    assert client.events[1] == ((), {"meta": {"topic": "com.example.matched", "subscription_id": META}})


def test_the_details_when_the_handler_wants_them(served, green):
    client, peer = served()
    peer.say([36, EVENT_DETAILS, 1, {"publisher": 5}])
    green.wait_until(lambda: client.events == [{"publisher": 5}])


def test_a_handler_that_raises_is_logged_with_its_topic(served, green, caplog):
    client, peer = served()
    peer.say([36, PLAIN, 1, {}, [1, 2, 3]], [36, PLAIN, 2, {}, ["fine"]])
    green.wait_until(lambda: client.events == ["fine"])
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "com.example.plain" in record.getMessage()
    assert record.exc_info
    assert client.session is not None


def test_events_of_one_handler_stay_in_order(served, green):
    client, peer = served()
    peer.say(*([36, PLAIN, number, {}, [number]] for number in range(1, 200)))
    green.wait_until(lambda: len(client.events) == 199)
    assert client.events == list(range(1, 200))


def test_of_too_many_events_the_oldest_are_dropped_and_it_is_logged(served, green, caplog):
    client, peer = served(max_workers=1, max_queue=3)
    let_go = green.slot()
    client.plain = lambda x: (let_go.wait(), client.events.append(x))
    peer.say([36, PLAIN, 1, {}, [0]])
    green.sleep(0.02)
    peer.say(*([36, PLAIN, number, {}, [number]] for number in range(1, 7)))
    green.wait_until(lambda: "com.example.plain" in caplog.text)
    let_go.set()
    green.wait_until(lambda: len(client.events) == 4)
    green.sleep(0.02)
    assert client.events == [0, 4, 5, 6]
    assert (client.stats.events, client.stats.events_dropped) == (7, 3)


class Callable:
    """A handler that is an object, and not hashable."""

    def __init__(self, events):
        self.events = events

    __hash__ = None

    def __eq__(self, other):
        return self is other

    def __call__(self, x, meta=None):
        self.events.append((x, meta["subscription_id"]))


def test_any_callable_is_a_handler(served, green):
    client, peer = served()
    subscribing = green.spawn(client.session.subscribe, "com.example.more", Callable(client.events))
    request = peer.expect(32)
    peer.say([33, request[1], 7], [36, 7, 1, {}, [5]])
    subscribing.result()
    green.wait_until(lambda: client.events == [(5, 7)], 2.0)


# A handler of the user's own.


class Failing(MessageHandler):
    """Raises in the hook that the test names, before or after the real one."""

    when = "before"
    hook = None
    error = ValueError("in the hook")

    def handle_message(self, message):
        if message.name != self.hook:
            super().handle_message(message)
        elif self.when == "before":
            raise self.error
        else:
            super().handle_message(message)
            raise self.error


@pytest.mark.parametrize("error", [ValueError("in the hook"), Unprintable(), ValueError("\0\ud800")])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("hook", "reply"), [("result", [50, 6, {}, [1]]), ("error", [8, 48, 6, {}, "com.example.bad"])]
)
def test_a_hook_that_fails_on_a_reply_settles_the_request(served, green, caplog, hook, reply, when, error):
    client, peer = served(message_handler_cls=Failing)
    handler = client.message_handler
    handler.hook, handler.when, handler.error = hook, when, error
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.say(reply)
    raised = calling.error(2.0)
    if when == "before":
        assert isinstance(raised, WampyError)
        assert type(error).__name__ in str(raised)
        assert raised.__cause__ is error
    else:
        assert not isinstance(raised, WampyError) or isinstance(raised, RemoteError), "it was settled already"
    assert "Traceback" in caplog.text or any(record.exc_info for record in caplog.records)
    handler.hook = None
    again = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.say([50, 7, {}, ["fine"]])
    assert again.result() == "fine"


@pytest.mark.parametrize("error", [ValueError("in the hook"), Unprintable(), ValueError("\0\ud800")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_hook_that_fails_on_an_invocation_leaves_one_answer(served, green, when, error):
    client, peer = served(message_handler_cls=Failing)
    handler = client.message_handler
    handler.hook, handler.when, handler.error = "invocation", when, error
    client.does["work"] = lambda: "done"
    peer.say([68, 1, DO, {}, ["work"]])
    answer = peer.hear()
    if when == "before":
        assert answer[:5] == [8, 68, 1, {}, "wamp.error.runtime_error"]
    else:
        assert answer == [70, 1, {}, ["done"]]
    assert peer.hears_nothing()
    assert client.session is not None


@pytest.mark.parametrize("hook", ["event", "interrupt"])
def test_a_hook_that_fails_on_something_else_is_logged(served, green, caplog, hook):
    client, peer = served(message_handler_cls=Failing)
    client.message_handler.hook = hook
    peer.say([36, PLAIN, 1, {}, [1]], [69, 5, {}])
    green.wait_until(lambda: hook.upper() in caplog.text)
    client.message_handler.hook = None
    peer.say([36, PLAIN, 1, {}, [2]])
    green.wait_until(lambda: 2 in client.events)


@pytest.mark.parametrize("hook", ["welcome", "challenge"])
def test_a_hook_that_fails_while_joining_ends_that(green, router, hook):
    class Handler(Failing):
        pass

    Handler.hook = hook
    client = Client(router.url, message_handler_cls=Handler)
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.expect(1)
    peer.say([2, 1, {"roles": {}}] if hook == "welcome" else [4, "ticket", {}])
    error = joining.error(2.0)
    assert isinstance(error, WampyError)
    assert "in the hook" in str(error)
    peer.expect(3)
    client.stop()


def test_a_hook_that_fails_on_goodbye_ends_the_session_all_the_same(served, green):
    client, peer = served(message_handler_cls=Failing)
    client.message_handler.hook = "goodbye"
    peer.say([6, {}, "wamp.close.system_shutdown"])
    peer.until_closed()
    assert client.session is None


class Late(MessageHandler):
    """Answers in a way of its own."""

    def process_result(self, message_obj, result, exc=None):
        if result == "fail":
            raise ValueError("no answer")
        if result == "fail after":
            super().process_result(message_obj, result, exc)
            raise ValueError("answered already")
        super().process_result(message_obj, f"{result}!", exc)


def test_process_result_can_be_overridden(served, green):
    client, peer = served(message_handler_cls=Late)
    client.does["say"] = lambda what: what
    peer.say([68, 1, DO, {}, ["say", "hello"]])
    assert peer.hear() == [70, 1, {}, ["hello!"]]


def test_a_process_result_that_fails_leaves_one_answer(served, green):
    client, peer = served(message_handler_cls=Late)
    client.does["say"] = lambda what: what
    peer.say([68, 1, DO, {}, ["say", "fail"]])
    assert peer.hear()[:5] == [8, 68, 1, {}, "wamp.error.runtime_error"]
    peer.say([68, 2, DO, {}, ["say", "fail after"]])
    assert peer.hear() == [70, 2, {}, ["fail after"]]
    assert peer.hears_nothing()


class Working(MessageHandler):
    def handle_event_received(self, message_obj):
        self.session.spawn_worker(self.work, message_obj.publication_id)

    def work(self, number):
        self.answer = self.client.call("com.example.a", number)


def test_a_hook_hands_what_blocks_to_a_worker(served, green):
    client, peer = served(message_handler_cls=Working)
    peer.say([337, 5])
    assert peer.hear() == [48, 6, {}, "com.example.a", [5]]
    peer.say([50, 6, {}, ["from a worker"]])
    green.wait_until(lambda: getattr(client.message_handler, "answer", None) == "from a worker")


def test_the_handler_knows_client_and_session(served):
    client, _peer = served()
    assert client.message_handler.client is client
    assert client.message_handler.session is client.session


def test_a_job_that_outlives_its_session_does_not_answer_in_the_next(green, router):
    client = Service(router.url, reconnect=False)
    let_go = green.slot()
    client.does["wait"] = lambda: let_go.wait()

    def start():
        joining = green.spawn(client.start)
        peer = router.accept()
        peer.welcome()
        peer.acknowledge(5)
        joining.result()
        return peer

    first = start()
    first.say([68, 1, DO, {}, ["wait"]])
    green.sleep(0.02)
    first.drop()
    green.wait_until(lambda: client.session is None)
    second = start()
    let_go.set()
    assert second.hears_nothing()
    second.drop()
    client.stop()
