"""Every program and configuration in the documentation does what it should; the README's transcript is true."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from wampy import Client
from wampy.errors import HandshakeError
from wampy.peers._configuration import CONFIGS, KEYS
from wampy.peers._probe import why_not_joinable
from wampy.peers.routers import Crossbar

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
HOWTO = ROOT / "docs" / "howto"
SECONDS = 60

# The programs that run by themselves, against a router in which everybody may do everything.
OUTPUTS = {
    "events.py": """
        com.example.weather.today: 31 degrees in Rome
        the router gave it an id: True
        com.example.weather.tomorrow: 12 degrees in Oslo
    """,
    "many_calls.py": """
        the sum is 328350
        faster than one after another: True
    """,
    "nested_calls.py": """
        the basket costs 7
    """,
    "errors.py": """
        out of stock: apples {'left': 0}
        com.example.closed ('we open at nine',)
        wamp.error.runtime_error ValueError
        not there: com.example.nobody
        no answer to the call of com.example.sleep within 0.2 seconds
    """,
    "full_control.py": """
        2 + 3 = 5
        no longer there
        event: (1, 2) {'three': 3}
    """,
    "details.py": """
        com.example.files.read
        the caller is known: True
    """,
    "hooks.py": """
        joined realm1
        others are there: True
        left: wamp.close.normal
        disconnected: None
    """,
    "own_handler.py": """
        ticks: [0, 1, 2]
        events: 3
    """,
    "reconnecting.py": """
        joined
        lost: the session is closed: wamp.close.normal
        attempt 1
        joined
        Hello, again!
        left
    """,
    "several_routers.py": """
        the second is there: True
        cannot connect to ws://127.0.0.1:9/: 127.0.0.1 port 9: Connection refused. Is a router running there?
        cannot connect to rs+unix:///nowhere.sock: /nowhere.sock: No such file or directory. Is a router running there?
    """,
    "serializers.py": """
        spoken: msgpack
        {'number': '00000000-0000-0000-0000-000000000001', 'placed': '2026-11-24T09:30:00+00:00', 'items': ['apples']}
    """,
    "asyncio_together.py": """
        31 degrees in Rome, sun in Oslo, 31 degrees in Paris
        all at once: True
        threads: 1
    """,
    "asyncio_threads.py": """
        31 degrees in Rome, sun in Oslo, 31 degrees in Paris
        all at once: True
    """,
    "telemetry.py": """
        client: com.example.order
          server: com.example.order
            producer: publish com.example.ordered
              consumer: process com.example.ordered wamp.error.runtime_error
                client: com.example.stock.take wamp.error.runtime_error
                  server: com.example.stock.take wamp.error.runtime_error
    """,
    "threads.py": """
        the sum is 328350
        it is there: True 144
    """,
    "patched.py": """
        {'slept'}
        all at once: True
    """,
}
# The others, each with a test of its own.
PARTICULAR = {"authentication.py", "authentication_env.py", "call.py", "router.py", "service.py", "tls.py"}
PARTICULAR |= {"test_greeter.py"}
# Those that tests/integration/test_web_programs.py runs.
PARTICULAR |= {"web_client.py", "flask_app.py", "django_app.py", "gunicorn_conf.py"}


@pytest.fixture(scope="module")
def open_router():
    with Crossbar() as router:
        yield router


@pytest.fixture(scope="module")
def strict_router():
    with Crossbar(config_path=CONFIGS / "crossbar.auth.json") as router:
        yield router


@pytest.fixture(scope="module")
def tls_router():
    with Crossbar(config_path=CONFIGS / "crossbar.tls.json") as router:
        yield router


def environment(**more):
    """Return an environment with wampy importable, and without what somebody's own shell says to wampy."""
    env = {name: value for name, value in os.environ.items() if name not in ("WAMPYSECRET", "WAMPY_REALM")}
    path = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    return {**env, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}


