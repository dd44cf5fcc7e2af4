"""`client.session`: the full control."""

import pytest

from wampy import Client, Result, callee
from wampy.errors import ConnectionClosed, RemoteError, WampyError
from wampy.message_handler import MessageHandler
from wampy.messages import Call, Invocation
from wampy.session import Session


@pytest.fixture
def session(join):
    return join().session


@pytest.fixture
def other(join):
    return join().session


def test_what_it_knows_of_itself(join, router):
    client = join()
    session = client.session
    assert isinstance(session, Session)
    assert session is client._session
    assert session.id == session.session_id > 0
    assert session.realm == client.realm == "realm1"
    assert session.details["authrole"] == "anonymous"
    assert set(session.details["roles"]) == {"broker", "dealer"}
    assert session.registration_map == session.subscription_map == {}
    assert session.registration_map is client.registration_map
    assert session.subscription_map is client.subscription_map
    assert session.request_ids is client.request_ids
    assert client.url == router.url
    assert str(session.id) in repr(client)


def test_there_is_none_before_and_after(make_client, router):
    client = make_client(url=router.url)
    assert client.session is None
    assert client._session is not None and client._session.id is None
    client.start()
    session = client.session
    client.stop()
    assert client.session is None
    assert client._session is not None
    assert session.registration_map == {} and not session.established


def test_call(session, other):
    other.register("com.example.echo", lambda *args, **kwargs: [list(args), kwargs])
    assert session.call("com.example.echo") == [[], {}]
    assert session.call("com.example.echo", [1, 2], {"a": 3}) == [[1, 2], {"a": 3}]
    assert session.call("com.example.echo", args=(1,), kwargs={"b": 1}, options={}, timeout=5.0) == [[1], {"b": 1}]
    assert session.call("com.example.echo", kwargs={"only": "keywords"}) == [[], {"only": "keywords"}]


def test_what_is_given_is_not_changed(session, other):
    other.register("com.example.echo", lambda *args, **kwargs: None)
    args, kwargs, options = [1, [2]], {"a": {"b": 1}}, {"disclose_me": True}
    session.call("com.example.echo", args, kwargs, options)
    session.publish("com.example.topic", args, kwargs, options)
    assert (args, kwargs, options) == ([1, [2]], {"a": {"b": 1}}, {"disclose_me": True})


def test_call_async(session, other):
    other.register("com.example.double", lambda number: 2 * number)
    calls = [session.call_async("com.example.double", [number]) for number in range(50)]
    assert [call.result() for call in calls] == [2 * number for number in range(50)]


def test_publish_and_subscribe(session, other, green):
    heard = []
    subscription = other.subscribe("com.example.topic", lambda *args, **kwargs: heard.append((args, kwargs)))
    assert session.publish("com.example.topic", ["positional"], {"key": "word"}) is None
    assert session.publish("com.example.topic", options={"acknowledge": True}) > 0
    green.wait_until(lambda: len(heard) == 2)
    meta = {"topic": "com.example.topic", "subscription_id": subscription.id}
    assert heard == [(("positional",), {"key": "word", "meta": meta}), ((), {"meta": meta})]


def test_ids_count_every_request_and_nothing_else(session, other):
    first = session.request_ids.peek()
    registration = session.register("com.example.r", lambda: None)
    subscription = session.subscribe("com.example.s", lambda: None)
    session.publish("com.example.t")
    session.call("com.example.r")
    session.unsubscribe(subscription)
    session.unregister(registration)
    assert (first, session.request_ids.peek()) == (1, 7)


def test_send_message(session, join, green):
    answers = []

    class Handler(MessageHandler):
        def handle_result(self, message_obj):
            answers.append(message_obj)
            super().handle_result(message_obj)

    client = join(message_handler_cls=Handler)
    session.register("com.example.raw", lambda number: number)
    message = Call(None, {}, "com.example.raw", [5])
    client.send_message(message)
    assert message.request_id == 1
    green.wait_until(lambda: answers)
    assert answers[0].args == [5] and answers[0].request_id == 1
    assert client.call("com.example.raw", 6) == 6
    assert [message.request_id for message in answers] == [1, 2]


def test_a_session_kept_from_before_is_over(join):
    client = join()
    old = client.session
    registration = old.register("com.example.r", print)
    client.stop()
    client.start()
    assert client.session is not old
    for use in (
        lambda: old.call("com.example.r"),
        lambda: old.call_async("com.example.r"),
        lambda: old.publish("com.example.t"),
        lambda: old.publish("com.example.t", options={"acknowledge": True}),
        lambda: old.register("com.example.r", print),
        lambda: old.subscribe("com.example.t", print),
        lambda: old.send_message(Call(None, {}, "com.example.r")),
    ):
        with pytest.raises(ConnectionClosed):
            use()
    assert not registration.active
    with pytest.raises(WampyError):
        old.unregister(registration)
    assert client.call("wamp.session.count") == 1


