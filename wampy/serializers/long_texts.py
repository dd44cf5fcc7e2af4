"""Long texts in JSON, without a look at each of their characters by the library.

JSON encoders and decoders go through a text character by character, which for 200 kB takes longer than all else that
is done for a message. A text in which nothing is escaped is in JSON what it is, with quotes around it. Whether it is
one takes three dozen searches for a single character each, and such a search goes through memory many characters at a
time: together they take a quarter of the encoder's time, and half of the decoder's. A text with a quote or a line break
in it is known by the first searches, and left to the library.
"""

from __future__ import annotations

import json
from base64 import b64encode
from itertools import chain
from typing import Any

from simplejson import RawJSON

#: From how many characters (or bytes) on this is quicker: of a text that is sent, and of JSON that is read.
LONG = 8_192
LONG_JSON = 32_768

# What must be escaped, the likely ones first.
_ESCAPED = tuple('"\\\n\t\r') + tuple(chr(code) for code in range(0x20) if chr(code) not in "\n\t\r")
_ESCAPED_WITHIN = _ESCAPED[1:]  # within quotes there is no other
# How many arguments are looked at for one that is long, and how many texts of a message that is read, lest many short
# ones cost more than the long ones save.
_MOST = 64
# What the encoder writes in place of a long text: what it writes nowhere else, as it has to be escaped.
_PLACE = "\0"
# What the decoder is given in place of a long text: a word that it asks the meaning of.
_WORD = "NaN"


def needs_no_escapes(text: str) -> bool:
    """Say whether a text needs nothing but quotes around it; one that is not ASCII is never looked at."""
    return text.isascii() and not any(map(text.__contains__, _ESCAPED))


def raw_binary(value: bytes | bytearray) -> RawJSON:
    """Make the JSON of a long binary, for simplejson to put in."""
    return RawJSON(f'"\\u0000{b64encode(value).decode("ascii")}"')


def with_places(message: Any, texts: list[str]) -> Any:
    """Take long texts out of a message, for simplejson to write it without them; see `put_in`.

    Args:
        message: A wire list, which is not changed.
        texts: Gets them.

    Returns:
        The message, or a copy of it when one of its first arguments, or of its keyword arguments, is such a text.
    """
    # Hot: each message that is sent passes here.
    if type(message) is list:
        for part in message[3:]:
            if type(part) is list:
                for value in part if len(part) <= _MOST else part[:_MOST]:
                    if type(value) is str and len(value) >= LONG:
                        return _copy_with_places(message, texts)
            elif type(part) is dict:
                for value in part.values():
                    if type(value) is str and len(value) >= LONG:
                        return _copy_with_places(message, texts)
    return message


def _copy_with_places(message: list[Any], texts: list[str]) -> list[Any]:
    place = RawJSON(f'"{_PLACE}"')

    def taken_out(value: Any) -> Any:
        if type(value) is not str or len(value) < LONG or not needs_no_escapes(value):
            return value
        texts.append(value)
        return place

    def part_with_places(part: Any) -> Any:
        if type(part) is list:
            return [taken_out(value) for value in part]
        return {key: taken_out(value) for key, value in part.items()} if type(part) is dict else part

    return message[:3] + list(map(part_with_places, message[3:]))


def put_in(skeleton: str, texts: list[str]) -> str:
    """Put the texts that were taken out of a message into its JSON.

    Args:
        skeleton: The JSON without them.
        texts: All of them, in their order.
    """
    rest = skeleton.split(_PLACE)
    return "".join(chain.from_iterable(zip(rest, [*texts, ""], strict=True)))


def read(text: str) -> tuple[Any, str] | None:
    """Read JSON in which there are long texts.

    They are cut out, a word that JSON lacks is put in their place, and the decoder asks what each means, in turn.

    Args:
        text: The JSON.

    Returns:
        The value, and the JSON without them; or ``None`` when there are none, or it is no such JSON. Then the library
        shall read it, which has the words for what is wrong.
    """
    if not text.isascii():
        return None
    found, rest = _cut_out(text)
    if not found:
        return None
    found.reverse()
    skeleton = _WORD.join(rest)
    try:
        value, end = json.JSONDecoder(parse_constant=lambda _: found.pop()).raw_decode(skeleton)
    except (ValueError, RecursionError, IndexError):
        # The last one: with a genuine NaN or Infinity there are more questions than texts.
        return None
    return (value, skeleton) if end == len(skeleton) else None


def _cut_out(text: str) -> tuple[list[str], list[str]]:
    """Give the long texts, and the pieces before, between and behind them."""
    found: list[str] = []
    rest: list[str] = []
    done = end = 0
    for _ in range(_MOST):
        start = text.find('"', end) + 1
        at = text.find('"', start)
        if not start or at < 0 or text[at - 1] == "\\":
            break  # an escaped quote perhaps; what follows is left as it is
        end = at + 1
        if at - start < LONG:
            continue
        inner = text[start:at]
        if not any(map(inner.__contains__, _ESCAPED_WITHIN)):
            found.append(inner)
            rest.append(text[done : start - 1])
            done = end
    rest.append(text[done:])
    return found, rest
