"""Texts for messages and logs: what must not be shown, and what cannot be relied on."""

from __future__ import annotations

import re


def redact(url: str) -> str:
    """Hide the password in a URL, whether the rest of it is right or not.

    Args:
        url: A URL, for a message or a log.

    Returns:
        The same with ``…`` for a password.
    """
    return re.sub(r"(//[^/?#@:]*:)[^/?#]*@", r"\1…@", url)


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
