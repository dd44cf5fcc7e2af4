"""`Crossbar` with a real Crossbar: ready when it says so, and nothing left behind, whatever happens."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from wampy.errors import WampyError
from wampy.peers._probe import is_answering, why_not_joinable
from wampy.peers.routers import Crossbar
from wampy.testing._routers import Routers, _is_alive

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "wampy" / "testing" / "configs"
KEYS = ROOT / "wampy" / "testing" / "keys"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Have temporary folders made here, where nothing else is, and look at the end whether they are gone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == [], "left behind"


class RawClient:
    """A WAMP client of a dozen lines that shares nothing with wampy."""

    def __init__(self, url):
        address = urlsplit(url)
        self.core = ClientProtocol(parse_uri(url), subprotocols=["wamp.2.json"], max_size=None)
        self.sock = socket.create_connection((address.hostname, address.port), 10)
        if address.scheme == "wss":
            context = ssl.create_default_context(cafile=KEYS / "ca.pem")
            self.sock = context.wrap_socket(self.sock, server_hostname=address.hostname)
        self.core.send_request(self.core.connect())
        self.read()
        assert self.core.subprotocol == "wamp.2.json", self.core.handshake_exc

    def read(self):
        self.write()
        data = self.sock.recv(1 << 20)
        assert data, "the router has closed the connection"
        self.core.receive_data(data)
        return self.core.events_received()

    def write(self):
        for piece in self.core.data_to_send():
            self.sock.sendall(piece)

    def ask(self, message):
        self.core.send_text(json.dumps(message).encode())
        frames = []
        while not (frames and frames[-1].fin):
            frames += self.read()
        return json.loads(b"".join(bytes(frame.data) for frame in frames))

    def join(self, realm, **details):
        return self.ask([1, realm, {"roles": {"caller": {}}} | details])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def group_members(group):
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def refused(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def write_config(path, port=0, **transport):
    content = json.loads((CONFIGS / "crossbar.json").read_text())
    (worker,) = content["workers"]
    worker["transports"] = [
        {"type": "websocket", "endpoint": {"type": "tcp", "interface": "127.0.0.1", "port": port}} | transport
    ]
    path.write_text(json.dumps(content))
    return path


def test_a_session_can_be_joined_as_soon_as_it_is_started_and_nothing_is_left_when_it_is_stopped(folder):
    router = Crossbar()
    assert router.start() is router
    group, guardian = router.pid, psutil.Process(router.pid).parent()
    try:
        assert router.url == f"ws://127.0.0.1:{router.port}/"
        assert len(group_members(group)) == 2  # Crossbar's controller and its one worker
        with RawClient(router.url) as client:
            welcome = client.join(router.realm)
            assert welcome[0] == 2
            assert welcome[2]["realm"] == "realm1"
            with pytest.raises(WampyError, match=f"was started already and runs at {router.url}"):
                router.start()
        assert len(list(folder.iterdir())) == 1
        assert "Booting" in router.log
    finally:
        router.stop()
    assert group_members(group) == []
    assert not guardian.is_running()
    assert list(folder.iterdir()) == []
    assert refused(router.port)
    assert router.pid is None
    assert router.log == ""
    router.stop()


def test_it_comes_back_where_it_was_after_a_kill():
    router = Crossbar()
    router.start()
    try:
        url, group = router.url, router.pid
        with RawClient(url) as client:
            assert client.join("realm1")[0] == 2
            started = time.monotonic()
            router.kill()
            assert time.monotonic() - started < 1.0
            client.sock.settimeout(1.0)
            with contextlib.suppress(ConnectionResetError):
                assert client.sock.recv(1) == b""
        assert group_members(group) == []
        router.start()
        assert router.url == url
        with RawClient(url) as client:
            assert client.join("realm1")[0] == 2
    finally:
        router.stop()


def test_one_that_dies_by_itself_is_noticed_and_can_be_started_again(folder):
    with Crossbar() as router:
        group = router.pid
        os.kill(group, signal.SIGKILL)
        assert wait_until(lambda: router.pid is None, 5)
        assert group_members(group) == []
        assert list(folder.iterdir()) == []
        router.start()
        with RawClient(router.url) as client:
            assert client.join("realm1")[0] == 2


def test_the_packaged_configuration_allows_patterns_and_discloses():
    with Crossbar() as router, RawClient(router.url) as client:
        features = {"caller_identification": True, "pattern_based_registration": True}
        client.join("realm1", roles={"caller": {"features": features}, "callee": {"features": features}})
        assert client.ask([64, 1, {"match": "prefix"}, "com.example"])[0] == 65
        invocation = client.ask([48, 2, {}, "com.example.deep", ["x" * 16_000_000]])
        assert invocation[0] == 68
        assert invocation[3]["procedure"] == "com.example.deep"
        assert isinstance(invocation[3]["caller"], int)
        assert len(invocation[4][0]) == 16_000_000


def test_the_packaged_configuration_for_tls():
    with Crossbar(config_path=CONFIGS / "crossbar.tls.json") as router:
        assert router.url == f"wss://localhost:{router.port}/"
        with RawClient(router.url) as client:
            assert client.join("realm1")[0] == 2


def test_the_packaged_configuration_for_authentication():
    with Crossbar(config_path=CONFIGS / "crossbar.auth.json") as router:
        assert router.url == f"ws://127.0.0.1:{router.port}/ws"
        with RawClient(router.url) as client:
            reply = client.join("realm1", authmethods=["ticket"], authid="tom")
            assert reply[:2] == [4, "ticket"]
            assert client.ask([5, "ticket-of-tom", {}])[2]["authrole"] == "member"
        with RawClient(router.url) as client:
            reply = client.join("realm1", authmethods=["wampcra"], authid="sam")
            assert reply[:2] == [4, "wampcra"]
            assert {"challenge", "salt", "iterations", "keylen"} == set(reply[2])
        with RawClient(router.url) as client:
            assert client.join("realm1")[2] == "wamp.error.no_auth_method"
        with RawClient(f"ws://127.0.0.1:{router.port}/anonymous") as client:
            assert client.join("realm1")[2]["authrole"] == "guest"


def test_two_configurations_in_one_folder_of_the_users(tmp_path):
    node = tmp_path / "node"
    node.mkdir()
    one = write_config(node / "one.json")
    two = write_config(node / "two.json", url="ws://localhost:1")
    before = one.read_text()
    with Crossbar(config_path=one) as first, Crossbar(config_path=two) as second:
        assert first.url != second.url
        for router in (first, second):
            with RawClient(router.url) as client:
                assert client.join("realm1")[0] == 2
    assert sorted(path.name for path in node.iterdir()) == ["one.json", "two.json"]
    assert one.read_text() == before


def test_what_was_in_the_node_folder_before_stays(tmp_path):
    node = tmp_path / "node"
    node.mkdir()
    config = write_config(tmp_path / "config.json")
    with Crossbar(config_path=config, crossbar_directory=node):
        assert {path.name for path in node.iterdir()} == {"key.priv", "key.pub"}
        keys = {path.name: path.read_bytes() for path in node.iterdir()}
    assert list(node.iterdir()) == []
    for name, content in keys.items():
        (node / name).write_bytes(content)
    with Crossbar(config_path=config, crossbar_directory=node):
        pass
    assert {path.name: path.read_bytes() for path in node.iterdir()} == keys


def test_the_url_gives_the_free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with Crossbar(url=f"ws://localhost:{port}/") as router, RawClient(router.url) as client:
        assert router.port == port
        assert client.join("realm1")[0] == 2


# Any URL that a client knows.


def write_transports(path, *transports):
    content = json.loads((CONFIGS / "crossbar.json").read_text())
    content["workers"][0]["transports"] = [
        {"type": kind, "endpoint": endpoint, "serializers": list(serializers)}
        for kind, endpoint, *serializers in transports
    ]
    path.write_text(json.dumps(content))
    return path


def tcp(port=0, **more):
    return {"type": "tcp", "interface": "127.0.0.1", "port": port, **more}


def test_it_is_reached_by_a_unix_socket_and_comes_back_there_after_a_kill(tmp_path):
    path = write_transports(
        tmp_path / "config.json",
        ("websocket", tcp(), "json"),
        ("rawsocket", {"type": "unix", "path": "sock"}, "json"),
    )
    url = f"rs+unix://{tmp_path}/sock"
    with Crossbar(url=url, config_path=path) as router:
        assert router.url == url
        with pytest.raises(WampyError, match="Unix socket, which has no port"):
            _ = router.port
        with pytest.raises(WampyError, match=f"somebody listens at {tmp_path}/sock already"):
            Crossbar(url=url, config_path=path).start()
        assert is_answering(url, 5.0)
        router.kill()
        assert (tmp_path / "sock").exists()
        assert not is_answering(url, 5.0)
        router.start()
        assert why_not_joinable(url, "realm1", 5.0) is None


def test_the_url_gives_the_free_port_of_the_transport_that_it_fits_and_a_router_without_json_is_ready(tmp_path):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    tls = {"certificate": str(KEYS / "server.pem"), "key": str(KEYS / "server.key")}
    path = write_transports(
        tmp_path / "config.json",
        ("websocket", tcp(), "json"),
        ("rawsocket", tcp(), "json"),
        ("rawsocket", tcp(tls=tls), "cbor"),
    )
    with Crossbar(url=f"rss://localhost:{port}", config_path=path) as router:
        assert router.port == port
        assert is_answering(router.url, 5.0)
        # A port that speaks TLS, and nothing else, is not alive for those who ask without it.
        assert not is_answering(f"ws://localhost:{port}/", 5.0)
        assert not is_answering(f"rs://localhost:{port}", 0.5)  # it waits for more than four octets
        assert "timed out" in why_not_joinable(f"rs://localhost:{port}", "realm1", 0.5)


def test_the_plugin_s_routers_are_looked_at_by_any_url(tmp_path):
    path = write_transports(tmp_path / "config.json", ("rawsocket", {"type": "unix", "path": "sock"}, "json"))
    other = write_transports(tmp_path / "other.json", ("websocket", {"type": "unix", "path": "sock"}, "json"))
    routers = Routers()
    try:
        url = f"rs+unix://{tmp_path}/sock"
        router = routers.get(path, url)
        assert routers.get(path, url) is router
        # Two at one socket cannot be: the one that is asked for is.
        following = routers.get(other, f"ws+unix://{tmp_path}/sock")
        assert router.pid is None
        assert routers.get(other, following.url) is following
        assert _is_alive(following)
        os.killpg(following.pid, signal.SIGKILL)
        assert wait_until(lambda: not _is_alive(following), 5)
    finally:
        routers.stop()


def test_a_start_that_fails_shows_the_log(tmp_path):
    node = tmp_path / "node"
    node.mkdir()
    config = write_config(node / "config.json", paths={})
    started = time.monotonic()
    with pytest.raises(WampyError) as caught:
        Crossbar(config_path=config).start()
    assert time.monotonic() - started < 30
    assert "encountered unknown attribute 'paths' in WebSocket transport configuration" in str(caught.value)
    assert "Crossbar did not start: it ended with exit code 1" in str(caught.value)
    assert [path.name for path in node.iterdir()] == ["config.json"]


def test_a_start_that_takes_too_long_says_what_is_in_the_way(tmp_path):
    config = write_config(tmp_path / "config.json")
    router = Crossbar(config_path=config, start_timeout=0.0)
    with pytest.raises(WampyError, match=r"after 0 seconds no session can be joined at .*ConnectionRefused"):
        router.start()
    assert router.pid is None


def test_a_realm_that_is_not_there_is_not_ready():
    with Crossbar() as router:
        assert why_not_joinable(router.url, "realm1", 5.0) is None
        assert why_not_joinable(router.url, "realm2", 5.0) == "there is no realm 'realm2' (yet)"


def test_a_guardian_that_is_killed_takes_nothing_with_it_that_stop_would_not_end(folder):
    with Crossbar() as router:
        group = router.pid
        psutil.Process(group).parent().kill()
        assert wait_until(lambda: router.pid is None, 5)
        assert group_members(group)
    assert wait_until(lambda: not group_members(group), 5)
    assert list(folder.iterdir()) == []


PARENT = """
    import sys, time
    from wampy.peers.routers import Crossbar
    router = Crossbar().start()
    print(router.pid, router.port, flush=True)
    {then}
