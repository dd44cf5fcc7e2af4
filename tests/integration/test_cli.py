"""``wampy run`` and ``wampy demo`` as processes of their own, with a real Crossbar."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from wampy import Client
from wampy.errors import Canceled, WampyError
from wampy.peers._configuration import CONFIGS
from wampy.peers.routers import Crossbar

ROOT = Path(__file__).resolve().parents[2]

# Seconds for a Python to come up on a busy machine, and for
# a stop there, which else takes a tenth of one. What hangs here hangs for a minute.
PATIENCE = 30.0
BUSY = 5.0

SHOP = """
    import os
    import socket
    import sys
    import time

    from wampy import Client, callee, subscribe

    class Shop(Client):
        @callee(procedure="shop.price")
        def price(self, fruit):
            return len(fruit)

        @callee(procedure="shop.is_patched")
        def is_patched(self):
            return os.environ.get("WAMPY_ASYNC_NAME", "eventlet") in socket.socket.__module__

        @subscribe(topic="shop.news")
        def on_news(self, text):
            print("news:", text, flush=True)

        def on_leave(self, reason):
            print("left:", reason, flush=True)

    class Till(Client):
        @callee(procedure="till.total")
        def total(self, *fruits):
            return sum(self.rpc.shop.price(fruit) for fruit in fruits)

    class Second(Client):
        @callee(procedure="shop.price")
        def price(self, fruit):
            return 0

    class Idle(Client):
        pass

    class Odd(Client):
        @callee(procedure="odd.leave")
        def leave(self):
            self.stop()

        @callee(procedure="odd.spin")
        def spin(self):
            while True:
                pass

        @callee(procedure="odd.sleep")
        def sleep(self, seconds=60):
            print("sleeping", flush=True)
            time.sleep(seconds)
            return "slept"

        @callee(procedure="odd.fork")
        def fork(self):
            child = os.fork()
            if child == 0:
                while True:
                    time.sleep(0.1)
            return child

    class HangsInStart(Client):
        def start(self):
            print("starting", flush=True)
            time.sleep(60)

    class HangsInStop(Client):
        def stop(self):
            print("hanging", flush=True)
            time.sleep(60)

    class ExitsInStart(Client):
        def start(self):
            super().start()
            sys.exit(7)

        def on_leave(self, reason):
            print("left early:", reason, flush=True)

    class FailsInStart(Client):
        def start(self):
            raise KeyError("start")

    class FailsInStop(Client):
        def stop(self):
            super().stop()
            raise KeyError("stop")

    class Chosen(Client):
        def __init__(self):
            super().__init__("ws://localhost:1/")

    class NoClient:
        pass
