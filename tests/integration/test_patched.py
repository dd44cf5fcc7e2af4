"""Programs that patch the standard library, with `wampy.configure_async()` or with the library itself.

On OS threads there is nothing to patch, and the same program must do the same as it is.
"""

import textwrap
from pathlib import Path

import pytest

from wampy.config import settings

CA = Path(__file__).resolve().parents[2] / "wampy" / "testing" / "keys" / "ca.pem"

WORK = """
    import logging, queue, sys, threading, time
    from wampy import Client, RemoteError, callee, subscribe

    url, ca = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="LOG %(message)s")

    class Service(Client):
        heard = ()

        @callee(procedure="com.example.work")
        def work(self, n):
            logging.getLogger("work").debug("working")
            time.sleep(0.05)
            return n

        @callee(procedure="com.example.fail")
        def fail(self):
            raise RemoteError("com.example.failed", 1)

        @subscribe(topic="com.example.topic")
        def on_topic(self, n):
            self.heard += (n,)

    ticks = []
    def tick():
        while True:
            ticks.append(1)
            time.sleep(0.01)
    threading.Thread(target=tick, daemon=True).start()

    logging.getLogger("wampy").setLevel(logging.WARNING)
    with Service(url=url, cert_path=ca) as service, Client(url=url, cert_path=ca) as client:
        begun = time.monotonic()
        results = queue.Queue()
        threads = [threading.Thread(target=lambda n=n: results.put((n, client.call("com.example.work", n))))
                   for n in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - begun
        answers = sorted(results.get() for _ in threads)
        assert answers == [(n, n) for n in range(40)], answers
        assert took < 1.5, took                     # 40 sleeps of 0.05 seconds, at the same time
        for n in range(20):
            client.publish(topic="com.example.topic", n=n)
        while len(service.heard) < 20:
            time.sleep(0.01)
        assert service.heard == tuple(range(20)), service.heard
        big = "x" * 2_000_000
        assert client.call("com.example.work", big) == big
        try:
            client.call("com.example.fail")
        except RemoteError as error:
            assert error.uri == "com.example.failed"
        else:
            raise SystemExit("no error")
        assert len(ticks) > 5, len(ticks)
    print("done")
"""

PATCH = {
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
}

PATCHES = {
    "configure_async": "import wampy; wampy.configure_async()",
    "the library, before wampy": "PATCH",
    "the library, after wampy": "import wampy.peers.clients, wampy.testing; PATCH",
}
if settings().async_name == "threading":
    PATCHES = {"not at all": ""}


@pytest.fixture
def patched(green):
    def patched(how):
        patch = PATCHES[how].replace("PATCH", PATCH.get(green.backend.name, ""))
        return "import logging\n" + patch + "\n" + textwrap.dedent(WORK)

    return patched


@pytest.mark.parametrize("how", PATCHES)
def test_calls_and_events(how, patched, router, run_python):
    done = run_python(patched(how), router.url)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.parametrize("how", list(PATCHES)[:2])
def test_wss(how, patched, tls_router, run_python):
    done = run_python(patched(how), tls_router.url, CA)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_configure_async_says_what_it_did(green, run_python):
    name = green.backend.name
    if green.os_threads:
        done = run_python("""
            import _thread, socket, threading, time
            before = threading.Thread, time.sleep, socket.socket, _thread.get_ident
            import wampy
            try:
                wampy.configure_async()
            except wampy.WampyError as error:
                print(error)
            assert (threading.Thread, time.sleep, socket.socket, _thread.get_ident) == before
        """)
        assert done.stdout.startswith("there is nothing to patch: ") and not done.stderr
        return
    green_modules = {"eventlet": "eventlet.green", "gevent": "gevent"}[name]
    code = f"""
        import logging, sys
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(name)s %(message)s")
        import wampy
        wampy.configure_async()
        import socket, {green_modules}.socket, _thread, {green_modules}.thread
        print(socket.socket is {green_modules}.socket.socket, _thread.get_ident is {green_modules}.thread.get_ident)
    """
    done = run_python(code)
    assert f"{name} monkey-patched your environment" in done.stdout
    assert done.stdout.splitlines()[-1] == "True True", done.stderr


def test_an_unpatched_program_stays_unpatched(router, run_python):
    code = """
        import socket, ssl, sys, threading, time
        before = socket.socket, time.sleep, threading.Thread, threading.get_ident, ssl.SSLContext
        import wampy
        from wampy import Client
        with Client(url=sys.argv[1]) as client:
            client.call("wamp.session.count")
        assert (socket.socket, time.sleep, threading.Thread, threading.get_ident, ssl.SSLContext) == before
        print("untouched")
    """
    done = run_python(code, router.url)
    assert (done.stdout, done.stderr) == ("untouched\n", "")


def test_a_callee_that_blocks_natively_delays_but_does_not_break(router, run_python, green):
    """On OS threads it does not even delay."""
    code = """
        import sys, time
        from wampy import Client, callee

        class Service(Client):
            @callee(procedure="com.example.block")
            def block(self, n):
                time.sleep(0.1)
                return n

        with Service(url=sys.argv[1]) as service:
            began = time.monotonic()
            calls = [service.rpc.com.example.block.call_async(n) for n in range(10)]
            print([call.result() for call in calls], time.monotonic() - began < 0.9)
    """
    done = run_python(code, router.url)
    assert (done.stdout, done.stderr) == (f"{list(range(10))} {green.os_threads}\n", "")
