"""One encoder of simplejson's, kept: it makes one for each message, which takes as long as a small message.

It has no public way to keep one. So the one that is made here has to write the same as the public way does, all that a
message may hold, before it is used. `tests/unit/serializers/test_kept_encoder.py` notices when it is not any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from math import nan
from typing import Any

from simplejson import JSONEncoder, RawJSON, encoder

#: Takes a value and 0; gives pieces of its JSON.
Pieces = Callable[[Any, int], Iterable[str]]

_TEXT = 'a "quote", \\, ü, \U0001f600, \0, \n, \x7f, \u2028'
_SAMPLE: list[Any] = [None, True, -1, 2**70, 1.5, 1e300, Decimal("1.10"), _TEXT, b"binary", (1, [2]), {}, []]
_SAMPLE += [{"key": {"key": None}, _TEXT: 1}, RawJSON("[]")]


def kept_encoder(ours: JSONEncoder, keys: dict[str, str]) -> Pieces:
    """Make an encoder that writes what another one does.

    Args:
        ours: That one, which writes binaries.
        keys: Where it keeps the JSON of keys; to be cleared after each message.

    Returns:
        The encoder; with a simplejson that has another way of making one, or no C extension, one that is slower.
    """
    try:
        kept: Pieces = encoder.c_make_encoder(  # type: ignore[attr-defined]
            None,  # no look-out for what holds itself
            ours.default,
            encoder.encode_basestring,
            ours.indent,
            ours.key_separator,
            ours.item_separator,
            ours.sort_keys,
            ours.skipkeys,
            ours.allow_nan,
            keys,
            ours.use_decimal,
            ours.namedtuple_as_object,
            ours.tuple_as_array,
            ours.int_as_string_bitcount,
            ours.item_sort_key,
            ours.encoding,
            ours.for_json,
            ours.ignore_nan,
            Decimal,
            ours.iterable_as_array,
        )
        if _writes_the_same(kept, ours):
            keys.clear()
            return kept
    except (AttributeError, TypeError):  # it is None without the C extension
        pass
    return lambda value, _: ours.iterencode(value)


def _writes_the_same(kept: Pieces, ours: JSONEncoder) -> bool:
    if "".join(kept(_SAMPLE, 0)) != "".join(ours.iterencode(_SAMPLE)):
        return False
    try:
        kept([nan], 0)
    except ValueError:
        return True
    return False
