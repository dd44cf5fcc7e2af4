"""What `register` and `subscribe` give back: handles that know what they stand for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary, ref


class Role:
    """A function of the user's and what the router knows it by.

    Args:
        function: What to call, or the name of the client's attribute to look up at each call, so that an
            instance's own attribute counts.
        options: The options of REGISTER or SUBSCRIBE.
        details_arg: The keyword under which the function gets the message's details, if any.
    """

    id: int | None = None

    def __init__(
        self,
        function: Callable[..., Any] | str,
        options: Mapping[str, Any] | None = None,
        details_arg: str | None = None,
    ) -> None:
        self._function = function
        self._is_name = isinstance(function, str)
        self.options = dict(options or {})
        self.details_arg = details_arg

    def function_of(self, client: Any) -> Callable[..., Any]:
        """Return what to call now.

        Args:
            client: Whose attribute it may be.
        """
        found: Any = self._function
        if self._is_name:
            found = getattr(client, found)
        return found  # type: ignore[no-any-return]

    @property
    def active(self) -> bool:
        """Whether the router knows it."""
        return self.id is not None


class Registration(Role):
    """A procedure that this session serves.

    Attributes:
        procedure: Its URI.
        id: The registration id, ``None`` while the router does not know it.
    """

    def __init__(self, procedure: str, function: Callable[..., Any] | str, **rest: Any) -> None:
        super().__init__(function, **rest)
        self.procedure = procedure

    def __repr__(self) -> str:
        return f"Registration({self.procedure!r}, id={self.id})"


class Subscription(Role):
    """A topic that this session listens to.

    Attributes:
        topic: Its URI, or the pattern.
        id: The subscription id, ``None`` while the router does not know it.
        mailbox: Where the session puts events for the function.
    """

    mailbox: Any = None

    def __init__(self, topic: str, function: Callable[..., Any] | str, **rest: Any) -> None:
        super().__init__(function, **rest)
        self.topic = topic
        # What was asked about last, weakly, and the answer: mostly the same function gets one event after another.
        self._asked: Callable[[], Any] = _nothing
        self._answer = False

    def takes_meta(self, function: Callable[..., Any]) -> bool:
        """Say whether a function takes ``meta``; see `takes_keyword`.

        Args:
            function: What `function_of` gave.
        """
        plain = getattr(function, "__func__", function)
        if self._asked() is not plain:
            self._answer = takes_keyword(plain, "meta")
            try:
                self._asked = ref(plain)
            except TypeError:
                self._asked = _nothing
        return self._answer

    def __repr__(self) -> str:
        return f"Subscription({self.topic!r}, id={self.id})"


def _nothing() -> None:
    """Take the place of a reference to what is not there."""


def takes_keyword(function: Callable[..., Any], name: str) -> bool:
    """Say whether a function can be called with a keyword argument of that name.

    Args:
        function: A function, method or other callable.
        name: The keyword.

    Returns:
        True when the signature has it or ``**kwargs``; False when there is no signature to read.
    """
    # A bound method is a new object at each look-up; what it is bound from is not, and can be remembered, weakly, so
    # that a function of the user's does not outlive its client here.
    plain = getattr(function, "__func__", function)
    try:
        known = _known_keywords.setdefault(plain, {})
    except TypeError:  # it has no hash, or cannot be referred to weakly
        known = {}
    if name not in known:
        known[name] = _look_for_keyword(plain, name)
    return known[name]


_known_keywords: WeakKeyDictionary[Callable[..., Any], dict[str, bool]] = WeakKeyDictionary()


def _look_for_keyword(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    parameter = parameters.get(name)
    if parameter is not None and parameter.kind is not parameter.VAR_KEYWORD:
        return parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return any(p.kind is p.VAR_KEYWORD for p in parameters.values())
