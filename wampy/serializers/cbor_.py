"""CBOR (RFC 8949), by the package cbor2."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from io import BytesIO
from typing import Any

from wampy.constants import SCALARS
from wampy.errors import SerializationError, WampyError
from wampy.interfaces import Payload
from wampy.serializers.base import PlainSerializer, library
from wampy.serializers.plain import has_too_many_digits, holds

# Tags that cbor2 would make objects of: dates, UUIDs, sets, regular expressions, shared references and so on. They
# arrive as a CBORTag, like those it does not know, because some of these objects are cyclic, some cost more time to
# make than a message may take, and a malformed one must not cost the session. Left to cbor2 are big integers (2
# and 3).
_TAGS_KEPT = (0, 1, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000)
_DECIMAL = 4
# A big integer of more than 255 bytes; text does not contain this.
_HUGE = re.compile(rb"[\xc2\xc3][\x59-\x5b]")
# Up to this many bytes, keys may be anything. Above, they must be text, because lists as keys can be made to collide:
# 64 KiB of them take 0.2 seconds, 360 KB took five.
_MOST_WITH_ANY_KEYS = 65_536
# "What follows is CBOR": it means nothing here.
_TAG_DROPPED = 55799


class CborSerializer(PlainSerializer):
    """CBOR (WAMP, "Serializers").

    Decimals travel exactly, and integers have any size. What WAMP has no type for, but CBOR has, a date for example,
    is left to the hook when it is sent, as in every other format. It arrives as a ``cbor2.CBORTag``.

    Args:
        default: As for `PlainSerializer`.

    Raises:
        WampyError: The package cbor2 is missing, or too old.
    """

    name = "cbor"
    subprotocol = "wamp.2.cbor"
    binary = True
    rawsocket_id = 3
    title = "CBOR"
    scalars = SCALARS | {Decimal}

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        cbor2 = library("cbor2", self.name)
        super().__init__(default)
        self._to_bytes: Callable[[Any], bytes] = cbor2.dumps
        self._end_of_input: type[Exception] = cbor2.CBORDecodeEOF
        self._decoder: Callable[..., Any] = partial(
            cbor2.CBORDecoder,
            semantic_decoders={
                **{tag: partial(_keep, cbor2.CBORTag, tag) for tag in _TAGS_KEPT},
                _DECIMAL: partial(_decimal, cbor2.CBORTag),
                _TAG_DROPPED: _drop,
            },
        )
        try:
            self._decoder(BytesIO(), strict_hashable_types=True)
        except TypeError as error:
            raise WampyError("the serializer 'cbor' needs cbor2 6.2: pip install --upgrade 'wampy[cbor]'") from error

    def _encode(self, message: list[Any]) -> bytes:
        payload = self._to_bytes(message)
        if _HUGE.search(payload) and holds(message, self._problem):
            self._finder.plain(message)
        return payload

    def _decode(self, payload: Payload) -> Any:
        if isinstance(payload, str):
            raise SerializationError("this is no CBOR but text")
        # Keys that are no text are another peer's fault, for which this session must not be ended.
        strict = len(payload) > _MOST_WITH_ANY_KEYS
        decoder = self._decoder(BytesIO(payload), strict_hashable_types=strict)
        value = decoder.decode()
        try:
            decoder.read(1)
        except self._end_of_input:
            return value
        raise SerializationError("this is no CBOR: more follows after the message")

    def _problem(self, value: Any) -> str | None:
        return "a number with too many digits" if has_too_many_digits(value) else None


def _keep(make_tag: Callable[[int, Any], Any], tag: int, value: Any, immutable: bool) -> Any:
    return make_tag(tag, value)


def _drop(value: Any, immutable: bool) -> Any:
    return value


def _decimal(make_tag: Callable[[int, Any], Any], value: Any, immutable: bool) -> Any:
    # By way of text, because Python limits its length (to 4,300 digits): the time that it takes grows with the square,
    # and for 1 MB of digits it was over a minute. What is too long, or no decimal, stays a tag.
    try:
        exponent, mantissa = value
        return Decimal(f"{operator.index(mantissa)}e{operator.index(exponent)}")
    except (TypeError, ValueError, ArithmeticError):
        return make_tag(_DECIMAL, value)
