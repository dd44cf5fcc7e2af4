"""`client.session` is the whole protocol: positional payloads, options, roles that come and go."""

import os

from wampy import Client
from wampy.errors import NoSuchProcedure

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


def add(a, b):
    return a + b


def on_event(*args, **kwargs):
    print("event:", args, {key: value for key, value in kwargs.items() if key != "meta"})


with Client(url=URL) as client:
    session = client.session

    registration = session.register("com.example.add", add, options={"invoke": "roundrobin"})
    print("2 + 3 =", session.call("com.example.add", args=[2], kwargs={"b": 3}, timeout=2.0))
    session.unregister(registration)
    try:
        session.call("com.example.add", args=[2, 3])
    except NoSuchProcedure:
        print("no longer there")

    subscription = session.subscribe("com.example.news", on_event)
    # A publisher does not get its own events unless it asks for them.
    options = {"acknowledge": True, "exclude_me": False}
    session.publish("com.example.news", args=[1, 2], kwargs={"three": 3}, options=options)
    session.call("wamp.session.count")  # a round trip, so that the event is here
    session.unsubscribe(subscription)
