"""Waiters that are torn away, programs that are interrupted or forked, loggers that fail: nobody else suffers."""

import logging
import logging.config
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import wampy.errors
from wampy import Client, callee
from wampy.errors import Canceled, ConnectionClosed, WampyError
from wampy.message_handler import MessageHandler
from wampy.messages import Goodbye

ROOT = Path(__file__).resolve().parents[2]


class Service(Client):
    @callee(procedure="com.example.slow")
    def slow(self, seconds):
        self._keeper.backend.sleep(seconds)
        return seconds

    @callee(procedure="com.example.same")
    def same(self, value):
        return value


def test_a_pending_call_can_be_asked_again_after_its_waiter_was_torn_away(join, green):
    join(Service)
    call = join().rpc.com.example.slow.call_async(0.4)
    if green.backend.name != "threading":
        with green.library.Timeout(0.05, False):
            call.result()
    assert not call.done()
    waiting = green.spawn(call.result)
    green.sleep(0.01)
    waiting.kill()
    assert call.result() == 0.4


def test_stop_counts_also_when_there_is_another_url_to_try(make_client, green, wampy_router, silent_port):
    client = make_client(url=[silent_port, wampy_router.url], open_timeout=30.0)
    starting = green.spawn(client.start)
    green.sleep(0.1)
    client.stop()
    with pytest.raises(ConnectionClosed, match="stopped"):
        starting.result()
    assert client.session is None


def test_a_start_that_was_stopped_leaves_the_next_one_alone(make_client, green, wampy_router, silent_port):
    client = make_client(url=[silent_port, wampy_router.url], open_timeout=30.0)
    first = green.spawn(client.start)
    green.sleep(0.1)
    client.stop()
    client._keeper.urls.reverse()
    client.start()
    with pytest.raises(ConnectionClosed, match="stopped"):
        first.result()
    assert client.call("wamp.session.count") >= 1


@pytest.fixture
def silent_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"ws://127.0.0.1:{server.getsockname()[1]}/"


def test_wait_in_another_os_thread_is_an_error(join, green):
    if green.os_threads:
        pytest.skip("there it is none; tests/integration/test_threads.py")
    client, outcome = join(), []

    def wait():
        try:
            outcome.append(client.wait(5.0))
        except WampyError as error:
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(5.0)
    assert "OS thread" in str(outcome[0])


def test_wait_in_a_message_handler_is_an_error(join):
    errors = []

    class Waits(MessageHandler):
        def handle_result(self, message_obj):
            try:
                self.client.wait()
            except WampyError as error:
                errors.append(error)
            super().handle_result(message_obj)

    assert join(message_handler_cls=Waits).call("wamp.session.count") >= 1
    assert "message handler" in str(errors[0])


def test_an_on_join_that_goes_on_ends_with_its_session(make_client, green, wampy_router):
    class Busy(Client):
        rounds, heard = 0, ()

        def on_join(self, details):
            self.heard += ("join",)
            while True:
                self.rounds += 1
                self._keeper.backend.sleep(0.01)

        def on_disconnect(self, error):
            self.heard += ("disconnect",)

    client = make_client(Busy, url=wampy_router.url, close_timeout=20.0)
    for _ in range(2):
        client.start()
        before = client.rounds
        green.wait_until(lambda before=before: client.rounds > before)
        started = time.monotonic()
        client.stop()
        assert time.monotonic() - started < 10.0
        before = client.rounds
        green.sleep(0.05)
        assert client.rounds == before
    assert client.heard == ("join", "disconnect") * 2


