"""What the commands print, on whatever standard output they have: a terminal, a file, ASCII only."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TextIO

__all__ = ["complain", "one_line", "say"]


def say(text: str, end: str = "\n") -> None:
    """Print a text at once, with ``\\u…`` for what the output's encoding does not have.

    Args:
        text: What to print.
        end: What to print after it.
    """
    print(_encodable(text, sys.stdout), end=end, flush=True)


def complain(command: str, text: str) -> None:
    """Print on standard error why a command ends.

    Args:
        command: The command, ``"run"``.
        text: What is wrong.
    """
    with suppress(OSError, ValueError):  # a pipe whose reader has gone; what was printed so far comes first
        sys.stdout.flush()
    print(_encodable(f"wampy {command}: {text}", sys.stderr), file=sys.stderr, flush=True)


def one_line(text: str) -> str:
    """Put a text of several lines into one.

    Args:
        text: For example an exception's.

    Returns:
        The same words, one space between each.
    """
    return " ".join(text.split())


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
