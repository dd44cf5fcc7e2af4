"""A service that comes back by itself, here after an operator has ended its session."""

import os
from contextlib import suppress

from wampy import Client, Reconnect, callee
from wampy.errors import ConnectionClosed

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class Steady(Client):
    @callee(procedure="com.example.hello")
    def hello(self, name):
        return f"Hello, {name}!"

    def on_join(self, details):
        print("joined")

    def on_disconnect(self, error):
        print("left" if error is None else f"lost: {error}")

    def on_reconnect_attempt(self, attempt):
        print("attempt", attempt)


with Client(url=URL) as operator, Steady(url=URL, reconnect=Reconnect(longest_delay=60.0)) as service:
    operator.call("wamp.session.kill", service.session.id)
    with suppress(ConnectionClosed):  # a call that is under way when the session ends
        service.call("com.example.hello", "you")
    print(service.call("com.example.hello", "again"))  # waits for the next one
