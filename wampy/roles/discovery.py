"""Find the marked methods of an object, at run time and through all its classes."""

from __future__ import annotations

from typing import Any

from wampy.errors import WampyError
from wampy.roles.callee import MARKS, CalleeMark
from wampy.roles.handles import Registration, Role, Subscription


def discover(owner: Any) -> list[Role]:
    """Make a handle for each decorated method of an object.

    A method that a subclass overrides counts once. If the override is decorated again its own marks count, if
    not those of the nearest class that has any. An override with ``None`` takes the role away.

    Args:
        owner: The client, an instance of a class with decorated methods.

    Returns:
        New registrations and subscriptions in the order of definition, base classes first.

    Raises:
        WampyError: An attribute that is no function hides a decorated method.
    """
    names: dict[str, None] = {}
    for cls in reversed(type(owner).__mro__):
        names.update(dict.fromkeys(name for name, value in vars(cls).items() if _marks(value)))
    roles: list[Role] = []
    for name in names:
        marks = next(found_marks for cls in type(owner).__mro__ if (found_marks := _marks(vars(cls).get(name))))
        found = getattr(owner, name, None)
        if found is not None and not callable(found):
            raise WampyError(
                f"{type(owner).__name__}.{name} is decorated, but hidden by an attribute of that name, {found!r:.60}; "
                "rename the method, and give the decorator the procedure or topic"
            )
        if found is not None:
            roles.extend(_handle(name, mark) for mark in marks)
    return roles


def _marks(value: Any) -> tuple[Any, ...]:
    # staticmethod and classmethod hold the function; the mark may be on either.
    marks: tuple[Any, ...] = getattr(value, MARKS, ()) or getattr(getattr(value, "__func__", None), MARKS, ())
    return marks


def _handle(name: str, mark: Any) -> Role:
    if isinstance(mark, CalleeMark):
        return Registration(mark.procedure or name, name, options=mark.options, details_arg=mark.details_arg)
    return Subscription(mark.topic, name, options=mark.options, details_arg=mark.details_arg)
