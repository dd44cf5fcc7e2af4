"""Publish and subscribe: one client listens, another one tells."""

import os

from eventlet.queue import Queue

from wampy import Client, subscribe

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class Reporter(Client):
    reports = Queue()

    @subscribe(topic="com.example.weather", match="prefix")
    def on_weather(self, city, degrees, meta):
        self.reports.put(f"{meta['topic']}: {degrees} degrees in {city}")


with Reporter(url=URL) as reporter, Client(url=URL) as station:
    station.publish(topic="com.example.weather.today", city="Rome", degrees=31)
    print(reporter.reports.get(timeout=10))

    # With "acknowledge" the router confirms the event, or refuses it with an error.
    publication_id = station.publish(
        topic="com.example.weather.tomorrow", city="Oslo", degrees=12, options={"acknowledge": True}
    )
    print("the router gave it an id:", publication_id is not None)
    print(reporter.reports.get(timeout=10))
