"""What the environment says, read and typed in one place, and how to turn logging on."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from wampy.constants import DEFAULT_REALM, DEFAULT_URL, SECRET_VARIABLE

logger = logging.getLogger(__name__)

ASYNC_VARIABLE = "WAMPY_ASYNC_NAME"
CROSSBAR_VARIABLE = "WAMPY_CROSSBAR"
URL_VARIABLE = "WAMPY_URL"
REALM_VARIABLE = "WAMPY_REALM"


@dataclass(frozen=True)
class Settings:
    """The environment as wampy reads it.

    Attributes:
        async_name: ``WAMPY_ASYNC_NAME``, the green-thread library.
        crossbar: ``WAMPY_CROSSBAR``, the router's executable, when set.
        secret: ``WAMPYSECRET``, the secret for authentication, when set.
        url: ``WAMPY_URL``, the command line's default URL.
        realm: ``WAMPY_REALM``, the command line's default realm.
    """

    async_name: str
    crossbar: str | None
    secret: str | None
    url: str
    realm: str


def settings() -> Settings:
    """Read the environment as it is now.

    Returns:
        The settings; nothing is cached, so a change of the environment counts at the next call.
    """
    env = os.environ
    return Settings(
        async_name=env.get(ASYNC_VARIABLE) or "eventlet",
        crossbar=env.get(CROSSBAR_VARIABLE) or None,
        secret=env.get(SECRET_VARIABLE) or None,
        url=env.get(URL_VARIABLE) or DEFAULT_URL,
        realm=env.get(REALM_VARIABLE) or DEFAULT_REALM,
    )


def configure_logging(level: int = logging.INFO) -> None:
    """Send wampy's log records to standard error. Never done on import.

    Args:
        level: The lowest level to show, for example ``logging.DEBUG``.
    """
    package = logging.getLogger("wampy")
    if not any(getattr(handler, "wampy_console", False) for handler in package.handlers):
        handler = logging.StreamHandler()
        handler.wampy_console = True  # type: ignore[attr-defined]
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
        package.addHandler(handler)
    package.setLevel(level)
    logger.info("logging configured")
