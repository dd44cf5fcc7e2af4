"""Texts for messages and logs: what must not be shown, and what cannot be relied on."""

from __future__ import annotations

import re

#: How many characters of a peer's text an error or a log record shows.
SHOWN = 500


def redact(url: str) -> str:
    """Hide the password in a URL, whether the rest of it is right or not.

    Args:
        url: A URL, for a message or a log.

    Returns:
        The same with ``…`` for a password.
    """
    return re.sub(r"(//[^/?#:]*:)[^/?#]*@", r"\1…@", url)


def redact_anything(text: str) -> str:
    """Hide what may be a password in something that was meant to be a URL and is none.

    Args:
        text: Whatever was given; a password in it may have characters that end a URL's host.

    Returns:
        The same with ``…`` between the first ``:`` after the scheme and the last ``@``.
    """
    return re.sub(r"^((?:[^:/?#@]*://)?+[^:]*:).*@", r"\1…@", text, flags=re.DOTALL)


def text_of(error: BaseException) -> str:
    """Return an exception's text, such that it can be logged and sent, also of one whose ``__str__`` raises.

    Args:
        error: Anybody's exception.
    """
    try:
        # A lone surrogate, as in a file name that is not UTF-8, cannot travel.
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception as broken:
        return f"{type(error).__name__}, whose text could not be made ({type(broken).__name__})"


def shown(text: str) -> str:
    """Return a peer's text such that it can stand in an error and in a log: in one line, and not too long.

    Args:
        text: What a router said, of any length and with any characters, also such as would forge a log record.
    """
    # Printable says no to line breaks, to what steers a terminal, and to lone surrogates.
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:SHOWN])
    return line if len(text) <= SHOWN else f"{line}…"
