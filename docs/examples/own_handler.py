"""Give messages a meaning of your own: here, count the events before they are handled as ever."""

import os

from eventlet.queue import Queue

from wampy import Client, subscribe
from wampy.message_handler import MessageHandler

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class CountingHandler(MessageHandler):
    events = 0

    # This runs in the reader: it must not block, and a call from here raises an error. What blocks belongs
    # in a worker: self.session.spawn_worker(function, argument).
    def handle_event(self, message_obj):
        self.events += 1
        super().handle_event(message_obj)


class Listener(Client):
    ticks = Queue()

    @subscribe(topic="com.example.tick")
    def on_tick(self, number):
        self.ticks.put(number)


with Listener(url=URL, message_handler_cls=CountingHandler) as listener, Client(url=URL) as clock:
    for number in range(3):
        clock.publish(topic="com.example.tick", number=number)
    print("ticks:", [listener.ticks.get(timeout=10) for _ in range(3)])
    print("events:", listener.message_handler.events)
