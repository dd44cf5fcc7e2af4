"""Set this process's wall clock in the middle of everything that wampy waits for; a program, run by its tests.

It runs under libfaketime. The clock that does not go back goes on as it is; so does the rest of the world. Each part
waits for one thing, all of them at once; the clock is set when they have begun. What each has seen is a line of JSON:
its name, the seconds that it took, and what came of it.

Usage: clock_steps.py SECONDS PLACES

SECONDS is how far to set the clock; PLACES, in JSON, has the ports of the router, of a port that says nothing, and of
forwarders to the router. What they are to do is a line of its own, such as ``@reconnecting refuse all``.
"""

import json
import logging
import os
import platform
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

from wampy import Client, Reconnect
from wampy.backends import get_backend
from wampy.errors import WampyError

SECONDS, PLACES = float(sys.argv[1]), json.loads(sys.argv[2])
# When the clock is set, in seconds from the beginning of all parts. What they wait for comes after that.
SET = 0.35

backend = get_backend()
go = backend.slot()
speaking = threading.Lock()
parts, clients = [], []


def say(*words):
    with speaking:
        print(*words, flush=True)


def set_clock(seconds):
    """Set the wall clock that far from the real one."""
    target = Path(os.environ["FAKETIME_TIMESTAMP_FILE"])
    before = time.time() - time.monotonic()
    new = target.with_suffix(".new")
    new.write_text(f"{seconds:+.0f}")
    new.replace(target)
    assert abs(time.time() - time.monotonic() - before - seconds) < 30, "the clock has not been set"


def part(function):
    """Run it with the others, in a thread of its own, green or not."""
    ended = backend.slot()
    name = function.__name__

    def run():
        go.wait()
        began = time.monotonic()
        try:
            outcome = function()
        except WampyError as error:
            outcome = type(error).__name__
        took = time.monotonic() - began
        if isinstance(outcome, Took):
            took, outcome = outcome.seconds, outcome.outcome
        say(json.dumps([name, took, outcome]))
        ended.set()

    backend.spawn(backend.outside, run)
    parts.append(ended)
    return function


class Took:
    """What a part gives back that has looked at the clock itself."""

    def __init__(self, seconds, outcome):
        self.seconds, self.outcome = seconds, outcome


class Records(logging.Handler):
    """What was logged."""

    def __init__(self):
        super().__init__()
        self.names = []

    def emit(self, record):
        self.names.append(record.name)


class Watcher(Client):
    """Notes when it was told what."""

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.told = {"lost": [], "attempt": [], "joined": []}
        self.lost = backend.slot()

    def on_join(self, details):
        self.told["joined"].append(time.monotonic())

    def on_disconnect(self, error):
        self.told["lost"].append(time.monotonic())
        self.lost.set()

    def on_reconnect_attempt(self, attempt):
        self.told["attempt"].append(time.monotonic())


class Service(Client):
    """Has one procedure, which takes its time."""

    def __init__(self, name, **parameters):
        super().__init__(**parameters)
        self.procedure = f"com.example.{name}"

    def start(self):
        super().start()
        self.session.register(self.procedure, lambda seconds: backend.sleep(seconds) or seconds)


def started(cls=Client, *args, port="router", **parameters):
    settings = {"reconnect": False, "heartbeat": None, "close_timeout": 1.0, "call_timeout": 20.0}
    client = cls(*args, **settings | {"url": f"ws://127.0.0.1:{PLACES[port]}/ws"} | parameters)
    clients.append(client)
    if port != "nobody":
        client.start()
    return client


records = Records()
logging.getLogger("wampy").addHandler(records)

caller = started()
busy, drained, cut_short = (started(Service, name) for name in ("busy", "drained", "cut_short"))


# What a program waits for.


@part
def call():
    return caller.options(timeout=1.0).call("com.example.busy", 30.0)


@part
def result():
    return caller.session.call_async("com.example.busy", (30.0,)).result(timeout=1.0)


@part
def wait():
    return caller.wait(1.0)


@part
def sleep():
    backend.sleep(1.0)


@part
def call_later():
    called = backend.slot()
    backend.call_later(1.0, called.set)
    called.wait()


opening_client = started(port="nobody", open_timeout=1.0)


@part
def opening():
    opening_client.start()


sender = started(port="sending", send_timeout=1.0)


@part
def sending():
    say("@sending hold all")
    try:
        while True:
            began = time.monotonic()
            sender.publish(topic="com.example.topic", text="x" * 100_000)
    except WampyError as error:
        return Took(time.monotonic() - began, type(error).__name__)


# What wampy does by the clock.


alive = started(Watcher, heartbeat=0.25, heartbeat_timeout=0.5)


@part
def heartbeat():
    id_ = alive.session.id
    backend.sleep(2.0)
    alive.call("wamp.session.count")
    return alive.session.id == id_ and not alive.told["lost"] and 0 <= alive.stats.last_ping < 1


silenced = started(Watcher, port="silent", heartbeat=0.25, heartbeat_timeout=0.75)


@part
def silence():
    say("@silent hold all")
    silenced.lost.wait()


back = started(
    Watcher, port="reconnecting", reconnect=Reconnect(first_delay=0.7, growth=1.0, longest_delay=0.7, jitter=0.0)
)


@part
def reconnecting():
    say("@reconnecting refuse all")
    say("@reconnecting cut all")
    back.lost.wait()
    try:
        began = time.monotonic()
        back.options(timeout=1.0).call("wamp.session.count")
    except WampyError as error:
        say(json.dumps(["between_sessions", time.monotonic() - began, type(error).__name__]))
    while len(back.told["attempt"]) < 2:
        backend.sleep(0.01)
    say("@reconnecting heal")
    while len(back.told["joined"]) < 2:
        backend.sleep(0.01)
    delays = [later - sooner for sooner, later in pairwise([*back.told["lost"], *back.told["attempt"]])]
    return Took(max(delays), min(delays) >= 0.65)


@part
def drain():
    running = caller.session.call_async("com.example.drained", (1.0,))
    backend.sleep(0.1)
    drained.stop(drain=15.0)
    return running.result()


@part
def drain_that_ends():
    running = caller.session.call_async("com.example.cut_short", (30.0,))
    backend.sleep(0.1)
    began = time.monotonic()
    cut_short.stop(drain=1.0)
    took = time.monotonic() - began
    try:
        running.result()
    except WampyError as error:
        return Took(took, type(error).__name__)


def kernel_waits():
    """Return the waits for a lock that this process is in that have a limit, and those of them by the wall clock."""
    futex = {"x86_64": 202, "aarch64": 98}[platform.machine()]
    limited = by_wall_clock = 0
    for task in Path("/proc/self/task").iterdir():
        words = (task / "syscall").read_text().split()
        if words[0] == str(futex):
            operation, limit = int(words[2], 16), int(words[4], 16)
            limited += bool(limit)
            by_wall_clock += bool(limit and operation & 0x100)  # FUTEX_CLOCK_REALTIME
    return limited, by_wall_clock


go.set()
backend.sleep(SET - 0.1)
say(json.dumps(["kernel_waits", 0.0, kernel_waits()]))
backend.sleep(0.1)
set_clock(SECONDS)
for ended in parts:
    ended.wait()
say(json.dumps(["records", 0.0, sorted(set(records.names))]))
for client in clients:
    client.stop()
say(json.dumps(["end", 0.0, None]))
