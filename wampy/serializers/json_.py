"""JSON as WAMP speaks it, by simplejson."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from math import isfinite
from typing import Any

import simplejson

from wampy.interfaces import Payload
from wampy.serializers.base import PlainSerializer
from wampy.serializers.plain import SCALARS, children, has_too_many_digits, holds

# What a text (or a binary) that begins with NUL looks like in JSON: NUL can be written in no other way.
_NUL_TEXT = '"\\u0000'


class JsonSerializer(PlainSerializer):
    """JSON (WAMP, "Serializers" and "Binary conversion of JSON Strings").

    Decimals are written as numbers, exactly, and read as floats. Binaries are written as text, a NUL and base64; a
    text that itself begins with NUL cannot survive that and is refused. So are NaN and the infinities.

    Reading is more lenient, because routers hand on what came to them in other formats, and this session must not end
    for what another peer has sent: NaN and the infinities are floats, and a text that begins with NUL but is no base64
    is a text.

    Args:
        default: As for `PlainSerializer`.
    """

    name = "json"
    subprotocol = "wamp.2.json"
    binary = False
    rawsocket_id = 1
    title = "JSON"
    scalars = SCALARS | {Decimal}

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        super().__init__(default)
        self._to_text: Callable[[Any], str] = simplejson.JSONEncoder(
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
            encoding=None,  # type: ignore[arg-type]  # or binaries would go out as text
            use_decimal=True,
            namedtuple_as_object=False,
            default=_binary_to_text,
        ).encode
        decoder = simplejson.JSONDecoder(parse_constant=float)
        self._from_text: Callable[[str], Any] = decoder.decode
        self._scan: Callable[[str, int], tuple[Any, int]] = decoder.scan_once

    def _encode(self, message: list[Any]) -> bytes:
        text = self._to_text(message)
        # simplejson lets these pass. The text is quick to look at; the values are searched only on suspicion, and on
        # proof once more for the place.
        suspicious = _holds_nul_text(text) or (_DECIMAL_NAN_PASSES and ("NaN" in text or "Infinity" in text))
        if suspicious and holds(message, self._problem):
            self._finder.plain(message)
        return text.encode()

    def _decode(self, payload: Payload) -> Any:
        text = payload if isinstance(payload, str) else str(payload, "utf-8")
        # Hot: what `decode` adds to this is blanks around the text, and the words for what is wrong with it.
        value, end = self._scan(text, 0) if text[:1] == "[" else (None, -1)
        if end != len(text):
            value = self._from_text(text)
        return _restore_binaries(value) if _holds_nul_text(text) else value

    def _problem(self, value: Any) -> str | None:
        if isinstance(value, str):
            return "a text that begins with NUL would arrive as a binary" if value.startswith("\0") else None
        if isinstance(value, float):
            return None if isfinite(value) else f"JSON has no {value}"
        if isinstance(value, Decimal):
            return None if value.is_finite() else f"JSON has no {value}"
        return "a number with too many digits" if has_too_many_digits(value) else None


def _holds_nul_text(text: str) -> bool:
    # Looking for the one character first, which few texts have, takes a twentieth of the time.
    return "\\" in text and _NUL_TEXT in text


def _decimal_nan_passes() -> bool:
    try:
        simplejson.dumps(Decimal("NaN"), allow_nan=False, use_decimal=True)
    except ValueError:
        return False
    return True


# True before simplejson 4.0.
_DECIMAL_NAN_PASSES = _decimal_nan_passes()


def _binary_to_text(value: Any) -> str:
    return "\0" + b64encode(value).decode("ascii")


def _restore_binaries(value: Any) -> Any:
    root = [value]
    stack: list[Any] = [root]
    while stack:
        container = stack.pop()
        for step, item in children(container):
            if isinstance(item, (dict, list)):
                stack.append(item)
            elif isinstance(item, str) and item.startswith("\0"):
                with suppress(ValueError):
                    container[step] = b64decode(item[1:], validate=True)
    return root[0]
