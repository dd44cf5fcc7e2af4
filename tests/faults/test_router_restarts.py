"""The router is killed and started again under load: every call is answered right, or raises, and all comes back.

``WAMPY_KILLS=50`` makes it 50 restarts instead of a few; the figures are printed (``pytest -s``).
"""

import json
import os
import statistics
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from wampy import Client, Reconnect, callee, subscribe
from wampy.errors import (
    AbortError,
    Canceled,
    ConnectionClosed,
    NoSuchProcedure,
    NotAuthorized,
    WampyTimeOutError,
)

KILLS = int(os.environ.get("WAMPY_KILLS", "3"))

CALLS_PER_SECOND = 100
POLICY = Reconnect(first_delay=0.1, longest_delay=1.0)

# "Within one second plus one delay of the router being ready."
BACK_WITHIN = 1.0 + POLICY.longest_delay

CONFIG = Path(__file__).resolve().parents[2] / "wampy" / "testing" / "configs" / "crossbar.json"


class Service(Client):
    def __init__(self, **parameters):
        super().__init__(**{"reconnect": POLICY, **parameters})
        self.joined_at = []
        self.heard = []

    @callee(procedure="com.example.square")
    def square(self, n):
        return n * n

    @subscribe(topic="com.example.topic")
    def on_topic(self, n, **_):
        self.heard.append(n)

    def on_join(self, details):
        self.joined_at.append(time.monotonic())


class Caller(Service):
    """Has no roles of its own, and notes what becomes of each call."""

    square = on_topic = None

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.made = 0
        self.under_way = {}
        self.outcomes = Counter()
        self.wrong = []
        self.longest = 0.0

    def make_one(self):
        n = self.made
        self.made += 1
        started = self.under_way[n] = time.monotonic()
        try:
            answer = self.call("com.example.square", n)
            if answer == n * n:
                self.outcomes["right"] += 1
            else:
                self.wrong.append((n, answer))
        # There may be no service yet, or none any more, when the call gets there.
        except (ConnectionClosed, WampyTimeOutError, NoSuchProcedure, Canceled) as error:
            self.outcomes[type(error).__name__] += 1
        except Exception as error:
            self.wrong.append((n, repr(error)))
        finally:
            self.longest = max(self.longest, time.monotonic() - started)
            del self.under_way[n]


class Level:
    """What a process holds: memory, descriptors, threads."""

    def __init__(self):
        process = psutil.Process()
        self.memory = process.memory_info().rss / 2**20
        self.descriptors = process.num_fds()
        self.threads = process.num_threads()

    def __repr__(self):
        return f"{self.memory:.1f} MiB, {self.descriptors} descriptors, {self.threads} threads"


@pytest.fixture
def on_a_thread(green):
    """Run what waits with ``time.sleep``, as Crossbar's methods do, while green threads go on."""

    def on_a_thread(*functions):
        def run():
            for function in functions:
                function()

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive():
            green.sleep(0.01)

    return on_a_thread


def test_killed_and_started_again_under_load(own_router, make_client, on_a_thread, green):
    service = make_client(Service, reconnect=POLICY, url=own_router.url)
    caller = make_client(Caller, reconnect=POLICY, url=own_router.url, call_timeout=3.0)
    service.start()
    caller.start()
    dynamic = service.session.register("com.example.dynamic", lambda: "dynamic")
    ending = green.slot()

    def load():
        due = time.monotonic()
        while not ending.wait(max(0.0, due - time.monotonic())):
            # A machine that is busy with starting the router makes up for what it has missed only a little.
            due = max(due + 1 / CALLS_PER_SECOND, time.monotonic() - 0.1)
            green.spawn(caller.make_one)

    loading = green.spawn(load)
    back, levels = [], []
    for kill in range(KILLS):
        answered = caller.outcomes["right"]
        green.wait_until(lambda answered=answered: caller.outcomes["right"] >= answered + 20)
        sessions = len(service.joined_at), len(caller.joined_at)
        on_a_thread(own_router.kill, own_router.start)
        ready_at = time.monotonic()
        green.wait_until(
            lambda sessions=sessions: len(service.joined_at) > sessions[0] and len(caller.joined_at) > sessions[1],
            BACK_WITHIN,
            "both clients are back",
        )
        back.append(max(service.joined_at[-1], caller.joined_at[-1]) - ready_at)
        assert caller.call("com.example.square", 12) == 144
        assert caller.call("com.example.dynamic") == "dynamic"
        assert dynamic.active
        caller.publish(topic="com.example.topic", n=kill)
        green.wait_until(lambda kill=kill: service.heard == list(range(kill + 1)))
        levels.append(Level())
    ending.set()
    loading.result()
    green.wait_until(lambda: not caller.under_way, 10.0, "every call has an outcome")

    print(
        f"\n{KILLS} kills, {caller.made} calls: {dict(caller.outcomes)}, {len(caller.wrong)} wrong, "
        f"{len(caller.under_way)} without an outcome; the longest took {caller.longest:.2f} s\n"
        f"back after the router was ready: median {statistics.median(back):.2f} s, longest {max(back):.2f} s\n"
        f"after the first: {levels[0]!r}; after the last: {levels[-1]!r}"
    )
    assert caller.wrong == []
    assert sum(caller.outcomes.values()) == caller.made
    assert caller.longest < 3.0 + 1.0, "a call took longer than its timeout"
    assert max(back) < BACK_WITHIN
    assert len(service.session.roles) == 3
    assert levels[-1].memory - levels[0].memory < 8 + 0.1 * KILLS
    assert abs(levels[-1].descriptors - levels[0].descriptors) <= 3
    if not green.os_threads:  # there a call under way is a thread
        assert levels[-1].threads <= levels[0].threads


