"""eventlet's hub on an asyncio loop: wampy works there too, and with coroutines in the same thread.

A process has one hub, so the essential tests run once more in a process of their own.
"""

from importlib.metadata import version
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
HUB = "eventlet.hubs.asyncio"

# Run there once more, and what of it not: eventlet keeps the loop of an OS thread that has ended, with two sockets,
# which the leak check finds.
FILES = {
    "unit/backends/test_verbs.py": (),
    "unit/backends/test_eventlet.py": (),
    "unit/backends/test_signals.py": ("test_only_the_main_thread_can_hear_signals",),
    "integration/test_client_life.py": (),
    "integration/test_interruptions.py": ("test_a_start_that_fails_in_another_os_thread_says_why",),
}


# Before this one, a forked child cannot go on with that hub; the how-to page says so.
if tuple(map(int, version("eventlet").split(".")[:3])) < (0, 40, 1):
    FILES["unit/backends/test_verbs.py"] += ("test_a_forked_child_leaves_a_watch_s_socket_to_its_parent",)
    FILES["integration/test_interruptions.py"] += ("test_a_forked_child_leaves_its_parents_messages_alone",)


@pytest.fixture(autouse=True)
def _eventlet(green):
    if green.backend.name != "eventlet":
        pytest.skip("it is a hub of eventlet's")


@pytest.mark.parametrize("file", FILES)
def test_what_is_tested_elsewhere_holds_on_this_hub(run_python, file):
    program = f"""
        import sys
        import eventlet.hubs, pytest
        # Here and not in the first test, which would be blamed for the loop's sockets.
        assert type(eventlet.hubs.get_hub()).__module__ == {HUB!r}
        sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", sys.argv[1], *sys.argv[2:]]))
    """
    deselected = [f"--deselect=tests/{file}::{name}" for name in FILES[file]]
    done = run_python(program, TESTS.parent, TESTS / file, *deselected, timeout=300, EVENTLET_HUB=HUB)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.strip().splitlines()[-1]
    assert f"{len(FILES[file])} deselected" in summary or not FILES[file], "a test has gone or changed its name"


COUNTING = """
    import asyncio, os, signal, sys, threading
    import eventlet, eventlet.hubs
    from eventlet.asyncio import spawn_for_awaitable
    from wampy import Client, callee
    from wampy.backends import get_backend
"""


def test_ctrl_c_again_and_again_leaves_no_second_run_of_the_hub(run_python):
    done = run_python(
        COUNTING
        + """
    backend, hub = get_backend(), eventlet.hubs.get_hub()
    backend.sleep(0)
    user = spawn_for_awaitable(asyncio.sleep(60))
    backend.sleep(0)
    interrupted = 0
    for _ in range(20):
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            backend.sleep(10)
        except KeyboardInterrupt:
            interrupted += 1
    backend.sleep(0.05)
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks(hub.loop)]
    print(interrupted, hub.running, names.count("Hub.run.<locals>.async_run"), "sleep" in names)
    user.kill()
    backend.sleep(0.05)
        """,
        EVENTLET_HUB=HUB,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("20 True 1 True\n", "", 0)


def test_without_our_help_the_hub_would_refuse_to_run_again(run_python):
    # When this fails, eventlet has mended it, and `wampy.backends._asyncio_hub` can go.
    done = run_python(
        """
        import os, signal, threading
        import eventlet
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            eventlet.sleep(10)
        except KeyboardInterrupt:
            for _ in range(3):  # on some Pythons the old run wakes up once more
                eventlet.sleep(0.05)
        """,
        EVENTLET_HUB=HUB,
    )
    assert done.stderr.endswith("RuntimeError: Already running!\n")


def test_a_coroutine_may_not_wait_for_a_call_itself(wampy_router, run_python):
    done = run_python(
        COUNTING
        + """
    async def calls(client):
        client.call("com.example.anything")

    with Client(url=sys.argv[1]) as client:
        try:
            spawn_for_awaitable(calls(client)).wait()
        except Exception as error:
            print(error)
        """,
        wampy_router.url,
        EVENTLET_HUB=HUB,
    )
    assert "a blocking request was made inside eventlet's hub" in done.stdout, done.stderr


def test_an_interrupt_of_the_router_reaches_a_callee_that_awaits_and_its_coroutine(wampy_router, run_python):
    done = run_python(
        COUNTING
        + """
    seen = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    class Service(Client):
        @callee(procedure="com.example.awaits")
        def awaits(self):
            working = spawn_for_awaitable(work())
            try:
                return working.wait()
            finally:
                working.kill()

    with Service(url=sys.argv[1]) as service, Client(url=sys.argv[1]) as client:
        call = client.rpc.com.example.awaits.call_async()
        eventlet.sleep(0.2)
        call.cancel()
        try:
            call.result()
        except Exception as error:
            print(error.uri)
        eventlet.sleep(0.1)
        print(seen)
        """,
        wampy_router.url,
        EVENTLET_HUB=HUB,
    )
    assert done.stdout.splitlines() == ["wamp.error.canceled", "['cancelled']"], done.stderr
