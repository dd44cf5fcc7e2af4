"""A foreign peer: autobahn-python on asyncio, told what to do line by line on standard input, in JSON.

    python foreign.py URL SERIALIZER

Each line is an order, ``{"id": 1, "do": "call", …}``; each answer a line on standard output with the same id. Binary
travels as ``{"__binary__": "hex"}``, as these lines are no WAMP.
"""

import asyncio
import json
import os
import sys

from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp import serializer
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import (
    CallOptions,
    CallResult,
    EventDetails,
    PublishOptions,
    RegisterOptions,
    SubscribeOptions,
)

SERIALIZERS = {
    "json": serializer.JsonSerializer,
    "msgpack": serializer.MsgPackSerializer,
    "cbor": serializer.CBORSerializer,
}


# autobahn logs to standard output.
ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def pack(value):
    if isinstance(value, bytes):
        return {"__binary__": value.hex()}
    if isinstance(value, dict):
        return {key: pack(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(each) for each in value]
    return value


def unpack(value):
    if isinstance(value, dict):
        if value.keys() == {"__binary__"}:
            return bytes.fromhex(value["__binary__"])
        return {key: unpack(each) for key, each in value.items()}
    if isinstance(value, list):
        return [unpack(each) for each in value]
    return value


def tell(**answer):
    print(json.dumps(pack(answer)), file=ANSWERS, flush=True)


class Foreigner(ApplicationSession):
    """Serves a few procedures, and follows orders."""

    async def onJoin(self, details):
        self.heard = []
        self.under_way = set()
        await self.register(self.echo, "foreign.echo")
        await self.register(self.several, "foreign.several")
        await self.register(self.nothing, "foreign.nothing")
        await self.register(self.fail, "foreign.fail")
        await self.register(self.crash, "foreign.crash")
        await self.register(self.slow, "foreign.slow")
        await self.register(self.who, "foreign.who", RegisterOptions(details_arg="details"))
        await self.register(self.relay, "foreign.relay")
        await self.subscribe(self.on_event, "topic.", SubscribeOptions(match="prefix", details_arg="details"))
        tell(joined=self._session_id)
        self.orders = asyncio.ensure_future(self.follow_orders())

    def echo(self, *args, **kwargs):
        return CallResult(*args, **kwargs)

    def several(self):
        return CallResult(1, "zwei", [3], vier=4)

    def nothing(self):
        return None

    def fail(self, *args, **kwargs):
        raise ApplicationError("foreign.error.chosen", *args, **kwargs)

    def crash(self):
        raise ValueError("größer")

    async def slow(self, seconds, value):
        await asyncio.sleep(seconds)
        return value

    def who(self, details=None):
        return details.caller

    async def relay(self, procedure, *args, **kwargs):
        return await self.call(procedure, *args, **kwargs)

    def on_event(self, *args, details: EventDetails, **kwargs):
        self.heard.append({"topic": details.topic, "args": list(args), "kwargs": kwargs})

    async def follow_orders(self):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 28)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            order = unpack(json.loads(line))
            task = asyncio.ensure_future(self.follow(order))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)
        self.leave()

    async def follow(self, order):
        try:
            answer = await getattr(self, "do_" + order.pop("do"))(**order)
        except ApplicationError as error:
            answer = {"error": error.error, "args": list(error.args), "kwargs": error.kwargs}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        tell(id=order["id"], **answer)

    async def do_call(self, id, procedure, args, kwargs, timeout=None):
        options = None if timeout is None else CallOptions(timeout=timeout)
        if options is not None:
            kwargs["options"] = options
        result = await self.call(procedure, *args, **kwargs)
        if isinstance(result, CallResult):
            return {"results": list(result.results), "kwresults": result.kwresults}
        return {"result": result}

    async def do_calls(self, id, procedure, values):
        return {"result": await asyncio.gather(*(self.call(procedure, value) for value in values))}

    async def do_cancel(self, id, procedure, args, after):
        future = asyncio.ensure_future(self.call(procedure, *args))
        await asyncio.sleep(after)
        future.cancel()
        try:
            return {"result": await future}
        except asyncio.CancelledError:
            return {"cancelled": True}

    async def do_publish(self, id, topic, args, kwargs):
        done = await self.publish(topic, *args, options=PublishOptions(acknowledge=True), **kwargs)
        return {"publication": done.id}

    async def do_heard(self, id):
        heard, self.heard = self.heard, []
        return {"heard": heard}

    def onDisconnect(self):
        asyncio.get_event_loop().stop()


if __name__ == "__main__":
    url, name = sys.argv[1:]
    ApplicationRunner(url, "realm1", serializers=[SERIALIZERS[name]()]).run(Foreigner)
