"""Read the command line and hand it to a command's module."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from wampy import __version__
from wampy.cli import demo, run

__all__ = ["main", "make_parser"]

#: The exit code of a command that Ctrl-C has ended before it could end by itself, as shells have it.
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (try '{self.prog} --help')\n")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser, with a subparser for each command.

    Returns:
        What it parses has an attribute ``execute``, the command, unless none was given.
    """
    parser = _Parser(
        prog="wampy",
        description="WAMP v2 (routed RPC and publish/subscribe) for Python, in green threads.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"wampy {__version__}")
    commands: Any = parser.add_subparsers(metavar="COMMAND", title="commands")
    for command in (run, demo):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments, without the program's name; left out, the process's own.

    Returns:
        The exit code: 0 when all went well, 1 when something failed, 2 when it could not begin.
    """
    parser = make_parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as done:  # --help, --version, or an error that has been printed
        return done.code if isinstance(done.code, int) else 0
    if not hasattr(args, "execute"):
        parser.print_help()
        return 0
    try:
        code: int = args.execute(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`wampy demo | head`); Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
