"""The web applications of docs/howto/threads.rst, behind real servers and asked over real HTTP, fifty times at once."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from wampy import Client, subscribe
from wampy.errors import NoSuchProcedure

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PATIENCE = 30.0  # seconds
QUICK = 3.0  # seconds that a server may take to end, on a machine that others use too
AT_ONCE = 50
WORKERS = 2

FLASK = ("-m", "flask", "--app", "flask_app", "run", "--port", "0")
GUNICORN = ("-m", "gunicorn", "--config", str(EXAMPLES / "gunicorn_conf.py"), "--bind", "127.0.0.1:0")
DJANGO = ("django_app.py", "runserver", "--noreload", "127.0.0.1:0")
SERVERS = {
    "flask": FLASK,
    "flask-gunicorn": (*GUNICORN, "flask_app:app"),
    "flask-gunicorn-preload": (*GUNICORN, "--preload", "flask_app:app"),
    "django": DJANGO,
    "django-gunicorn": (*GUNICORN, "django_app:application"),
}

# The examples choose the backend themselves, so that it is not taken from this run's environment. And a shell starts
# what runs in the background with SIGINT ignored, which is inherited.
LET_CTRL_C_THROUGH = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Program:
    """A program in a process of its own, and what it has printed so far."""

    def __init__(self, command, folder, environment):
        self.process = subprocess.Popen(
            [sys.executable, "-c", LET_CTRL_C_THROUGH, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines = []
        self._news = threading.Condition()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self):
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._lines.append(None)
            self._news.notify_all()

    @property
    def output(self):
        return "".join(line for line in self._lines if line is not None)

    def wait_for(self, pattern, times=1):
        """Wait until a pattern has been printed that many times; return the last of them."""

        def there():
            found = list(re.finditer(pattern, self.output))
            return found[times - 1] if len(found) >= times else self._lines[-1:] == [None]

        with self._news:
            match = self._news.wait_for(there, PATIENCE)
        assert isinstance(match, re.Match), f"{pattern} was not printed:\n{self.output}"
        return match

    def end(self, signum=signal.SIGTERM):
        """Send a signal; return the exit code and how many seconds it took."""
        before = time.monotonic()
        self.process.send_signal(signum)
        code = self.process.wait(PATIENCE)
        return code, time.monotonic() - before

    def close(self):
        # Its children too: a server that is killed leaves its workers.
        family = [] if self.process.poll() is not None else psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for child in family:
            if child.is_running():
                child.kill()
        self._listener.join(PATIENCE)
        self.process.stdout.close()


class Server(Program):
    port = 0

    def ask(self, path, method="GET"):
        """Make a request; return the status and what the answer holds."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
            return response.status, json.loads(body) if body else None

    def ask_at_once(self, path, method="GET", number=AT_ONCE):
        """Make many requests that begin together, with their number in the path; return what the answers are."""
        barrier = threading.Barrier(number)

        def begin(each):
            barrier.wait(PATIENCE)
            return self.ask(path.format(each), method)

        with ThreadPoolExecutor(number) as pool:
            return list(pool.map(begin, range(number)))


@pytest.fixture
def start(wampy_router, tmp_path):
    """Start programs, which are ended with the test: ``start(Program or Server, command, folder=…, …)``."""
    started = []

    def begin(kind, command, folder=EXAMPLES, **more):
        left_out = ("WAMPY_ASYNC_NAME", "XDG_RUNTIME_DIR", "FLASK_DEBUG", "DJANGO_SETTINGS_MODULE", "GUNICORN_CMD_ARGS")
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        environment |= {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), str(EXAMPLES), os.environ.get("PYTHONPATH")])),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "WAMPY_URL": wampy_router.url,
            "HOME": str(tmp_path),  # for what gunicorn keeps there
        }
        program = kind(command, folder, environment | more)
        started.append(program)
        if kind is Server:
            program.port = int(program.wait_for(r"http://127\.0\.0\.1:(\d+)")[1])
        return program

    yield begin
    for program in reversed(started):
        program.close()


