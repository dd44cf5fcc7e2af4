"""OS threads: a client that serves while the main thread blocks, and that many threads use at once."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

os.environ["WAMPY_ASYNC_NAME"] = "threading"  # before the first client; better still, in the shell

from wampy import Client, callee

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class Service(Client):
    @callee(procedure="com.example.square")
    def square(self, number):
        time.sleep(0.01)  # blocks this worker, and nobody else
        return number * number


with Service(url=URL), Client(url=URL) as client:
    with ThreadPoolExecutor(max_workers=16) as pool:
        squares = list(pool.map(client.rpc.com.example.square, range(100)))
    print("the sum is", sum(squares))

    answer = client.rpc.com.example.square.call_async(12)
    time.sleep(0.5)  # the answer comes in all the same
    print("it is there:", answer.done(), answer.result())
