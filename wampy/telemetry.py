"""The seam for who watches what clients do, such as `wampy.otel`: one observer a process, none unless somebody asks.

Without one, a call, a publication, an invocation and an event each cost a look at `observer`, and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary


class Observer(ABC):
    """Stands round what clients do. What it adds must not fail, and the outcome is passed on as it is.

    Its methods run where they are called: in the user's own thread, or in a worker, and never with the engine locked.
    """

    @abstractmethod
    def call(self, method: Callable[..., Any], session: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Stand round `Session.call`.

        Args:
            method: What to call with all the rest.
            session: Whose method it is.
            *args, **kwargs: Its arguments.
        """

    @abstractmethod
    def call_async(self, method: Callable[..., Any], session: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Stand round `Session.call_async`, likewise; `Session.when_done` says when the call is over."""

    @abstractmethod
    def publish(self, method: Callable[..., Any], session: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Stand round `Session.publish`, likewise."""

    @abstractmethod
    def waiting(self, operation: str, name: str, wait: Callable[[], Any]) -> Any:
        """Stand round the wait for a session, without which nothing can be sent.

        Args:
            operation: ``call``, ``call_async`` or ``publish``.
            name: The procedure or topic.
            wait: What to call.
        """

    @abstractmethod
    def invocation(self, session: Any, registration: Any, message: Any, function: Callable[..., Any]) -> Any:
        """Return what a worker calls in the place of a callee.

        Args:
            session: Where the invocation came in.
            registration: What it is for.
            message: The INVOCATION.
            function: The callee.
        """

    @abstractmethod
    def event(self, session: Any, subscription: Any, message: Any, function: Callable[..., Any]) -> Any:
        """Return what a worker calls in the place of an event handler, likewise."""

    @abstractmethod
    def stopped(self, keeper: Any) -> None:
        """Take note, maybe twice, that a client has stopped for now. The reader may say so: this must not block."""


#: Who watches.
observer: Observer | None = None

#: What keeps the sessions of each client that there is, by its `id`.
_keepers: WeakValueDictionary[int, Any] = WeakValueDictionary()


def watch(new: Observer | None) -> None:
    """Let somebody watch from now on, in the place of who did; ``None`` for nobody."""
    global observer
    observer = new


def add_keeper(keeper: Any) -> None:
    """Note that there is another client."""
    _keepers[id(keeper)] = keeper


def note_stopped(keeper: Any) -> None:
    """Tell who watches, if anybody, that a client has stopped."""
    if observer is not None:
        observer.stopped(keeper)


def keepers() -> list[Any]:
    """Return what keeps the sessions of the clients that there are; from any thread."""
    # `valuerefs` copies in one step: others may come and go meanwhile.
    found = [reference() for reference in _keepers.valuerefs()]
    return [keeper for keeper in found if keeper is not None]
