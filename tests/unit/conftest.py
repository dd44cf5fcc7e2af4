"""What unit tests share: the backend and the scripted router."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _quick(quick_leak_check):
    """All of these tests are small, and the leak check must not be most of their time."""


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
