"""The helpers for other people's tests, with real clients on a real router."""

import decimal
import subprocess
import sys

import pytest

import wampy.testing
from wampy import Client, callee, subscribe
from wampy.backends import get_backend
from wampy.errors import AddressError, WampyError, WampyTimeOutError
from wampy.message_handler import MessageHandler
from wampy.testing import wait_for_registrations, wait_for_session, wait_for_subscriptions
from wampy.testing.helpers import CollectingMessageHandler, assert_stops_raising, wait_for_messages

# The helpers are for the user's threads, which do not hold the monitor.
pytestmark = pytest.mark.outside

WELCOME, GOODBYE, EVENT, RESULT, INVOCATION = 2, 6, 36, 50, 68


@pytest.fixture
def started(wampy_router):
    """Start clients on the shared router; they are stopped when the test is over."""
    clients = []

    def start(cls=Client, **parameters):
        client = cls(url=wampy_router.url, **parameters)
        clients.append(client)
        client.start()
        return client

    yield start
    for client in clients:
        client.stop()


@pytest.fixture
def later():
    """Run something in a green thread, a moment from now."""
    backend = get_backend()
    tasks = []

    def run(function, *args):
        def wait_and_run():
            backend.sleep(0.2)
            function(*args)

        tasks.append(backend.spawn(wait_and_run))

    yield run
    for task in tasks:
        assert task.join(5)


class Service(Client):
    @callee
    def add_for_helpers(self, a, b):
        return a + b

    @callee
    def spoil_for_helpers(self, values):
        values.append("spoiled")

    @subscribe(topic="helpers.one")
    def on_one(self, **kwargs):
        pass

    @subscribe(topic="helpers.one")
    def on_one_again(self, **kwargs):
        pass

    @subscribe(topic="helpers.two")
    def on_two(self, **kwargs):
        pass


class TestWaitForSession:
    def test_a_client_that_has_joined(self, started):
        client = started()
        assert wait_for_session(client) is client.session

    def test_a_client_that_another_green_thread_starts(self, wampy_router, later):
        client = Client(url=wampy_router.url)
        later(client.start)
        session = wait_for_session(client)
        assert session.id == client.session.id
        client.stop()

    def test_nobody_starts_it(self, wampy_router):
        with pytest.raises(WampyTimeOutError, match="no session of Client") as caught:
            wait_for_session(Client(url=wampy_router.url), timeout=0.05)
        assert caught.value.seconds == 0.05
        assert "(the client is not started)" in str(caught.value)

    def test_it_has_stopped(self, started):
        client = started()
        client.stop()
        with pytest.raises(WampyTimeOutError, match=r"last session has ended: .*the client was stopped"):
            wait_for_session(client, timeout=0.05)


class TestWaitForRoles:
    def test_all_are_there_after_start(self, started):
        service = started(Service)
        wait_for_registrations(service, 2)
        wait_for_subscriptions(service, 3)
        # Handles are counted, not the ids that they share.
        assert len(service.subscription_map) == 2

    def test_more_come_later(self, started, later):
        client = started()
        later(client.session.register, "helpers.later", print)
        wait_for_registrations(client, 1)
        later(client.session.subscribe, "helpers.later", print)
        wait_for_subscriptions(client, 1)

    def test_those_that_are_gone_do_not_count(self, started):
        client = started()
        registration = client.session.register("helpers.gone", print)
        subscription = client.session.subscribe("helpers.gone", print)
        client.session.unregister(registration)
        client.session.unsubscribe(subscription)
        with pytest.raises(WampyTimeOutError):
            wait_for_registrations(client, 1, timeout=0.05)
        with pytest.raises(WampyTimeOutError):
            wait_for_subscriptions(client, 1, timeout=0.05)

    def test_the_error_says_what_was_there(self, started):
        service = started(Service)
        with pytest.raises(WampyTimeOutError) as caught:
            wait_for_registrations(service, 3, timeout=0.05)
        assert str(caught.value) == (
            "no 3 registrations of Service (there are 2: add_for_helpers, spoil_for_helpers; "
            "the client has joined) within 0.05 seconds"
        )
        with pytest.raises(WampyTimeOutError) as caught:
            wait_for_subscriptions(service, 4, timeout=0.05)
        assert str(caught.value) == (
            "no 4 subscriptions of Service (there are 3: helpers.one, helpers.one, helpers.two; "
            "the client has joined) within 0.05 seconds"
        )

    def test_a_client_that_is_not_started(self, wampy_router):
        with pytest.raises(WampyTimeOutError, match="there are none; the client is not started"):
            wait_for_registrations(Service(url=wampy_router.url), 1, timeout=0.05)


class TestCollectingMessageHandler:
    def test_the_messages_as_they_came_oldest_first(self, started):
        client = started(message_handler_cls=CollectingMessageHandler)
        started(Service)
        assert client.rpc.add_for_helpers(1, 2) == 3
        messages = client.message_handler.messages_received
        assert [message[0] for message in messages] == [WELCOME, RESULT]
        assert messages[0][1] == client.session.id
        assert (messages[1][1], messages[1][3:]) == (1, [[3]])

    def test_it_is_a_message_handler(self):
        assert issubclass(CollectingMessageHandler, MessageHandler)

    def test_a_callee_that_changes_its_payload_does_not_change_what_came(self, started):
        service = started(Service, message_handler_cls=CollectingMessageHandler)
        started().rpc.spoil_for_helpers(["fresh"])
        assert service.message_handler.messages_received[-1][4:] == [[["fresh"]]]

    def test_every_client_has_a_list_of_its_own(self, started):
        first = started(message_handler_cls=CollectingMessageHandler)
        second = started(message_handler_cls=CollectingMessageHandler)
        assert first.message_handler.messages_received != second.message_handler.messages_received

    def test_a_message_whose_handling_fails_was_received(self, started):
        class Failing(CollectingMessageHandler):
            def handle_result(self, message_obj):
                raise RuntimeError("on purpose")

        client = started(message_handler_cls=Failing)
        started(Service)
        with pytest.raises(WampyError, match="on purpose"):
            client.rpc.add_for_helpers(1, 2)
        assert client.message_handler.messages_received[-1][0] == RESULT

    def test_a_subclass_that_overrides_one_meaning(self, started):
        class Doubling(CollectingMessageHandler):
            def process_result(self, message_obj, result, exc=None):
                super().process_result(message_obj, result * 2, exc)

        service = started(Service, message_handler_cls=Doubling)
        assert started().rpc.add_for_helpers(1, 2) == 6
        assert service.message_handler.messages_received[-1][0] == INVOCATION


