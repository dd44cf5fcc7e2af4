"""Start, stop, wait, hooks: a client's life, in every order."""

import logging
import os
import signal
import subprocess
import sys
import time

import pytest

from wampy import Client, callee, subscribe
from wampy.errors import ConnectionClosed, WampyError


class Diary(Client):
    """Writes down what its hooks are told."""

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.entries = []

    def on_join(self, details):
        self.entries.append("on_join")
        self.joined_with = details

    def on_leave(self, reason):
        self.entries.append(("on_leave", reason))

    def on_disconnect(self, error):
        self.entries.append(("on_disconnect", error))

    @callee(procedure="com.example.stop_yourself")
    def stop_yourself(self):
        self.stop()
        return "stopping"

    @callee(procedure="com.example.ping")
    def ping(self):
        return "pong"

    @subscribe(topic="com.example.stop")
    def on_stop(self, **_):
        self.stop()


def test_the_constructor_does_nothing():
    before = set(os.listdir("/proc/self/fd"))
    client = Client(url="ws://no-such-host.invalid:1/")
    assert client.session is None
    assert not client.is_running
    assert client.wait(0.01)
    client.stop()
    assert set(os.listdir("/proc/self/fd")) == before


def test_with(router):
    with Client(url=router.url) as client:
        assert isinstance(client, Client)
        assert client.session.id
        assert client.is_running
        assert client.call("wamp.session.count") >= 1
    assert client.session is None
    assert not client.is_running


def test_leaving_with_by_an_exception_stops_and_lets_it_through(router):
    with pytest.raises(KeyError, match="mine"), Client(url=router.url) as client:
        raise KeyError("mine")
    assert client.session is None
    assert client.wait(0.1)


def test_stop_in_any_state_any_number_of_times(make_client, router):
    client = make_client(url=router.url)
    client.stop()
    client.stop()
    client.start()
    client.stop()
    client.stop()
    client.start()
    assert client.call("wamp.session.count") >= 1
    for _ in range(3):
        client.stop()
    assert client.session is None


def test_stop_from_many_green_threads_at_once(join, green):
    client = join(Diary)
    stopping = [green.spawn(client.stop) for _ in range(10)]
    for each in stopping:
        each.result(5)
    assert client.session is None
    assert client.entries.count(("on_disconnect", None)) == 1


def test_a_second_start_is_an_error_and_changes_nothing(join):
    client = join()
    session = client.session
    with pytest.raises(WampyError, match="started already"):
        client.start()
    assert client.session is session
    assert client.call("wamp.session.count") >= 1


def test_a_second_start_while_the_first_is_under_way(make_client, router, green):
    client = make_client(url=router.url)
    first = green.spawn(client.start)
    green.wait_until(lambda: client._keeper.running)
    with pytest.raises(WampyError, match="started already"):
        client.start()
    first.result()
    assert client.call("wamp.session.count") >= 1


def test_restart_gives_a_new_session_with_the_same_roles(join):
    client, other = join(Diary), join()
    first = client.session.id
    for _ in range(3):
        client.stop()
        with pytest.raises(WampyError):
            other.call("com.example.ping")
        client.start()
        assert client.session.id != first
        assert len(client.registration_map) == 2
        assert len(client.subscription_map) == 1
        assert other.call("com.example.ping") == "pong"


def test_hooks_come_in_order(make_client, router, green):
    client = make_client(Diary, url=router.url)
    client.start()
    green.wait_until(lambda: client.entries)
    assert client.joined_with["authrole"] == "anonymous"
    client.stop()
    assert client.entries[0] == "on_join"
    assert [entry[0] for entry in client.entries[1:]] == ["on_leave", "on_disconnect"]
    assert client.entries[2] == ("on_disconnect", None)
    client.start()
    client.stop()
    names = [entry if isinstance(entry, str) else entry[0] for entry in client.entries]
    assert names == ["on_join", "on_leave", "on_disconnect"] * 2


def test_no_hooks_for_a_start_that_fails(make_client, router):
    client = make_client(Diary, url=router.url, realm="no.such.realm")
    with pytest.raises(WampyError):
        client.start()
    client.stop()
    assert client.entries == []


