"""What all messages share: everything that can be derived from the fields a class declares.

::

    @declare
    class Published(Message):
        WAMP_CODE = 17
        name = "published"
        replies_to = 16
        received = True

        request_id: Id
        publication_id: Id

The annotations come from `wampy.messages.fields`, in wire order. A field with a default may be missing at the
end of the wire list, and may be ``null`` there.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from operator import attrgetter
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from wampy.errors import WampProtocolError, WampyError
from wampy.messages.checks import Check, elide
from wampy.messages.compiled import compile_methods
from wampy.messages.fields import Field

_SECRET_KEYS = ("authextra", "resume_token")


class Message:
    """The wire form of one message type (WAMP, "Messages").

    Attributes:
        WAMP_CODE: The number that stands first on the wire.
        name: Its name in lower case; a handler's method is ``handle_<name>``.
        replies_to: The code of the request that it answers, if it always answers the same.
        sent: Whether a client sends it.
        received: Whether a client receives it.
        FIELDS: The names of its fields, in wire order.
    """

    __slots__ = ()

    WAMP_CODE: ClassVar[int]
    name: ClassVar[str]
    replies_to: ClassVar[int | None] = None
    sent: ClassVar[bool] = False
    received: ClassVar[bool] = False
    FIELDS: ClassVar[tuple[str, ...]] = ()

    # Set by `declare`.
    _checks: ClassVar[tuple[Check, ...]]
    _is_right: ClassVar[Callable[[Any], bool]]
    _listed: ClassVar["attrgetter[tuple[Any, ...]]"]
    _secrets: ClassVar[frozenset[str]]
    _shortest: ClassVar[int]
    _longest: ClassVar[int]

    @classmethod
    def from_wire(cls, wire: list[Any]) -> Self:
        """Build the message from its wire list, whose first element is not looked at.

        Args:
            wire: What the serializer read.

        Returns:
            The message, every field of it checked.

        Raises:
            WampProtocolError: The list is too short or too long, or a field holds what it must not.
        """
        raise NotImplementedError  # compiled for each class by `declare`

    @classmethod
    def _from_wire_closely(cls, wire: list[Any]) -> Self:
        # What is unusual: with a null, or with a fault, for which there are words here.
        if not cls._shortest <= len(wire) <= cls._longest:
            raise WampProtocolError(f"{cls.name.upper()}: {cls._expected_length()}, not {len(wire)}")
        if None in wire:
            cls._refuse_nulls(wire)
        make: Callable[..., Self] = cls
        message = make(*wire[1:])
        if not message._is_right():
            raise message._fault()
        return message

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # What is compiled would not call somebody's own, perhaps a mixin's.
        if _stands_before(cls, ("__init__", "__new__"), "from_wire"):
            cls.from_wire = classmethod(Message._from_wire_closely.__func__)  # type: ignore
        if _stands_before(cls, ("listed",), "_plain_wire"):
            cls._plain_wire = Message._plain_wire  # type: ignore[method-assign]

    def validate(self) -> None:
        """Check every field.

        A fresh request's id may still be ``None``.

        Raises:
            WampProtocolError: A field holds what it must not; the text names message, field and value.
        """
        if not self._is_right():
            raise self._fault()

    def listed(self) -> list[Any]:
        """Make the wire list as far as it is known: a fresh request's id may be ``None``.

        Returns:
            The list, without empty trailing fields that may be left out; the caller's own.
        """
        raise NotImplementedError  # compiled for each class by `declare`

    def _plain_wire(self) -> list[Any] | None:
        # The same, if all is right and is what every serializer takes as it is; else `None`. Compiled by `declare`.
        return None

    @property
    def message(self) -> list[Any]:
        """The wire list, without empty trailing fields that may be left out.

        Raises:
            WampyError: A field has no value yet, most likely the request id.
        """
        wire = self.listed()
        if None in wire:
            field = self.FIELDS[wire.index(None) - 1]
            hint = "; the session gives one out when it sends" if field == "request_id" else ""
            raise WampyError(f"{self.name.upper()}: {field} has no value{hint}")
        return wire

    @property
    def header(self) -> dict[str, Any]:
        """Its Options or Details, whichever it has."""
        found: dict[str, Any] = getattr(self, "options", None) or getattr(self, "details", None) or {}
        return found

    @property
    def reply_key(self) -> tuple[int, int] | None:
        """Code and id of the request that this message answers, or ``None`` if it is no reply."""
        return None if self.replies_to is None else (self.replies_to, self.request_id)  # type: ignore[attr-defined]

    def _fault(self) -> WampProtocolError:
        # Apart from `validate`, which is hot: only now does it matter which field it was.
        for name, check, value in zip(self.FIELDS, self._checks, self._listed(self)[1:], strict=True):
            problem = check(value, self)
            if problem is not None:
                return WampProtocolError(f"{self.name.upper()}: {name}{problem}")
        raise AssertionError("a check that refused a value a moment ago accepts it now")

    @classmethod
    def _refuse_nulls(cls, wire: list[Any]) -> None:
        # Only what may be missing may be null. From the front: the first fault is the one to name.
        for index in range(1, cls._shortest):
            if wire[index] is None:
                raise WampProtocolError(f"{cls.name.upper()}: {cls.FIELDS[index - 1]} must not be null")

    @classmethod
    def _expected_length(cls) -> str:
        if cls._shortest == cls._longest:
            return f"the list must have {cls._shortest} elements"
        return f"the list must have {cls._shortest} to {cls._longest} elements"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message) or type(other) is not type(self):
            return NotImplemented
        return _with_lists(self._listed(self)) == _with_lists(other._listed(other))

    # A message can be changed until it is sent.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}=***" if name in self._secrets else f"{name}={elide(_masked(getattr(self, name, None)))}"
            for name in self.FIELDS
        )
        return f"{type(self).__name__}({shown})"


def _stands_before(cls: type, names: tuple[str, ...], compiled: str) -> bool:
    """Say whether a class has one of some methods from a class that comes before that with the compiled one."""
    for each in cls.__mro__:
        if compiled in vars(each):
            return False
        if any(name in vars(each) for name in names):
            return True
    return False


def _masked(value: Any) -> Any:
    """Hide what Details may hold of secrets."""
    if not isinstance(value, dict) or not any(key in value for key in _SECRET_KEYS):
        return value
    return {key: "***" if key in _SECRET_KEYS else item for key, item in value.items()}


def positional(args: Any) -> tuple[Any, ...]:
    """Return a message's positional payload; the one binary of the transparent form is one argument.

    Args:
        args: What the message holds.

    Returns:
        What a function is called with.
    """
    return (args,) if isinstance(args, (bytes, bytearray, str)) else tuple(args)


def _with_lists(values: tuple[Any, ...]) -> list[Any]:
    # On the wire a tuple is a list.
    return [list(value) if isinstance(value, tuple) else value for value in values]


M = TypeVar("M", bound=Message)


@dataclass_transform(eq_default=False)
def declare(cls: type[M]) -> type[M]:
    """Derive constructor, parsing and checks from the fields that a class annotates.

    Args:
        cls: A subclass of `Message`.

    Returns:
        The class that takes its place.
    """
    kinds: list[tuple[str, Field]] = [(name, kind.__metadata__[0]) for name, kind in cls.__annotations__.items()]
    compiled = compile_methods(cls, kinds)
    made = dataclass(slots=True, eq=False, repr=False, init=False)(cls)
    declared = fields(made)  # type: ignore[arg-type]
    made.FIELDS = tuple(name for name, _ in kinds)
    made._checks = tuple(kind.check for _, kind in kinds)
    made._secrets = frozenset(name for name, kind in kinds if kind.secret)
    made._longest = 1 + len(declared)
    made._shortest = 1 + sum(field.default is MISSING for field in declared)
    made._listed = attrgetter("WAMP_CODE", *made.FIELDS)
    for name, function in compiled.items():
        setattr(made, name, function)
    return made
