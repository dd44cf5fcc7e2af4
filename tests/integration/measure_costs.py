"""Count what operations cost in things that no clock and no other program has a say in; for test_costs.py.

``measure_costs.py calls URL`` counts calls of functions, in Python and in C, and with these the system calls;
``measure_costs.py memory URL`` counts pieces of memory and page faults. Both print JSON, and have a process of their
own at the other end (``measure_costs.py serve URL``), so that only one end is counted.
"""

import gc
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from contextlib import contextmanager

from wampy import Client, callee, subscribe
from wampy.backends import get_backend

TOGETHER = 100
MARK = "one-mark-a-message"
LARGE = "x" * 200_000

# Seconds that the router may take, which nothing here is measured by.
PATIENCE = 60.0

ROUNDS = 3
CALLS = 500


class OtherEnd(Client):
    """Who answers the calls, and publishes and calls when told to."""

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.answered = get_backend().slot()

    @callee(procedure="com.example.costs.echo")
    def echo(self, text):
        return text

    @callee(procedure="com.example.costs.answers")
    def answers(self):
        self.answered.wait(PATIENCE)
        answers, self.answered = self.answered.value, get_backend().slot()
        return answers

    @subscribe(topic="com.example.costs.publish")
    def publish_all(self, number):
        for _ in range(number):
            self.publish(topic="com.example.costs.event", text=MARK)

    @subscribe(topic="com.example.costs.call")
    def call_all(self, number):
        pending = [self.rpc.com.example.costs.served.call_async(MARK) for _ in range(number)]
        self.answered.set([each.result() for each in pending])


class Counted(Client):
    """Who is measured."""

    def __init__(self, **parameters):
        # No heartbeats: those would be counted, and how many there are is the clock's to say.
        super().__init__(heartbeat=None, call_timeout=PATIENCE, open_timeout=PATIENCE, **parameters)
        self.expect()

    def expect(self):
        self.handled = 0
        self.all_handled = get_backend().slot()

    def _handle(self):
        self.handled += 1
        if self.handled == TOGETHER:
            self.all_handled.set()

    @callee(procedure="com.example.costs.served")
    def served(self, text):
        self._handle()
        return text

    @subscribe(topic="com.example.costs.event")
    def on_event(self, text):
        self._handle()


class Ledger:
    """What was called while it counted.

    Everything is listed and added up later: that is one step, which no other thread comes between.
    """

    def __init__(self):
        self.is_open = False
        self._names = []

    def profile(self, frame, event, arg):
        if self.is_open:
            if event == "call":
                self._names.append(frame.f_code.co_qualname)
            elif event == "c_call":
                self._names.append(f"C {arg.__qualname__}")

    @contextmanager
    def paused(self):
        before, self.is_open = self.is_open, False
        try:
            yield
        finally:
            self.is_open = before

    def close(self):
        self.is_open = False
        names, self._names = self._names, []
        return names


ledger = Ledger()