def test_hooks_may_call_and_publish_and_block(join, green):
    class Hooked(Client):
        found = None

        def on_join(self, details):
            green.sleep(0.05)
            self.found = self.call("wamp.session.get", self.session.id)["session"]
            self.publish(topic="com.example.hello", options={"acknowledge": True}, n=1)
            self.session.register("com.example.from_a_hook", lambda: "hooked")

    started = time.monotonic()
    client = join(Hooked, max_workers=1)
    assert client.found is None, "start() waited for on_join"
    assert time.monotonic() - started < 5
    green.wait_until(lambda: client.registration_map)
    assert client.found == client.session.id
    assert client.call("com.example.from_a_hook") == "hooked"


def test_a_hook_that_raises_is_logged(join, green, caplog):
    class Hooked(Client):
        def on_join(self, details):
            raise ValueError("not today")

    client = join(Hooked)
    green.wait_until(lambda: "not today" in caplog.text)
    assert "on_join" in caplog.text
    assert client.call("wamp.session.count") >= 1


def test_stop_from_a_hook(make_client, router, green):
    class Hooked(Diary):
        def on_join(self, details):
            super().on_join(details)
            self.stop()

    client = make_client(Hooked, url=router.url)
    client.start()
    assert client.wait(5)
    assert client.session is None
    green.wait_until(lambda: len(client.entries) == 3)
    assert [client.entries[0], client.entries[1][0], client.entries[2][0]] == ["on_join", "on_leave", "on_disconnect"]


def test_stop_from_a_callee(join, green):
    client, other = join(Diary), join(call_timeout=5.0)
    # Its answer may or may not get out before the session ends, but the caller is told something.
    outcome = green.spawn(other.call, "com.example.stop_yourself")
    assert client.wait(5)
    assert client.session is None
    error = outcome.error()
    assert error is None or isinstance(error, WampyError)
    client.stop()


def test_stop_from_an_event_handler(join):
    client, other = join(Diary), join()
    other.publish(topic="com.example.stop", n=1)
    assert client.wait(5)
    assert client.session is None


def test_stop_from_a_message_handler(join):
    from wampy.message_handler import MessageHandler

    class Handler(MessageHandler):
        def handle_event(self, message_obj):
            self.client.stop()

    client, other = join(Diary, message_handler_cls=Handler), join()
    other.publish(topic="com.example.stop", n=1)
    assert client.wait(5)
    assert client.session is None


def test_restart_from_a_hook(make_client, router, green):
    class Phoenix(Diary):
        def on_disconnect(self, error):
            super().on_disconnect(error)
            if self.entries.count("on_join") < 2:
                self.start()

    client = make_client(Phoenix, url=router.url)
    client.start()
    green.wait_until(lambda: "on_join" in client.entries)
    client.stop()
    green.wait_until(lambda: client.entries.count("on_join") == 2 and client.session is not None)
    assert client.call("com.example.ping") == "pong"


def test_calls_in_flight_are_told_when_their_client_stops(join, green):
    class Slow(Client):
        @callee(procedure="com.example.slow")
        def slow(self):
            green.sleep(60)

    join(Slow)
    client = join()
    calls = [green.spawn(client.call, "com.example.slow") for _ in range(20)]
    green.wait_until(lambda: len(client.session.pending) == 20)
    client.stop()
    assert {type(call.error(3)) for call in calls} == {ConnectionClosed}
    assert all(call.error().clean for call in calls)


def test_stop_ends_callees_that_are_running(join, green):
    ended = []

    class Slow(Client):
        @callee(procedure="com.example.slow")
        def slow(self):
            try:
                green.sleep(60)
            finally:
                ended.append(True)

    service, client = join(Slow), join()
    calls = [green.spawn(client.call, "com.example.slow") for _ in range(3)]
    green.wait_until(lambda: len(service.session.invocations) == 3)
    service.stop()
    assert ended == [True] * 3
    assert all(isinstance(call.error(5), WampyError) for call in calls)


