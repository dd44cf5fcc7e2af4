"""Patch the standard library first, and time.sleep lets other green threads run."""

import wampy

wampy.configure_async()

import os  # noqa: E402
import time  # noqa: E402

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class Sleeper(wampy.Client):
    @wampy.callee(procedure="com.example.sleep")
    def sleep(self):
        time.sleep(0.2)
        return "slept"


with Sleeper(url=URL) as sleeper, wampy.Client(url=URL) as client:
    begin = time.monotonic()
    pending = [client.rpc.com.example.sleep.call_async() for _ in range(10)]
    print({call.result() for call in pending})
    print("all at once:", time.monotonic() - begin < 1.0)