class TestWaitForMessages:
    def test_it_returns_the_handlers_list(self, started):
        client = started(message_handler_cls=CollectingMessageHandler)
        assert wait_for_messages(client, 1) is client.message_handler.messages_received

    def test_messages_that_come_later(self, started, later):
        client = started(message_handler_cls=CollectingMessageHandler)
        client.session.subscribe("helpers.events", lambda **kwargs: None)
        publisher = started()

        def publish():
            publisher.publish(topic="helpers.events", number=1)
            publisher.publish(topic="helpers.events", number=2)

        later(publish)
        messages = wait_for_messages(client, 4)
        assert [message[5] for message in messages if message[0] == EVENT] == [{"number": 1}, {"number": 2}]

    def test_too_few(self, started):
        client = started(message_handler_cls=CollectingMessageHandler)
        with pytest.raises(WampyTimeOutError) as caught:
            wait_for_messages(client, 2, timeout=0.05)
        assert "no 2 messages to Client (there are 1; the client has joined" in str(caught.value)
        assert f"[2, {client.session.id}" in str(caught.value)

    def test_another_message_handler(self, started):
        with pytest.raises(WampyError, match="message_handler_cls=CollectingMessageHandler"):
            wait_for_messages(started(), 1)

    def test_messages_stay_after_the_end(self, started):
        client = started(message_handler_cls=CollectingMessageHandler)
        client.stop()
        assert [message[0] for message in wait_for_messages(client, 2)] == [WELCOME, GOODBYE]


class TestAssertStopsRaising:
    def test_it_returns_what_the_function_returned(self):
        assert assert_stops_raising(lambda: decimal.Decimal(1)) == 1

    def test_it_tries_again_and_green_threads_run(self, later):
        there = []
        later(there.append, "there")
        calls = []

        def look():
            calls.append(1)
            assert there

        assert_stops_raising(look, interval=0.05)
        assert 2 <= len(calls) <= 6

    def test_it_gives_up_with_the_last_error(self):
        calls = []

        def fail():
            calls.append(1)
            raise LookupError(len(calls))

        with pytest.raises(LookupError) as caught:
            assert_stops_raising(fail, timeout=0.2, interval=0.15)
        # At once, after the interval, and when the time was over.
        assert caught.value.args == (3,)
        assert caught.value.__notes__ == ["It still raised after 0.2 seconds."]

    def test_it_calls_once_without_any_time(self):
        with pytest.raises(ZeroDivisionError):
            assert_stops_raising(lambda: 1 / 0, timeout=0)
        assert assert_stops_raising(lambda: 5, timeout=0) == 5

    def test_other_errors_go_through_at_once(self):
        def fail():
            raise KeyError("another")

        with pytest.raises(KeyError) as caught:
            assert_stops_raising(fail, AddressError)
        assert not hasattr(caught.value, "__notes__")

    def test_several_kinds_of_errors(self):
        errors = [KeyError(), ValueError()]

        def fail():
            if errors:
                raise errors.pop()

        assert_stops_raising(fail, (KeyError, ValueError), interval=0)


def test_all_helpers_are_in_the_package():
    for name in wampy.testing.__all__:
        assert callable(getattr(wampy.testing, name))
        assert name in dir(wampy.testing)
    assert wampy.testing.wait_for_messages is wait_for_messages
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        wampy.testing.nothing_of_that_name  # noqa: B018


PROGRAM = """
import sys
if sys.argv[2] == "patched":
    import wampy
    wampy.configure_async()

from wampy import Client, subscribe
from wampy.backends import get_backend
from wampy.testing import wait_for_registrations, wait_for_session, wait_for_subscriptions
from wampy.testing.helpers import CollectingMessageHandler, assert_stops_raising, wait_for_messages

class Listener(Client):
    heard = 0

    @subscribe(topic="helpers.patched")
    def on_event(self, **kwargs):
        self.heard += 1

url = sys.argv[1]
listener = Listener(url=url, message_handler_cls=CollectingMessageHandler)
starting = get_backend().spawn(listener.start)
wait_for_session(listener)
wait_for_subscriptions(listener, 1)
wait_for_registrations(listener, 0)
with Client(url=url) as client:
    client.publish(topic="helpers.patched", number=1)
    messages = wait_for_messages(listener, 3)

def heard():
    assert listener.heard

assert_stops_raising(heard)
listener.stop()
print([message[0] for message in messages[:3]], "socket" in sys.modules)
"""


@pytest.mark.parametrize("how", ["patched", "unpatched"])
def test_patched_and_unpatched(wampy_router, green, how):
    if how == "patched" and not green.backend.patches:
        pytest.skip("this backend has nothing to patch, and says so")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, wampy_router.url, how], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "[2, 33, 36] True\n"), done.stderr