def test_wait(join, green):
    client = join()
    assert client.wait(0.05) is False
    waiting = [green.spawn(client.wait) for _ in range(3)]
    green.sleep(0.02)
    assert not any(each.done for each in waiting)
    client.stop()
    assert [each.result(5) for each in waiting] == [True] * 3
    assert client.wait() is True


def test_waiting_inside_a_handler_for_what_another_handler_does(join, green):
    """Event handlers, hooks and callees have green threads of their own: none holds up the reader."""

    class Service(Client):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            self.go = green.slot()

        @callee(procedure="com.example.wait")
        def wait_for_it(self):
            return self.go.wait(5)

        @subscribe(topic="com.example.go")
        def on_go(self, **_):
            self.go.set()

    join(Service)
    client = join()
    call = client.rpc.com.example.wait.call_async()
    client.publish(topic="com.example.go", n=1)
    assert call.result() is True


def test_a_client_can_be_thrown_away_without_stop(router, green):
    import gc

    client = Client(url=router.url)
    client.start()
    client.stop()
    import weakref

    gone = weakref.ref(client)
    del client

    def is_gone():
        gc.collect()
        return gone() is None

    # An OS thread that has just ended may still hold it for a moment.
    green.wait_until(is_gone, 3.0)


def test_a_list_of_urls(make_client, router):
    client = make_client(url=["ws://127.0.0.1:1/", router.url])
    client.start()
    assert client.url == router.url
    client.stop()
    client.start()
    assert client.url == router.url
    with pytest.raises(WampyError):
        Client(url=[])


@pytest.mark.parametrize(
    "parameters",
    [{"call_timeout": -1}, {"open_timeout": "1"}, {"max_workers": 0}, {"max_queue": 1.5}, {"realm": ""}, {"ipv": 5},
     {"max_message_size": 0}, {"roles": {}}, {"auth": "secret"}, {"close_timeout": 0}],
    ids=str,
)  # fmt: skip
def test_a_parameter_that_cannot_be_used_is_named(parameters):
    (name,) = parameters
    with pytest.raises(WampyError, match=name):
        Client(**parameters)


def test_roles_are_never_changed(make_client, router):
    import copy

    roles = {"roles": {"caller": {"features": {}}, "subscriber": {}}, "authid": "somebody"}
    before = copy.deepcopy(roles)
    client = make_client(url=router.url, roles=roles)
    for _ in range(2):
        client.start()
        assert client.call("wamp.session.count") >= 1
        client.stop()
    assert roles == before


WAITS = """
    import sys
    from wampy import Client, callee

    class Service(Client):
        @callee(procedure="com.example.waiting")
        def waiting(self):
            return "here"

    try:
        with Service(url=sys.argv[1]) as service:
            print("joined", flush=True)
            service.wait()
    except KeyboardInterrupt:
        print("interrupted", service.session, flush=True)
"""


@pytest.fixture
def program(tmp_path):
    """Start a program of its own; its first line has been read when it is given back."""
    import textwrap

    started = []

    def start(code, *args):
        file = tmp_path / "program.py"
        file.write_text(textwrap.dedent(code))
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(file), *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        started.append(process)
        assert process.stdout.readline() == "joined\n", process.communicate()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_ctrl_c_gets_through_wait(program, router, join, without_ctrl_c):
    client = join()
    process = program(WAITS, router.url)
    assert client.call("com.example.waiting") == "here"
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=10)
    assert time.monotonic() - sent < 5
    assert (out, without_ctrl_c(errors), process.returncode) == ("interrupted None\n", "", 0)


def test_ctrl_c_while_a_call_waits(program, router, without_ctrl_c):
    code = """
        import sys, time
        from wampy import Client

        client = Client(url=sys.argv[1], call_timeout=None)
        client.start()
        client.session.register("com.example.never", lambda: client._session.backend.sleep(60))
        print("joined", flush=True)
        try:
            client.call("com.example.never")
        except KeyboardInterrupt:
            print("interrupted", client.call("wamp.session.count"), flush=True)
        client.stop()
    """
    process = program(code, router.url)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=10)
    assert (out, without_ctrl_c(errors), process.returncode) == ("interrupted 1\n", "", 0)