class GatheringSocket(socket.socket):
    """A socket that is read when so many messages have come as are awaited, so that they come in one turn."""

    awaited = 0
    latest = None

    def recv(self, size, flags=0):
        with ledger.paused():
            if self.awaited:
                self._gather()
        return super().recv(size, flags)

    def send(self, data, flags=0):
        return super().send(data, flags)

    def _gather(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            data = super().recv(65_536, socket.MSG_PEEK)
            if data.count(MARK.encode()) >= self.awaited and data.endswith(b"]"):
                return
            if not data or time.monotonic() > deadline:
                raise ConnectionAbortedError(f"{self.awaited} messages are awaited, and these have come: {data!r}")
            time.sleep(0.001)


def gathering_socket(_backend, family, kind, protocol=0):
    GatheringSocket.latest = sock = GatheringSocket(family, kind, protocol)
    sock.setblocking(False)
    return sock


@contextmanager
def counted(figures, operation, number, awaited):
    """Count what happens within.

    Args:
        figures: What was counted is added here.
        operation: What it is.
        number: How many there are of it.
        awaited: How many messages the reader is to get in a turn; 0 for whatever comes.
    """
    sock, cls = GatheringSocket.latest, type(get_backend())
    # For wampy the clock stands still, lest a machine that is busy with other things makes a burst of messages end
    # early, or the time for which writing is held back.
    now, real = time.monotonic(), cls.monotonic
    cls.monotonic = lambda _backend: now
    sock.awaited = awaited
    ledger.is_open = True
    try:
        yield
    finally:
        names = ledger.close()
        sock.awaited = 0
        cls.monotonic = real
    figures.setdefault(operation, []).append({"operations": number, "calls": len(names), "names": Counter(names)})


def count_calls(url):
    backend = get_backend()
    type(backend).socket = gathering_socket
    # Before any other thread, green or not, is made: they inherit it.
    threading.setprofile(ledger.profile)
    sys.setprofile(ledger.profile)
    figures = {}
    with Counted(url=url) as client:
        for _ in range(ROUNDS):
            one_round(client, backend, figures)
    # The first one makes what stays: workers, for example.
    return {operation: rounds[1:] for operation, rounds in figures.items()}


def one_round(client, backend, figures):
    echo = client.rpc.com.example.costs.echo

    # What would be seen of a timer and of a green thread.
    with counted(figures, "probe", 1, 0):
        backend.call_later(60.0, print).cancel()
        backend.spawn(backend.monotonic).join()

    with counted(figures, "call", TOGETHER, 1):
        for _ in range(TOGETHER):
            client.call("com.example.costs.echo", MARK)

    with counted(figures, "flight", TOGETHER, TOGETHER):
        # `inside`, so that on OS threads the reader waits until all of them are sent.
        pending = backend.inside(lambda: [echo.call_async(MARK) for _ in range(TOGETHER)])
        answers = [each.result() for each in pending]
    assert answers == [MARK] * TOGETHER

    if backend.switches_only_in_waits:
        done = [backend.slot() for _ in range(TOGETHER)]

        def calling(slot):
            for _ in range(4):
                client.call("com.example.costs.echo", MARK)
            slot.set()

        with counted(figures, "green", 4 * TOGETHER, TOGETHER):
            for slot in done:
                backend.spawn(calling, slot)
            for slot in done:
                slot.wait()

    with counted(figures, "publish", TOGETHER, 0):
        for _ in range(TOGETHER):
            client.publish(topic="com.example.costs.nobody", text=MARK)
        backend.sleep(0)

    client.expect()
    with counted(figures, "event", TOGETHER, TOGETHER):
        with ledger.paused():
            client.publish(topic="com.example.costs.publish", number=TOGETHER)
        assert client.all_handled.wait(PATIENCE)

    client.expect()
    with counted(figures, "invocation", TOGETHER, TOGETHER):
        with ledger.paused():
            client.publish(topic="com.example.costs.call", number=TOGETHER)
        assert client.all_handled.wait(PATIENCE)
        backend.sleep(0.001)  # for the last of them to be written
    assert client.call("com.example.costs.answers") == [MARK] * TOGETHER


def count_memory(url):
    backend = get_backend()
    figures = {}
    with Counted(url=url) as client:
        echo = client.rpc.com.example.costs.echo

        def calls(number):
            for _ in range(number):
                client.call("com.example.costs.echo", MARK)

        def begin():
            before = sys.getallocatedblocks()
            pending = [echo.call_async(MARK) for _ in range(TOGETHER)]
            return pending, sys.getallocatedblocks() - before

        def in_flight():
            pending, blocks = backend.inside(begin)
            for each in pending:
                each.result()
            return blocks

        calls(CALLS)
        gc.collect()
        gc.disable()
        # That has emptied the interpreter's free lists, which hold two thousand of a kind.
        for _ in range(30):
            in_flight()
        calls(CALLS)
        before = sys.getallocatedblocks()
        calls(CALLS)
        figures["blocks left"] = sys.getallocatedblocks() - before
        figures["objects in cycles"] = gc.collect()
        for _ in range(10):
            figures["blocks of a call in flight"] = in_flight() / TOGETHER
        gc.enable()

        for number in (20, 50):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(number):
                assert client.call("com.example.costs.echo", LARGE) == LARGE
            figures["faults"] = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / number

    with Client(url=url):  # what is made once
        tracemalloc.start()
        clients = [Client(url=url) for _ in range(50)]
        for each in clients:
            each.start()
        backend.sleep(0.01)
        gc.collect()
        figures["bytes of a client"] = tracemalloc.get_traced_memory()[0] / len(clients)
        tracemalloc.stop()
        for each in clients:
            each.stop()
    return figures


def main(what, url):
    if what == "serve":
        # It ends with whoever started it, also when that one is killed.
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
        with OtherEnd(url=url) as other_end:
            print("ready", flush=True)
            other_end.wait()
        return
    command = [sys.executable, "-W", "ignore", __file__, "serve", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other_end:
        try:
            assert other_end.stdout.readline() == "ready\n"
            print(json.dumps({"calls": count_calls, "memory": count_memory}[what](url)))
        finally:
            other_end.stdin.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
