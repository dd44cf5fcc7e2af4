"""Many calls at once: `call_async` does not wait, `result` does."""

import os
import time

import eventlet

from wampy import Client, callee

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class Calculator(Client):
    @callee(procedure="com.example.square")
    def square(self, number):
        eventlet.sleep(0.1)  # not time.sleep: that would stop every green thread
        return number * number


with Calculator(url=URL, max_workers=100), Client(url=URL) as client:
    begin = time.monotonic()
    pending = [client.rpc.com.example.square.call_async(number) for number in range(100)]
    squares = [call.result() for call in pending]
    seconds = time.monotonic() - begin

    print("the sum is", sum(squares))
    print("faster than one after another:", seconds < 100 * 0.1)
