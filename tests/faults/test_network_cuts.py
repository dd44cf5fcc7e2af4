"""The network between a client and its router is cut, reset, or just silent; names do not resolve; descriptors run out.

The client comes back when it can, and tells its callers what happened meanwhile.
"""

import threading
import time

import pytest

from wampy import Client, Reconnect, callee, subscribe
from wampy.errors import ConnectionClosed, ProcedureAlreadyExists, WampyTimeOutError

QUICK = Reconnect(first_delay=0.05, longest_delay=0.2)


@pytest.fixture(scope="module")
def module_router():
    from wampy.peers.routers import Crossbar

    with Crossbar() as crossbar:
        yield crossbar


@pytest.fixture
def mortal_router(module_router):
    """A Crossbar of this file's own."""
    return module_router


@pytest.fixture
def comes_back(green):
    def comes_back(client, since, seconds=10.0):
        """Wait until the client has another session than that one, and its roles."""
        green.wait_until(lambda: client.session is not None and client.session.id != since, seconds)
        client.call("wamp.session.count")

    return comes_back


class Service(Client):
    def __init__(self, **parameters):
        super().__init__(**{"reconnect": QUICK, **parameters})
        self.heard, self.told = [], []

    @callee(procedure="com.example.double")
    def double(self, n):
        return n * 2

    @subscribe(topic="com.example.topic")
    def on_topic(self, n, **_):
        self.heard.append(n)

    def on_join(self, details):
        self.told.append(("on_join", details))

    def on_disconnect(self, error):
        self.told.append(("on_disconnect", error))

    @property
    def hooks(self):
        return [name for name, _ in self.told]


@pytest.fixture
def linked(mortal_router, make_client, forward):
    """A service behind a forwarder, and a caller with a link of its own: ``service, caller, forwarder``."""
    forwarder = forward(mortal_router.port)
    times = {"heartbeat": 0.3, "heartbeat_timeout": 0.3, "open_timeout": 1.0}
    service = make_client(Service, reconnect=QUICK, url=f"ws://127.0.0.1:{forwarder.port}/", **times)
    caller = make_client(Client, url=mortal_router.url)
    service.start()
    caller.start()
    assert caller.call("com.example.double", 4) == 8
    return service, caller, forwarder


# Cut off.


def cut(forwarder):
    """End all connections, and let no new ones through until it heals."""
    forwarder.tell("refuse", "all")
    forwarder.tell("cut", "all")


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.0])
def test_a_cut(seconds, linked, comes_back, green):
    service, caller, forwarder = linked
    lost_id = service.session.id
    under_way = green.spawn(service.call, "com.example.double", 1)
    under_way.result()
    cut(forwarder)
    cut_at = time.monotonic()
    green.wait_until(lambda: service.session is None, 1.0)
    waiting = green.spawn(service.call, "com.example.double", 21)
    hurried = green.spawn(service.options(timeout=0.05).call, "com.example.double", 21)
    if seconds > 0.1:
        assert type(hurried.error()) is WampyTimeOutError
        assert not waiting.done
    green.sleep(max(0.0, cut_at + seconds - time.monotonic()))
    forwarder.tell("heal")
    mended_at = time.monotonic()
    comes_back(service, lost_id)
    assert time.monotonic() - mended_at < 1.0 + QUICK.longest_delay
    assert waiting.result() == 42
    assert caller.call("com.example.double", 4) == 8
    caller.publish(topic="com.example.topic", n=1)
    green.wait_until(lambda: service.heard == [1])
    assert service.hooks == ["on_join", "on_disconnect", "on_join"]


def test_many_short_cuts(linked, comes_back, green):
    service, caller, forwarder = linked
    for n in range(8):
        lost_id = service.session.id
        cut(forwarder)
        green.sleep(0.02 * n)
        forwarder.tell("heal")
        comes_back(service, lost_id)
        assert caller.call("com.example.double", n) == n * 2
    assert service.hooks.count("on_disconnect") == 8


