"""MessagePack, by the package msgpack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wampy.errors import SerializationError
from wampy.interfaces import Payload
from wampy.serializers.base import PlainSerializer, library

# What timestamps begin with, in their three lengths.
_TIMESTAMPS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")


class MsgpackSerializer(PlainSerializer):
    """MessagePack (WAMP, "Serializers").

    Integers have 64 bits at most; larger ones are refused. There are no decimals; they are left to the hook. What WAMP
    has no type for, but MessagePack has, arrives as ``msgpack.ExtType`` or ``msgpack.Timestamp``.

    Args:
        default: As for `PlainSerializer`.

    Raises:
        WampyError: The package msgpack is missing.
    """

    name = "msgpack"
    subprotocol = "wamp.2.msgpack"
    binary = True
    rawsocket_id = 2
    title = "MessagePack"

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        msgpack = library("msgpack", self.name)
        super().__init__(default)
        self._packer: Callable[[], Any] = msgpack.Packer
        self._unpack: Callable[..., Any] = msgpack.unpackb
        self._timestamp: type = msgpack.Timestamp

    def encode(self, message: list[Any]) -> bytes:
        try:
            return self._packer().pack(message)  # type: ignore[no-any-return]  # hot: as `_encode`, and most go well
        except Exception:
            return super().encode(message)

    def _encode(self, message: list[Any]) -> bytes:
        # A new one each time: one that is kept would keep the memory of its largest message too, and a finalizer that
        # sends would write into the midst of what it has.
        return self._packer().pack(message)  # type: ignore[no-any-return]

    def loads(self, payload: Payload) -> list[Any]:
        try:
            return self._unpack(payload)  # type: ignore[no-any-return]  # hot: nothing else is the matter with most
        except Exception:
            return super().loads(payload)

    def _decode(self, payload: Payload) -> Any:
        try:
            return self._unpack(payload)
        except ValueError:
            return self._unpack_any_keys(payload)

    def _unpack_any_keys(self, payload: Payload) -> Any:
        # Keys that are no text are another peer's fault, for which this session must not be ended. But timestamps can
        # be made to collide in a dictionary: 1 MB of them took minutes.
        hook = None
        if not isinstance(payload, str) and any(each in payload for each in _TIMESTAMPS):
            hook = self._to_dictionary
        return self._unpack(payload, strict_map_key=False, object_pairs_hook=hook)

    def _to_dictionary(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        for key, _ in pairs:
            if type(key) is self._timestamp:
                raise SerializationError("this is no message in MessagePack: a timestamp is a key")
        return dict(pairs)

    def _problem(self, value: Any) -> str | None:
        if type(value) is int and not -(2**63) <= value < 2**64:
            return "MessagePack has integers of 64 bits only"
        return None
