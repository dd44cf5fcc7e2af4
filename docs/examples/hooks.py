"""Hooks: what a client does when it has joined, and when it has left."""

import os

from eventlet.event import Event

from wampy import Client

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class Polite(Client):
    ready = Event()

    def on_join(self, details):
        print("joined", details["realm"])
        print("others are there:", self.call("wamp.session.count") > 1)
        self.ready.send()

    def on_leave(self, reason):
        print("left:", reason)

    def on_disconnect(self, error):
        print("disconnected:", error)


with Client(url=URL), Polite(url=URL) as polite:
    polite.ready.wait()  # start() does not wait for on_join
