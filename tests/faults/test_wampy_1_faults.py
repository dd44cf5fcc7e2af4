"""The faults of wampy 1.1.0 that its users met, each with the test that fails if it comes back.

The tests of the things themselves are elsewhere and go deeper; these are named after what went wrong.
"""

import inspect
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from wampy import Client, RemoteError, callee
from wampy.constants import DEFAULT_URL
from wampy.errors import (
    ConnectionClosed,
    HandshakeError,
    NoSuchProcedure,
    ProcedureAlreadyExists,
    WampyError,
)
from wampy.urls import parse_url

ROOT = Path(__file__).resolve().parents[2]
CA = str(ROOT / "wampy" / "testing" / "keys" / "ca.pem")


class Service(Client):
    @callee(procedure="com.example.echo", invocation_policy="roundrobin")
    def echo(self, value):
        self._session.backend.sleep(random.uniform(0, 0.01))
        return value

    @callee(procedure="com.example.fail", invocation_policy="roundrobin")
    def fail(self):
        raise ValueError("a callee fails")

    @callee(procedure="com.example.outer", invocation_policy="roundrobin")
    def outer(self, value):
        return self.call("com.example.echo", value)


def test_thirty_concurrent_calls_gave_thirty_wrong_answers(join, green):
    join(Service)
    client = join()
    calls = [green.spawn(client.call, "com.example.echo", f"mine is {n}") for n in range(30)]
    assert [call.result() for call in calls] == [f"mine is {n}" for n in range(30)]


def test_answers_were_not_matched_by_request_id(fake_router, make_client, green):
    def script(peer):
        peer.welcome()
        waiting = []
        for message in peer:
            if message[0] == 48:
                waiting.append(message)
                if len(waiting) == 30:
                    random.shuffle(waiting)
                    for call in waiting:
                        peer.send([50, call[1], {}, call[4]])
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.normal"])

    client = make_client(url=fake_router(script).url)
    client.start()
    calls = [green.spawn(client.call, "com.example.any", n) for n in range(30)]
    assert [call.result() for call in calls] == list(range(30))


def test_two_clients_got_each_others_results(join, green):
    join(Service)
    clients = [join(), join()]
    calls = [
        (f"client {c} call {n}", green.spawn(clients[c].call, "com.example.echo", f"client {c} call {n}"))
        for n in range(30)
        for c in (0, 1)
    ]
    assert all(call.result() == mine for mine, call in calls)


def test_one_queue_for_the_whole_process(join):
    """Whatever a session hands messages through belongs to that session alone."""
    first, second = join(Service), join(Service)
    for name in ("pending", "workers", "request_ids", "registration_map", "subscription_map", "invocations"):
        assert getattr(first.session, name) is not getattr(second.session, name), name
    assert first.message_handler is not second.message_handler


def test_a_callee_that_calls_another_procedure_waited_for_itself(join):
    client = join(Service, call_timeout=5.0)
    assert client.call("com.example.outer", "deep") == "deep"


def test_97_percent_of_a_core_while_waiting(join, green):
    join(Service).session.register("com.example.never", lambda: green.sleep(60))
    client = join()
    waiting = green.spawn(client.call, "com.example.never")
    idle = green.spawn(client.wait)
    green.sleep(0.1)
    wall, cpu = time.monotonic(), time.process_time()
    green.sleep(2.0)
    share = (time.process_time() - cpu) / (time.monotonic() - wall)
    assert not waiting.done and not idle.done
    assert share < 0.03, f"{share:.1%} of a core"


def test_a_callees_exception_sent_an_error_and_then_a_yield(fake_router, make_client, green):
    seen = []

    def script(peer):
        peer.welcome()
        ids = {}
        for message in peer:
            if message[0] == 64:
                ids[message[3]] = 100 + message[1]
                peer.send([65, message[1], ids[message[3]]])
                if len(ids) == 3:
                    peer.send([68, 1, ids["com.example.fail"], {}], [68, 2, ids["com.example.echo"], {}, ["after"]])
            elif message[0] in (8, 70):
                seen.append(message)
            elif message[0] == 6:
                peer.send([6, {}, "wamp.close.normal"])

    client = make_client(Service, url=fake_router(script).url)
    client.start()
    green.wait_until(lambda: len(seen) >= 2)
    client.stop()  # whatever else was under way has been sent now
    assert sorted(message[:3] for message in seen) == [[8, 68, 1], [70, 2, {}]]


def test_overridden_callees_were_registered_twice(join):
    class Overrides(Service):
        @callee(procedure="com.example.echo", invocation_policy="roundrobin")
        def echo(self, value):
            return ["overridden", value]

        def fail(self):
            return "does not fail"

    service = join(Overrides)
    registered = sorted(registration.procedure for registration in service.registration_map.values())
    assert registered == ["com.example.echo", "com.example.fail", "com.example.outer"]
    assert [service.call("com.example.echo", 1) for _ in range(4)] == [["overridden", 1]] * 4
    assert service.call("com.example.fail") == "does not fail"


