"""Join the first of several routers that works. When none does, the error has each one's reason."""

import os

from wampy import Client
from wampy.errors import ConnectionError

ROUTERS = ["rs+unix:///nowhere.sock", os.environ.get("WAMPY_URL", "ws://localhost:8080/")]

with Client(url=ROUTERS, open_timeout=6.0) as client:
    print("the second is there:", client.url == ROUTERS[1])

try:
    Client(url=["ws://127.0.0.1:9/", "rs+unix:///nowhere.sock"]).start()
except ConnectionError as error:
    for reason in error.errors:
        print(reason)
