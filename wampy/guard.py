"""The door between the user's threads and the engine: what may be called from any of them goes through `guarded`.

What an observer may stand round goes through `observed`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from wampy import telemetry

F = TypeVar("F", bound=Callable[..., Any])


def guarded(method: F) -> F:
    """Let a method of an object with a ``backend`` be called from any thread that the backend allows.

    On green threads that is nothing but the call.

    Args:
        method: It runs uninterrupted but where it waits.
    """

    @wraps(method)
    def guard(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        backend = self.backend
        if backend.switches_only_in_waits:
            return method(self, *args, **kwargs)
        return backend.inside(method, self, *args, **kwargs)

    return cast(F, guard)


def observed(method: F) -> F:
    """Guard a method of a session, and let the observer stand round it, outside the guard, if there is one.

    Args:
        method: The observer has one of its name.
    """
    guard, name = guarded(method), method.__name__

    @wraps(method)
    def door(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        observer = telemetry.observer
        if observer is not None:
            return getattr(observer, name)(guard, self, *args, **kwargs)
        backend = self.backend  # as in `guarded`, without another step: this is every call's way
        if backend.switches_only_in_waits:
            return method(self, *args, **kwargs)
        return backend.inside(method, self, *args, **kwargs)

    return cast(F, door)
