"""Plain values: what WAMP has a type for, and the way to the one value that is not.

`is_plain` is the quick look at each outgoing message. Only when it finds something does `Finder` go through the
message value by value: it puts in what a hook makes of foreign types, and names the place of what cannot travel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NoReturn

from wampy.constants import LONG_LIST
from wampy.errors import SerializationError

#: How deep the lists and dictionaries of a message may be nested, the message itself being the first. Routers have
#: limits of their own, and close the connection above them: Crossbar's is 400 for CBOR and near 1,000 for JSON.
MAX_DEPTH = 250

_CONTAINERS = frozenset({dict, list, tuple})
# How often a hook may be asked about what it has made itself.
_HOOKED = 100
# How many steps of the way to a value an error shows, and how many characters of each.
_STEPS = 20
_STEP = 60
# Where the positional payload stands on the wire, by WAMP code, and where Options or Details.
_ARGS_AT = {8: 5, 16: 4, 36: 4, 48: 4, 50: 3, 68: 4, 70: 3}
_HEADER_AT = {
    **dict.fromkeys((16, 32, 48, 49, 64, 70), (2, "options")),
    **dict.fromkeys((1, 50), (2, "details")),
    **dict.fromkeys((8, 36, 68), (3, "details")),
    5: (2, "extra"),
}


def is_plain(container: Any, scalars: frozenset[type], depth: int = MAX_DEPTH) -> bool:
    """Say whether a message can go to an encoder as it is.

    Args:
        container: A list, tuple or dictionary.
        scalars: The types that the format holds.
        depth: How many levels it may have.

    Returns:
        False when some type is none of those, a key is no text, or the message is too deep. Hot: each message
        that is sent passes here.
    """
    if type(container) is dict:
        for key in container:
            if type(key) is not str:
                return False
        container = container.values()
    elif len(container) >= LONG_LIST and set(map(type, container)) <= scalars:
        return True
    for value in container:
        kind = type(value)
        if kind in scalars:
            continue
        if kind not in _CONTAINERS or depth == 1:
            return False
        # Most of them are empty, or hold scalars only, and few: to look at those here takes no other call.
        if not value:
            continue
        if kind is dict:
            for key, item in value.items():
                if type(item) not in scalars or type(key) is not str:
                    break
            else:
                continue
        elif len(value) < LONG_LIST:
            for item in value:
                if type(item) not in scalars:
                    break
            else:
                continue
        if not is_plain(value, scalars, depth - 1):
            return False
    return True


def holds(container: Any, wanted: Callable[[Any], Any]) -> bool:
    """Say whether a plain message holds a key or a value for which `wanted` says so.

    Args:
        container: A list, tuple or dictionary.
        wanted: Asked about each text, number and so on.
    """
    if type(container) is dict:
        if any(map(wanted, container)):
            return True
        container = container.values()
    return any(holds(value, wanted) if type(value) in _CONTAINERS else wanted(value) for value in container)


class Finder:
    """Go through a message value by value.

    Args:
        scalars: The types that the format holds.
        problem: Says why the format cannot hold a value of one of those types, or gives ``None``.
        missing: What to say about a type that the format lacks, ``"JSON has no form for {}"``.
        depth: How many levels a message may have.
        default: Turns a value of a type that the format lacks into one that it has, or raises `TypeError`.
    """

    def __init__(
        self,
        scalars: frozenset[type],
        problem: Callable[[Any], str | None],
        missing: str,
        depth: int = MAX_DEPTH,
        default: Callable[[Any], Any] | None = None,
    ) -> None:
        self._scalars = scalars
        self._bases = tuple(kind for kind in (str, int, float, bytes, bytearray, Decimal) if kind in scalars)
        self._problem = problem
        self._missing = missing
        self._depth = depth
        self._default = default

    def plain(self, message: Any) -> Any:
        """Make a copy that holds only what the format holds.

        Args:
            message: The wire list, which is not changed.

        Returns:
            The copy.

        Raises:
            SerializationError: For the first value, depth first, that cannot travel.
        """
        return self._copy(message, [message], set())

    def _copy(self, value: Any, path: list[Any], within: set[int]) -> Any:
        # Recursive, and safe in being so: no deeper than what a message may be.
        try:
            return self._copy_of(value, path, within)
        except (SerializationError, RecursionError):
            raise
        except Exception as error:  # of a container or a binary that is somebody else's code
            refuse(f"looking at it raised {type(error).__name__}: {said_by(error)}", value, path, error)

    def _copy_of(self, value: Any, path: list[Any], within: set[int]) -> Any:
        value = self._known(value, path)
        if isinstance(value, dict):
            items: Any = value.items()
        elif isinstance(value, (list, tuple)) and type(value) not in self._scalars:
            items = enumerate(value)
        else:
            return value
        if id(value) in within:
            refuse("it contains itself", value, path)
        if len(path) > self._depth:
            refuse(f"it is nested too deeply, over {self._depth} levels", value, path)
        within.add(id(value))
        depth = len(path)
        made: dict[Any, Any] = {}
        for step, item in items:
            path.append(step)
            if isinstance(value, dict):
                step = self._key(step, path)
            made[step] = self._copy(item, path, within)
            del path[depth:]
        within.discard(id(value))
        return made if isinstance(value, dict) else list(made.values())

    def _key(self, key: Any, path: list[Any]) -> str:
        if not isinstance(key, str):
            refuse("keys must be text", key, path)
        text = str.__str__(key)  # of a subclass too, such as an enumeration's members
        self._check(text, path)
        return text

    def _known(self, value: Any, path: list[Any]) -> Any:
        # A hook may answer with a value that needs the hook again, but not for ever.
        for _ in range(_HOOKED):
            kind = type(value)
            if kind in self._scalars:
                self._check(value, path)
                return value
            if isinstance(value, (dict, list, tuple)):
                return value
            if isinstance(value, memoryview):
                return value.tobytes()
            if isinstance(value, self._bases):
                value = _base_of(value)
                continue
            value = self._hooked(value, path)
        refuse("the `default` hook answers with what needs the hook, again and again", value, path)

    def _hooked(self, value: Any, path: list[Any]) -> Any:
        try:
            if self._default is None:
                raise TypeError(self._missing.format(type(value).__name__))
            return self._default(value)
        except Exception as error:
            refuse(said_by(error), value, path, error)

    def _check(self, value: Any, path: list[Any]) -> None:
        problem = "half a surrogate pair has no form in UTF-8" if is_broken(value) else self._problem(value)
        if problem is not None:
            refuse(problem, value, path)


def has_too_many_digits(value: Any) -> bool:
    """Say whether a number has more digits than Python reads (4,300): its receivers would be at a loss."""
    try:
        if isinstance(value, int):
            str(value)
        elif isinstance(value, Decimal) and value.is_finite():
            int("1" * len(value.as_tuple().digits))
    except ValueError:
        return True
    return False


def is_broken(value: Any) -> bool:
    """Say whether a value is a text that has no form in UTF-8."""
    if not isinstance(value, str) or value.isascii():
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _base_of(value: Any) -> Any:
    """Turn a value of a subclass into one of the plain class, which is what its bytes will be read as."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return Decimal(value) if isinstance(value, Decimal) else bytes(value)


