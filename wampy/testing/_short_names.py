"""The fixtures' short names, each only where no other plugin has it. Imports pytest and the standard library.

In pytest the last of two plugins wins, and in which order they are loaded is nobody's choice. So ours come
when all others are there, which is when pytest has made its fixture manager, and the names that are taken
are left out. A project's own ``conftest.py``, modules and classes come later still, and override ours as
ever. A module that a project loads with ``pytest_plugins`` comes before, and counts as a plugin.

What `wampy_router` and `wampy_client` build upon goes through private fixtures, ``_wampy_…``: they lead to
the short name, so that overriding it counts, but not to one that an installed plugin has for itself.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(name="config_path")
def _config_path(wampy_config_path: Any) -> Any:
    """Override it to return the path of a Crossbar configuration (JSON) of yours for `router`."""
    return wampy_config_path


@pytest.fixture(name="url")
def _url(wampy_url: Any) -> Any:
    """Override it to return the URL for clients, instead of what the configuration says."""
    return wampy_url


@pytest.fixture(name="router")
def _router(wampy_router: Any) -> Any:
    """A running Crossbar, started once for each configuration and reused: `wampy.peers.routers.Crossbar`."""
    return wampy_router


@pytest.fixture(name="client")
def _client(wampy_client: Any) -> Any:
    """A started `wampy.Client` on the router, stopped after the test."""
    return wampy_client


@pytest.fixture(name="_wampy_config_path")
def _short_config_path(config_path: Any) -> Any:
    return config_path


@pytest.fixture(name="_wampy_config_path")
def _long_config_path(wampy_config_path: Any) -> Any:
    return wampy_config_path


@pytest.fixture(name="_wampy_url")
def _short_url(url: Any) -> Any:
    return url


@pytest.fixture(name="_wampy_url")
def _long_url(wampy_url: Any) -> Any:
    return wampy_url


@pytest.fixture(name="_wampy_router")
def _short_router(router: Any) -> Any:
    return router


@pytest.fixture(name="_wampy_router")
def _long_router(wampy_router: Any) -> Any:
    return wampy_router


_SHORT = {"config_path": _config_path, "url": _url, "router": _router, "client": _client}
_LINKS = {
    "config_path": (_short_config_path, _long_config_path),
    "url": (_short_url, _long_url),
    "router": (_short_router, _long_router),
}


def make_plugin(fixture_manager: Any, manager: pytest.PytestPluginManager) -> ModuleType:
    """Choose the fixtures whose names are free.

    Args:
        fixture_manager: pytest's, when it knows all other plugins' fixtures.
        manager: pytest's plugin manager.

    Returns:
        A plugin that has them.
    """
    plugin = ModuleType("wampy_short_names", __doc__)
    for name, fixture in _SHORT.items():
        others = _definitions(fixture_manager, name)
        if others == []:
            setattr(plugin, name, fixture)
        if name in _LINKS:
            to_short, to_long = _LINKS[name]
            is_foreign = others is None or (others and _package(others[-1]) in _installed_packages(manager))
            setattr(plugin, f"link_{name}", to_long if is_foreign else to_short)
    return plugin


def _definitions(fixture_manager: Any, name: str) -> list[Any] | None:
    """Return the functions that other plugins define under a fixture's name, the one that wins last."""
    try:
        session = fixture_manager.session
        # Before pytest 8.1 it asks for an id.
        where = session if pytest.version_tuple >= (8, 1) else session.nodeid
        found = fixture_manager.getfixturedefs(name, where) or ()
        # Before pytest 9.1 the first conftest.py is there already, and it is no plugin: it overrides ours.
        return [one.func for one in found if pytest.version_tuple >= (9, 1) or not one.has_location]
    except (AttributeError, TypeError):
        # A pytest that is different inside. Nobody's test run may fail for that: do without short names.
        return None


def _installed_packages(manager: pytest.PytestPluginManager) -> frozenset[str]:
    """Return the top-level packages of the plugins that are installed: not a project's own modules."""
    return frozenset(_package(plugin) for plugin, _ in manager.list_plugin_distinfo())


def _package(owned: Any) -> str:
    """Return the top-level package that a plugin or a function belongs to."""
    module = owned.__name__ if isinstance(owned, ModuleType) else getattr(owned, "__module__", None)
    return str(module).partition(".")[0]
