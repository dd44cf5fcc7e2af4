"""Overload from outside: routers that do not read, floods, and what they cost in memory."""

import json

import pytest

from wampy import Client, callee, overload
from wampy.errors import ConnectionClosed
from wampy.transports import base

MIB = 1 << 20

# Not getrusage(): what that calls the most goes back to before exec(), to the memory of the tests' own process.
PEAK = """
    def peak():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
"""

PUBLISHER = PEAK + """
    import json, os, signal, sys, time
    import psutil
    from wampy import Client, WampyTimeOutError

    url, forwarder, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    client = Client(url=url, send_timeout=1.0, close_timeout=0.2)
    client.start()
    payload = "x" * size
    for _ in range(100):
        client.publish(topic="com.example.flood", payload=payload, options={"acknowledge": True})
    start = psutil.Process().memory_info().rss
    os.kill(forwarder, signal.SIGSTOP)
    published, waits = 0, []
    while published < 100_000 and len(waits) < 3:
        begun = time.monotonic()
        try:
            client.publish(topic="com.example.flood", payload=payload)
            published += 1
        except WampyTimeOutError:
            waits.append(time.monotonic() - begun)
    most = peak()
    os.kill(forwarder, signal.SIGCONT)
    print(json.dumps({"published": published, "waits": waits, "grown": most - start, "start": start}))
    client.stop()
"""

SUBSCRIBER = PEAK + """
    import json, sys
    import psutil
    from wampy import Client, subscribe
    from wampy.backends import get_backend

    sleep = get_backend().sleep
    count = int(sys.argv[2])

    class Listener(Client):
        handled = 0

        @subscribe(topic="com.example.flood")
        def on_flood(self, payload):
            self.handled += 1
            over.wait(100)  # slower than the flood, however slow that is

    over = get_backend().slot()
    client = Listener(url=sys.argv[1], close_timeout=0.2)
    client.start()
    start = psutil.Process().memory_info().rss
    while client.stats.events < count:
        sleep(0.02)
    most = peak()
    stats = client.stats
    print(json.dumps({"grown": most - start, "handled": client.handled, "dropped": stats.events_dropped,
                      "waiting": stats.queue, "bytes": stats.bytes_in}))
    client.stop()
"""


@pytest.mark.parametrize("size", [100, 1000, 2 * MIB])
def test_a_publisher_of_100_000_events_and_a_router_that_stops_reading(wampy_router, forward, run_python, size):
    forwarder = forward(wampy_router.port)
    done = run_python(PUBLISHER, f"ws://127.0.0.1:{forwarder.port}/", forwarder.pid, size, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert len(figures["waits"]) == 3, figures
    assert all(0.9 < seconds < 5.0 for seconds in figures["waits"]), figures
    assert figures["grown"] < 64 * MIB, f"{figures['grown'] / MIB:.1f} MiB above the start"
    if size == 1000:
        assert figures["grown"] < 16 * MIB, f"{figures['grown'] / MIB:.1f} MiB above the start"


@pytest.mark.parametrize(("size", "count", "limit"), [(50, 50_000, 32), (100_000, 2_000, 128), (8 * MIB, 30, 192)])
def test_a_flood_at_a_slow_subscriber(fake_router, run_python, size, count, limit):
    def script(peer):
        peer.welcome()
        subscribe = peer.receive()
        peer.send([33, subscribe[1], 7])
        event = json.dumps([36, 7, 1, {}, [], {"payload": "x" * size}]).encode()
        for _ in range(count // 10):
            peer.send(*[event] * 10)
        peer.serve()

    done = run_python(SUBSCRIBER, fake_router(script).url, count, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["bytes"] >= size * count
    assert figures["handled"] + figures["dropped"] + figures["waiting"] == count, figures
    assert figures["dropped"] > count // 4, "there was no overload"
    assert figures["grown"] < limit * MIB, f"{figures['grown'] / MIB:.1f} MiB above the start"


def test_a_router_that_invokes_and_does_not_read_the_refusals(fake_router, make_client, green, monkeypatch):
    monkeypatch.setattr(base, "MOST_UNREAD_ANSWERS", 2 * MIB)
    go = green.slot()

    class Busy(Client):
        @callee(procedure="com.example.busy")
        def busy(self):
            go.wait()

    def script(peer):
        peer.welcome()
        register = peer.receive()
        peer.send([65, register[1], 7])
        number = 0
        while True:
            peer.send(*([68, number + each, 7, {}] for each in range(1, 101)))
            number += 100

    url = fake_router(script).url
    client = make_client(Busy, url=url, max_workers=1, max_queue=1, reconnect=False, close_timeout=0.3)
    client.start()
    writer = client._session._transport._writer
    most = 0

    def is_over():
        nonlocal most
        most = max(most, writer.outgoing.size)
        return client.session is None

    green.wait_until(is_over, 60.0)
    with pytest.raises(ConnectionClosed, match="does not read the answers"):
        client.wait(5.0)
    assert most < 4 * MIB
    assert client.stats.invocations_refused > 1000
    go.set()


def test_the_log_hears_twice_of_a_flood_that_is_refused(well_behaved, make_client, green, caplog, monkeypatch):
    monkeypatch.setattr(overload, "QUIET", 0.2)
    go = green.slot()
    refused = []

    class Busy(Client):
        @callee(procedure="com.example.busy")
        def busy(self):
            go.wait()

    def answer(message):
        if message[0] == 64:
            return [[65, message[1], 7], *([68, number, 7, {}] for number in range(1, 5001))]
        if message[0] == 8:
            refused.append(message[4])
            return []
        return None

    client = make_client(Busy, url=well_behaved(answer).url, max_workers=2, max_queue=10)
    client.start()
    green.wait_until(lambda: len(refused) == 5000 - 12, 30.0)
    assert set(refused) == {"wamp.error.unavailable"}
    green.wait_until(lambda: len(caplog.records) == 2)
    assert caplog.records[1].getMessage() == "no more invocations are refused; 4988 were"
    go.set()