def test_calls_under_way_raise_and_those_that_come_later_wait(own_router, make_client, on_a_thread, green):
    class Slow(Client):
        @callee(procedure="com.example.slow")
        def slow(self):
            green.sleep(30)

        @callee(procedure="com.example.quick")
        def quick(self):
            return "quick"

    service = make_client(Slow, url=own_router.url, reconnect=POLICY)
    caller = make_client(Client, url=own_router.url, reconnect=POLICY, call_timeout=60.0)
    service.start()
    caller.start()
    under_way = [green.spawn(caller.call, "com.example.slow") for _ in range(20)]
    green.wait_until(lambda: len(service.session.invocations) == 20)
    own_router.kill()
    killed_at = time.monotonic()
    assert {type(each.error()) for each in under_way} == {ConnectionClosed}
    assert time.monotonic() - killed_at < 1.0
    # They wait for the caller's session; the service may need a moment more.
    waiting = [green.spawn(caller.call, "wamp.session.count") for _ in range(20)]
    on_a_thread(own_router.start)
    assert all(each.result() >= 1 for each in waiting)
    green.wait_until(lambda: service.session is not None and len(service.registration_map) == 2)
    assert caller.call("com.example.quick") == "quick"


# Another router comes back than the one that went.


@pytest.fixture
def replace(tmp_path, on_a_thread):
    """Put another Crossbar in the place of one: ``replace(router, change)``, which changes the configuration."""
    from wampy.peers.routers import Crossbar

    others = []

    def replace(router, change):
        content = json.loads(CONFIG.read_text())
        (worker,) = content["workers"]
        change(worker["realms"][0])
        for transport in worker["transports"]:
            transport["endpoint"]["port"] = router.port
        (tmp_path / "config.json").write_text(json.dumps(content))
        others.append(Crossbar(config_path=tmp_path / "config.json"))
        on_a_thread(router.kill, others[-1].start)

    yield replace
    for other in others:
        other.stop()


def test_with_another_realm(own_router, make_client, replace, green, caplog):
    service = make_client(Service, reconnect=POLICY, url=own_router.url)
    service.start()
    waiting = green.spawn(service.wait)
    replace(own_router, lambda realm: realm.update(name="elsewhere"))
    error = waiting.error()
    assert type(error) is AbortError
    assert error.uri == "wamp.error.no_such_realm"
    with pytest.raises(ConnectionClosed, match="no_such_realm"):
        service.call("com.example.square", 1)
    green.wait_until(lambda: "not connecting again" in caplog.text)


def test_with_other_permissions(own_router, make_client, replace, green):
    service = make_client(Service, reconnect=POLICY, url=own_router.url)
    caller = make_client(Client, url=own_router.url, reconnect=POLICY)
    service.start()
    caller.start()
    waiting = green.spawn(service.wait)

    def forbid(realm):
        for permission in realm["roles"][0]["permissions"]:
            permission["allow"]["register"] = False

    replace(own_router, forbid)
    error = waiting.error()
    assert type(error) is NotAuthorized
    assert service.session is None
    assert caller.call("wamp.session.count") >= 1, "who registers nothing is still welcome"
