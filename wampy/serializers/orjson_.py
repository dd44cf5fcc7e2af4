"""JSON as WAMP speaks it, by orjson where orjson can, which is several times as quick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wampy.interfaces import Payload
from wampy.serializers.base import library
from wampy.serializers.json_ import JsonSerializer, binary_to_text, restore_binaries
from wampy.serializers.plain import holds

_NUL_TEXT = b'"\\u0000'
# Numbers up to here have a form in orjson. Of those beyond it makes floats, of integers too.
_MOST = 2.0**63
# No integer beyond has fewer digits.
_DIGITS = b"0" * 19
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
# Up to this many bytes looking through them is quicker than through the values.
_SHORT = 4096
_BACKSLASH = ord("\\")


class OrjsonSerializer(JsonSerializer):
    """JSON, quicker (``pip install 'wampy[speed]'``).

    What it writes, reads and refuses is what `JsonSerializer` does, but that it reads lists nested a thousand deep, for
    which that may have no room on the stack. A message that orjson has no form for, with a decimal or a very large
    integer for example, is left to that.

    Args:
        default: As for `PlainSerializer`.

    Raises:
        WampyError: The package orjson is missing.
    """

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        orjson = library("orjson", self.name, extra="speed")
        super().__init__(default)
        self._to_bytes: Callable[[Any, Callable[[Any], Any]], bytes] = orjson.dumps
        self._from_bytes: Callable[[bytes | bytearray], Any] = orjson.loads

    def encode(self, message: list[Any]) -> bytes:
        try:
            payload = self._to_bytes(message, binary_to_text)
            # orjson lets a text with NUL in front pass, and NaN and the infinities become null.
            if not (_BACKSLASH in payload and _NUL_TEXT in payload and holds(message, self._problem)) and not (
                (len(payload) > _SHORT or payload.find(b"null") >= 0) and _holds_odd_float([message])
            ):
                return payload
        except Exception:  # which is raised again there, if simplejson cannot either
            pass
        return super().encode(message)  # which can, or has the words for it

    def loads(self, payload: Payload) -> list[Any]:
        try:
            data = payload.encode() if isinstance(payload, str) else payload
            value = self._from_bytes(data)
            is_suspicious = len(data) > _SHORT or data.translate(_DIGITS_TO_ZERO).find(_DIGITS) >= 0
            if not (is_suspicious and _holds_odd_float([value])):
                return restore_binaries(value) if _BACKSLASH in data and _NUL_TEXT in data else value  # type: ignore[no-any-return]
        except Exception:  # which is raised again there, if simplejson cannot either
            pass
        return super().loads(payload)  # which can, or has the words for it


def _holds_odd_float(container: Any) -> bool:
    """Say whether a list or dictionary holds a float that orjson may have made of something else, or something else of.

    Args:
        container: Nothing in it is looked at but floats, lists, tuples and dictionaries.
    """
    for value in container.values() if type(container) is dict else container:
        kind = type(value)
        if kind is float:
            if not -_MOST < value < _MOST:
                return True
        elif (kind is dict or kind is list or kind is tuple) and value and _holds_odd_float(value):
            return True
    return False
