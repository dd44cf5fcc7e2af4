"""Serializers: a message's list to bytes and back.

`get_serializer` finds one by name. A serializer of your own is a subclass of `wampy.interfaces.Serializer`; give the
object to `Client(serializers=…)`.
"""

from collections.abc import Callable
from typing import Any

from wampy.errors import WampyError
from wampy.interfaces import Serializer
from wampy.serializers.base import PlainSerializer
from wampy.serializers.batched import BatchedSerializer
from wampy.serializers.cbor_ import CborSerializer
from wampy.serializers.json_ import JsonSerializer
from wampy.serializers.msgpack_ import MsgpackSerializer
from wampy.serializers.orjson_ import OrjsonSerializer
from wampy.serializers.ubjson_ import UbjsonSerializer

__all__ = [
    "NAMES",
    "BatchedSerializer",
    "CborSerializer",
    "JsonSerializer",
    "MsgpackSerializer",
    "OrjsonSerializer",
    "PlainSerializer",
    "UbjsonSerializer",
    "get_serializer",
    "json_serialize",
]

_BY_NAME: dict[str, Callable[[], Serializer]] = {
    cls.name: cls for cls in (JsonSerializer, MsgpackSerializer, CborSerializer, UbjsonSerializer)
}
#: What `get_serializer` takes.
NAMES: tuple[str, ...] = (*_BY_NAME, *(f"{name}.batched" for name in _BY_NAME))


def get_serializer(name: str) -> Serializer:
    """Make the serializer of a name.

    Args:
        name: ``"json"``, ``"msgpack"``, ``"cbor"`` or ``"ubjson"``, or one of these with ``".batched"`` behind it.

    Returns:
        A new serializer.

    Raises:
        WampyError: There is none of that name, or its package is missing; the text names the extra.
    """
    if not isinstance(name, str) or name not in NAMES:
        raise WampyError(f"there is no serializer {name!r}; known: {', '.join(map(repr, NAMES))}")
    plain, _, batched = name.partition(".")
    serializer = _BY_NAME[plain]()
    return BatchedSerializer(serializer) if batched else serializer


_JSON = JsonSerializer()


def json_serialize(message: list[Any]) -> str:
    """Serialize one message to JSON text.

    Args:
        message: The wire list.

    Returns:
        Compact JSON.

    Raises:
        SerializationError: JSON cannot hold a value.
    """
    return _JSON.dumps(message).decode()
