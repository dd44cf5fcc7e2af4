"""UBJSON as Crossbar speaks it, which is BJData, by the package bjdata-serpent."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from math import prod
from struct import pack
from typing import Any

from wampy.constants import SCALARS
from wampy.errors import SerializationError
from wampy.interfaces import Payload
from wampy.serializers.base import PlainSerializer, library
from wampy.serializers.plain import has_too_many_digits, holds, is_plain

# How many bytes follow a marker.
_SIZES = {**dict.fromkeys(b"ZTFN", 0), **dict.fromkeys(b"iUCB", 1), **dict.fromkeys(b"Iuh", 2)}
_SIZES |= {**dict.fromkeys(b"lmd", 4), **dict.fromkeys(b"LMD", 8)}
_INTEGERS = b"iUIulmLM"
_SIGNED = b"iIlL"
_DIMENSIONS = re.compile(rb"#\[")
_HALF_FLOAT = b"h"
# A number of more than 255 digits; there are texts that contain this, which costs them a look.
_HUGE = re.compile(rb"H[IulmLM]")
# The package gives up earlier, but not before this has multiplied them.
_MOST_DIMENSIONS = 64


class UbjsonSerializer(PlainSerializer):
    """BJData, which Crossbar offers under the name UBJSON (WAMP, "Serializers").

    Decimals travel exactly (a whole one arrives as an integer), and integers have any size. The package nests 32
    levels at most, in what arrives too.

    Args:
        default: As for `PlainSerializer`.

    Raises:
        WampyError: The package bjdata-serpent is missing.
    """

    name = "ubjson"
    subprotocol = "wamp.2.ubjson"
    binary = True
    rawsocket_id = 4
    title = "UBJSON"
    scalars = SCALARS | {Decimal}
    max_depth = 32
    _without_floats = scalars - {float, Decimal}

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        super().__init__(default)
        bjdata = library("bjdata_serpent", self.name)
        self._to_bytes: Callable[[Any], bytes] = bjdata.encode
        self._from_bytes: Callable[[Any], Any] = bjdata.decode

    def _encode(self, message: list[Any]) -> bytes:
        payload = self._to_bytes(message)
        if _HUGE.search(payload) and holds(message, self._problem):
            self._finder.plain(message)
        return self._with_long_floats(message) if _HALF_FLOAT in payload else payload

    def _with_long_floats(self, value: Any) -> bytes:
        # The package writes 1.5 in two bytes, which is enough, but Crossbar's would read that as an integer.
        if isinstance(value, float):
            return b"D" + pack("<d", value)
        if isinstance(value, Decimal) and not value.is_finite():
            raise ValueError("a decimal that is not finite")
        if not isinstance(value, (dict, list, tuple)) or is_plain(value, self._without_floats, self.max_depth):
            return self._to_bytes(value)
        if isinstance(value, dict):
            # A key is a text without the marker in front.
            items = (self._to_bytes(key)[1:] + self._with_long_floats(item) for key, item in value.items())
            return b"{" + b"".join(items) + b"}"
        return b"[" + b"".join(map(self._with_long_floats, value)) + b"]"

    def _decode(self, payload: Payload) -> Any:
        if isinstance(payload, str):
            raise SerializationError("this is no UBJSON but text")
        if _DIMENSIONS.search(payload):
            _Scanner(payload).scan()
        return self._from_bytes(payload)

    def _problem(self, value: Any) -> str | None:
        if isinstance(value, Decimal) and not value.is_finite():
            return f"UBJSON has no decimal {value}"
        return "a number with too many digits" if has_too_many_digits(value) else None


class _Scanner:
    """Look for arrays whose dimensions promise more than the payload can hold, which the package would believe.

    Sixteen bytes with the dimensions 2**24 and 0 are well-formed, and made it allocate more than a gigabyte of empty
    lists; so did 1 MB of arrays that promise 65,025 each, which is why they are added up. Only a payload that may have
    dimensions is scanned. What is not well-formed is for the package to refuse.

    Args:
        data: The payload.
    """

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self._at = 0
        self._promised = 0

    def scan(self) -> None:
        """Go through the payload.

        Raises:
            SerializationError: There is such an array, or a table beside what may be one.
        """
        # The containers that are open: how many items each still has, None for one that has an end marker.
        open_: list[tuple[bool, int | None]] = []
        try:
            while self._at < len(self._data):
                if open_:
                    keyed, left = open_[-1]
                    if left == 0 or (left is None and self._data[self._at] in b"]}"):
                        self._at += left is None
                        open_.pop()
                        continue
                    if left is not None and self._data[self._at] != b"N"[0]:
                        open_[-1] = (keyed, left - 1)
                    if keyed:
                        self._skip_text()
                marker = self._next()
                if marker in b"[{":
                    self._open(marker == b"{"[0], open_)
                elif marker in b"SH":
                    self._skip_text()
                else:
                    self._at += _SIZES[marker]
        except (IndexError, KeyError):
            return  # not well-formed

    def _count(self) -> int:
        try:
            return self._dimensions() if self._data[self._at] == b"["[0] else self._integer()
        except (IndexError, KeyError) as error:
            # Not left to the package, which takes lists within lists for dimensions too, and no-ops between them.
            raise SerializationError("this is no UBJSON: the length of an array or object is no number") from error

    def _open(self, keyed: bool, open_: list[tuple[bool, int | None]]) -> None:
        size = None
        if self._data[self._at] == b"$"[0]:
            self._at += 1
            marker = self._next()
            if marker == b"{"[0]:
                raise SerializationError("this is no message in UBJSON: it holds a table")
            size = _SIZES[marker]
        if self._data[self._at] != b"#"[0]:
            open_.append((keyed, None))
            return
        self._at += 1
        count = self._count()
        if size is None:
            open_.append((keyed, count))
            return
        if not keyed:
            self._at += count * size
            return
        for _ in range(count):
            self._skip_text()
            self._at += size

    def _dimensions(self) -> int:
        self._at += 1
        found = []
        if self._data[self._at] == b"$"[0]:
            kind = self._data[self._at + 1]
            self._at += 3
            found = [self._integer(kind) for _ in range(min(self._integer(), _MOST_DIMENSIONS))]
        else:
            while self._data[self._at] != b"]"[0] and len(found) < _MOST_DIMENSIONS:
                found.append(self._integer())
            self._at += 1
        self._promised += prod(dimension or 1 for dimension in found)
        if self._promised > len(self._data) or len(found) == _MOST_DIMENSIONS:
            raise SerializationError("this is no UBJSON: the dimensions of an array exceed the message")
        return prod(found)

    def _skip_text(self) -> None:
        length = self._integer()
        self._at += length

    def _integer(self, kind: int | None = None) -> int:
        marker = self._next() if kind is None else kind
        if marker not in _INTEGERS:
            raise KeyError(marker)
        start = self._at
        self._at += _SIZES[marker]
        if self._at > len(self._data):
            raise IndexError
        value = int.from_bytes(self._data[start : self._at], "little", signed=marker in _SIGNED)
        if value < 0:
            raise KeyError(value)
        return value

    def _next(self) -> int:
        marker = self._data[self._at]
        self._at += 1
        return marker