"""


def place(error):
    """Say where in the module an error is raised."""
    before = SHOP[: SHOP.index(f'raise KeyError("{error}")')]
    return f"shop.py, line {before.count(chr(10)) + 1}"


@pytest.fixture(scope="module")
def crossbar():
    with Crossbar() as crossbar:
        yield crossbar


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP))
    return tmp_path


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if name not in ("WAMPY_URL", "WAMPY_REALM")}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return kept | {"PYTHONPATH": path} | more


class Process:
    """A `wampy` command that runs."""

    def __init__(self, folder, *arguments, **environ):
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "wampy", *arguments],
            cwd=folder,
            env=environment(**environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.out = b""

    def wait_for(self, text, count=1):
        """Wait until it has printed a text so many times."""
        deadline = time.monotonic() + PATIENCE
        stream = self.popen.stdout
        while self.out.decode().count(text) < count:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} is not in {self.out!r}"
            if select.select([stream], [], [], left)[0]:
                data = os.read(stream.fileno(), 65536)
                if not data:
                    pytest.fail(f"it has ended: {self.end()}")
                self.out += data
        return self

    def end(self, signum=None, timeout=PATIENCE):
        """Send it a signal, wait for its end; give exit code, output and errors."""
        if signum is not None:
            self.popen.send_signal(signum)
        out, errors = self.popen.communicate(timeout=timeout)
        return self.popen.returncode, (self.out + out).decode(), errors.decode()


@pytest.fixture
def wampy(folder):
    """Start commands in the folder; whatever is left of them in the end is killed."""
    processes = []

    def start(*arguments, **environ):
        processes.append(Process(folder, *arguments, **environ))
        return processes[-1]

    yield start
    for process in processes:
        process.popen.kill()
        process.popen.communicate()


@pytest.fixture
def running(wampy, crossbar):
    """Start applications at the router, and wait until they run."""

    def start(*arguments, **environ):
        process = wampy("run", *arguments, "--url", crossbar.url, **environ)
        applications = [argument for argument in arguments if ":" in argument]
        return process.wait_for(" is running ", len(applications))

    return start


@pytest.fixture
def caller(crossbar):
    with Client(crossbar.url) as caller:
        yield caller


def complaints(errors):
    """What it says itself, without its log."""
    assert "Traceback" not in errors
    return [line for line in errors.splitlines() if not re.match(r"\d{4}-\d\d-\d\d ", line)]


# Running.


def test_applications_run_and_say_so(running, crossbar, caller):
    process = running("shop:Shop", "shop:Till")
    where = f"{crossbar.url} in realm 'realm1'"
    assert process.out.decode().splitlines() == [
        f"Shop is running at {where} (2 procedures, 1 subscription). Ctrl-C stops it.",
        f"Till is running at {where} (1 procedure, 0 subscriptions). Ctrl-C stops it.",
    ]
    assert caller.rpc.till.total("apple", "fig") == 8
    caller.publish(topic="shop.news", text="open", options={"acknowledge": True})
    process.wait_for("news: open")
    code, out, errors = process.end(signal.SIGINT)
    assert code == 0
    assert "left: wamp.close." in out
    assert complaints(errors) == ["wampy run: SIGINT, stopping; once more ends it at once"]
    assert "wampy.config INFO: logging configured" in errors


@pytest.mark.parametrize("flags", [[], ["--no-patch"]])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_an_idle_program_at_once(running, signum, flags):
    process = running("shop:Idle", "shop:Shop", *flags)
    time.sleep(1.5)  # long enough for it to have nothing to do
    started = time.monotonic()
    code, out, _ = process.end(signum)
    assert code == 0
    assert "left: wamp.close." in out
    # It takes a tenth of a second. A hub that the signal does not wake sleeps on for a minute.
    assert time.monotonic() - started < BUSY


def test_a_stop_interrupts_what_is_running(running, caller, green):
    # Nothing can interrupt a thread that sleeps natively. It has close_timeout, and then the program ends without it.
    limit = BUSY + 5.0 if green.os_threads else BUSY
    for drain in ("0", "0.3"):
        process = running("shop:Odd", "--drain", drain)
        call = caller.rpc.odd.sleep.call_async()
        process.wait_for("sleeping")
        started = time.monotonic()
        code, _, errors = process.end(signal.SIGTERM)
        assert time.monotonic() - started < limit
        assert code == 0
        assert len(complaints(errors)) == 1
        with pytest.raises(Canceled):
            call.result()


def test_a_signal_lets_what_is_under_way_end(running, caller):
    process = running("shop:Odd")
    call = caller.rpc.odd.sleep.call_async(1.5)
    process.wait_for("sleeping")
    code, _, errors = process.end(signal.SIGTERM)
    assert call.result() == "slept"
    assert code == 0
    assert complaints(errors) == ["wampy run: SIGTERM, stopping; once more ends it at once"]


def test_a_second_signal_ends_what_is_under_way(running, caller):
    process = running("shop:Odd", "--drain", "60")
    call = caller.rpc.odd.sleep.call_async()
    process.wait_for("sleeping")
    end_twice(process, lambda: None)
    with pytest.raises(Canceled):
        call.result()


def test_it_is_patched_unless_told_not_to(running, caller, green):
    process = running("shop:Shop")
    assert caller.rpc.shop.is_patched() is not green.os_threads  # there is nothing to patch there
    assert process.end(signal.SIGINT)[0] == 0
    process = running("shop:Shop", "--no-patch")
    assert caller.rpc.shop.is_patched() is False
    assert process.end(signal.SIGINT)[0] == 0


def test_url_and_realm_from_the_environment(wampy, crossbar):
    process = wampy("run", "shop:Idle", WAMPY_URL=crossbar.url, WAMPY_REALM="realm1").wait_for("is running")
    assert process.end(signal.SIGINT)[0] == 0
    code, _, errors = wampy("run", "shop:Idle", WAMPY_URL=crossbar.url, WAMPY_REALM="nowhere").end()
    assert code == 2
    assert "nowhere" in errors


def test_url_and_realm_from_a_configuration(wampy, folder, crossbar):
    endpoint = {"type": "tcp", "interface": "127.0.0.1", "port": crossbar.port}
    worker = {"realms": [{"name": "realm1"}], "transports": [{"type": "websocket", "endpoint": endpoint}]}
    (folder / "crossbar.json").write_text(json.dumps({"workers": [worker]}))
    process = wampy("run", "shop:Idle", "--config", "crossbar.json").wait_for("is running")
    assert f"at {crossbar.url} in realm 'realm1'" in process.out.decode()
    assert process.end(signal.SIGINT)[0] == 0


def test_the_log_level(running):
    code, _, errors = running("shop:Idle", "--log-level", "warning").end(signal.SIGTERM)
    assert (code, errors) == (0, "wampy run: SIGTERM, stopping; once more ends it at once\n")


def test_an_application_may_stop_by_itself(running, caller):
    process = running("shop:Odd", "shop:Idle")
    with pytest.raises(WampyError):
        caller.rpc.odd.leave()
    time.sleep(0.3)
    assert process.popen.poll() is None  # the other one goes on
    assert process.end(signal.SIGINT)[0] == 0
    process = running("shop:Odd")
    with pytest.raises(WampyError):
        caller.rpc.odd.leave()
    code, _, errors = process.end()
    assert (code, complaints(errors)) == (0, [])


def test_an_application_may_end_the_process(wampy, crossbar):
    code, out, errors = wampy("run", "shop:Shop", "shop:ExitsInStart", "--url", crossbar.url).end()
    assert (code, complaints(errors)) == (7, [])
    assert "left: wamp.close." in out
    assert "left early: wamp.close." in out


def has_ended(child):
    try:
        return child.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # in a program patched by gevent a child's end is asked for at once
        return True


def test_a_forked_child_takes_its_signals_for_itself(running, caller):
    process = running("shop:Odd")
    child = psutil.Process(caller.rpc.odd.fork())
    time.sleep(0.3)
    child.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 5.0
    while not has_ended(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert has_ended(child)
    assert process.popen.poll() is None
    code, _, errors = process.end(signal.SIGINT)
    assert (code, len(complaints(errors))) == (0, 1)


# A stop that hangs.


def test_ctrl_c_while_it_starts(wampy, crossbar):
    process = wampy("run", "shop:HangsInStart", "--url", crossbar.url).wait_for("starting")
    started = time.monotonic()
    code, _, errors = process.end(signal.SIGINT)
    assert time.monotonic() - started < BUSY
    assert code == 0
    assert len(complaints(errors)) == 1


def end_twice(process, first_seen):
    process.popen.send_signal(signal.SIGINT)
    process.popen.send_signal(signal.SIGINT)  # what a parent passes on a moment later is no second one
    first_seen()
    time.sleep(0.5)
    assert process.popen.poll() is None
    started = time.monotonic()
    code, _, errors = process.end(signal.SIGINT)
    assert time.monotonic() - started < BUSY
    assert code == 130
    assert complaints(errors)[-1] == "wampy run: ended without saying goodbye"


def test_a_second_ctrl_c_ends_a_stop_that_hangs(running):
    process = running("shop:HangsInStop")
    end_twice(process, lambda: process.wait_for("hanging"))


def test_a_second_ctrl_c_ends_a_program_that_computes_for_ever(running, caller, green):
    process = running("shop:Odd", "--drain", "0")
    caller.rpc.odd.spin.call_async()
    green.sleep(0.3)
    if not green.os_threads:
        end_twice(process, lambda: None)
        return
    # There it is a thread of its own that computes, and the first one stops it like any other.
    started = time.monotonic()
    code, _, errors = process.end(signal.SIGINT)
    assert time.monotonic() - started < BUSY
    assert (code, len(complaints(errors))) == (0, 1)


def test_a_stop_that_fails(running):
    code, out, errors = running("shop:FailsInStop", "shop:Shop").end(signal.SIGINT)
    assert code == 1
    assert complaints(errors)[1:] == [
        f"wampy run: FailsInStop failed to stop: KeyError: 'stop' ({place('stop')})"
    ]
    assert "left: wamp.close." in out


# What cannot be run.


def refused(process, text):
    code, out, errors = process.end()
    assert (code, out) == (2, "")
    (complaint,) = complaints(errors)
    assert complaint.startswith("wampy run: ")
    assert text in complaint


@pytest.mark.parametrize(
    ("application", "text"),
    [
        ("shop", "'shop' is no MODULE:CLASS; try shop:CLASS"),
        ("shops:Shop", "there is no module 'shops'"),
        ("shop:Shopp", "module 'shop' has no class 'Shopp'; it has Shop, Till, Second,"),
        ("shop:NoClient", "'shop:NoClient' is no subclass of wampy.Client"),
        ("shop:Chosen", "Chosen(url=..., realm=...) failed: TypeError"),
        ("shop:FailsInStart", f"KeyError: 'start' ({place('start')})"),
        ("broken:Shop", "SyntaxError: '(' was never closed (broken.py, line 1)"),
        ("needy:Shop", "ModuleNotFoundError: No module named 'numpyy' (needy.py, line 1)"),
    ],
)
def test_a_wrong_application(wampy, folder, crossbar, application, text):
    (folder / "broken.py").write_text("x = (\n")
    (folder / "needy.py").write_text("import numpyy\n")
    refused(wampy("run", application, "--url", crossbar.url), text)


def test_a_constructor_that_forgets_its_base_class(wampy, folder, crossbar):
    forgets = "from wampy import Client\nclass Forgets(Client):\n    def __init__(self, url, realm):\n        pass\n"
    (folder / "forgets.py").write_text(forgets)
    refused(wampy("run", "forgets:Forgets", "--url", crossbar.url), "Forgets.__init__ does not call super().__init__")


def test_a_wrong_realm(wampy, crossbar):
    refused(
        wampy("run", "shop:Idle", "--url", crossbar.url, "--realm", "nowhere"), "wamp.error.no_such_realm"
    )
    refused(wampy("run", "shop:Idle", "--url", crossbar.url, "--realm", ""), "realm is a non-empty str")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("localhost:8080", "the URL 'localhost:8080': it has no scheme"),
        ("http://localhost/", "unknown scheme http://"),
        ("ws://127.0.0.1:1/", "cannot connect to ws://127.0.0.1:1/"),
    ],
)
def test_a_wrong_url(wampy, url, text):
    refused(wampy("run", "shop:Idle", "--url", url), text)


def test_a_configuration_that_is_not_there(wampy):
    refused(wampy("run", "shop:Idle", "--config", "none.json"), "none.json cannot be read: No such file")


def test_a_registration_that_is_refused_stops_the_others(wampy, crossbar, caller):
    process = wampy("run", "shop:Shop", "shop:Second", "--url", crossbar.url)
    code, out, errors = process.end()
    assert code == 2
    assert out.count("is running") == 1
    assert "left: wamp.close." in out
    (complaint,) = complaints(errors)
    assert "Second cannot be started at" in complaint
    assert "wamp.error.procedure_already_exists for shop.price" in complaint
    with pytest.raises(WampyError, match="no_such_procedure"):
        caller.rpc.shop.price("fig")


def test_the_router_comes_back_without_the_realm(wampy, tmp_path):
    with Crossbar() as mortal:
        process = wampy("run", "shop:Idle", "shop:Shop", "--url", mortal.url).wait_for("is running", 2)
        mortal.kill()
        # Another one at the same place, without the realm: there is no coming back.
        configuration = json.loads((CONFIGS / "crossbar.json").read_text().replace("realm1", "realm2"))
        (worker,) = configuration["workers"]
        (transport,) = worker["transports"]
        transport["endpoint"]["port"] = mortal.port
        (tmp_path / "config.json").write_text(json.dumps(configuration))
        with Crossbar(config_path=tmp_path / "config.json"):
            code, _, errors = process.end()
    assert code == 1
    (complaint,) = complaints(errors)
    assert re.match(
        r"wampy run: (Idle|Shop) has lost ws://.* in realm 'realm1': .* aborted .* wamp\.error\.no_such_realm",
        complaint,
    )


def test_the_router_ends_the_session(running, caller, green):
    before = set(caller.call("wamp.session.list"))
    process = running("shop:Shop")
    (session,) = set(caller.call("wamp.session.list")) - before
    caller.call("wamp.session.kill", session)
    green.wait_until(lambda: len(set(caller.call("wamp.session.list")) - before - {session}) == 1)
    green.wait_until(lambda: caller.call("wamp.registration.lookup", "shop.price") is not None)
    code, _, errors = process.end(signal.SIGINT)
    assert code == 0
    assert complaints(errors) == ["wampy run: SIGINT, stopping; once more ends it at once"]


# The demonstration.


def check_transcript(out):
    assert out.isascii()
    assert max(map(len, out.splitlines())) <= 100
    times = re.findall(r"^ *\d+\. .{70,} ([\d,]+\.\d) ms$", out, re.MULTILINE)
    assert len(times) == len(re.findall(r"^ *\d+\. ", out, re.MULTILINE)) >= 7
    for text in ("add(2, 3) returned 5", "the service heard", "100 calls at once", "ZeroDivisionError"):
        assert text in out
    assert out.endswith("All of it worked, and nothing is left running.\n")


def test_the_demonstration_with_a_router_of_its_own(wampy, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = wampy("demo", TMPDIR=str(temporary)).wait_for("calls a procedure")
    children = psutil.Process(process.popen.pid).children(recursive=True)
    assert children
    code, out, errors = process.end()
    assert (code, errors) == (0, "")
    assert "Start a router" in out
    check_transcript(out)
    assert list(temporary.iterdir()) == []
    assert not any(child.is_running() for child in children)


def test_the_demonstration_at_a_router(wampy, crossbar, caller):
    before = caller.call("wamp.session.count")
    code, out, errors = wampy(
        "demo", "--url", crossbar.url, PYTHONIOENCODING="ascii", PYTHONWARNINGS="error"
    ).end()
    assert (code, errors) == (0, "")
    assert "Start a router" not in out
    check_transcript(out)
    assert caller.call("wamp.session.count") == before


def test_ctrl_c_in_the_demonstration(wampy, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = wampy("demo", TMPDIR=str(temporary)).wait_for("Start a router")
    time.sleep(0.5)
    code, out, errors = process.end(signal.SIGINT)
    assert (code, errors) == (130, "")
    assert out.endswith(" broken off\n")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--url", "ws://127.0.0.1:1/"], "cannot connect to ws://127.0.0.1:1/"),
        (["--realm", "nowhere"], "wamp.error.no_such_realm"),
    ],
)
def test_a_demonstration_that_fails(wampy, crossbar, arguments, text):
    url = [] if "--url" in arguments else ["--url", crossbar.url]
    code, out, errors = wampy("demo", *arguments, *url).end()
    assert code == 1
    assert out.endswith(" failed\n")
    (complaint,) = errors.splitlines()
    assert complaint.startswith("wampy demo: it failed: ")
    assert text in complaint


def test_two_demonstrations_do_not_mix(wampy, crossbar):
    with Client(crossbar.url) as other:
        other.session.register("com.example.demo.add", lambda a, b: 6)
        code, _, errors = wampy("demo", "--url", crossbar.url).end()
    assert code == 1
    assert "com.example.demo.add" in errors


def test_nobody_reads_the_transcript(wampy, crossbar):
    process = wampy("demo", "--url", crossbar.url)
    process.popen.stdout.close()
    assert process.popen.wait(PATIENCE) == 1
    assert process.popen.stderr.read() == b""
    process.popen.stderr.close()
    process.popen.stdout = process.popen.stderr = None


def test_crossbar_is_missing(wampy):
    code, out, errors = wampy("demo", WAMPY_CROSSBAR="/nowhere/crossbar").end()
    assert (code, out) == (2, "")
    assert errors == "wampy demo: WAMPY_CROSSBAR is set to '/nowhere/crossbar', which is no executable file\n"
