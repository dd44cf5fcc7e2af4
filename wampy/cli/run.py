"""``wampy run``: start applications, keep them running, and stop them on a signal."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from wampy.cli.console import complain, one_line

__all__ = ["add_parser", "run"]

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

# Seconds: less than what those who stop services allow before they kill (ten, or more).
DEFAULT_DRAIN: Final = 5.0
LONGEST_DRAIN: Final = 86400.0


def add_parser(commands: Any) -> None:
    """Describe the command to argparse.

    Args:
        commands: What ``add_subparsers`` gave.
    """
    parser = commands.add_parser(
        "run",
        help="run applications until Ctrl-C",
        description="Import Client classes from the current folder, start them, and keep them running.",
        epilog="Exit code 0: stopped by Ctrl-C or SIGTERM; 1: a connection was lost for good; 2: could not start.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "applications",
        nargs="+",
        metavar="MODULE:CLASS",
        help="a subclass of wampy.Client, for example shop:Shop for the class Shop in shop.py",
    )
    parser.add_argument("--url", help="the router (default: $WAMPY_URL, else ws://localhost:8080/)")
    parser.add_argument("--realm", help="the realm (default: $WAMPY_REALM, else realm1)")
    parser.add_argument(
        "--config",
        metavar="CROSSBAR.JSON",
        help="a Crossbar configuration to take the URL and the realm from, unless they are given",
    )
    parser.add_argument(
        "--no-patch",
        dest="patch",
        action="store_false",
        help="leave the standard library as it is; without this it is monkey-patched before the import, so "
        "that blocking calls such as time.sleep let other green threads run",
    )
    parser.add_argument(
        "--log-level",
        type=str.upper,
        choices=LEVELS,
        default="INFO",
        help="how much wampy logs to standard error (default: INFO)",
    )
    parser.add_argument(
        "--drain",
        type=_seconds,
        default=DEFAULT_DRAIN,
        metavar="SECONDS",
        help="how long what is under way may take when a signal comes, before it is interrupted; 0 for not at all "
        f"(default: {DEFAULT_DRAIN:g})",
    )
    parser.set_defaults(execute=_execute)


def _execute(args: argparse.Namespace) -> int:
    return run(
        args.applications,
        url=args.url,
        realm=args.realm,
        config=args.config,
        patch=args.patch,
        log_level=args.log_level,
        drain=args.drain,
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= LONGEST_DRAIN:
        raise argparse.ArgumentTypeError(f"must be from 0 to {LONGEST_DRAIN:g} seconds, not {text}")
    return seconds


def run(
    applications: Sequence[str],
    url: str | None = None,
    realm: str | None = None,
    config: str | None = None,
    patch: bool = True,
    log_level: str = "INFO",
    drain: float = DEFAULT_DRAIN,
) -> int:
    """Run applications until SIGINT, SIGTERM, or the end of a client for good. For the main thread.

    Args:
        applications: What to run, each ``module:Class``, in the order in which they are started.
        url: The router's URL; left out, that of `config`, else ``WAMPY_URL``, else wampy's default.
        realm: The realm, likewise.
        config: The path of a Crossbar configuration.
        patch: Whether to monkey-patch the standard library, before anything of the user's is imported.
        log_level: The lowest level that wampy logs to standard error.
        drain: Seconds that what is under way may take when a signal comes; 0 interrupts it at once.

    Returns:
        0 when they were stopped, 1 when a connection was lost for good, 2 when they could not be started.
    """
    # Here, because nothing that can wait is imported before the patching.
    from wampy.backends import configure_async, get_backend
    from wampy.errors import WampyError

    try:
        if patch and get_backend().patches:
            configure_async()
        from wampy.cli.loading import load, make
        from wampy.cli.supervisor import Supervisor
        from wampy.config import configure_logging

        configure_logging(getattr(logging, log_level))
        url, realm = _find_router(url, realm, config)
        classes = [load(application) for application in applications]
        clients = [make(cls, url, realm) for cls in classes]
    except WampyError as error:
        complain("run", one_line(str(error)))
        return 2
    return Supervisor(clients, drain).run()


def _find_router(url: str | None, realm: str | None, config: str | None) -> tuple[str, str]:
    """Return the URL and the realm: as given, else the configuration's, else the environment's."""
    from wampy.cli.loading import RunError
    from wampy.config import settings
    from wampy.peers._configuration import Configuration

    if config is None:
        default_url, default_realm = settings().url, settings().realm
        return default_url if url is None else url, default_realm if realm is None else realm
    configuration = Configuration(Path(config))
    if url is None and (configuration.address() is None or configuration.needs_port):
        raise RunError(f"{config} has no WebSocket transport with a TCP port of its own: give --url as well")
    return configuration.url() if url is None else url, configuration.realm if realm is None else realm
