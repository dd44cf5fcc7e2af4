"""Choose the green-thread library. This package is the only place that imports one."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wampy.config import settings
from wampy.errors import WampyError
from wampy.interfaces import Backend

if TYPE_CHECKING:
    async_adapter: Backend

logger = logging.getLogger(__name__)

#: name -> module and class. The module imports the library of that name.
BACKENDS = {
    "eventlet": ("wampy.backends.eventlet_", "EventletBackend"),
    "gevent": ("wampy.backends.gevent_", "GeventBackend"),
    "threading": ("wampy.backends.threading_", "ThreadingBackend"),
}

__all__ = [
    "BACKENDS",
    "async_adapter",
    "configure_async",
    "configure_backend",
    "get_async_adapter",
    "get_backend",
    "settle_backend",
]

# What `configure_backend` was given, and what the first client of this process took.
_chosen: str | None = None
_settled: str | None = None


def get_backend(name: str | None = None) -> Backend:
    """Return the backend of that name.

    Args:
        name: ``"eventlet"``, ``"gevent"`` or ``"threading"``; left out, `configure_backend` decides, or else
            ``WAMPY_ASYNC_NAME``.

    Returns:
        The verbs of one green-thread library; it has no state, so any number may be made.

    Raises:
        WampyError: There is no backend of that name, or its library is not installed.
    """
    source = ""
    if name is None:
        name = _chosen
    if name is None:
        name, source = settings().async_name, " (WAMPY_ASYNC_NAME)"
    try:
        module, attribute = BACKENDS[name]
    except KeyError:
        known = ", ".join(sorted(BACKENDS))
        raise WampyError(f"unknown backend {name!r}{source}; known: {known}") from None
    try:
        backend: Backend = getattr(import_module(module), attribute)()
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise WampyError(f"the backend {name!r} needs the package {name}: pip install 'wampy[{name}]'") from error
    return backend


def configure_backend(name: str) -> None:
    """Choose the backend of this process, before the first client is made. It counts for more than the environment.

    Args:
        name: ``"eventlet"``, ``"gevent"`` or ``"threading"``.

    Raises:
        WampyError: There is no backend of that name, its library is not installed, or a client runs on another one
            already.
    """
    global _chosen
    get_backend(name)
    _check_settled(name)
    _chosen = name


def settle_backend() -> Backend:
    """Return the backend for a client, and let there be no other in this process from now on.

    Raises:
        WampyError: As for `get_backend`; or another client has settled on another one, and the environment has changed.
    """
    global _settled
    backend = get_backend()
    _check_settled(backend.name)
    _settled = backend.name
    return backend


def _check_settled(name: str) -> None:
    if _settled not in (None, name):
        raise WampyError(
            f"this process has a client on {_settled} already, and {name} cannot run beside it: choose the backend "
            "before the first client is made"
        )


def get_async_adapter() -> Backend:
    """Return the current backend, under its name in wampy 1.

    Returns:
        As `get_backend` without a name.
    """
    return get_backend()


def configure_async() -> None:
    """Monkey-patch the standard library with the backend's library, because the user says so.

    Call it before anything that is to be patched is imported, and after `configure_backend`.
    """
    backend = get_backend()
    backend.monkey_patch()
    logger.info("%s monkey-patched your environment", backend.name)


def __getattr__(name: str) -> Any:
    # Made when asked for, so that importing this package does not import a green-thread library.
    if name == "async_adapter":
        return get_async_adapter()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
