"""The pytest plugin: a real router and a client as fixtures.

``wampy_router``, ``wampy_client``, ``wampy_config_path`` and ``wampy_url`` are always there; ``router``,
``client``, ``config_path`` and ``url`` are the same under short names, each where no other plugin has it.

Only pytest and the standard library are imported here, and nothing is configured: pytest loads this module in
every project of an environment that wampy is installed in. The fixtures import what they need.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import os

    from wampy.peers.clients import Client
    from wampy.peers.routers import Crossbar
    from wampy.testing._routers import Routers

_NAMES = ("wampy", __name__)


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """Add the short names when pytest knows everybody else's fixtures."""
    if plugin is sys.modules[__name__]:
        # A project that names this module in `pytest_plugins` or with -p, with wampy installed, would have it
        # registered twice, under two names, which pytest refuses with a traceback.
        for name in _NAMES:
            if not manager.hasplugin(name):
                manager.set_blocked(name)
    elif manager.get_name(plugin) == "funcmanage":
        from wampy.testing._short_names import make_plugin

        manager.register(make_plugin(plugin, manager), "wampy-short-names")


@pytest.fixture(scope="session")
def wampy_routers() -> Iterator[Routers]:
    """Routers for fixtures of a wider scope than a test: ``wampy_routers.get(config_path, url)``."""
    from wampy.testing._routers import Routers

    routers = Routers()
    yield routers
    routers.stop()


@pytest.fixture
def wampy_config_path() -> str | os.PathLike[str] | None:
    """`config_path` under a name that nobody else has."""
    return None


@pytest.fixture
def wampy_url() -> str | None:
    """`url` under a name that nobody else has."""
    return None


@pytest.fixture
def wampy_router(wampy_routers: Routers, _wampy_config_path: Any, _wampy_url: Any) -> Crossbar:
    """`router` under a name that nobody else has."""
    return wampy_routers.get(_wampy_config_path, _wampy_url)


@pytest.fixture
def wampy_client(_wampy_router: Any) -> Iterator[Client]:
    """`client` under a name that nobody else has."""
    from wampy.constants import DEFAULT_REALM
    from wampy.peers.clients import Client

    # A project's own `router` may be anything that has a URL.
    with Client(url=_wampy_router.url, realm=getattr(_wampy_router, "realm", DEFAULT_REALM)) as client:
        yield client