def children(container: Any) -> Iterator[tuple[Any, Any]]:
    """Give the steps into a container and the values there; nothing for any other value."""
    if isinstance(container, dict):
        return iter(container.items())
    return iter(enumerate(container)) if isinstance(container, (list, tuple)) else iter(())


def refuse(problem: str, value: Any, path: list[Any], cause: Exception | None = None) -> NoReturn:
    """Raise for a value.

    Args:
        problem: What is wrong with it.
        value: The value.
        path: The message, and the steps from it to the value.
        cause: What raised first, if anything.

    Raises:
        SerializationError: Always.
    """
    where, kind = _place(path), type(value).__name__
    raise SerializationError(f"{where} ({kind}): {problem}", kind, where) from cause


def _place(path: list[Any]) -> str:
    """Name a place, as in ``args[0]['when']``."""
    message, *steps = path
    name = "message"
    if steps and isinstance(message, (list, tuple)) and isinstance(message[0], int):
        args_at = _ARGS_AT.get(message[0])
        header_at, header = _HEADER_AT.get(message[0], (None, ""))
        if args_at is not None and steps[0] in (args_at, args_at + 1):
            name = "args" if steps.pop(0) == args_at else "kwargs"
        elif steps[0] == header_at:
            steps.pop(0)
            name = header
    shown = (show(step, repr) for step in steps[:_STEPS])
    way = "".join(f"[{step if len(step) <= _STEP else step[:_STEP] + '...'}]" for step in shown)
    return name + way + "..." * (len(steps) > _STEPS)


def show(value: Any, how: Callable[[Any], str]) -> str:
    """Turn a foreign value into text, whatever its methods do."""
    try:
        return how(value)
    except Exception:  # what is to be shown here is foreign
        return f"<{type(value).__name__}>"


def said_by(error: Exception) -> str:
    """Return an exception's text, or its name if it has none."""
    return show(error, str) or type(error).__name__
