"""What unit tests share: the backend and the scripted router."""

import gc
import importlib.util
import sys
import warnings
from pathlib import Path

import pytest


def _load(name):
    # There are no packages in tests/, so a module beside this file cannot be imported by name.
    full_name = f"wampy_unit_tests_{name}"
    if full_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(full_name, Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module
        spec.loader.exec_module(module)
    return sys.modules[full_name]


@pytest.fixture(scope="session", autouse=True)
def what_is_there_before_the_first_test_is_no_leak():
    """Make the leak check quick: it looks at every object, and the modules' are most of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wampy.backends.eventlet_
        import wampy.peers  # noqa: F401
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def backend(green):
    return green.backend


@pytest.fixture(scope="session")
def wamp():
    """The module `scripted_router`: the codes of the messages, `ScriptedRouter`, `Gone`."""
    return _load("scripted_router")


@pytest.fixture
def router(backend, wamp):
    """A scripted router that listens; closed without a word at the end."""
    router = wamp.ScriptedRouter(backend)
    yield router
    router.close()


@pytest.fixture
def join(green, router):
    """Join clients with the scripted router: ``client, peer = join(Class, roles=0, **parameters)``.

    `roles` is how many REGISTER and SUBSCRIBE messages to acknowledge, with ids from 100 on.
    """
    from wampy import Client

    joined = []

    def join(cls=Client, roles=0, welcome=None, **parameters):
        client = cls(router.url, **{"close_timeout": 2.0, "open_timeout": 5.0, "call_timeout": 5.0, **parameters})
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
