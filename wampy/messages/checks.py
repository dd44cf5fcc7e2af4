"""What the value of a field may be.

A check takes a value and the message it belongs to (some rules span two fields) and returns ``None``, or the
end of a sentence that begins with the field's name. Most checks do not look at the message.
"""

import re
import reprlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Check = Callable[[Any, Any], str | None]

#: The largest id (WAMP, "IDs"): integers that a double holds exactly.
LARGEST_ID = 2**53
#: How much of an offending value an error shows.
SHOWN = 80
#: URIs longer than this are not cached: what a peer sends must not fill the memory.
CACHED_URI = 256

_URI = re.compile(r"([^\s.#]+\.)*[^\s.#]+")
_URI_PREFIX = re.compile(r"([^\s.#]+\.)*[^\s.#]*")
_URI_WILDCARD = re.compile(r"([^\s.#]+\.|\.)*([^\s.#]+)?")
# What an implementation adds to an enumeration looks like this; Crossbar wants no digit first and no single letter.
_CUSTOM = re.compile(r"x_([a-z][a-z0-9_]+)?")


class _Eliding(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = SHOWN - 20
        self.maxdict = self.maxlist = self.maxtuple = 8
        self.maxlevel = 4


_eliding = _Eliding()


def elide(value: object) -> str:
    """Show a value in at most `SHOWN` characters, whatever it is.

    Args:
        value: Anything, of any size and depth.

    Returns:
        Its representation, cut short.
    """
    try:
        text = _eliding.repr(value)
    except Exception:  # an integer too long for str(), or a foreign __repr__ that raises
        text = f"<{type(value).__name__}>"
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def wrong(expected: str, value: object) -> str:
    """Say what a value should have been.

    Args:
        expected: What it must be, as in "text".
        value: What was there.

    Returns:
        The end of a sentence that begins with the field's name.
    """
    return f" must be {expected}, not {elide(value)}"


@lru_cache(maxsize=4096)
def is_short_uri(text: str) -> bool:
    """Say the same as `is_uri` of a text that is short enough to be remembered."""
    return _URI.fullmatch(text) is not None


def is_uri(text: str) -> bool:
    """Say whether a text is a URI by the loose rule (WAMP, "URIs").

    Args:
        text: Any text.

    Returns:
        Whether it has only non-empty components, without white space and ``#``.
    """
    return is_short_uri(text) if len(text) <= CACHED_URI else _URI.fullmatch(text) is not None


def check_id(value: Any, message: Any = None) -> str | None:
    """Allow an id (WAMP, "IDs")."""
    # `type`, not `isinstance`: a boolean is an int and never an id.
    if type(value) is int and 0 < value <= LARGEST_ID:
        return None
    return wrong("an integer from 1 to 2**53", value)


def check_fresh_id(value: Any, message: Any = None) -> str | None:
    """Allow an id, or ``None`` before the session gives one out."""
    return None if value is None else check_id(value)


def check_id_or_zero(value: Any, message: Any = None) -> str | None:
    """Allow an id, or 0, which marks what the router does unasked."""
    return None if type(value) is int and value == 0 else check_id(value)


def check_uri(value: Any, message: Any = None) -> str | None:
    """Allow a URI by the loose rule."""
    if isinstance(value, str) and is_uri(value):
        return None
    return wrong("a URI (dotted components, none empty, no white space, no '#')", value)


def check_uri_or_pattern(value: Any, message: Any) -> str | None:
    """Allow empty components too, as far as the pattern matching that the options ask for has them."""
    if isinstance(value, str) and not is_uri(value):
        match = message.options.get("match")
        if match == "wildcard" and _URI_WILDCARD.fullmatch(value):
            return None
        if _URI_PREFIX.fullmatch(value):
            if match == "prefix":
                return None
            return wrong("a URI (only with match 'prefix' or 'wildcard' may its last component be empty)", value)
        if _URI_WILDCARD.fullmatch(value):
            return wrong("a URI (only with match 'wildcard' may its components be empty)", value)
    return check_uri(value)


def check_text(value: Any, message: Any = None) -> str | None:
    """Allow any text."""
    return None if isinstance(value, str) else wrong("text", value)


def check_secret_text(value: Any, message: Any = None) -> str | None:
    """Allow any text, without showing what was there."""
    return None if isinstance(value, str) else f" must be text, not {type(value).__name__}"


def check_flag(value: Any, message: Any = None) -> str | None:
    """Allow a boolean."""
    return None if value is True or value is False else wrong("true or false", value)


def check_count(value: Any, message: Any = None) -> str | None:
    """Allow 0 and more."""
    return None if type(value) is int and value >= 0 else wrong("an integer, 0 or more", value)


def check_positive(value: Any, message: Any = None) -> str | None:
    """Allow 1 and more."""
    return None if type(value) is int and value >= 1 else wrong("an integer, 1 or more", value)


def check_dict(value: Any, message: Any = None) -> str | None:
    """Allow a dictionary with text keys."""
    if not isinstance(value, dict):
        return wrong("a dictionary", value)
    if not value:
        return None
    for key in value:
        if not isinstance(key, str):
            return f" must have text keys only, not {elide(key)}"
    return None


def check_args(value: Any, message: Any) -> str | None:
    """Allow a list, or one bare binary in the transparent form (WAMP, "Payload Passthru Mode").

    A bare text passes as well: a JSON peer that does not know WAMP's form for binaries writes one.
    """
    if isinstance(value, (list, tuple)):
        return None
    if not isinstance(value, (bytes, bytearray, str)):
        return wrong("a list", value)
    if message.header.get("enc_algo") is None:
        return wrong("a list" if isinstance(value, str) else "a list (a bare binary needs 'enc_algo')", value)
    return " must stand alone when they are one bare binary" if message.kwargs else None


def check_key(value: Any, message: Any = None) -> str | None:
    """Allow what identifies a key: text or a binary."""
    return None if isinstance(value, (str, bytes)) else wrong("text or a binary", value)


def one_of(*allowed: str) -> Check:
    """Make a check for an enumeration."""
    expected = "one of " + ", ".join(map(repr, allowed))

    def check(value: Any, message: Any = None) -> str | None:
        return None if isinstance(value, str) and value in allowed else wrong(expected, value)

    return check


def one_of_or_custom(*allowed: str) -> Check:
    """Make a check for an enumeration that implementations may add to, with names that begin with ``x_``."""
    expected = "one of " + ", ".join(map(repr, allowed)) + ", or look like 'x_mine'"

    def check(value: Any, message: Any = None) -> str | None:
        known = isinstance(value, str) and (value in allowed or _CUSTOM.fullmatch(value))
        return None if known else wrong(expected, value)

    return check


def list_of(element: Check) -> Check:
    """Make a check for a list whose elements all pass `element`."""

    def check(value: Any, message: Any = None) -> str | None:
        if not isinstance(value, (list, tuple)):
            return wrong("a list", value)
        for index, item in enumerate(value):
            problem = element(item, message)
            if problem is not None:
                return f"[{index}]{problem}"
        return None

    return check


def or_null(check: Check) -> Check:
    """Make a check that lets ``None`` pass: routers write out what they do not know about a peer."""

    def check_or_null(value: Any, message: Any = None) -> str | None:
        return None if value is None else check(value, message)

    return check_or_null


def with_keys(check: Check, *required: str) -> Check:
    """Make a check that also wants some keys to be there."""

    def check_keys(value: Any, message: Any = None) -> str | None:
        problem = check(value, message)
        missing = () if problem else [key for key in required if key not in value]
        return f" must have {missing[0]!r}" if missing else problem

    return check_keys


def dict_with(**known: Check) -> Check:
    """Make a check for a dictionary: known keys are checked, unknown ones pass.

    Args:
        **known: The check of each known key.

    Returns:
        The check.
    """

    def check(value: Any, message: Any = None) -> str | None:
        if not isinstance(value, dict):
            return wrong("a dictionary", value)
        if not value:
            return None
        for key, item in value.items():
            if key in known:
                problem = known[key](item, message)
                if problem is not None:
                    return f".{key}{problem}"
            elif not isinstance(key, str):
                return f" must have text keys only, not {elide(key)}"
        return None

    return check
