"""MessagePack, by the package msgpack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wampy.interfaces import Payload
from wampy.serializers.base import PlainSerializer, library
from wampy.serializers.plain import SCALARS


class MsgpackSerializer(PlainSerializer):
    """MessagePack (WAMP, "Serializers").

    Integers have 64 bits at most, and there are no decimals: both are refused, or left to the hook. What WAMP has
    no type for, but MessagePack has, arrives as ``msgpack.ExtType`` and may be sent as such.

    Args:
        default: As for `PlainSerializer`.

    Raises:
        WampyError: The package msgpack is missing.
    """

    name = "msgpack"
    subprotocol = "wamp.2.msgpack"
    binary = True
    title = "MessagePack"

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        msgpack = library("msgpack", self.name)
        self.scalars = SCALARS | {msgpack.ExtType, msgpack.Timestamp}
        super().__init__(default)
        self._pack: Callable[[Any], bytes] = msgpack.packb
        self._unpack: Callable[..., Any] = msgpack.unpackb

    def _encode(self, message: list[Any]) -> bytes:
        return self._pack(message)

    def _decode(self, payload: Payload) -> Any:
        # Keys that are no text are another peer's fault, for which this session must not be ended.
        return self._unpack(payload, strict_map_key=False)

    def _problem(self, value: Any) -> str | None:
        if type(value) is int and not -(2**63) <= value < 2**64:
            return "MessagePack has integers of 64 bits only"
        return None
