"""Test services and clients against a real router: fixtures (`wampy.testing.pytest_plugin`) and helpers.

Importing this package imports nothing but the standard library: pytest does so in every project of an
environment that wampy is installed in.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wampy.testing._waiting import wait_for_registrations, wait_for_session, wait_for_subscriptions

if TYPE_CHECKING:
    from wampy.testing.helpers import CollectingMessageHandler, assert_stops_raising, wait_for_messages

__all__ = [
    "CollectingMessageHandler",
    "assert_stops_raising",
    "wait_for_messages",
    "wait_for_registrations",
    "wait_for_session",
    "wait_for_subscriptions",
]


def __getattr__(name: str) -> Any:
    # Lazy: the helpers need the whole client.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("wampy.testing.helpers"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