def run(*args, folder=EXAMPLES, **more):
    done = subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


# A shell starts what runs in the background with SIGINT ignored, and that is inherited.
LET_CTRL_C_THROUGH = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@contextmanager
def running(*args, **more):
    """Start a program that goes on until it is told to end; give it when it has printed a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", LET_CTRL_C_THROUGH, *map(str, args)],
        cwd=EXAMPLES,
        env=environment(**more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    too_late = threading.Timer(SECONDS, process.kill)
    too_late.start()
    try:
        process.first_line = process.stdout.readline()
        assert process.first_line, process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()
        too_late.cancel()
        too_late.join()


def test_every_example_is_run_here():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(OUTPUTS) | PARTICULAR


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_it_prints_what_it_should(name, open_router, green):
    if green.backend.name != "eventlet" and re.search("^(import|from) eventlet", (EXAMPLES / name).read_text(), re.M):
        pytest.skip("it waits with eventlet's own sleep, queue or event, so it is a program for that backend")
    if green.os_threads and name == "patched.py":
        pytest.skip("there is nothing to patch, and configure_async() says so: tests/integration/test_patched.py")
    if name == "telemetry.py":
        pytest.importorskip("opentelemetry.sdk", reason="it needs wampy[otel] and OpenTelemetry's SDK")
    assert lines(run(name, WAMPY_URL=open_router.url)) == lines(OUTPUTS[name])


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("errors", "errors.py"),
        ("connecting", "several_routers.py"),
        ("serializers", "serializers.py"),
        ("observability", "telemetry.py"),
    ],
)
def test_what_a_page_says_that_its_example_prints(page, name):
    text = (HOWTO / f"{page}.rst").read_text()
    printed = re.search(r"^It prints::\n\n((?: {4}.*\n|\n)+)", text, re.MULTILINE)[1]
    assert lines(printed) == lines(OUTPUTS[name])


# Crossbar's configuration.


def snippets(page):
    text = (HOWTO / f"{page}.rst").read_text()
    blocks = re.findall(r"^\.\. code-block:: json\n\n((?: {3}.*\n|\n)+)", text, re.MULTILINE)
    return [json.loads(block) for block in blocks]


def urls_of(transport):
    """Say at which URLs a transport should be reached, going by the pages."""
    kind, endpoint = transport["type"], transport["endpoint"]
    secure = "s" if "tls" in endpoint else ""
    paths = transport.get("paths") or transport.get("web", {}).get("paths") or {"/": None}
    (path,) = (path.lstrip("/") for path in paths)
    if endpoint["type"] == "unix":
        websocket, rawsocket = f"ws+unix://{endpoint['path']}", f"rs+unix://{endpoint['path']}"
    else:
        place = f"localhost:{endpoint['port']}"
        websocket, rawsocket = f"ws{secure}://{place}/{path}", f"rs{secure}://{place}"
    return {"rawsocket": [rawsocket], "universal": [websocket, rawsocket]}.get(kind, [websocket])


def moved(transports, folder):
    """Put each at a port or file of its own."""
    for number, transport in enumerate(transports):
        endpoint = transport["endpoint"]
        if endpoint["type"] == "unix":
            endpoint["path"] = str(folder / f"{number}.sock")
        else:
            endpoint["port"] = 0  # Crossbar's start finds free ones, and others if somebody takes them meanwhile
        for name, value in endpoint.get("tls", {}).items():
            files = [str(folder / file) for file in ([value] if isinstance(value, str) else value)]
            endpoint["tls"][name] = files[0] if isinstance(value, str) else files


def test_the_pages_configurations_of_crossbar_work(tmp_path):
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, identity in (("server", "localhost"), ("client", "ann@example.com")):
        certificate = ca.issue_cert(identity)
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")

    transports = [*snippets("connecting"), *snippets("tls")]
    assert len(transports) == 9
    moved(transports, tmp_path)
    configuration = json.loads((CONFIGS / "crossbar.json").read_text())
    configuration["workers"][0]["transports"] = transports
    (tmp_path / "config.json").write_text(json.dumps(configuration))

    with Crossbar(config_path=tmp_path / "config.json") as router:
        (worker,) = router._configuration.content["workers"]
        urls = [url for transport in worker["transports"] for url in urls_of(transport)]
        assert {url.partition("://")[0] for url in urls} == {"ws", "rs", "rss", "ws+unix", "rs+unix"}
        for url in urls:
            with Client(url, ssl_context=context, compression="deflate") as client:
                assert client.session.realm == "realm1", url
        # The last one, on the page about TLS, is for clients with a certificate only.
        with pytest.raises(HandshakeError, match="certificate required"):
            Client(urls[-1], cert_path=tmp_path / "ca.pem").start()


def test_a_service_and_a_call(open_router):
    url = open_router.url
    with running("service.py", WAMPY_URL=url) as service:
        assert service.first_line == "serving com.example.greet, Ctrl-C ends it\n"
        assert lines(run("call.py", WAMPY_URL=url)) == ["Hello, Ada!", "Hello, Grace!"]
        service.send_signal(signal.SIGINT)
        _, complaint = service.communicate(timeout=SECONDS)
    assert service.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert complaint.rstrip().endswith("KeyboardInterrupt")


def test_wampy_run_runs_the_service(open_router):
    url = open_router.url
    with running("-m", "wampy", "run", "service:Greeter", WAMPY_URL=url) as service:
        assert service.first_line.replace(url, "ws://localhost:8080/") in (
            ROOT / "docs" / "howto" / "command_line.rst"
        ).read_text().replace("   ", "")
        assert lines(run("call.py", WAMPY_URL=url)) == ["Hello, Ada!", "Hello, Grace!"]
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=SECONDS)
    assert service.returncode == 0


def test_a_router_in_a_terminal_of_its_own():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/"
    with running("router.py", WAMPY_URL=url) as process:
        assert process.first_line == f"a router is ready at {url}, Enter stops it\n"
        assert why_not_joinable(url, "realm1", 5.0) is None
        process.communicate("\n", timeout=SECONDS)
    assert process.returncode == 0


def test_the_test_with_fixtures(tmp_path):
    for name in ("service.py", "test_greeter.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    plugin = ("-p", "wampy.testing.pytest_plugin", "-p", "no:cacheprovider")
    assert "2 passed" in run("-m", "pytest", "-q", *plugin, folder=tmp_path)


def test_authentication(strict_router):
    assert lines(run("authentication.py", WAMPY_URL=strict_router.url)) == [
        "tom is a member by ticket",
        "ann is a member by wampcra",
        "refused: wamp.error.not_authorized",
    ]


def test_authentication_with_the_environment(strict_router):
    url = strict_router.url
    output = run("authentication_env.py", WAMPY_URL=url, WAMPYSECRET="secret-of-ann")
    assert lines(output) == ["hello ann"]


def test_tls(tls_router):
    first, second = lines(run("tls.py", KEYS / "ca.pem", WAMPY_URL=tls_router.url))
    assert first == "the certificate is accepted"
    assert second.startswith(f"the certificate of {tls_router.url} is not accepted")


def without_figures(text):
    """Leave out of a transcript what differs from run to run: version, port and times."""
    text = re.sub(r" +[\d,.]+ ms$", "", text, flags=re.MULTILINE)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:…", text)
    return re.sub(r"^wampy \S+,", "wampy …,", text, flags=re.MULTILINE)


def test_the_readme_shows_what_the_demo_prints():
    readme = (ROOT / "README.md").read_text()
    (transcript,) = re.findall(r"^```text\n(.*?)\n```$", readme, re.DOTALL | re.MULTILINE)
    assert lines(without_figures(transcript)) == lines(without_figures(run("-m", "wampy", "demo")))
