"""Find the classes that ``wampy run`` is asked for, and say clearly what is wrong with what was found."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Final

from wampy.cli.console import one_line
from wampy.errors import AddressError, WampyError
from wampy.peers.clients import Client

__all__ = ["RunError", "describe", "load", "make"]

logger = logging.getLogger(__name__)

# Where code is that is never the user's: Python's own, and ours.
_NOT_THEIRS: Final = (
    "<frozen ",
    os.path.dirname(os.__file__) + os.sep,
    str(Path(__file__).resolve().parent.parent) + os.sep,
)


class RunError(WampyError):
    """Say why what was asked for cannot be run."""


def load(application: str) -> type[Client]:
    """Import an application's class, with the current folder first on the path.

    Args:
        application: ``module:Class``.

    Returns:
        The class.

    Raises:
        RunError: There is no such module or class, it cannot be imported, or it is no `Client`.
    """
    module_name, _, class_name = application.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), class_name]):
        raise RunError(f"{application!r} is no MODULE:CLASS; {_suggestion(application)}")
    module = _import(module_name)
    found = getattr(module, class_name, None)
    if found is None:
        raise RunError(f"module {module_name!r} has no class {class_name!r}; {_clients_of(module)}")
    if not isinstance(found, type) or not issubclass(found, Client):
        raise RunError(f"{application!r} is no subclass of wampy.Client; {_clients_of(module)}")
    return found


def _import(name: str) -> ModuleType:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            text = f"there is no module {name!r}, neither in {folder} nor where this Python looks for modules"
            hint = "; write the module's name without .py" if name.endswith(".py") else ""
            raise RunError(text + hint) from None
        logger.debug("importing %s failed", name, exc_info=True)
        raise RunError(f"module {name!r} cannot be imported: {describe(error)}") from None


def _suggestion(application: str) -> str:
    path, _, class_name = application.partition(":")
    module = path.removesuffix(".py").removeprefix("./").replace("/", ".")
    if all(part.isidentifier() for part in module.split(".")):
        return f"try {module}:{class_name if class_name.isidentifier() else 'CLASS'}"
    return "write for example shop:Shop for the class Shop in shop.py"


def _clients_of(module: ModuleType) -> str:
    """Say which classes of a module could have been meant."""
    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Client) and value.__module__ == module.__name__
    ]
    return f"it has {', '.join(names)}" if names else "it defines no subclass of wampy.Client"


def make(cls: type[Client], url: str, realm: str) -> Client:
    """Make a client.

    Args:
        cls: Its class.
        url: The router's URL.
        realm: The realm.

    Returns:
        The client, not started.

    Raises:
        RunError: The class, or wampy, does not accept that.
    """
    try:
        return cls(url=url, realm=realm)
    except AddressError as error:
        raise RunError(f"the URL {error}") from None
    except WampyError as error:
        raise RunError(f"{cls.__name__} cannot be made: {error}") from None
    except Exception as error:
        logger.debug("making %s failed", cls.__name__, exc_info=True)
        raise RunError(f"{cls.__name__}(url=..., realm=...) failed: {describe(error)}") from None


def describe(error: BaseException) -> str:
    """Say in one line what the user's code raised, and where.

    Args:
        error: What it raised.

    Returns:
        For wampy's own errors their text; for others the type, the text, and the file and line.
    """
    try:
        text = one_line(str(error))
    except Exception:
        text = ""
    if isinstance(error, WampyError):
        return text
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, SyntaxError):
        return said  # its text has the place
    stack = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in stack if not frame.filename.startswith(_NOT_THEIRS)]
    return f"{said} ({os.path.relpath(theirs[-1].filename)}, line {theirs[-1].lineno})" if theirs else said