def test_no_logging_configuration_brings_secrets_out(wampy_router, make_client, capfd):
    root = logging.getLogger()
    kept = (root.level, list(root.handlers))
    console = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
    try:
        Client(url=wampy_router.url)  # whatever makes loggers has made them
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "handlers": {"console": console},
                "root": {"level": "DEBUG", "handlers": ["console"]},
                "loggers": {"wampy": {"level": "DEBUG"}, "websockets": {"level": "DEBUG"}},
            }
        )
        client = make_client(url=wampy_router.url.replace("//", "//joe:pass-word@"))
        client.start()
        client.session.publish("com.example.secret", ["pay-load"])
        assert "pass-word" not in repr(client)
        client.stop()
    finally:
        root.setLevel(kept[0])
        root.handlers[:] = kept[1]
        for name in ("wampy", "websockets"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    heard = capfd.readouterr().err
    assert "pass-word" not in heard and "pay-load" not in heard and "Authorization" not in heard


def test_a_decorated_method_that_an_attribute_hides_is_an_error(make_client, wampy_router):
    class Hidden(Client):
        @callee
        def name(self):
            return "never found"

    with pytest.raises(WampyError, match=r"Hidden\.name is decorated, but hidden"):
        make_client(Hidden, url=wampy_router.url).start()


def test_a_procedure_that_was_registered_too_late_is_given_back(join, green):
    client = join()
    for _ in range(100):
        registering = green.has_sent(client, client.session.register, "com.example.late", print)
        registering.kill()
        if registering.error() is not None:
            break
        client.session.unregister(registering.result())  # an OS thread, and the answer was quicker than the kill
    else:
        pytest.fail("the kill was never in time")
    green.wait_until(lambda: _is_free(client, "com.example.late"))
    registration = client.session.register("com.example.late", lambda: "here now")
    assert registration.active
    assert client.call("com.example.late") == "here now"


def _is_free(client, procedure):
    return client.call("wamp.registration.lookup", procedure) is None and not client.registration_map


def test_what_was_unregistered_by_a_killed_green_thread_is_forgotten(join, green):
    client = join()
    registration = client.session.register("com.example.leaving", print)
    subscription = client.session.subscribe("com.example.leaving", print)
    green.has_sent(client, client.session.unregister, registration).kill()
    green.has_sent(client, client.session.unsubscribe, subscription).kill()
    green.wait_until(lambda: not registration.active and not subscription.active)
    assert client.registration_map == {} and client.subscription_map == {}


def test_an_exact_subscription_ends_beside_a_prefix_one_under_way(join, green):
    client = join()
    exact = client.session.subscribe("com.example.race", print)
    exact_id = exact.id
    prefix = green.has_sent(client, client.session.subscribe, "com.example.race", print, {"match": "prefix"})
    client.session.unsubscribe(exact)
    assert prefix.result().active
    assert exact_id not in client.call("wamp.subscription.list")["exact"]
    assert exact_id not in client.subscription_map


class Failing(logging.Handler):
    def emit(self, record):
        raise RuntimeError("this logging handler fails")

    def handleError(self, record):
        raise RuntimeError("this logging handler fails")


def test_a_logging_handler_that_fails_does_not_hold_up_the_end(make_client, green, capfd):
    from wampy.peers.routers import Crossbar

    told = []

    class Told(Client):
        def on_disconnect(self, error):
            told.append(error)

    with Crossbar() as router:
        client = make_client(Told, url=router.url, reconnect=False)
        client.start()
        handler = Failing()
        logging.getLogger("wampy.peers.keeper").addHandler(handler)
        try:
            router.kill()
            with pytest.raises(ConnectionClosed):
                client.wait(10.0)
            green.wait_until(lambda: told)
            client.stop()
        finally:
            logging.getLogger("wampy.peers.keeper").removeHandler(handler)
    assert isinstance(told[0], ConnectionClosed)
    capfd.readouterr()


def test_a_timeout_that_goes_off_in_a_handler_costs_no_other_message(join, green):
    class Strikes(MessageHandler):
        seen = 0

        def handle_result(self, message_obj):
            super().handle_result(message_obj)
            self.seen += 1
            if self.seen == 3:
                raise green.library.Timeout(0.0)

    join(Service)
    client = join(message_handler_cls=Strikes)
    calls = [client.rpc.com.example.same.call_async(number) for number in range(50)]
    assert [call.result() for call in calls] == list(range(50))


FORKS = """
    import os, sys, time
    from wampy import Client, callee
    from wampy.backends import get_backend

    class Service(Client):
        @callee(procedure="com.example.parent")
        def parent(self):
            return os.getpid()

    with Service(url=sys.argv[1]) as service, Client(url=sys.argv[1]) as client:
        assert client.call("com.example.parent") == os.getpid()
        child = os.fork()
        if child == 0:
            sleep = get_backend().sleep
            try:
                with Client(url=sys.argv[1]) as own:  # a client of the child's own
                    for _ in range(100):
                        assert own.call("com.example.parent") == os.getppid()
                        sleep(0.001)
                try:
                    client.call("com.example.parent")
                except Exception as error:
                    print(error, flush=True)
            finally:
                os._exit(0)
        for _ in range(200):
            assert client.call("com.example.parent") == os.getpid()
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            assert client.call("com.example.parent") == os.getpid()
        assert client.call("com.example.parent") == os.getpid()
        print("the parent lives on")
"""


def test_a_forked_child_leaves_its_parents_messages_alone(run_python, wampy_router):
    done = run_python(FORKS, wampy_router.url)
    assert done.returncode == 0, done.stderr
    assert "forked child" in done.stdout and "the parent lives on" in done.stdout
    assert done.stderr == ""


BUSY = """
    import sys
    from wampy import Client, callee

    class Service(Client):
        @callee(procedure="com.example.busy.{}".format(sys.argv[2]))
        def busy(self):
            return "here"

    try:
        with Service(url=sys.argv[1]) as service:
            print("joined", flush=True)
            service.wait()
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_in_the_middle_of_whatever_it_does_stops_a_busy_program_at_once(join, wampy_router, tmp_path):
    program = tmp_path / "busy.py"
    program.write_text("\n".join(line[4:] for line in BUSY.splitlines()))
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    client = join()
    for number in range(8):
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(program), wampy_router.url, str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        try:
            assert process.stdout.readline() == "joined\n"
            # The signal comes just when the callee has sent its answer, or is about to.
            assert client.call(f"com.example.busy.{number}") == "here"
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            out, _ = process.communicate(timeout=20)
            assert time.monotonic() - started < 4.0, "close_timeout is 5 seconds"
            assert (out, process.returncode) == ("interrupted\n", 0)
        finally:
            process.kill()
            process.communicate()


def test_the_same_handler_twice_hears_twice(join, green):
    heard = []
    client = join()
    first = client.session.subscribe("com.example.twice", heard.append)
    second = client.session.subscribe("com.example.twice", heard.append)
    join().session.publish("com.example.twice", [1])
    green.wait_until(lambda: heard == [1, 1])
    client.session.unsubscribe(first)
    join().session.publish("com.example.twice", [2])
    green.wait_until(lambda: heard == [1, 1, 2])
    client.session.unsubscribe(second)
    assert client.subscription_map == {}


def test_cancel_does_not_wait_for_ever_for_a_callee_that_cannot_be_interrupted(join, green, monkeypatch):
    # Crossbar answers such a call never more, neither with the ERROR nor with the result.
    monkeypatch.setattr("wampy.session.CANCEL_PATIENCE", 0.2)
    join(Service, roles={"roles": {"callee": {}}})
    call = join(call_timeout=None).rpc.com.example.slow.call_async(0.5)
    green.sleep(0.05)
    call.cancel("kill")
    with pytest.raises(Canceled):
        call.result(5.0)


def test_a_goodbye_sent_by_hand_ends_the_client(join):
    client = join()
    client.send_message(Goodbye({}, "wamp.close.close_realm"))
    assert client.wait(5.0)
    client.start()
    assert client.call("wamp.session.count") >= 1


def test_a_start_that_fails_in_another_os_thread_says_why(make_client, wampy_router, closed_port):
    client = make_client(url=wampy_router.url)

    def use():
        client.start()
        client.stop()

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(10.0)
    client._keeper.urls[:] = [closed_port]
    for _ in range(2):
        with pytest.raises(wampy.errors.ConnectionError, match="refused"):
            client.start()


@pytest.fixture
def closed_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"ws://127.0.0.1:{port}/"


def test_a_with_block_in_a_forked_child_lets_its_exit_through(run_python, wampy_router):
    done = run_python(
        """
        import os, sys
        from wampy import Client
        with Client(url=sys.argv[1]) as client:
            child = os.fork()
            if child == 0:
                sys.exit(3)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
            assert client.call("wamp.session.count") >= 1
        print("well")
        """,
        wampy_router.url,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("well\n", "", 0)
