"""Serializers: a message's list to bytes and back.

`get_serializer` finds one by name. Another format is another subclass of `wampy.interfaces.Serializer` and a
line in ``_BY_NAME``.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import isfinite
from typing import Any, NoReturn

import simplejson

from wampy.errors import SerializationError, WampyError
from wampy.interfaces import Serializer

# What a text (or a binary) that begins with NUL looks like in JSON: NUL can be written in no other way.
_NUL_TEXT = '"\\u0000'
# A key that is a number, a boolean or None is turned into text without a word. The outcome begins like this.
_SUSPECT_KEY = re.compile(r'"(?:[-+0-9INs][^"]*|true|false|null)":')
# Where the positional payload stands on the wire, by WAMP code; only to name the place of an offending value.
_ARGS_AT = {8: 5, 16: 4, 36: 4, 48: 4, 50: 3, 68: 4, 70: 3}
# How deep the search for an offending value goes before it blames the depth itself.
_DEEP, _BOTTOMLESS = 100, 10_000
# How many steps of the way to it an error shows.
_STEPS = 20


class JsonSerializer(Serializer):
    """JSON as WAMP speaks it (WAMP, "Serializers" and "Binary conversion of JSON Strings").

    Decimals are written as numbers, binaries as text: a NUL and base64. A text that itself begins with NUL
    cannot survive that and is refused; so are NaN, the infinities, and keys that are no text.

    Args:
        default: Turns a value of a type that JSON lacks into one that it has, or raises `TypeError`.
    """

    name = "json"
    subprotocol = "wamp.2.json"
    binary = False

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        self._default = default
        self._encode: Callable[[Any], str] = simplejson.JSONEncoder(
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
            encoding=None,  # type: ignore[arg-type]  # or binaries would go out as text
            use_decimal=True,
            namedtuple_as_object=False,
            default=self._replace,
        ).encode
        self._decode: Callable[[str], Any] = simplejson.JSONDecoder(parse_constant=_refuse_constant).decode

    def dumps(self, message: list[Any]) -> bytes:
        """Serialize one message.

        Args:
            message: The wire list.

        Returns:
            Compact JSON in UTF-8.

        Raises:
            SerializationError: JSON cannot hold a value; the error has its type and its place.
        """
        try:
            text = self._encode(message)
            payload = text.encode()
        except Exception as error:
            self._search(message, _DEEP if isinstance(error, RecursionError) else _BOTTOMLESS)
            raise SerializationError(f"JSON cannot hold this message: {error}") from error
        # simplejson lets these pass (Decimal("NaN") before 4.0 only). The text is quick to look at;
        # the values are searched only on suspicion.
        if (
            ('":' in text and _SUSPECT_KEY.search(text))
            or _NUL_TEXT in text
            or "NaN" in text
            or "Infinity" in text
        ):
            self._search(message, _BOTTOMLESS)
        return payload

    def loads(self, payload: bytes | bytearray | str) -> list[Any]:
        """Read one message.

        Args:
            payload: JSON, in UTF-8 when it is bytes.

        Returns:
            What it holds. Whether that is a message is for `wampy.messages.parse` to say.

        Raises:
            SerializationError: It is no JSON, or a binary in it is no base64.
        """
        try:
            text = payload if isinstance(payload, str) else str(payload, "utf-8")
            value = self._decode(text)
        except (ValueError, RecursionError) as error:
            raise SerializationError(f"this is no JSON: {error}") from error
        if _NUL_TEXT in text:
            value = _restore_binaries(value)
        return value  # type: ignore[no-any-return]

    def _replace(self, value: Any) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return "\0" + b64encode(value).decode("ascii")
        if self._default is not None:
            return self._default(value)
        raise TypeError(f"JSON has no form for {type(value).__name__}")

    def _search(self, message: Any, limit: int) -> None:
        """Raise for the first value that JSON cannot hold; depth-first, and never recursive."""
        path: list[Any] = [message]
        root = self._check(message, path)
        within = {id(root)}
        stack = [(root, _children(root))]
        while stack:
            container, children = stack[-1]
            for step, value in children:
                path.append(step)
                if isinstance(container, dict):
                    _check_key(step, path)
                value = self._check(value, path)
                if isinstance(value, (dict, list, tuple)):
                    if id(value) in within:
                        _refuse("it contains itself", value, path)
                    if len(path) > limit:
                        _refuse("it is nested too deeply", value, path)
                    within.add(id(value))
                    stack.append((value, _children(value)))
                    break
                path.pop()
            else:
                stack.pop()
                within.discard(id(container))
                path.pop()

    def _check(self, value: Any, path: list[Any]) -> Any:
        # A hook may answer with a value that needs the hook again, but not for ever.
        for _ in range(_DEEP):
            if value is None or isinstance(value, (bool, bytes, bytearray, memoryview, dict, list, tuple)):
                return value
            if isinstance(value, str):
                _check_text(value, path)
                return value
            if isinstance(value, (int, float, Decimal)):
                _check_number(value, path)
                return value
            try:
                value = self._replace(value)
            except Exception as error:
                _refuse(_show(error, str), value, path, error)
        _refuse("its `default` hook never comes to an end", value, path)


def _children(container: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(container, dict):
        return iter(container.items())
    return iter(enumerate(container)) if isinstance(container, (list, tuple)) else iter(())


def _check_key(key: Any, path: list[Any]) -> None:
    if not isinstance(key, str):
        _refuse("keys must be text", key, path)
    _check_text(key, path)


def _check_text(text: str, path: list[Any]) -> None:
    if text.startswith("\0"):
        _refuse("a text that begins with NUL would arrive as a binary", text, path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        _refuse("half a surrogate pair has no form in UTF-8", text, path, error)


def _check_number(number: int | float | Decimal, path: list[Any]) -> None:
    if isinstance(number, float) and not isfinite(number):
        _refuse(f"JSON has no {number}", number, path)
    if isinstance(number, Decimal) and not number.is_finite():
        _refuse(f"JSON has no {number}", number, path)
    if isinstance(number, int):
        try:
            str(number)
        except ValueError as error:
            _refuse("an integer with too many digits", number, path, error)


def _refuse(problem: str, value: Any, path: list[Any], cause: Exception | None = None) -> NoReturn:
    where, kind = _place(path), type(value).__name__
    raise SerializationError(f"{where} ({kind}): {problem}", kind, where) from cause


def _place(path: list[Any]) -> str:
    """Name a place, as in ``args[0]['when']``; a path is the whole message and the steps into it."""
    message, *steps = path
    name = "message"
    if steps and isinstance(message, (list, tuple)) and isinstance(message[0], int):
        args_at = _ARGS_AT.get(message[0])
        if args_at is not None and steps[0] in (args_at, args_at + 1):
            name = "args" if steps.pop(0) == args_at else "kwargs"
    return name + "".join(f"[{_show(step, repr)}]" for step in steps[:_STEPS]) + "..." * (len(steps) > _STEPS)


def _show(value: Any, how: Callable[[Any], str]) -> str:
    try:
        return how(value)
    except Exception:  # what is to be shown here is foreign
        return f"<{type(value).__name__}>"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _restore_binaries(value: Any) -> Any:
    root = [value]
    stack: list[Any] = [root]
    while stack:
        container = stack.pop()
        for step, item in _children(container):
            if isinstance(item, (dict, list)):
                stack.append(item)
            elif isinstance(item, str) and item.startswith("\0"):
                try:
                    container[step] = b64decode(item[1:], validate=True)
                except ValueError as error:
                    raise SerializationError(f"a binary is no base64: {error}") from error
    return root[0]


_BY_NAME: dict[str, type[Serializer]] = {"json": JsonSerializer}


def get_serializer(name: str) -> Serializer:
    """Make the serializer of a name.

    Args:
        name: ``"json"``.

    Returns:
        A new serializer.

    Raises:
        WampyError: There is none of that name.
    """
    try:
        return _BY_NAME[name]()
    except (KeyError, TypeError):
        known = ", ".join(map(repr, sorted(_BY_NAME)))
        raise WampyError(f"there is no serializer {name!r}; known: {known}") from None


_JSON = JsonSerializer()


def json_serialize(message: list[Any]) -> str:
    """Serialize one message to JSON text.

    Args:
        message: The wire list.

    Returns:
        Compact JSON.

    Raises:
        SerializationError: JSON cannot hold a value.
    """
    return _JSON.dumps(message).decode()
