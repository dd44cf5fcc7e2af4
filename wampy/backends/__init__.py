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

#: name -> module and class.
BACKENDS = {
    "eventlet": ("wampy.backends.eventlet_", "EventletBackend"),
    "threading": ("wampy.backends.threading_", "ThreadingBackend"),
}

__all__ = ["BACKENDS", "async_adapter", "configure_async", "get_async_adapter", "get_backend"]


def get_backend(name: str | None = None) -> Backend:
    """Return the backend of that name.

    Args:
        name: ``"eventlet"``; left out, ``WAMPY_ASYNC_NAME`` decides.

    Returns:
        The verbs of one green-thread library; it has no state, so any number may be made.

    Raises:
        WampyError: There is no backend of that name.
    """
    name = name or settings().async_name
    try:
        module, attribute = BACKENDS[name]
    except KeyError:
        known = ", ".join(sorted(BACKENDS))
        raise WampyError(f"unknown backend {name!r} (WAMPY_ASYNC_NAME); known: {known}") from None
    backend: Backend = getattr(import_module(module), attribute)()
    return backend


def get_async_adapter() -> Backend:
    """Return the backend that the environment names, under its name in wampy 1.

    Returns:
        As `get_backend`.
    """
    return get_backend()


def configure_async() -> None:
    """Monkey-patch the standard library with the backend's library, because the user says so.

    Call it before anything that is to be patched is imported.
    """
    backend = get_backend()
    backend.monkey_patch()
    logger.info("%s monkey-patched your environment", backend.name)


def __getattr__(name: str) -> Any:
    # Made when asked for, so that importing this package does not import eventlet.
    if name == "async_adapter":
        return get_async_adapter()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
