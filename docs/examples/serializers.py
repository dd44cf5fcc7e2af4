"""Speak MessagePack, and send types of your own: a hook turns them into what WAMP has a type for."""

import os
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from uuid import UUID

from wampy import Client, callee
from wampy.serializers import JsonSerializer, MsgpackSerializer

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


@dataclass
class Order:
    number: UUID
    placed: datetime
    items: list[str]


def to_plain(value):
    """Called for each value that the format has no form for; what it returns is sent instead."""
    if is_dataclass(value):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot travel")


# Offered in this order; the router chooses.
SERIALIZERS = (MsgpackSerializer(default=to_plain), JsonSerializer(default=to_plain))


class Shop(Client):
    @callee(procedure="com.example.shop.find")
    def find(self, number):
        return Order(UUID(number), datetime(2026, 11, 24, 9, 30, tzinfo=UTC), ["apples"])


with Shop(url=URL, serializers=SERIALIZERS), Client(url=URL, serializers=SERIALIZERS) as client:
    print("spoken:", client.session.serializer.name)
    print(client.call("com.example.shop.find", UUID(int=1)))