@pytest.fixture
def greeter(start):
    """The service that the applications call, as the quickstart has it."""
    service = start(Program, ("service.py",))
    service.wait_for("Ctrl-C ends it")
    return service


class Reader(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.headlines = []

    @subscribe(topic="com.example.news")
    def on_news(self, headline, **_):
        self.headlines.append(headline)


def processes(client, number):
    """Ask the callee of the application, which is registered by each of its processes, until so many have answered."""
    found = set()
    deadline = time.monotonic() + PATIENCE
    while len(found) < number and time.monotonic() < deadline:
        with suppress(NoSuchProcedure):  # not even one is ready
            found.add(client.call("com.example.web.process"))
    assert len(found) >= number
    return found


def is_served(client):
    try:
        client.call("com.example.web.process")
    except NoSuchProcedure:
        return False
    return True


def sessions(client):
    return set(client.call("wamp.session.list"))


@pytest.mark.parametrize("name", SERVERS)
def test_many_requests_at_once_and_each_gets_its_own_answer(name, start, greeter, join, green):
    reader = join(Reader)
    before = sessions(reader)
    server = start(Server, SERVERS[name])
    workers = WORKERS if "gunicorn" in name else 1
    # Django's server for development lets ten connections wait; what comes then is late by seconds.
    at_once = 10 if name == "django" else AT_ONCE

    answers = server.ask_at_once("/greet/number-{}", number=at_once)
    assert answers == [(200, {"greeting": f"Hello, number-{number}!"}) for number in range(at_once)]

    # Its callee answers while it serves, in each of its processes.
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(server.ask_at_once, "/greet/number-{}", number=at_once)
        pids = processes(reader, workers)
        assert {answer[0] for answer in asking.result(PATIENCE)} == {200}
    assert len(pids) == workers
    assert server.process.pid in pids if workers == 1 else server.process.pid not in pids
    # One client each, whoever came first.
    assert len(sessions(reader) - before) == workers

    # It publishes.
    assert {status for status, _ in server.ask_at_once("/news/number-{}", "POST", at_once)} == {204}
    green.wait_until(lambda: len(reader.headlines) == at_once)
    assert sorted(reader.headlines) == sorted(f"number-{number}" for number in range(at_once))

    # The servers for development have no handler for SIGTERM, and end by it.
    assert server.end()[0] == (0 if workers > 1 else -signal.SIGTERM)
    green.wait_until(lambda: sessions(reader) <= before)
    assert not is_served(reader)
    assert "Traceback" not in server.output


def test_workers_of_gevent(start, greeter, join, green, tmp_path):
    client = join()
    before = sessions(client)
    choose(tmp_path, 'wampy.configure_backend("gevent")\n')
    server = start(Server, (*GUNICORN, "--worker-class", "gevent", "flask_app:app"), tmp_path, PYTHONPATH=str(ROOT))
    answers = server.ask_at_once("/greet/number-{}")
    assert answers == [(200, {"greeting": f"Hello, number-{number}!"}) for number in range(AT_ONCE)]
    assert len(processes(client, WORKERS)) == WORKERS
    assert server.end()[0] == 0
    green.wait_until(lambda: sessions(client) <= before)
    assert "Traceback" not in server.output


def choose(folder, backend):
    """Copy the Flask application with another choice of the backend."""
    chosen = 'wampy.configure_backend("threading")\n'
    text = (EXAMPLES / "web_client.py").read_text()
    assert chosen in text
    (folder / "web_client.py").write_text(text.replace(chosen, backend))
    (folder / "flask_app.py").write_text((EXAMPLES / "flask_app.py").read_text())


# How it ends.

SAYS_GOODBYE = """
import os
from web_client import Web

def on_leave(self, reason):
    os.write(1, f"left: {reason}\\n".encode())  # in one piece: two processes print

def on_disconnect(self, error):
    os.write(1, f"disconnected: {error}\\n".encode())

Web.on_leave, Web.on_disconnect = on_leave, on_disconnect
"""


def start_with(start, folder, code, name, *options):
    """Start an application that runs code of the test's first."""
    command = SERVERS[name]
    module, _, application = command[-1].rpartition(":")
    run = {
        "flask": "from flask_app import app",
        "django": "import django_app\ndjango_app.execute_from_command_line()",
    }.get(name, f"from {module} import {application}")
    (folder / "with_test.py").write_text(f"{code}\n{run}\n")
    command = {
        "flask": ("-m", "flask", "--app", "with_test", *FLASK[4:]),
        "django": ("with_test.py", *DJANGO[1:]),
    }.get(name, (*command[:-1], *options, f"with_test:{application}"))
    return start(Server, command, folder)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once(name, signum, start, greeter, join, green, tmp_path):
    client = join()
    before = sessions(client)
    server = start_with(start, tmp_path, SAYS_GOODBYE, name)
    assert server.ask("/greet/Ada") == (200, {"greeting": "Hello, Ada!"})
    processes(client, WORKERS if "gunicorn" in name else 1)  # gunicorn says nothing when a worker is ready
    theirs = sessions(client) - before

    code, seconds = server.end(signum)
    assert seconds < QUICK
    green.wait_until(lambda: not theirs & sessions(client))
    server.close()
    stopped = server.output.count("left: wamp.close.normal"), server.output.count("disconnected: None")
    if "gunicorn" in name:
        assert (code, stopped) == (0, (WORKERS, WORKERS)), server.output
    elif signum == signal.SIGINT:
        assert (code, stopped) == (0, (1, 1)), server.output
    else:
        # The servers for development leave SIGTERM to the system, which runs no Python any more.
        assert (code, stopped) == (-signal.SIGTERM, (0, 0)), server.output
    assert "Traceback" not in server.output


SLOW = """
import time
from wampy import Client, callee

class Slow(Client):
    @callee(procedure="com.example.greet")
    def greet(self, name):
        print("asked", flush=True)
        time.sleep(60)

with Slow() as slow:
    print("serving", flush=True)
    slow.wait()
"""


def test_a_worker_that_is_told_to_end_does_not_wait_for_an_answer(start, wampy_router, tmp_path):
    (tmp_path / "slow.py").write_text(SLOW.replace("Slow()", f"Slow({wampy_router.url!r})"))
    slow = start(Program, ("slow.py",), tmp_path, WAMPY_ASYNC_NAME="threading")
    slow.wait_for("serving")
    server = start(Server, (*GUNICORN, "--workers", "1", "--graceful-timeout", "1", "flask_app:app"))
    pid = int(server.wait_for(r"Booting worker with pid: (\d+)")[1])
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(server.ask, "/greet/Ada")
        slow.wait_for("asked")
        before = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        server.wait_for("Booting worker", times=2)
        assert time.monotonic() - before < 1 + QUICK
        # Gunicorn has closed the connection at its own time-out, or passed the view's answer on.
        with suppress(http.client.HTTPException, ConnectionError):
            assert asking.result(PATIENCE)[0] == 503
    assert server.end()[0] == 0


# What goes wrong.


@pytest.mark.parametrize("name", ["flask", "django-gunicorn"])
def test_an_error_of_the_router_becomes_an_answer(name, start):
    server = start(Server, SERVERS[name])
    answers = server.ask_at_once("/greet/Ada")
    assert answers == [(502, {"error": "wamp.error.no_such_procedure"})] * AT_ONCE


@pytest.mark.parametrize("name", ["flask", "django"])
def test_without_a_router_that_is_the_answer(name, start):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"ws://127.0.0.1:{free.getsockname()[1]}/"
    server = start(Server, SERVERS[name], WAMPY_URL=url)
    for status, answer in server.ask_at_once("/greet/Ada", number=10):
        assert (status, "Is a router running there?" in answer["error"]) == (503, True)


def test_gunicorn_does_not_come_up_without_a_router(start):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"ws://127.0.0.1:{free.getsockname()[1]}/"
    # One worker: the failure of a second one strikes gunicorn 27 while it halts for the first.
    server = start(Server, (*GUNICORN, "--workers", "1", "flask_app:app"), WAMPY_URL=url)
    assert server.process.wait(PATIENCE) == 3
    server.wait_for("Is a router running there?")


@pytest.mark.parametrize("name", ["flask", "django-gunicorn"])
def test_a_session_that_is_lost_is_followed_by_another(name, start, greeter, join, green):
    client = join()
    before = sessions(client)
    server = start(Server, SERVERS[name])
    assert server.ask("/greet/Ada")[0] == 200
    processes(client, WORKERS if "gunicorn" in name else 1)  # so that none joins later
    for _ in range(2):
        assert {status for status, _ in server.ask_at_once("/greet/Ada")} == {200}
        killed = sessions(client) - before
        for session in killed:
            client.call("wamp.session.kill", session, reason="com.example.restart")
        green.wait_until(lambda: len(sessions(client) - before - killed) == len(killed))  # noqa: B023


STARTED_BEFORE_THE_FORK = """
from web_client import started
started()
"""


def test_a_client_that_was_started_before_the_fork(start, greeter, tmp_path):
    server = start_with(start, tmp_path, STARTED_BEFORE_THE_FORK, "flask-gunicorn-preload")
    for status, answer in server.ask_at_once("/greet/Ada", number=10):
        assert status == 503
        assert "this client was started before os.fork()" in answer["error"]
    code, seconds = server.end()
    assert (code, seconds < QUICK) == (0, True)


def test_the_default_backend_tells_the_way_out(start, greeter, tmp_path):
    choose(tmp_path, "")
    server = start(Server, FLASK, tmp_path, PYTHONPATH=str(ROOT))
    assert server.ask("/greet/Ada") == (200, {"greeting": "Hello, Ada!"})
    for status, answer in server.ask_at_once("/greet/Ada", number=10):
        assert status == 503
        assert "this client belongs to another OS thread" in answer["error"]
        assert 'wampy.configure_backend("threading")' in answer["error"]


# What serves nobody.


@pytest.mark.parametrize(
    ("application", "command"),
    [
        ("flask_app.py", ("-m", "flask", "--app", "flask_app", "run", "--debug", "--port", "0")),
        ("django_app.py", ("django_app.py", "runserver", "127.0.0.1:0")),
    ],
)
def test_with_a_reloader_only_the_process_that_serves_joins(
    application, command, start, greeter, join, green, tmp_path
):
    client = join()
    before = sessions(client)
    for name in ("web_client.py", application):
        (tmp_path / name).write_text((EXAMPLES / name).read_text())
    server = start(Server, command, tmp_path, PYTHONPATH=str(ROOT))
    changed = tmp_path / application
    pids = set()
    for key in ("greeting", "changed"):
        if key == "changed":
            changed.write_text(changed.read_text().replace('"greeting"', '"changed"'))
            # Again and again: a change before a reloader has first looked at the file is none to it.
            green.wait_until(lambda: os.utime(changed) or not sessions(client) - before)
            if application == "django_app.py":  # a port of its own again, while Flask hands its socket on
                server.port = int(server.wait_for(r"http://127\.0\.0\.1:(\d+)", times=2)[1])
        assert server.ask("/greet/Ada") == (200, {key: "Hello, Ada!"})
        assert len(sessions(client) - before) == 1
        pids |= processes(client, 1)
    assert len(pids) == 2
    assert server.process.pid not in pids
    assert server.end()[1] < QUICK
    green.wait_until(lambda: not sessions(client) - before)


def test_a_management_command_of_django_does_not_connect(start):
    with socket.create_server(("127.0.0.1", 0)) as router:
        router.settimeout(0.0)
        url = f"ws://127.0.0.1:{router.getsockname()[1]}/"
        command = start(Program, ("django_app.py", "check"), WAMPY_URL=url)
        assert command.process.wait(PATIENCE) == 0
        command.wait_for("no issues")
        with pytest.raises(BlockingIOError):
            router.accept()
