"""Clients on OS threads (WAMPY_ASYNC_NAME=threading): used from any thread at once, and serving while nobody waits."""

import os
import pty
import random
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wampy import Client, callee, subscribe
from wampy.backends._monitor import is_held
from wampy.errors import Canceled, ConnectionClosed, RemoteError, WampyTimeOutError
from wampy.message_handler import MessageHandler
from wampy.messages import Publish
from wampy.outbox import Outbox
from wampy.workers import Workers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _on_threads(green):
    if green.backend.name != "threading":
        pytest.skip("this run is for another backend, and a process has one")


class Threads:
    """Threads of the program's own, which begin together."""

    def __init__(self, number, function):
        self._barrier = threading.Barrier(number)
        self.outcomes = [None] * number
        self._threads = [threading.Thread(target=self._run, args=(n, function), daemon=True) for n in range(number)]
        for thread in self._threads:
            thread.start()

    def _run(self, number, function):
        self._barrier.wait(20)
        try:
            self.outcomes[number] = function(number)
        except Exception as error:
            self.outcomes[number] = error

    def join(self, timeout=60.0):
        for thread in self._threads:
            thread.join(timeout)
        assert not any(thread.is_alive() for thread in self._threads), "some hang"
        return self.outcomes


class Service(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []
        self.interrupted = 0

    @callee(procedure="com.example.echo", invocation_policy="roundrobin")
    def echo(self, value):
        time.sleep(random.uniform(0, 0.003))
        return value

    @callee(procedure="com.example.sleep", invocation_policy="roundrobin")
    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    @callee(procedure="com.example.compute")
    def compute(self):
        try:
            while True:
                sum(range(100))
        except BaseException:
            self.interrupted += 1
            raise

    @subscribe(topic="com.example.heard")
    def on_heard(self, number, **_):
        if number % 20 == 0:
            time.sleep(0.002)
        self.heard.append(number)


# Any thread at once.


def test_sixty_four_threads_call_at_once_and_each_gets_its_own_answer(join):
    join(Service)
    client = join(call_timeout=60.0)

    def call(number):
        return [client.call("com.example.echo", [number, turn]) for turn in range(20)]

    outcomes = Threads(64, call).join()
    assert outcomes == [[[number, turn] for turn in range(20)] for number in range(64)]
    assert client.request_ids.peek() == 64 * 20 + 1
    assert len(client.session.pending) == 0


def test_whoever_sends_is_inside(join, monkeypatch):
    # Which keeps the state of the session whole, from the checks before the section of a send to the notes behind it.
    sent, emit = [], Outbox.emit

    def watched(outbox, message, pending=None):
        sent.append((message.name, is_held()))
        emit(outbox, message, pending)

    monkeypatch.setattr(Outbox, "emit", watched)
    service, client = join(Service), join()
    assert client.call("com.example.echo", 1) == 1
    assert client.rpc.com.example.echo.call_async(1).result() == 1
    client.rpc.com.example.sleep.call_async(0.1).cancel("killnowait")
    with pytest.raises(RemoteError):
        client.call("com.example.sleep", "a text")
    client.publish(topic="com.example.heard", number=1)
    assert client.options(acknowledge=True).publish(topic="com.example.heard", number=2)
    client.send_message(Publish(None, {}, "com.example.heard", [3]))
    for registration in list(service.registration_map.values()):
        service.session.unregister(registration)
    client.stop()
    service.stop()
    assert all(is_inside for _, is_inside in sent), sent
    names = {name for name, _ in sent}
    assert names >= {"hello", "goodbye", "register", "unregister", "subscribe", "publish", "call", "cancel"}
    assert names >= {"yield", "error"}


def test_whoever_hands_an_invocation_to_a_worker_is_inside(join, green, monkeypatch):
    # A handler of the user's may do so from a worker, where the user's code runs outside.
    submitted, submit = [], Workers.submit

    def watched(workers, job):
        submitted.append(is_held())
        return submit(workers, job)

    class Handler(MessageHandler):
        def handle_invocation(self, message_obj):
            self.session.spawn_worker(super().handle_invocation, message_obj)

    monkeypatch.setattr(Workers, "submit", watched)
    service = join(Service, message_handler_cls=Handler)
    assert join().call("com.example.echo", 1) == 1
    assert submitted == [True, True]
    green.wait_until(lambda: not service.session.invocations)


def test_stop_in_one_thread_ends_the_waits_of_the_others(join):
    join(Service)
    client = join()

    def use(number):
        if number == 0:
            time.sleep(0.3)
            return client.stop()
        if number % 4 == 1:
            return client.wait()
        if number % 4 == 2:
            return client.rpc.com.example.sleep.call_async(2.0).result()
        return client.call("com.example.sleep", 2.0)

    outcomes = Threads(64, use).join()
    assert outcomes[0] is None
    assert outcomes[1::4] == [True] * 16
    others = [outcome for number, outcome in enumerate(outcomes) if number and number % 4 != 1]
    assert {type(outcome) for outcome in others} == {ConnectionClosed}
    assert len({id(outcome) for outcome in others}) == 47
    with pytest.raises(ConnectionClosed):
        client.call("com.example.echo", 1)


def test_many_threads_stop_at_once_and_one_starts_again(join):
    client = join(Service)
    assert Threads(16, lambda _: client.stop()).join() == [None] * 16
    client.start()
    assert client.call("com.example.echo", "again") == "again"


def test_everything_at_once(join, green):
    service, client = join(Service), join(call_timeout=60.0)
    extra = [f"com.example.extra{number}" for number in range(16)]

    def use(number):
        session = client.session
        registration = session.register(extra[number], lambda value: value * 2)
        subscription = session.subscribe("com.example.none", print)
        together.wait(20)
        for _ in range(5):
            assert client.call(extra[(number + 1) % 16], number) == number * 2
            client.publish(topic="com.example.heard", number=number, options={"acknowledge": True})
            with pytest.raises(WampyTimeOutError):
                client.options(timeout=0.01).call("com.example.sleep", 0.1)
        together.wait(20)
        session.unsubscribe(subscription)
        session.unregister(registration)
        return "fine"

    together = threading.Barrier(16)
    assert Threads(16, use).join() == ["fine"] * 16
    green.wait_until(lambda: len(service.heard) == 16 * 5)
    assert client.registration_map == client.subscription_map == {}
    assert len(client.session.pending) == 0


# Callees and handlers.


class Chain(Client):
    @callee(procedure="com.example.first")
    def first(self, number):
        return ["first", *self.call("com.example.second", number)]

    @callee(procedure="com.example.second")
    def second(self, number):
        return ["second", *self.rpc.com.example.third(number)]

    @callee(procedure="com.example.third")
    def third(self, number):
        time.sleep(0.002)
        return ["third", number]


def test_callees_that_call_each_other_do_not_starve(join):
    client = join(Chain, max_workers=4, call_timeout=60.0)
    outcomes = Threads(40, lambda number: client.call("com.example.first", number)).join()
    assert outcomes == [["first", "second", "third", number] for number in range(40)]


def test_events_reach_a_handler_in_order_and_one_at_a_time(join, green):
    service, publisher = join(Service), join()
    for number in range(500):
        publisher.publish(topic="com.example.heard", number=number)
    green.wait_until(lambda: len(service.heard) == 500)
    assert service.heard == list(range(500))


def test_a_callee_that_blocks_natively_stops_nobody(join):
    service, client = join(Service), join()
    blocked = client.rpc.com.example.sleep.call_async(3.0)
    started = time.monotonic()
    for number in range(20):
        assert client.call("com.example.echo", number) == number
    assert service.call("com.example.echo", "its own") == "its own"
    assert time.monotonic() - started < 2.5
    assert not blocked.done()
    assert blocked.result() == 3.0


def test_a_callee_that_computes_is_interrupted_when_its_caller_cancels(join, green):
    service, client = join(Service), join()
    call = client.rpc.com.example.compute.call_async()
    green.wait_until(lambda: service.session.invocations)
    call.cancel()
    with pytest.raises(Canceled):
        call.result()
    green.wait_until(lambda: service.interrupted == 1)
    assert client.call("com.example.echo", "goes on") == "goes on"


def test_stop_does_not_wait_longer_than_close_timeout_for_what_nothing_can_interrupt(join, green):
    service, client = join(Service, close_timeout=0.5), join()
    call = client.rpc.com.example.sleep.call_async(2.5)
    green.wait_until(lambda: service.session.invocations)
    started = time.monotonic()
    service.stop()
    assert 0.3 < time.monotonic() - started < 2.0
    with pytest.raises(RemoteError):
        call.result()
    green.wait_until(lambda: not [each for each in threading.enumerate() if "_serve" in each.name])


def test_stop_in_a_callee_and_in_a_hook(join, green):
    class Stops(Client):
        @callee(procedure="com.example.stop")
        def stop_(self):
            self.stop()

        def on_disconnect(self, error):
            self.stop()
            self.left = True

    client = join(Stops)
    with pytest.raises((ConnectionClosed, RemoteError)):
        client.call("com.example.stop")
    assert client.wait(10)
    green.wait_until(lambda: getattr(client, "left", False))


# While the main thread does something else.


@pytest.mark.parametrize("how", ["computes", "sleeps natively"])
def test_heartbeats_go_on_while_the_main_thread(join, how):
    client = join(heartbeat=0.1, heartbeat_timeout=5.0)
    time.sleep(0.05)
    before, until = client._session._transport.reads, time.monotonic() + 1.5
    while time.monotonic() < until:
        if how == "computes":
            sum(range(1000))
        else:
            time.sleep(1.5)
    assert client._session._transport.reads - before >= 5
    assert client.session is not None


class Prompt:
    """A real interactive interpreter on a pseudo-terminal."""

    def __init__(self, program, **environment):
        self._terminal, theirs = pty.openpty()
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-q", "-i", "-W", "ignore", str(program)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path, "TERM": "dumb", **environment},
        )
        os.close(theirs)

    def read(self, seconds=20.0):
        """Read what is shown until the prompt is there."""
        seen, deadline = "", time.monotonic() + seconds
        while not seen.endswith(">>> "):
            ready, _, _ = select.select([self._terminal], [], [], max(deadline - time.monotonic(), 0.0))
            assert ready, f"no prompt within {seconds} seconds, but {seen!r}"
            seen += os.read(self._terminal, 4096).decode()
        return seen

    def type(self, line):
        """Type a line; return what is shown up to the next prompt, without the line itself."""
        self.begin(line)
        return self.read().partition("\n")[2].removesuffix(">>> ").strip()

    def begin(self, line):
        os.write(self._terminal, line.encode() + b"\n")

    def leave(self):
        """Type the end of the input; return the interpreter's exit code."""
        os.write(self._terminal, b"\x04")
        return self.process.wait(20)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)
        os.close(self._terminal)