def test_resets(linked, comes_back, green):
    service, caller, forwarder = linked
    for n in range(5):
        lost_id = service.session.id
        forwarder.tell("reset", "all")
        comes_back(service, lost_id)
        assert caller.call("com.example.double", n) == n * 2
    errors = [error for name, error in service.told if name == "on_disconnect"]
    assert {type(error) for error in errors} == {ConnectionClosed}
    assert "reset" in str(errors[0])


def test_silence_is_noticed(linked, comes_back, green):
    """Frozen: nothing breaks and nothing comes through, until it thaws."""
    service, caller, forwarder = linked
    lost_id = service.session.id
    under_way = green.spawn(service.options(timeout=None).call, "com.example.double", 1)
    under_way.result()
    forwarder.freeze()
    frozen_at = time.monotonic()
    under_way = green.spawn(service.options(timeout=None).call, "com.example.double", 1)
    error = under_way.error(5)
    assert type(error) is ConnectionClosed
    assert "heartbeat_timeout" in str(error)
    assert time.monotonic() - frozen_at < 2.0
    green.sleep(1.5)  # an attempt has been given up meanwhile, as its connection is not answered
    forwarder.thaw()
    comes_back(service, lost_id)
    # The dead session holds the procedure for a moment longer than the new one is there.
    green.wait_until(lambda: service.hooks[-1] == "on_join")
    assert caller.call("com.example.double", 4) == 8


def test_a_silence_that_is_too_short_to_be_noticed(linked, green):
    service, caller, forwarder = linked
    session_id = service.session.id
    forwarder.freeze()
    waiting = [green.spawn(caller.call, "com.example.double", n) for n in range(10)]
    green.sleep(0.1)
    forwarder.thaw()
    assert [each.result() for each in waiting] == [n * 2 for n in range(10)]
    assert service.session.id == session_id


# The router does not know yet that we are gone.