def test_blocking_requests_in_the_reader_raise_at_once(join, other):
    """A hook of the message handler runs in the green thread that would have to read the answer."""
    raised = []

    class Handler(MessageHandler):
        def handle_invocation(self, message_obj: Invocation) -> None:
            session = self.session
            for request in (
                lambda: self.client.call("com.example.any"),
                lambda: session.call("com.example.any"),
                lambda: session.register("com.example.any", print),
                lambda: session.subscribe("com.example.any", print),
                lambda: session.publish("com.example.any", options={"acknowledge": True}),
                lambda: session.call_async("com.example.any").result(),
            ):
                try:
                    request()
                except WampyError as error:
                    raised.append(error)
            session.publish("com.example.any", [1])
            super().handle_invocation(message_obj)

    class Service(Client):
        @callee(procedure="com.example.service")
        def service(self):
            return "served"

    service = join(Service, message_handler_cls=Handler)
    assert other.call("com.example.service") == "served"
    assert len(raised) == 6
    assert {type(error) for error in raised} == {WampyError}
    assert all("spawn_worker" in str(error) for error in raised)
    assert service.session is not None


def test_work_that_blocks_is_handed_to_a_worker(join, other):
    class Handler(MessageHandler):
        def handle_invocation(self, message_obj):
            self.session.spawn_worker(self.ask_first, message_obj)

        def ask_first(self, message_obj):
            count = self.session.call("wamp.session.count")
            assert count > 0
            super().handle_invocation(message_obj)

    class Service(Client):
        @callee(procedure="com.example.service")
        def service(self):
            return "served"

    join(Service, message_handler_cls=Handler)
    assert other.call("com.example.service") == "served"


def test_a_handlers_hook_that_raises_settles_the_call_and_the_session_goes_on(join, other, caplog):
    class Handler(MessageHandler):
        def handle_result(self, message_obj):
            if message_obj.args == ["bad"]:
                raise ValueError("I do not like this one")
            super().handle_result(message_obj)

        def handle_invocation(self, message_obj):
            if message_obj.args == ["bad invocation"]:
                raise ValueError("nor this one")
            super().handle_invocation(message_obj)

    class Service(Client):
        @callee(procedure="com.example.same")
        def same(self, value):
            return value

    client = join(Service, message_handler_cls=Handler)
    with pytest.raises(WampyError, match="I do not like this one"):
        client.call("com.example.same", "bad")
    assert client.call("com.example.same", "good") == "good"
    with pytest.raises(RemoteError, match="INVOCATION raised ValueError"):
        other.call("com.example.same", ["bad invocation"])
    assert client.call("com.example.same", "good") == "good"
    assert "handling RESULT failed" in caplog.text


def test_process_result_can_be_overridden(join, other):
    seen = []

    class Handler(MessageHandler):
        def process_result(self, message_obj, result, exc=None):
            seen.append((self.client.name, self.session.id, result, exc))
            super().process_result(message_obj, result and result.upper(), exc)

    class Service(Client):
        @callee(procedure="com.example.shout")
        def shout(self, text):
            return text + "!"

    service = join(Service, message_handler_cls=Handler, name="shouter")
    assert other.call("com.example.shout", ["hey"]) == "HEY!"
    with pytest.raises(RemoteError):
        other.call("com.example.shout")
    assert seen[0] == ("shouter", service.session.id, "hey!", None)
    assert seen[1][2] is None and isinstance(seen[1][3], TypeError)


def test_a_richer_result_is_a_result(session):
    result = Result([1], {"a": 2})
    assert result == Result((1,), {"a": 2}) != Result((1,))
    assert result.args == (1,) and result.kwargs == {"a": 2}
    assert "args=(1,)" in repr(result)


def test_the_collecting_handler(join, other):
    from wampy.testing import CollectingMessageHandler, wait_for_messages

    client = join(message_handler_cls=CollectingMessageHandler)
    other.register("com.example.r", lambda: "answer")
    client.call("com.example.r")
    received = wait_for_messages(client, 2)
    assert [message[0] for message in received] == [2, 50]
    assert received[1][3] == ["answer"]


def test_from_another_os_thread_it_raises_and_does_not_hang(join, other, green):
    import threading

    if green.os_threads:
        pytest.skip("there it works; tests/integration/test_threads.py")

    client = join()
    other.register("com.example.r", lambda: 1)
    errors = []

    def use():
        for request in (
            lambda: client.call("com.example.r"),
            lambda: client.publish(topic="com.example.t", a=1),
            lambda: client.session.register("com.example.x", print),
        ):
            try:
                request()
                errors.append(None)
            except WampyError as error:
                errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it hangs"
    assert len(errors) == 3
    assert all("OS thread" in str(error) for error in errors), errors
    assert client.call("com.example.r") == 1


def test_another_os_thread_may_have_a_client_of_its_own(router, other):
    import threading

    outcome = []

    def use():
        from wampy.backends import get_backend

        with Client(url=router.url) as client:
            outcome.append(client.call("wamp.session.count"))
            get_backend().sleep(0.01)

    thread = threading.Thread(target=use)
    thread.start()
    while thread.is_alive():
        other.call("wamp.session.count")
    assert outcome == [2]


def test_a_forked_child_gets_an_error_and_disturbs_nobody(run_python, router):
    done = run_python(
        """
        import os, sys
        from wampy import Client, WampyError

        client = Client(url=sys.argv[1], call_timeout=5.0)
        client.start()
        child = os.fork()
        if child == 0:
            try:
                client.call("wamp.session.count")
                os._exit(1)
            except WampyError as error:
                os._exit(0 if "fork" in str(error) else 2)
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), client.call("wamp.session.count") > 0)
        client.stop()
        """,
        router.url,
    )
    assert (done.stdout, done.stderr) == ("0 True\n", "")
