"""Mark a method as an event handler. Marking is all that happens; SUBSCRIBE goes out after WELCOME."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wampy.roles.callee import F, add_mark, check_match


@dataclass(frozen=True)
class SubscriberMark:
    """What `@subscribe` notes.

    Attributes:
        topic: The URI or pattern.
        options: The options of SUBSCRIBE.
        details_arg: The keyword under which the function gets the EVENT's details.
    """

    topic: str
    options: dict[str, Any] = field(default_factory=dict)
    details_arg: str | None = None


def subscribe(*, topic: str, match: str = "exact", details_arg: str | None = None) -> Callable[[F], F]:
    """Mark a method as the handler of a topic's events (WAMP, "Subscribing").

    The method gets the payload's positional and keyword arguments and, if its signature takes ``meta`` or
    ``**kwargs``, ``meta={"topic": …, "subscription_id": …}``.

    Args:
        topic: The URI or, with `match`, the pattern.
        match: ``exact``, ``prefix`` or ``wildcard``.
        details_arg: The keyword argument under which the method gets the EVENT's details, a dictionary.

    Returns:
        A decorator that gives the method itself back, marked.

    Raises:
        TypeError: The topic is no text.
        ValueError: The match is none that WAMP has.
    """
    if not isinstance(topic, str):
        raise TypeError("write @subscribe(topic='com.example.topic')")
    check_match(match)
    options = {} if match == "exact" else {"match": match}
    mark = SubscriberMark(topic, options, details_arg)

    def decorate(function: F) -> F:
        return add_mark(function, mark)

    return decorate


subscribe.subscribe = subscribe  # type: ignore[attr-defined]
