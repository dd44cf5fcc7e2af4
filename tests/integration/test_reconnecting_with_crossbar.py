"""A real router that goes away and comes back, and what it makes of our lost sessions."""

import threading

import pytest

from wampy import Client, Reconnect, callee, subscribe
from wampy.auth import Ticket, WampCRA
from wampy.errors import SessionClosed

QUICK = Reconnect(first_delay=0.05, longest_delay=0.2)


class Service(Client):
    def __init__(self, **parameters):
        super().__init__(**{"reconnect": QUICK, **parameters})
        self.heard, self.told = [], []

    @callee(procedure="com.example.add")
    def add(self, a, b):
        return a + b

    @callee(procedure="com.example.shared", invocation_policy="roundrobin")
    def shared(self):
        return self.session.id

    @subscribe(topic="com.example.topic")
    def on_topic(self, n, **_):
        self.heard.append(("decorated", n))

    def on_join(self, details):
        self.told.append(("on_join", details))

    def on_leave(self, reason):
        self.told.append(("on_leave", reason))

    def on_disconnect(self, error):
        self.told.append(("on_disconnect", error))

    @property
    def hooks(self):
        return [name for name, _ in self.told]


@pytest.fixture
def comes_back(green):
    def comes_back(client, since, seconds=10.0):
        """Wait until the client has another session than that one."""
        green.wait_until(lambda: client.session is not None and client.session.id != since, seconds)
        # There is a session before its roles are there; a call waits for those.
        client.call("wamp.session.count")

    return comes_back


@pytest.fixture
def restart(green):
    """Kill a Crossbar and start it again, on an OS thread: it waits with ``time.sleep``."""

    def restart(router):
        def run():
            router.kill()
            router.start()

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive():
            green.sleep(0.02)

    return restart


@pytest.fixture
def own_router():
    """A Crossbar of the test's own, to be killed and started again."""
    from wampy.peers.routers import Crossbar

    with Crossbar() as router:
        yield router


def test_everything_comes_back_after_a_restart(own_router, make_client, restart, comes_back, green):
    first = make_client(Service, url=own_router.url)
    first.start()
    second = make_client(Client, url=own_router.url, reconnect=QUICK)
    second.start()
    caller = make_client(Client, url=own_router.url, reconnect=QUICK)
    caller.start()
    registrations = [
        first.session.register("com.example.dynamic", lambda: "dynamic"),
        first.session.register("com.example..wild", lambda: "wild", {"match": "wildcard"}),
        second.session.register("com.example.shared", lambda: second.session.id, {"invoke": "roundrobin"}),
    ]
    subscriptions = [
        first.session.subscribe("com.example.topic", lambda n, **_: first.heard.append(("second", n))),
        first.session.subscribe("com.example.", lambda n, **_: first.heard.append(("prefix", n)), {"match": "prefix"}),
    ]
    gone = first.session.register("com.example.gone", lambda: "gone")
    first.session.unregister(gone)
    ids = [handle.id for handle in registrations + subscriptions]
    sessions = {client: client.session.id for client in (first, second, caller)}

    restart(own_router)
    for client, session_id in sessions.items():
        comes_back(client, session_id)
    assert caller.call("com.example.add", 1, 2) == 3
    assert caller.call("com.example.dynamic") == "dynamic"
    assert caller.call("com.example.any.wild") == "wild"
    assert {caller.call("com.example.shared") for _ in range(4)} == {first.session.id, second.session.id}
    caller.publish(topic="com.example.topic", n=7)
    green.wait_until(lambda: len(first.heard) == 3)
    green.sleep(0.05)
    assert sorted(first.heard) == [("decorated", 7), ("prefix", 7), ("second", 7)]
    assert all(handle.active for handle in registrations + subscriptions)
    assert ids != [handle.id for handle in registrations + subscriptions]
    assert not gone.active
    assert caller.call("wamp.registration.match", "com.example.gone") is None
    first.session.unregister(registrations[0])
    assert caller.call("wamp.registration.match", "com.example.dynamic") is None


def test_a_session_that_is_killed(wampy_router, make_client, comes_back, green):
    service = make_client(Service, url=wampy_router.url)
    other = make_client(Client, url=wampy_router.url)
    service.start()
    other.start()
    session_id = service.session.id
    other.options(timeout=5.0).call("wamp.session.kill", session_id, reason="com.example.enough")
    comes_back(service, session_id)
    assert other.call("com.example.add", 1, 2) == 3
    green.wait_until(lambda: service.hooks == ["on_join", "on_leave", "on_disconnect", "on_join"])
    assert service.told[1] == ("on_leave", "com.example.enough")
    assert type(service.told[2][1]) is SessionClosed


@pytest.mark.parametrize(
    "auth",
    [Ticket("tom", "ticket-of-tom"), WampCRA("ann", "secret-of-ann"), WampCRA("sam", "secret-of-sam")],
    ids=["ticket", "wampcra", "salted"],
)
def test_it_proves_again_who_it_is(auth, auth_router, make_client, comes_back, green):
    url = auth_router.url
    service = make_client(Service, url=url, auth=auth)
    other = make_client(Client, url=url, auth=Ticket("tom", "ticket-of-tom"))
    service.start()
    other.start()
    for _ in range(2):
        session_id = service.session.id
        other.call("wamp.session.kill", session_id)
        comes_back(service, session_id)
        assert service.session.details["authid"] == auth.authid
        assert other.call("com.example.add", 1, 2) == 3


def test_the_first_connection_waits_for_the_router(own_router, make_client, green):
    own_router.kill()
    client = make_client(
        Service, url=own_router.url, reconnect=Reconnect(first_delay=0.1, longest_delay=0.2, first_connection=True)
    )
    starting = green.spawn(client.start)
    green.sleep(0.3)
    assert not starting.done
    thread = threading.Thread(target=own_router.start)
    thread.start()
    starting.result(60)
    while thread.is_alive():
        green.sleep(0.02)
    assert client.call("com.example.add", 1, 2) == 3
