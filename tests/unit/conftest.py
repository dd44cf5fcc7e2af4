"""What unit tests share: the backend, the scripted router, and the place of whoever calls the engine."""

import contextlib

import pytest


@pytest.fixture(scope="session", autouse=True)
def _quick(quick_leak_check):
    """All of these tests are small, and the leak check must not be most of their time."""


# On OS threads whoever calls the engine's objects (a transport, the workers, the outbox, ...) holds the monitor, as
# `Backend.inside` has it: that is what makes of threads what the engine was written for. Most tests here are such
# callers, and so all of them are inside unless they say otherwise, fixtures and all, as is what they spawn. Nobody else
# runs but where they wait through the backend, on each backend. The other way round, by a mark on those that drive
# the engine, a forgotten mark would be a race that shows now and then. This way it is a test that waits for
# what cannot come, each time: the mark `outside` is for tests that wait natively for another thread, or whose matter
# the monitor is itself. Tests in tests/integration and elsewhere are the user's code, and outside by nature.


def _is_inside(request):
    return request.node.get_closest_marker("outside") is None


@pytest.fixture(autouse=True)
def _inside(green, request):
    # A fixture, because a function that `Backend.inside` calls would leave out those of the test. On OS threads the
    # mutex is the monitor.
    with green.backend.mutex() if _is_inside(request) else contextlib.nullcontext():
        yield


@pytest.fixture
def green(green, request):
    """Green threads that are where the test is."""
    return type(green)(green.backend, inside=_is_inside(request))


@pytest.fixture
def backend(green):
    return green.backend


@pytest.fixture
def router(backend, wamp):
    """A scripted router that listens; closed without a word at the end."""
    router = wamp.ScriptedRouter(backend)
    yield router
    router.close()


@pytest.fixture
def join(green, router):
    """Join clients with the scripted router: ``client, peer = join(Class, roles=0, **parameters)``.

    They do not come back unless told to. `roles` is how many REGISTER and SUBSCRIBE messages to acknowledge, with ids
    from 100 on.
    """
    from wampy import Client

    joined = []

    def join(cls=Client, roles=0, welcome=None, **parameters):
        defaults = {"close_timeout": 2.0, "open_timeout": 5.0, "call_timeout": 5.0, "reconnect": False}
        client = cls(router.url, **defaults | parameters)
        joining = green.spawn(client.start)
        peer = router.accept()
        joined.append((client, peer))
        peer.hello = peer.welcome(**(welcome or {}))
        if roles:
            peer.roles = peer.acknowledge(roles)
        joining.result()
        return client, peer

    yield join
    for client, peer in joined:
        peer.drop()
        client.stop()


# Workers.


@pytest.fixture
def make_workers(backend):
    """Make workers: ``make_workers(max_workers=2, max_queue=100)``."""
    from wampy.workers import Workers

    pools = []

    def make(max_workers=2, max_queue=100):
        pools.append(Workers(backend, max_workers, max_queue))
        return pools[-1]

    yield make
    for pool in pools:
        for task in pool.close(kill=True):
            assert task.join(2.0)


class Gate:
    """A function for jobs: says when it has started, and ends when it is let go."""

    def __init__(self, green):
        self.green = green
        self.let_go = green.slot()
        self.started = []
        self.ended = []

    def __call__(self, name):
        self.started.append(name)
        self.let_go.wait()
        self.ended.append(name)


@pytest.fixture
def gate(green):
    """A function for jobs that waits in the middle; see `Gate`."""
    return Gate(green)
