"""Mark a method as a procedure. Marking is all that happens; REGISTER goes out after WELCOME."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])

#: The attribute in which a function carries its marks.
MARKS = "__wampy_roles__"

INVOCATION_POLICIES = ("single", "roundrobin", "random", "first", "last")
MATCHES = ("exact", "prefix", "wildcard")


@dataclass(frozen=True)
class CalleeMark:
    """What `@callee` notes.

    Attributes:
        procedure: The URI; ``None`` for the function's name.
        options: The options of REGISTER.
        details_arg: The keyword under which the function gets the INVOCATION's details.
    """

    procedure: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    details_arg: str | None = None


def add_mark(function: F, mark: Any) -> F:
    """Note a mark on a function, after those it has; a copy, so that a wrapped function keeps its own."""
    marks = (*getattr(function, MARKS, ()), mark)
    try:
        setattr(function, MARKS, marks)
    except AttributeError:
        raise TypeError(
            f"{function!r} cannot be decorated here; put the decorator next to the function, under "
            "@staticmethod or @classmethod"
        ) from None
    return function


def check_match(match: str) -> None:
    """Refuse a matching policy that WAMP does not have."""
    if match not in MATCHES:
        raise ValueError(f"match is one of {', '.join(MATCHES)}, not {match!r}")


@overload
def callee(function: F, /) -> F: ...
@overload
def callee(
    *,
    procedure: str | None = None,
    invocation_policy: str = "single",
    match: str = "exact",
    details_arg: str | None = None,
) -> Callable[[F], F]: ...
def callee(
    function: F | None = None,
    /,
    *,
    procedure: str | None = None,
    invocation_policy: str = "single",
    match: str = "exact",
    details_arg: str | None = None,
) -> F | Callable[[F], F]:
    """Mark a method as a procedure that the client registers (WAMP, "Registering").

    Args:
        function: The method, when used without brackets.
        procedure: The URI; left out, the method's name.
        invocation_policy: ``single``, ``roundrobin``, ``random``, ``first`` or ``last``.
        match: ``exact``, ``prefix`` or ``wildcard``.
        details_arg: The keyword argument under which the method gets the INVOCATION's details, a dictionary.

    Returns:
        The method itself, marked.

    Raises:
        ValueError: The policy or the match is none that WAMP has.
    """
    if invocation_policy not in INVOCATION_POLICIES:
        raise ValueError(
            f"invocation_policy is one of {', '.join(INVOCATION_POLICIES)}, not {invocation_policy!r}"
        )
    check_match(match)
    if procedure is not None and not isinstance(procedure, str):
        raise TypeError(f"procedure is a str, not {type(procedure).__name__}")
    options: dict[str, Any] = {}
    if invocation_policy != "single":
        options["invoke"] = invocation_policy
    if match != "exact":
        options["match"] = match
    mark = CalleeMark(procedure, options, details_arg)

    def decorate(marked: F) -> F:
        return add_mark(marked, mark)

    return decorate if function is None else decorate(function)


# `wampy.roles.callee` names both this module and, since it is what people decorate with, the function; carrying
# itself makes `wampy.roles.callee.callee` right in either reading.
callee.callee = callee  # type: ignore[attr-defined]
