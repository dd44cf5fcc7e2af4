"""JSON as WAMP speaks it, by simplejson."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from math import isfinite
from typing import Any

import simplejson

from wampy.constants import SCALARS
from wampy.interfaces import Payload
from wampy.serializers.base import PlainSerializer
from wampy.serializers.kept_encoder import kept_encoder
from wampy.serializers.long_texts import LONG, LONG_JSON, put_in, raw_binary, read, with_places
from wampy.serializers.plain import children, has_too_many_digits, holds

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
        encoder = simplejson.JSONEncoder(
            separators=(",", ":"),
            check_circular=False,  # what holds itself is deeper than a plain message may be
            ensure_ascii=False,
            allow_nan=False,
            encoding=None,  # type: ignore[arg-type]  # or binaries would go out as text
            use_decimal=True,
            namedtuple_as_object=False,
            default=_binary_to_json,
        )
        self._keys: dict[str, str] = {}
        self._pieces = kept_encoder(encoder, self._keys)
        # Both read the same, but the first one is quicker, and the other takes blanks around the text, and has words.
        quick: Any = json.JSONDecoder(parse_constant=float)
        self._scan: Callable[[str, int], tuple[Any, int]] = quick.scan_once
        self._read: Callable[[str], Any] = simplejson.JSONDecoder(parse_constant=float).decode

    def encode(self, message: list[Any]) -> bytes:
        # Hot: as `_encode`, for what most messages are.
        long_texts: list[str] = []
        try:
            text = "".join(self._pieces(with_places(message, long_texts), 0))
            self._keys.clear()
            # simplejson lets some pass. Quickest to find is a character that few texts have; the values are searched
            # only on suspicion, which a binary rouses too.
            if not (
                ("\\" in text and _NUL_TEXT in text) or (_DECIMAL_NAN_PASSES and ("NaN" in text or "Infinity" in text))
            ) or not holds(message, self._problem):
                return (put_in(text, long_texts) if long_texts else text).encode()
        except Exception:  # which is raised again there, with words
            pass
        return super().encode(message)

    def _encode(self, message: list[Any]) -> bytes:
        try:
            text = "".join(self._pieces(message, 0))
        finally:
            self._keys.clear()
        if holds(message, self._problem):
            self._finder.plain(message)  # which names the place
        return text.encode()

    def loads(self, payload: Payload) -> list[Any]:
        # Hot: as `_decode`, for what most messages are.
        try:
            text = payload if isinstance(payload, str) else str(payload, "utf-8")
            found = read(text) if len(text) >= LONG_JSON else None
            if found is not None:
                value, text = found  # without the long texts, in which nothing is escaped
                end = len(text)
            else:
                value, end = self._scan(text, 0)
            if end == len(text):
                return restore_binaries(value) if "\\" in text and _NUL_TEXT in text else value  # type: ignore[no-any-return]
        except Exception:  # StopIteration too, as it ends too soon; which is raised again there, with words
            pass
        return super().loads(payload)

    def _decode(self, payload: Payload) -> Any:
        text = payload if isinstance(payload, str) else str(payload, "utf-8")
        return restore_binaries(self._read(text))

    def _problem(self, value: Any) -> str | None:
        if isinstance(value, str):
            return "a text that begins with NUL would arrive as a binary" if value.startswith("\0") else None
        if isinstance(value, float):
            return None if isfinite(value) else f"JSON has no {value}"
        if isinstance(value, Decimal):
            return None if value.is_finite() else f"JSON has no {value}"
        return "a number with too many digits" if has_too_many_digits(value) else None


def _decimal_nan_passes() -> bool:
    try:
        simplejson.dumps(Decimal("NaN"), allow_nan=False, use_decimal=True)
    except ValueError:
        return False
    return True


# True before simplejson 4.0.
_DECIMAL_NAN_PASSES = _decimal_nan_passes()


def binary_to_text(value: bytes | bytearray) -> str:
    """Make the text that stands for a binary in WAMP's JSON."""
    return "\0" + b64encode(value).decode("ascii")


def _binary_to_json(value: Any) -> Any:
    return raw_binary(value) if len(value) >= LONG else binary_to_text(value)


def restore_binaries(value: Any) -> Any:
    """Put binaries in the place of the texts that stand for them.

    Args:
        value: What came in; its lists and dictionaries are changed.

    Returns:
        The value, or the binary.
    """
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