SHELL = """
from wampy import Client, callee, subscribe

class Shell(Client):
    heard = []

    @callee(procedure="com.example.double")
    def double(self, value):
        return 2 * value

    @subscribe(topic="com.example.news")
    def on_news(self, **news):
        self.heard.append(news["number"])
"""


@pytest.fixture
def prompt(tmp_path):
    (tmp_path / "shell.py").write_text(SHELL)
    prompt = Prompt(tmp_path / "shell.py", WAMPY_ASYNC_NAME="threading")
    yield prompt
    prompt.close()


def test_a_callee_answers_while_the_prompt_of_a_shell_waits(join, wampy_router, prompt, green):
    other = join(Service)
    prompt.read()
    assert prompt.type(f"client = Shell(url={wampy_router.url!r}, call_timeout=60)") == ""
    assert prompt.type("client.start()") == ""
    # From here on it waits for what is typed.
    for number in range(20):
        assert other.call("com.example.double", number) == 2 * number
        other.publish(topic="com.example.news", number=number, options={"acknowledge": True})
    assert prompt.type("client.call('com.example.echo', 'typed')") == "'typed'"
    assert prompt.type("client.rpc.com.example.double(21)") == "42"
    assert prompt.type("len(client.heard), client.heard[-1]") == "(20, 19)"
    assert prompt.type("client.publish(topic='com.example.heard', number=1)") == ""
    green.wait_until(lambda: other.heard == [1])
    assert "NoSuchProcedure" in prompt.type("client.call('com.example.nobody')")
    # Ctrl-C in a call that waits gives the prompt back, and costs nothing else.
    prompt.begin("client.call('com.example.sleep', 3)")
    green.wait_until(lambda: other.session.invocations)
    os.kill(prompt.process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in prompt.read()
    assert other.call("com.example.double", 4) == 8
    assert prompt.type("client.stop()") == ""
    assert prompt.leave() == 0


def test_when_the_system_has_no_more_threads_callers_are_told_and_it_goes_on(wampy_router, run_python):
    done = run_python(
        """
        import resource, sys, threading, time
        from collections import Counter
        from wampy import Client, callee
        from wampy.errors import Unavailable

        class Service(Client):
            @callee(procedure="com.example.sleep")
            def sleep(self, seconds):
                time.sleep(seconds)
                return seconds

        with Service(url=sys.argv[1], max_workers=1000) as service, Client(url=sys.argv[1]) as client:
            size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            threading.stack_size(64 << 20)
            resource.setrlimit(resource.RLIMIT_AS, (size + (500 << 20),) * 2)
            calls = [client.rpc.com.example.sleep.call_async(0.5) for _ in range(50)]
            outcomes = Counter()
            for call in calls:
                try:
                    outcomes[call.result()] += 1
                except Unavailable:
                    outcomes["unavailable"] += 1
            assert 0 < outcomes["unavailable"] < 50 == sum(outcomes.values()), outcomes
            assert [client.call("com.example.sleep", 0) for _ in range(20)] == [0] * 20
        print("fine")
        """,
        wampy_router.url,
        WAMPY_ASYNC_NAME="threading",
    )
    assert done.stdout == "fine\n", done.stderr


# The end.


def test_a_forked_child_has_clients_of_its_own_and_its_parents_goes_on(wampy_router, run_python):
    done = run_python(
        """
        import os, sys, threading
        from wampy import Client, callee
        from wampy.errors import WampyError

        class Service(Client):
            @callee(procedure="com.example.whose")
            def whose(self):
                return os.getpid()

        with Service(url=sys.argv[1]) as service, Client(url=sys.argv[1]) as client:
            calling = threading.Thread(target=lambda: [client.call("com.example.whose") for _ in range(200)])
            calling.start()
            for _ in range(5):
                pid = os.fork()
                if pid == 0:
                    for request in (lambda: client.call("com.example.whose"), lambda: client.wait(1),
                                    lambda: client.publish(topic="com.example.t", a=1)):
                        try:
                            request()
                        except WampyError as error:
                            assert "fork" in str(error), error
                        else:
                            os._exit(3)
                    client.stop()
                    service.stop()
                    with Client(url=sys.argv[1]) as own:
                        assert own.call("com.example.whose") == os.getppid()
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
            calling.join()
            assert client.call("com.example.whose") == os.getpid()
        print("fine")
        """,
        wampy_router.url,
        WAMPY_ASYNC_NAME="threading",
    )
    assert done.stdout == "fine\n", done.stderr


def test_nothing_is_left_behind_after_stop(wampy_router, run_python):
    done = run_python(
        """
        import gc, os, sys, threading, time, weakref
        from wampy import Client, callee

        class Service(Client):
            @callee(procedure="com.example.echo", invocation_policy="roundrobin")
            def echo(self, value):
                time.sleep(0.001)
                return value

        def measure():
            deadline = time.monotonic() + 10
            while threading.active_count() > 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            return threading.enumerate(), sorted(os.listdir("/proc/self/fd"))

        def once():
            with Service(url=sys.argv[1]) as service, Client(url=sys.argv[1]) as client:
                calls = [client.rpc.com.example.echo.call_async(n) for n in range(100)]
                assert [call.result() for call in calls] == list(range(100))
            return weakref.ref(client._session), weakref.ref(service._session)

        before = measure()
        sessions = [session for _ in range(10) for session in once()]
        after = measure()
        gc.collect()
        print(before == after, len(after[0]), [session() for session in sessions if session() is not None])
        """,
        wampy_router.url,
        WAMPY_ASYNC_NAME="threading",
    )
    assert done.stdout == "True 1 []\n", done.stdout + done.stderr


def test_stop_needs_no_new_thread(wampy_router, run_python):
    # Python 3.12.1 gives none to what `atexit` calls. And a system may have none.
    done = run_python(
        """
        import atexit, resource, sys, threading, time
        from wampy import Client

        class Service(Client):
            def on_leave(self, reason):
                print("left:", reason)

            def on_disconnect(self, error):
                print("disconnected:", error)

        def no_more_threads():
            size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            threading.stack_size(512 << 20)
            resource.setrlimit(resource.RLIMIT_AS, (size + (100 << 20),) * 2)
            try:
                threading.Thread(target=print).start()
            except RuntimeError:
                print("no more threads")

        client = Service(url=sys.argv[1], heartbeat=None)
        client.start()
        deadline = time.monotonic() + 20
        while "wampy timers" in [thread.name for thread in threading.enumerate()] and time.monotonic() < deadline:
            time.sleep(0.05)
        atexit.register(lambda: print(client))
        atexit.register(client.stop)
        atexit.register(no_more_threads)
        """,
        wampy_router.url,
        WAMPY_ASYNC_NAME="threading",
    )
    assert done.stderr == ""
    *lines, client = done.stdout.splitlines()
    assert lines == ["no more threads", "left: wamp.close.normal", "disconnected: None"]
    assert client.endswith("not joined>")


def test_a_program_that_forgets_to_stop_ends_all_the_same(wampy_router, run_python):
    done = run_python(
        """
        import sys
        from wampy import Client
        client = Client(url=sys.argv[1])
        client.start()
        print(client.call("wamp.session.count") >= 1)
        """,
        wampy_router.url,
        WAMPY_ASYNC_NAME="threading",
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
