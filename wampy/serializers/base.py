"""What our serializers share: the same values travel in every format, and errors name their place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any

from wampy.constants import SCALARS
from wampy.errors import SerializationError, WampyError
from wampy.interfaces import Payload, Serializer
from wampy.serializers.plain import MAX_DEPTH, Finder, is_plain, said_by


class PlainSerializer(Serializer):
    """A serializer of plain values.

    What WAMP has a type for travels in every format: ``None``, booleans, integers, floats, text, binaries, lists
    and dictionaries with text keys. Tuples travel as lists, and subclasses as what they are a subclass of.

    Attributes:
        title: The format's name in errors.
        scalars: The types that the format holds, beside lists and dictionaries.
        max_depth: How many levels of lists and dictionaries a message may have.

    Args:
        default: Turns a value of a type that the format lacks into one that it has, or raises `TypeError`, as
            for `json.dumps`.
    """

    title: str
    scalars: frozenset[type] = SCALARS
    max_depth: int = MAX_DEPTH

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        if default is not None and not callable(default):
            raise WampyError(f"default is a function that turns a foreign value into a plain one, not {default!r}")
        self.leaves_plain_alone = (
            type(self).prepare is PlainSerializer.prepare and self.scalars >= SCALARS and self.max_depth > 1
        )
        missing = self.title + " has no form for {}; give the serializer a `default=` hook, or convert the value"
        self._finder = Finder(self.scalars, self._problem, missing, self.max_depth, default)

    def prepare(self, message: list[Any]) -> list[Any]:
        """Make a message plain: run the hook, and turn subclasses into what they are a subclass of.

        Args:
            message: The wire list, which is not changed.

        Returns:
            The message, or a copy of it.

        Raises:
            SerializationError: A value cannot travel; the error has its type and its place.
        """
        try:
            if type(message) is list and is_plain(message, self.scalars, self.max_depth):
                return message
            return self._finder.plain(message)  # type: ignore[no-any-return]
        except RecursionError as error:
            raise SerializationError(f"{self.title} cannot hold this message: {error}") from error

    def encode(self, message: list[Any]) -> bytes:
        """Turn a plain message into bytes.

        Args:
            message: What `prepare` gave.

        Returns:
            The payload.

        Raises:
            SerializationError: The format cannot hold a value; the error has its type and its place.
        """
        try:
            return self._encode(message)
        except SerializationError:
            raise
        except Exception as error:
            self._finder.plain(message)  # which names the culprit
            raise SerializationError(f"{self.title} cannot hold this message: {said_by(error)}") from error

    def dumps(self, message: list[Any]) -> bytes:
        """Serialize one message: `prepare` and `encode`.

        Args:
            message: The wire list.

        Returns:
            The payload.

        Raises:
            SerializationError: A value cannot travel; the error has its type and its place.
        """
        return self.encode(self.prepare(message))

    def loads(self, payload: Payload) -> list[Any]:
        """Read one message.

        Args:
            payload: The bytes.

        Returns:
            What they hold. Whether that is a message is for `wampy.messages.parse` to say.

        Raises:
            SerializationError: They are not in this format.
        """
        try:
            return self._decode(payload)  # type: ignore[no-any-return]
        except SerializationError:
            raise
        except Exception as error:  # each library has its own, and bytes from outside meet all of them
            raise SerializationError(f"this is no {self.title}: {said_by(error)}") from error

    @abstractmethod
    def _encode(self, message: list[Any]) -> bytes:
        """Turn plain values into bytes; any exception is translated."""

    @abstractmethod
    def _decode(self, payload: Payload) -> Any:
        """Turn bytes into values; any exception is translated."""

    def _problem(self, value: Any) -> str | None:
        """Say why the format cannot hold a value of one of its own types."""
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def library(name: str, serializer: str, extra: str | None = None) -> Any:
    """Import the package that a format needs.

    Args:
        name: The module.
        serializer: The name of the serializer.
        extra: That of the extra, where it is another.

    Returns:
        The module.

    Raises:
        WampyError: It is not installed; the text names the extra.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise WampyError(
            f"the serializer {serializer!r} needs a package that is not installed: "
            f"pip install 'wampy[{extra or serializer}]' ({error})"
        ) from error