def test_a_failed_registration_raised_nothing(make_client, router):
    class Single(Client):
        @callee(procedure="com.example.single")
        def single(self):
            pass

    make_client(Single, url=router.url).start()
    with pytest.raises(ProcedureAlreadyExists):
        make_client(Single, url=router.url).start()


def test_call_returned_an_error_object(join):
    client = join(Service)
    with pytest.raises(NoSuchProcedure):
        client.call("com.example.no_such_thing")
    with pytest.raises(RemoteError):
        client.rpc.com.example.fail()


def test_when_the_router_died_nothing_noticed_and_stop_raised_broken_pipe(make_client, green, own_router):
    told = []

    class Watcher(Service):
        def on_disconnect(self, error):
            told.append(error)

    client = make_client(Watcher, url=own_router.url, call_timeout=60.0)
    client.start()
    client.session.register("com.example.never", lambda: green.sleep(60))
    call = green.spawn(client.call, "com.example.never")
    green.wait_until(lambda: client.session.invocations)
    own_router.kill()
    assert isinstance(call.error(5), ConnectionClosed)
    green.wait_until(lambda: told, 5)
    assert isinstance(told[0], ConnectionClosed)
    assert client.session is None
    client.stop()
    with pytest.raises(ConnectionClosed):
        client.publish(topic="com.example.topic", x=1)
    client.stop()


@pytest.mark.parametrize("size", [32_000, 32_767, 32_768, 32_769, 65_535, 65_536, 100_000])
def test_payloads_from_32_kib_up_broke_the_session(join, size):
    client = join(Service)
    assert client.call("com.example.echo", "p" * size) == "p" * size
    assert client.call("com.example.echo", "small") == "small"


def test_an_http_404_passed_as_a_handshake(make_client, fake_router):
    def script(peer):
        peer.sock.recv(65536)
        peer.sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with pytest.raises(HandshakeError) as caught:
        make_client(url=fake_router(script).url).start()
    assert caught.value.status == 404


def test_wss_failed_on_python_3_12(make_client, tls_router):
    """It used `ssl.wrap_socket`, which is gone; here it must work on whatever Python runs this."""
    client = make_client(Service, url=tls_router.url, cert_path=CA)
    client.start()
    assert client.call("com.example.echo", "secret") == "secret"
    sources = "".join(path.read_text() for path in (ROOT / "wampy").rglob("*.py"))
    assert "ssl.wrap_socket" not in sources


def test_wss_never_checked_the_host_name(make_client, fake_router):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    keys = ROOT / "wampy" / "testing" / "keys"
    context.load_cert_chain(keys / "elsewhere.pem", keys / "elsewhere.key")
    said = []

    def script(peer):
        peer.sock.settimeout(10)
        try:
            with context.wrap_socket(peer.sock.dup(), server_side=True) as secure:
                said.append(secure.recv(65536))
        except OSError:
            said.append(b"")

    server = fake_router(script)
    with pytest.raises(HandshakeError, match="certificate"):
        make_client(url=server.url.replace("ws:", "wss:"), cert_path=CA).start()
    server.close()
    assert said == [b""], "something was said to a host of another name"


def test_ipv6_went_to_the_unspecified_address_whatever_the_host(make_client, green):
    """On Linux a connection to ``::`` reaches what listens at ::1; nobody who asks for another host may get there."""
    if not socket.has_ipv6 or not _has_ipv6_loopback():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as only_loopback:
        port = only_loopback.getsockname()[1]
        # An IPv6 address of this machine's network that nobody has.
        for url, ipv in ((f"ws://[fd12:3456:789a::1]:{port}/", None), (f"ws://[fd12:3456:789a::1]:{port}/", 6),
                         (f"ws://127.0.0.1:{port}/", 6)):  # fmt: skip
            with pytest.raises(WampyError):
                make_client(url=url, ipv=ipv, open_timeout=0.5).start()
        only_loopback.settimeout(0.1)
        with pytest.raises(TimeoutError):
            only_loopback.accept()


def test_ipv6_works(make_client, well_behaved, green):
    import threading

    if not socket.has_ipv6 or not _has_ipv6_loopback():
        pytest.skip("this machine has no IPv6")
    router = well_behaved()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        # A bridge from ::1 to the fake router, which listens at 127.0.0.1.
        port = server.getsockname()[1]
        bridging = threading.Thread(target=_bridge, args=(server, router.port), daemon=True)
        bridging.start()
        client = make_client(url=f"ws://[::1]:{port}/", ipv=6)
        client.start()
        assert client.session is not None
        client.stop()
        bridging.join(10)


def _has_ipv6_loopback():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def _bridge(server, port):
    import select

    near, _ = server.accept()
    with near, socket.create_connection(("127.0.0.1", port)) as far:
        while True:
            for sock in select.select([near, far], [], [], 10)[0]:
                data = sock.recv(65536)
                if not data:
                    return
                (far if sock is near else near).sendall(data)


def test_the_default_url_was_malformed():
    address = parse_url(DEFAULT_URL)
    assert (address.scheme, address.host, address.port) == ("ws", "localhost", 8080)
    assert Client().url == DEFAULT_URL


