"""The wall clock is set, forwards and back, while a client runs: nothing that it does by the clock changes.

That is what an NTP daemon does to a machine whose clock was wrong, an operator, and a hypervisor that wakes a machine.
A machine that sleeps sees the same when it wakes up: Linux's monotonic clock stands still meanwhile, and so to a client
it is the wall clock alone that has been set forwards.
"""

import importlib.util
import json
import os
import platform
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEYS = ROOT / "wampy" / "testing" / "keys"

HOUR = 3600

# How much later than due something may come on a busy machine. What goes by the wall clock is wrong by an hour.
SLACK = 5.0


def _library():
    """Return the path of libfaketime, ``None`` where there is none."""
    spec = importlib.util.find_spec("libfaketime")
    here = sys.platform, platform.machine(), platform.libc_ver()[0]
    if spec is None or spec.origin is None or here != ("linux", "x86_64", "glibc"):
        return None
    path = Path(spec.origin).with_name("vendor") / "libfaketime" / "src" / "libfaketime.so.1"
    return path if path.exists() else None


LIBRARY = _library()

pytestmark = pytest.mark.skipif(
    LIBRARY is None,
    reason="there is no libfaketime: its package brings the library for Linux on x86-64 only, as the extra [test] says",
)


def faked(folder, seconds=0):
    """Return the environment of a program whose wall clock is so far from the real one, and can be set."""
    stamp = folder / "clock"
    stamp.write_text(f"{seconds:+d}")
    return {
        "LD_PRELOAD": " ".join(filter(None, [str(LIBRARY), os.environ.get("LD_PRELOAD")])),
        "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }


@pytest.fixture(scope="module", params=[HOUR, -HOUR], ids=["forwards", "back"])
def seen(request, wampy_routers, tmp_path_factory):
    """What everything that waits has seen when the clock was set: name to ``(seconds, outcome)``."""
    forwarder = _load("forwarder").Forwarder
    router = wampy_routers.get()
    names = ("sending", "silent", "reconnecting")
    forwarders = {name: forwarder(router.port) for name in names}
    try:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            places = {name: each.port for name, each in forwarders.items()}
            places |= {"router": router.port, "nobody": nobody.getsockname()[1]}
            program = subprocess.Popen(
                [sys.executable, "-W", "ignore", HERE / "clock_steps.py", str(request.param), json.dumps(places)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | faked(tmp_path_factory.mktemp("clock")),
            )
            # What waits for an hour is told by its line that is missing, and by where it stands.
            end = threading.Timer(40.0, program.kill)
            end.start()
            with program:
                found = {}
                for line in program.stdout:
                    if line.startswith("@"):
                        name, *words = line[1:].split()
                        forwarders[name].tell(*words)
                    else:
                        name, seconds, outcome = json.loads(line)
                        found[name] = seconds, outcome
                errors = program.stderr.read()
            end.cancel()
    finally:
        for each in forwarders.values():
            each.close()
    assert errors == ""
    return found


def _load(name):
    spec = importlib.util.spec_from_file_location(f"wampy_tests_{name}_for_clocks", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LIMITS = {
    "call": "WampyTimeOutError",
    "result": "WampyTimeOutError",
    "wait": False,
    "sleep": None,
    "call_later": None,
    "opening": "WampyTimeOutError",
    "sending": "WampyTimeOutError",
    "between_sessions": "WampyTimeOutError",
}


@pytest.mark.parametrize("name", LIMITS)
def test_what_ends_after_a_second_ends_after_a_second(seen, name):
    assert name in seen, f"it did not end; what did: {seen}"
    seconds, outcome = seen[name]
    assert outcome == LIMITS[name]
    assert 0.95 <= seconds < 1.0 + SLACK


def test_no_router_is_taken_for_silent(seen):
    _, is_well = seen["heartbeat"]
    assert is_well


def test_a_silent_router_is_found_out_as_ever(seen):
    seconds, _ = seen["silence"]
    assert 0.5 <= seconds < 0.25 + 0.75 + SLACK


def test_reconnecting_keeps_to_its_policy(seen):
    longest, none_is_too_soon = seen["reconnecting"]
    assert none_is_too_soon
    assert longest < 0.7 + SLACK


def test_what_runs_is_seen_through_within_the_drain(seen):
    seconds, answer = seen["drain"]
    assert answer == 1.0, "the callee was not let end"
    assert seconds < 1.0 + SLACK


def test_a_drain_ends_when_its_time_is_over(seen):
    seconds, caller_got = seen["drain_that_ends"]
    assert 0.95 <= seconds < 1.0 + SLACK
    assert caller_got is not None


def test_nothing_is_said_to_be_blocked(seen):
    _, loggers = seen["records"]
    assert "wampy.peers.keeper" in loggers, "the sessions that were lost on purpose are not in the log"
    assert "wampy.blocking" not in loggers


def test_the_program_ends(seen):
    assert "end" in seen


def test_no_wait_in_the_kernel_is_by_the_wall_clock(seen, green):
    """libfaketime sets what a program sees of the clock, not the kernel's own: a wait that has begun is as it was."""
    _, (limited, by_wall_clock) = seen["kernel_waits"]
    assert by_wall_clock == 0
    if green.os_threads:
        assert limited, "no wait has been looked at"


# What goes by the wall clock rightly.

SET_RIGHT = """
    import logging, os, sys, time
    from pathlib import Path
    from wampy import Client, Reconnect
    from wampy.backends import get_backend

    said = []

    class Records(logging.Handler):
        def emit(self, record):
            said.append(record.getMessage())

    logging.getLogger("wampy").addHandler(Records())
    began = time.monotonic()
    get_backend().call_later(0.5, lambda: Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text("+0"))
    policy = Reconnect(first_delay=0.1, longest_delay=0.1, first_connection=True)
    with Client(url=sys.argv[1], cert_path=sys.argv[2], reconnect=policy) as client:
        client.call("wamp.session.count")
        print(0.5 <= time.monotonic() - began, flush=True)
    print(*said, sep="\\n")
"""


def test_a_machine_that_wakes_up_in_another_decade_joins_when_its_clock_is_right(tls_router, run_python, tmp_path):
    """It has no battery for its clock, say. Until then the router's certificate cannot be valid."""
    done = run_python(SET_RIGHT, tls_router.url, KEYS / "ca.pem", timeout=30, **faked(tmp_path, -20 * 365 * 24 * HOUR))
    assert (done.stderr, done.returncode) == ("", 0)
    waited, *said = done.stdout.splitlines()
    assert waited == "True"
    (text,) = said
    assert "not yet valid" in text and "This machine's clock may be wrong" in text
    assert text.endswith("; trying again")


AUTHENTICATED = """
    import sys
    from wampy import Client
    from wampy.auth import Ticket, WampCRA

    for auth in (Ticket("tom", "ticket-of-tom"), WampCRA("ann", "secret-of-ann"), WampCRA("sam", "secret-of-sam")):
        with Client(url=sys.argv[1], auth=auth) as client:
            print(client.session.details["authid"], flush=True)
"""


@pytest.mark.parametrize("hours", [-24 * 365, 24 * 365])
def test_no_way_of_authentication_looks_at_the_clock(hours, auth_router, run_python, tmp_path):
    """The router puts the time into a challenge; it is signed as it is."""
    done = run_python(AUTHENTICATED, auth_router.url, timeout=30, **faked(tmp_path, hours * HOUR))
    assert (done.stdout, done.stderr, done.returncode) == ("tom\nann\nsam\n", "", 0)
