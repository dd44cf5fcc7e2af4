"""wampy: WAMP v2 (routed RPC and publish/subscribe) for Python, in green threads.

Importing this package imports nothing else, patches nothing and configures nothing.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "2.0.0.dev0"

if TYPE_CHECKING:
    from wampy.backends import configure_async, configure_backend
    from wampy.config import configure_logging
    from wampy.config.reconnect import Reconnect
    from wampy.errors import RemoteError, WampyError, WampyTimeOutError
    from wampy.peers.clients import Client
    from wampy.peers.routers import Crossbar
    from wampy.roles import callee, subscribe
    from wampy.roles.caller import PendingCall, Result
    from wampy.stats import Stats

_WHERE = {
    "Client": "wampy.peers.clients",
    "Crossbar": "wampy.peers.routers",
    "PendingCall": "wampy.roles.caller",
    "Reconnect": "wampy.config.reconnect",
    "RemoteError": "wampy.errors",
    "Result": "wampy.roles.caller",
    "Stats": "wampy.stats",
    "WampyError": "wampy.errors",
    "WampyTimeOutError": "wampy.errors",
    "callee": "wampy.roles",
    "configure_async": "wampy.backends",
    "configure_backend": "wampy.backends",
    "configure_logging": "wampy.config",
    "subscribe": "wampy.roles",
}

__all__ = [
    "Client",
    "Crossbar",
    "PendingCall",
    "Reconnect",
    "RemoteError",
    "Result",
    "Stats",
    "WampyError",
    "WampyTimeOutError",
    "__version__",
    "callee",
    "configure_async",
    "configure_backend",
    "configure_logging",
    "subscribe",
]

logging.getLogger("wampy").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    # Lazy, so that `import wampy` costs nothing and does not pull a green-thread library in.
    try:
        module = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module 'wampy' has no attribute {name!r}") from None
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