def test_the_heartbeat_setting_raised_type_error(make_client, well_behaved, green):
    """Every setting that is a number of seconds, the heartbeat's too once there is one, works as whole and as float."""
    router = well_behaved()
    parameters = inspect.signature(Client).parameters
    settings = [name for name in parameters if name.endswith("_timeout") or name.startswith("heartbeat")]
    assert len(settings) >= 4
    for name in settings:
        for value in (5, 5.5, None):
            client = make_client(url=router.url, **{name: value})
            client.start()
            client.publish(topic="com.example.topic", x=1, options={"acknowledge": True})
            client.stop()


def test_a_routers_heartbeat_is_answered(make_client, fake_router, green):
    pongs = []

    def script(peer):
        from websockets.frames import Opcode

        take = peer._take
        peer._take = lambda frame: pongs.append(frame.data) if frame.opcode is Opcode.PONG else take(frame)
        peer.welcome()
        peer.ping(b"one")
        peer.ping(b"")
        peer.serve()

    client = make_client(url=fake_router(script).url)
    client.start()
    green.wait_until(lambda: len(pongs) == 2)
    assert pongs == [b"one", b""]
    assert client.session is not None


IMPORT = """
    import builtins, json, logging, signal, socket, ssl, sys, threading, time, warnings, os, select, queue
    def state():
        modules = [socket, ssl, threading, time, os, select, queue, builtins]
        return {m.__name__: {n: id(v) for n, v in vars(m).items() if callable(v)} for m in modules}
    before = state()
    handlers, level, disabled = list(logging.root.handlers), logging.root.level, logging.root.manager.disable
    signals = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    environment = dict(os.environ)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        IMPORTS
    after = state()
    changed = [f"{m}.{n}" for m in before for n in before[m] if after[m].get(n) != before[m][n]]
    own = logging.getLogger("wampy")
    print(json.dumps({
        "changed": changed,
        "root": [len(logging.root.handlers) - len(handlers), logging.root.level - level],
        "own": [sorted({type(h).__name__ for h in own.handlers}), own.level],
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == signals,
        "environment": dict(os.environ) == environment,
        "warned": [str(w.message) for w in warned],
        "threads": threading.active_count(),
        "eventlet": "eventlet" in sys.modules,
    }))
"""


@pytest.mark.parametrize("imports", ["import wampy", "everything"])
def test_importing_it_patched_the_process_and_configured_logging(run_python, imports):
    if imports == "everything":
        names = sorted(
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            for path in (ROOT / "wampy").rglob("*.py")
            if path.stem != "__main__"
        )
        assert "wampy.session" in names
        imports = "import " + ", ".join(names)
    done = run_python(IMPORT.replace("IMPORTS", imports))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("eventlet") is (imports != "import wampy")
    assert found == {
        "changed": [],
        "root": [0, 0],
        "own": [["NullHandler"], 0],
        "signals": True,
        "environment": True,
        "warned": [],
        "threads": 1,
    }


def test_installing_it_broke_pytest_for_everyone_in_the_environment(tmp_path):
    """The plugin loaded, as an installed wampy has it, a suite that has nothing to do with wampy is as before."""
    (tmp_path / "test_unrelated.py").write_text(
        "import logging, socket, sys, time\n"
        "import pytest\n"
        "@pytest.fixture\n"
        "def client(): return 'my own client'\n"
        "@pytest.fixture\n"
        "def router(): return 'my own router'\n"
        "def test_mine(client, router): assert (client, router) == ('my own client', 'my own router')\n"
        "def test_nothing_is_loaded():\n"
        "    assert not {'eventlet', 'websockets', 'simplejson', 'wampy.session'} & set(sys.modules)\n"
        "def test_nothing_is_patched():\n"
        "    assert socket.socket.__module__ == 'socket' and time.sleep.__module__ == 'time'\n"
        "def test_logging(caplog):\n"
        "    assert not logging.getLogger('wampy').level and not logging.getLogger('').disabled\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p",
         "wampy.testing.pytest_plugin", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_its_plugin_killed_every_crossbar_on_the_machine_by_name(tmp_path):
    """A process that looks like somebody else's Crossbar outlives ours."""
    from wampy.peers.routers import Crossbar

    somebody = tmp_path / "crossbar"
    somebody.write_text(f"#!{sys.executable}\nimport time\nprint('up', flush=True)\ntime.sleep(60)\n")
    somebody.chmod(0o755)
    process = subprocess.Popen([str(somebody), "start", "--cbdir", str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"up\n"
        assert any("crossbar" in part for part in psutil.Process(process.pid).cmdline())
        with Crossbar() as router:
            assert router.pid != process.pid
        with Crossbar() as router:
            router.kill()
        assert process.poll() is None, "it was killed"
    finally:
        process.kill()
        process.communicate()
    # Nor does anything in the package look for processes by name.
    sources = {path: path.read_text() for path in (ROOT / "wampy").rglob("*.py")}
    for word in ("pkill", "killall", "process_iter", "pgrep"):
        assert [str(path) for path, text in sources.items() if word in text] == [], word