"""


@pytest.fixture
def parent():
    """Run a program of its own that starts a Crossbar; give its process, Crossbar's group and port."""
    processes = []

    def run(then):
        code = textwrap.dedent(PARENT).format(then=then)
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        group, port = map(int, process.stdout.readline().split())
        assert group_members(group)
        return process, group, port

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_the_parent_is_killed(parent, folder, number):
    process, group, port = parent("time.sleep(60)")
    process.send_signal(number)
    assert process.wait(10) == -number
    assert wait_until(lambda: not group_members(group) and not list(folder.iterdir()), 10)
    assert refused(port)


def test_ctrl_c_in_the_parent_leaves_nothing(parent, folder):
    process, group, port = parent("time.sleep(60)")
    process.send_signal(signal.SIGINT)
    # Its exit waits for Crossbar's: at the prompt everything is gone.
    _, errors = process.communicate(timeout=15)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert group_members(group) == []
    assert list(folder.iterdir()) == []
    assert refused(port)


def test_ctrl_c_during_the_start_leaves_nothing(folder):
    code = "from wampy import Crossbar\nprint('go', flush=True)\nCrossbar().start()\nprint('up')"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "go\n"
    assert wait_until(lambda: list(folder.glob("*/node/node.pid")), 10)
    (note,) = folder.glob("*/node/node.pid")
    assert wait_until(lambda: note.read_text().rstrip().endswith("}"), 5)
    group = json.loads(note.read_text())["pid"]
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=15)
    assert out == ""
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert group_members(group) == []


