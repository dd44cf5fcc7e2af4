"""The door between the user's threads and the engine: what may be called from any of them goes through `guarded`.

What an observer may stand round goes through `observed` when there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
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


def observed(session: Any, name: str, method: Callable[..., Any], /, *args: Any) -> Any:
    """Call what an observer may stand round: outside the guard, if there is one.

    A session asks first whether there is neither, and then does it itself. It has no decorator for that: one that takes
    any arguments takes as long for handing them on as a message for being checked.

    Args:
        session: Whose method it is.
        name: What the observer calls it.
        method: The method, as a function.
        *args: Its arguments.
    """
    observer = telemetry.observer
    if observer is None:
        return session.backend.inside(method, session, *args)
    return getattr(observer, name)(_guarded(method), session, *args)


# To make one takes longer than the call.
_guarded = cache(guarded)