class Adder(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.attempts = 0

    @callee(procedure="com.example.add")
    def add(self, a, b):
        return a + b

    def on_reconnect_attempt(self, attempt):
        self.attempts = attempt


@pytest.fixture
def half_dead(mortal_router, make_client, forward, green):
    """A client that has lost its session, of which the router has not heard: ``client, forwarder, lost_id``."""

    def half_dead(**policy):
        forwarder = forward(mortal_router.port)
        client = make_client(
            Adder,
            url=[f"ws://127.0.0.1:{forwarder.port}/", mortal_router.url],
            heartbeat=0.2,
            heartbeat_timeout=0.2,
            reconnect=Reconnect(first_delay=0.05, longest_delay=0.1, **policy),
        )
        client.start()
        lost_id = client.session.id
        forwarder.freeze()
        return client, forwarder, lost_id

    return half_dead


def test_it_waits_until_the_router_lets_go(half_dead, mortal_router, make_client, comes_back, green):
    client, forwarder, lost_id = half_dead()
    green.wait_until(lambda: client.attempts >= 4)
    assert not any(each.active for each in client.registration_map.values())
    forwarder.close()
    comes_back(client, lost_id)
    other = make_client(Client, url=mortal_router.url)
    other.start()
    assert other.call("com.example.add", 1, 2) == 3
    assert client.url == mortal_router.url


def test_not_for_ever_if_told_so(half_dead, green):
    client, _, _ = half_dead(attempts=3)
    with pytest.raises(ProcedureAlreadyExists, match=r"com\.example\.add"):
        client.wait(10)
    assert client.attempts == 3
    assert client.session is None
    with pytest.raises(ConnectionClosed):
        client.call("com.example.add", 1, 2)


def test_it_takes_what_is_its_own_by_force(half_dead, mortal_router, make_client, comes_back, green):
    client, forwarder, lost_id = half_dead(force_reregister=True)
    comes_back(client, lost_id)
    assert client.attempts == 1
    other = make_client(Client, url=mortal_router.url)
    other.start()
    assert other.call("com.example.add", 1, 2) == 3
    # Nor does it harm when the old connection ends.
    forwarder.close()
    green.sleep(0.2)
    assert other.call("com.example.add", 1, 2) == 3


# Names and descriptors.


def test_a_name_that_does_not_resolve_for_a_while(mortal_router, make_client, comes_back, green, monkeypatch, caplog):
    """The name is looked up anew at each attempt."""
    client = make_client(Service, reconnect=QUICK, url=mortal_router.url)
    client.start()
    lost_id = client.session.id
    other = make_client(Client, url=mortal_router.url)
    other.start()
    client._keeper.urls[:] = [f"ws://router.invalid:{mortal_router.port}/"]
    other.call("wamp.session.kill", lost_id)
    green.wait_until(lambda: "router.invalid" in caplog.text)
    green.sleep(0.5)
    said = [record.message for record in caplog.records if "router.invalid" in record.message]
    assert len(said) == 1, said
    assert "host name 'router.invalid'" in said[0]
    assert said[0].endswith("; trying again")
    client._keeper.urls[:] = [f"ws://localhost:{mortal_router.port}/"]
    comes_back(client, lost_id)
    assert other.call("com.example.double", 4) == 8


def test_several_routers_that_say_nothing_are_told_of_once(make_client, frozen_port, green, caplog):
    """Each has the time that those before it have left, a little less or more in each attempt."""

    class Watcher(Client):
        attempts = 0

        def on_reconnect_attempt(self, attempt):
            self.attempts = attempt

    policy = Reconnect(first_delay=0.05, longest_delay=0.05, first_connection=True)
    urls = [f"ws://127.0.0.1:{frozen_port}/{path}" for path in "abc"]
    client = make_client(Watcher, url=urls, open_timeout=0.3, reconnect=policy)
    starting = green.spawn(client.start)
    green.wait_until(lambda: client.attempts > 8)
    client.stop()
    assert isinstance(starting.error(), ConnectionClosed)
    said = [record.message for record in caplog.records if record.name == "wampy.peers.joining"]
    assert len(said) == 3, said
    assert [each.endswith("; trying the next URL") for each in said] == [True, True, False]
    assert said[2].startswith("none of 3 routers could be joined. ")


OUT_OF_DESCRIPTORS = """
    import os, resource, sys
    from wampy import Client, Reconnect, callee
    from wampy.backends import get_backend

    sleep = get_backend().sleep

    hog = []

    def take_all():
        try:
            while True:
                hog.append(os.dup(0))
        except OSError as error:
            return error.strerror

    class Service(Client):
        attempts = 0

        def on_disconnect(self, error):
            if error is not None:
                take_all()  # the lost connection's own one too, which is free now

        @callee(procedure="com.example.double")
        def double(self, n):
            return n * 2

        def on_reconnect_attempt(self, attempt):
            self.attempts = attempt

    policy = Reconnect(first_delay=0.05, longest_delay=0.1)
    with Service(url=sys.argv[1], reconnect=policy) as service:
        assert service.call("com.example.double", 1) == 2
        lost_id = service.session.id
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        print(take_all(), flush=True)
        service.publish(topic="com.example.kill", session=lost_id)
        while service.attempts < 5:
            sleep(0.01)
        assert service.session is None
        print("no way", flush=True)
        while hog:
            os.close(hog.pop())
        assert service.call("com.example.double", 4) == 8
        assert service.session.id != lost_id
        print("back", flush=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
"""


def test_descriptors_are_exhausted_for_a_while(mortal_router, make_client, run_python, green):
    killer = make_client(Client, url=mortal_router.url)
    killer.start()

    def kill(session, **_):
        killer.call("wamp.session.kill", session)

    killer.session.subscribe("com.example.kill", kill)
    outcome = []

    def run():
        outcome.append(run_python(OUT_OF_DESCRIPTORS, mortal_router.url, timeout=30))

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        green.sleep(0.02)
    (done,) = outcome
    assert (done.stdout, done.stderr, done.returncode) == ("Too many open files\nno way\nback\n", "", 0)