def test_a_program_that_just_ends(run_python, router):
    code = """
        import sys
        from wampy import Client
        client = Client(url=sys.argv[1])
        client.start()
        print(client.call("wamp.session.count") >= 1)
    """
    done = run_python(code, router.url)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_twenty_clients_start_and_stop_at_once(make_client, router, green):
    clients = [make_client(url=router.url) for _ in range(20)]
    for verb in ("start", "stop", "start", "stop"):
        for running in [green.spawn(getattr(client, verb)) for client in clients]:
            running.result()
        assert {client.session is not None for client in clients} == {verb == "start"}


def test_stop_while_others_call(join, green):
    join(Diary)
    client = join()
    outcomes = []

    def call_on_and_on():
        while True:
            try:
                outcomes.append(client.call("com.example.ping"))
            except ConnectionClosed as error:
                outcomes.append(error)
                return

    calling = [green.spawn(call_on_and_on) for _ in range(20)]
    green.wait_until(lambda: len(outcomes) > 100)
    client.stop()
    for each in calling:
        each.result(5)
    assert set(outcomes[:100]) == {"pong"}
    assert sum(isinstance(outcome, ConnectionClosed) for outcome in outcomes) == 20


@pytest.fixture
def scripted(wamp, green):
    """A router that the test plays."""
    router = wamp.ScriptedRouter(green.backend)
    yield router
    router.close()


@pytest.mark.parametrize("main", [True, False], ids=["main program", "green thread"])
@pytest.mark.parametrize(
    ("rawsocket", "end"),
    [(False, "drop"), (False, "reset"), (False, "close frame"), (True, "drop"), (True, "reset")],
    ids=["ws drop", "ws reset", "ws close frame", "rs drop", "rs reset"],
)
def test_a_router_that_closes_right_behind_its_goodbye_is_left_in_good_order(
    scripted, wamp, make_client, green, caplog, rawsocket, end, main
):
    caplog.set_level(logging.WARNING)
    client = make_client(Diary, url=scripted.rawsocket_url if rawsocket else scripted.url, close_timeout=3.0)
    starting = green.spawn(client.start)
    peer = scripted.accept(rawsocket=rawsocket)
    peer.welcome()
    peer.acknowledge(3)
    starting.result()

    def play():
        while peer.hear()[0] != wamp.GOODBYE:
            pass
        peer.say([wamp.GOODBYE, {}, "wamp.close.goodbye_and_out"])
        if end == "close frame":
            peer.close_websocket()
        peer.drop(reset=end == "reset")

    playing = green.spawn(play)
    # The main program goes on last, when the reader has seen the end already.
    client.stop() if main else green.spawn(client.stop).result(5)
    playing.result()
    assert client.entries == ["on_join", ("on_leave", "wamp.close.normal"), ("on_disconnect", None)]
    assert client.session is None and client.wait(0.1)
    assert caplog.records == []


def test_passwords_are_neither_in_errors_nor_in_logs(make_client, caplog):
    caplog.set_level(logging.DEBUG)
    urls = ["ws://al@example.com:SECRET@127.0.0.1:1/", "ws://joe:x@SECRET@127.0.0.1:1/", "rs://127.0.0.1:1"]
    client = make_client(url=urls, proxy=False, headers={"Authorization": "SECRET"})
    with pytest.raises(WampyError) as caught:
        client.start()
    with pytest.raises(WampyError) as by_proxy:
        make_client(url="ws://router.example.com/", proxy="http://al@example.com:SECRET@127.0.0.1:1").start()
    assert "al@example.com:…@127.0.0.1:1" in str(caught.value)
    assert "al@example.com:…@127.0.0.1:1" in str(by_proxy.value)
    assert "trying the next URL" in caplog.text
    for text in (str(caught.value), repr(caught.value), str(by_proxy.value), repr(by_proxy.value), caplog.text):
        assert "SECRET" not in text
    assert "SECRET" not in repr(client)
