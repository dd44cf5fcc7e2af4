"""The one client of a web application, started in the process that serves, when it is first needed there."""

import atexit
import os
import threading

import wampy
from wampy import Client, callee

wampy.configure_backend("threading")


class Web(Client):
    @callee(procedure="com.example.web.process", invocation_policy="roundrobin")  # every worker process registers it
    def process(self):
        return os.getpid()


client = Web(url=os.environ.get("WAMPY_URL", "ws://localhost:8080/"))  # connects to nothing yet
starting = threading.Lock()


def started():
    """Return the client, and start it if that has not been done, or if it has ended for good."""
    with starting:
        if not client.is_running:
            client.start()
    return client


atexit.register(client.stop)
