"""A program of asyncio's own, with `asyncio.run`: wampy runs beside it on OS threads."""

import asyncio
import os
import time

import wampy
from wampy import Client, callee

wampy.configure_backend("threading")
URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


async def measure(city):
    await asyncio.sleep(0.3)
    return f"31 degrees in {city}"


class Weather(Client):
    loop = None

    @callee(procedure="com.example.measure")
    def measure(self, city):
        # It runs in a thread of its own, which may wait for the loop's.
        return asyncio.run_coroutine_threadsafe(measure(city), self.loop).result()

    @callee(procedure="com.example.think")
    def think(self, city):
        time.sleep(0.3)
        return f"sun in {city}"


async def main():
    client = Weather(url=URL)
    client.loop = asyncio.get_running_loop()
    # Everything that waits is called in a thread, `start` and `stop` too: the loop goes on meanwhile.
    await asyncio.to_thread(client.start)
    try:
        began = time.monotonic()
        answers = await asyncio.gather(
            asyncio.to_thread(client.call, "com.example.measure", "Rome"),
            asyncio.to_thread(client.rpc.com.example.think, "Oslo"),
            measure("Paris"),
        )
        print(*answers, sep=", ")
        print("all at once:", time.monotonic() - began < 0.8)
    finally:
        await asyncio.to_thread(client.stop)


asyncio.run(main())
