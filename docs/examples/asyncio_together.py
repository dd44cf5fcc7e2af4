"""asyncio and wampy in one thread: coroutines call procedures, callees await coroutines, and nobody stops the other."""

import asyncio
import os
import threading
import time

import eventlet
import eventlet.hubs
from eventlet.asyncio import spawn_for_awaitable

from wampy import Client, callee

eventlet.hubs.use_hub("eventlet.hubs.asyncio")  # before anything waits; or EVENTLET_HUB=asyncio in the shell

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


def in_green_thread(function, *args, **kwargs):
    """Call a function that waits as wampy does, and return what a coroutine can await."""
    outcome = asyncio.get_running_loop().create_future()

    def run():
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            if not outcome.done():
                outcome.set_exception(error)
        else:
            if not outcome.done():
                outcome.set_result(result)

    green_thread = eventlet.spawn(run)
    outcome.add_done_callback(lambda _: green_thread.kill())  # whoever awaited it may have been cancelled
    return outcome


async def measure(city):
    await asyncio.sleep(0.3)
    return f"31 degrees in {city}"


class Weather(Client):
    @callee(procedure="com.example.measure")
    def measure(self, city):
        return spawn_for_awaitable(measure(city)).wait()  # a callee awaits a coroutine

    @callee(procedure="com.example.think")
    def think(self, city):
        eventlet.sleep(0.3)
        return f"sun in {city}"


async def main(client):
    began = time.monotonic()
    answers = await asyncio.gather(
        in_green_thread(client.call, "com.example.measure", "Rome"),  # a coroutine calls a procedure
        in_green_thread(client.rpc.com.example.think, "Oslo"),
        measure("Paris"),
    )
    print(*answers, sep=", ")
    print("all at once:", time.monotonic() - began < 0.8)
    print("threads:", threading.active_count())


with Weather(url=URL) as client:
    spawn_for_awaitable(main(client)).wait()
