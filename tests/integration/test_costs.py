"""What an operation costs, in counts that do not depend on how fast or busy the machine is.

The bounds have a fifth of room above what was counted when they were written. Who comes over one has made each message
dearer; `make bench` says by how much.
"""

import cProfile
import gc
import platform
import pstats
import sys
import tracemalloc

import pytest

from wampy import Client, callee, subscribe
from wampy.serializers import JsonSerializer

COUNT = 500

# Function calls for each operation, of Python and C, on both sides where both are in this process. They were 454, 350,
# 97 and 183 on Python 3.11 and eventlet.
ONE_BY_ONE, IN_FLIGHT, PUBLICATION, EVENT = 545, 420, 117, 220


class Service(Client):
    heard = 0

    @callee(procedure="com.example.echo")
    def echo(self, value):
        return value

    @subscribe(topic="com.example.topic")
    def on_topic(self, value):
        self.heard += 1


class Counting(JsonSerializer):
    """JSON, with the number of messages that it wrote and read."""

    def __init__(self):
        super().__init__()
        self.written = self.read = 0

    def encode(self, message):
        self.written += 1
        return super().encode(message)

    def loads(self, payload):
        self.read += 1
        return super().loads(payload)


class CountingSocket:
    """A socket that counts its system calls."""

    def __init__(self, sock):
        self._sock = sock
        self.sends = self.receives = 0

    def send(self, *args):
        self.sends += 1
        return self._sock.send(*args)

    def recv(self, *args):
        self.receives += 1
        return self._sock.recv(*args)

    def __getattr__(self, name):
        return getattr(self._sock, name)


@pytest.fixture
def counted():
    """Count the system calls of a client's socket from now on."""

    def counted(client):
        stream = client._session._transport._stream
        stream._socket = CountingSocket(stream._socket)
        return stream._socket

    return counted


@pytest.fixture
def green_threads(green):
    if green.os_threads:
        pytest.skip("OS threads run when they like: what they do in one turn is not the same each time")


@pytest.fixture
def profiled(green_threads):
    """Give the number of function calls, of Python and C, that a function of the client's takes for each operation."""

    def profiled(function, count=COUNT):
        function(count)  # once before, for what is made when it is needed first
        profile = cProfile.Profile()
        profile.runcall(function, count)
        return pstats.Stats(profile).total_calls / count

    return profiled


def in_flight(client, count):
    for _ in range(count // 100):
        calls = [client.rpc.com.example.echo.call_async(number) for number in range(100)]
        assert [call.result() for call in calls] == list(range(100))


def one_by_one(client, count):
    for number in range(count):
        assert client.call("com.example.echo", number) == number


def published(client, count):
    for number in range(count):
        client.session.publish("com.example.nobody", [number])


# The codec.


def test_each_message_is_written_and_read_once(join):
    serializers = Counting(), Counting()
    service, client = join(Service, serializers=serializers[0]), join(serializers=serializers[1])
    in_flight(client, 200)
    one_by_one(client, 20)
    published(client, 50)
    for each, serializer in zip((service, client), serializers, strict=True):
        assert serializer.written == each.stats.messages_out
        assert serializer.read == each.stats.messages_in


# System calls.


@pytest.mark.usefixtures("green_threads")
def test_what_one_turn_gives_rise_to_leaves_in_one_piece(join, counted, green):
    service, client = join(Service), join()
    in_flight(client, 100)
    theirs, ours = counted(service), counted(client)
    callers = [green.spawn(client.call, "com.example.echo", number) for number in range(100)]
    assert [caller.result() for caller in callers] == list(range(100))
    # The callers begin one after the other; the answers to what came in together leave together.
    assert ours.sends <= 100 and theirs.sends <= 50
    # Each turn of a reader reads once, and there are not more turns than pieces that the router wrote.
    assert ours.receives <= 100 and theirs.receives <= 100


def test_a_publication_is_one_system_call_and_waits_for_none(join, counted):
    client = join()
    published(client, 1)
    ours = counted(client)
    published(client, 100)
    assert ours.sends <= 100 and ours.receives == 0


@pytest.mark.usefixtures("green_threads")
def test_what_waits_is_woken_without_looking_at_the_socket_again(join, counted):
    join(Service)
    client = join()
    one_by_one(client, 10)
    ours = counted(client)
    one_by_one(client, 100)
    assert (ours.sends, ours.receives) == (100, 100)


# Function calls.


def test_calls_one_by_one(join, profiled):
    join(Service)
    client = join()
    assert profiled(lambda count: one_by_one(client, count)) < ONE_BY_ONE


def test_calls_in_flight(join, profiled):
    join(Service)
    client = join()
    assert profiled(lambda count: in_flight(client, count)) < IN_FLIGHT


def test_publications(join, profiled):
    client = join()
    assert profiled(lambda count: published(client, count)) < PUBLICATION


def test_events(join, profiled, green):
    service, client = join(Service), join()

    def events(count):
        service.heard = 0
        for number in range(count):
            client.session.publish("com.example.topic", [number])
        green.wait_until(lambda: service.heard == count)

    assert profiled(events) < EVENT


# Memory.


def test_nothing_is_left_of_a_call(join):
    join(Service)
    client = join()

    def blocks():
        in_flight(client, 500)
        one_by_one(client, 50)
        gc.collect()
        return sys.getallocatedblocks()

    blocks()
    before = blocks()
    assert blocks() - before < 100


@pytest.mark.usefixtures("green_threads")
def test_an_idle_client_takes_little_memory(join):
    join()
    gc.collect()
    tracemalloc.start()
    try:
        clients = [join() for _ in range(20)]
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] / len(clients) / 1024
    finally:
        tracemalloc.stop()
    assert taken < 30, f"{taken:.1f} KiB"


LARGE = """
    import resource, sys
    from wampy import Client, callee

    class Service(Client):
        @callee(procedure="com.example.large")
        def echo(self, value):
            return value

    def faults(count):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(count):
            assert client.call("com.example.large", large) == large
        return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / count

    large = "x" * 200_000
    with Service(url=sys.argv[1]), Client(url=sys.argv[1]) as client:
        faults(20)
        print(min(faults(10) for _ in range(5)))
"""


def test_large_messages_have_their_memory_from_the_last_one(wampy_router, run_python):
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("what wampy.transports.memory does is for glibc's allocator")
    # In a program of its own, whose allocator has seen nothing larger.
    done = run_python(LARGE, wampy_router.url)
    assert done.returncode == 0, done.stderr
    # Over 200 without that, caller and callee together.
    assert float(done.stdout) < 50
