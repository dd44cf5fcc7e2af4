"""The door between the user's threads and the engine: what may be called from any of them goes through `guarded`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

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