def test_a_parent_that_just_ends_leaves_nothing(parent, folder):
    process, group, port = parent("sys.exit(7)")
    assert process.wait(15) == 7
    assert group_members(group) == []
    assert list(folder.iterdir()) == []
    assert refused(port)


def test_a_fork_of_the_parent_neither_stops_it_nor_keeps_it(parent, folder):
    then = (
        "import os\n"
        "if os.fork() == 0:\n"
        "    router.stop()\n"
        "    print('forked', os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
        "time.sleep(60)\n"
    )
    process, group, port = parent(then)
    fork = int(process.stdout.readline().split()[1])
    try:
        time.sleep(0.5)
        assert group_members(group)
        assert not refused(port)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
        assert wait_until(lambda: not group_members(group) and not list(folder.iterdir()), 10)
    finally:
        os.kill(fork, signal.SIGKILL)


def test_it_works_in_a_patched_program(folder):
    code = """
        import eventlet
        eventlet.monkey_patch()
        from wampy.peers.routers import Crossbar
        ticks = []
        def tick():
            while True:
                ticks.append(1)
                eventlet.sleep(0.05)
        eventlet.spawn(tick)
        with Crossbar() as router:
            assert len(ticks) > 10, ticks
            print(router.pid)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert group_members(int(done.stdout)) == []
