"""What operations cost, in counts that depend neither on the machine nor on what else it does.

`make bench` measures times; these bounds hold on every run. Each is what was needed when it was written, and for calls
of functions a tenth more. Whoever needs less lowers them; whoever needs more says in the changelog what for.
measure_costs.py has two rounds of each operation, and a round is disturbed at most by a timer of the hub's: so the
least of them counts.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from wampy import Client, callee
from wampy.serializers import JsonSerializer

PROGRAM = Path(__file__).with_name("measure_costs.py")
ROOT = PROGRAM.parents[2]

MAKE_TIMERS = "BaseHub.schedule_call_global", "_Timer.__init__", "ThreadTimer.__init__"
START_THREADS = "_Task.__init__", "ThreadTask.__init__"
POLLS = "C epoll.poll", "C poll.poll"


@pytest.fixture(scope="module")
def measured(wampy_routers):
    """Measure on the default router: ``measured("calls")``; once for all tests."""
    results = {}

    def measured(what):
        if what not in results:
            url = wampy_routers.get(None, None).url
            path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
            done = subprocess.run(
                [sys.executable, "-W", "ignore", str(PROGRAM), what, url],
                capture_output=True,
                text=True,
                timeout=240,
                env={**os.environ, "PYTHONPATH": path},
            )
            assert done.returncode == 0, done.stderr
            results[what] = json.loads(done.stdout)
        return results[what]

    return measured


@pytest.fixture
def counts(measured, green, wampy_router):
    """Count in the rounds of an operation: ``counts("call", "function", …)``, the least of them; all without a name."""

    def counts(operation, *names):
        if operation == "green" and green.os_threads:
            pytest.skip("what threads that are woken together send together is the system's to say")
        rounds = measured("calls")[operation]
        if not names:
            return min(each["calls"] / each["operations"] for each in rounds)
        return min(sum(each["names"].get(name, 0) for name in names) for each in rounds)

    return counts


@pytest.fixture
def workers_are_settled(request, green):
    """Leave out, on OS threads, what depends on the number of workers."""
    if green.os_threads and request.getfixturevalue("operation") == "invocation":
        pytest.skip("how many threads share the invocations of a turn, and when each answers, is the system's to say")


# The codec.


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


class Service(Client):
    @callee(procedure="com.example.echo")
    def echo(self, value):
        return value


def test_each_message_is_written_and_read_once(join):
    # One that is written twice, once to see whether it can travel, say; one that is read twice, by an observer.
    serializers = Counting(), Counting()
    service, client = join(Service, serializers=serializers[0]), join(serializers=serializers[1])
    calls = [client.rpc.com.example.echo.call_async(number) for number in range(100)]
    assert [call.result() for call in calls] == list(range(100))
    for number in range(20):
        assert client.call("com.example.echo", number) == number
        client.session.publish("com.example.nobody", [number])
    for each, serializer in zip((service, client), serializers, strict=True):
        assert serializer.written == each.stats.messages_out
        assert serializer.read == each.stats.messages_in


# System calls.

# Writes and reads of the socket, by operation, of which a round has 100, and of "green" 400: a hundred green threads
# that make four calls each. Who calls from outside of a turn of the reader writes at once.
SYSTEM_CALLS = {
    "call": (100, 100),
    "flight": (100, 1),
    # Each of a hundred begins with a write. The other three times they are woken by one turn: then the first of what
    # they say leaves early and the rest together, see `wampy.transports.writer`.
    "green": (106, 4),
    "publish": (100, 0),
    "event": (0, 1),
    "invocation": (2, 1),
}


@pytest.mark.usefixtures("workers_are_settled")
@pytest.mark.parametrize("operation", SYSTEM_CALLS)
def test_what_comes_together_is_read_and_answered_together(operation, counts, green):
    writes, reads = SYSTEM_CALLS[operation]
    # Corking: what is written in a turn of the reader, and by those whom it wakes, leaves in two pieces at most.
    assert bool(writes) <= counts(operation, "GatheringSocket.send") <= writes
    # One read a turn: none that only finds out that there is nothing more.
    # gevent's loop may look at the socket again before the reader it has queued runs: that turn then finds nothing.
    most = 2 * reads if green.backend.name == "gevent" else reads
    assert bool(reads) <= counts(operation, "GatheringSocket.recv") <= most


@pytest.mark.parametrize("operation", SYSTEM_CALLS)
def test_the_hub_looks_at_its_sockets_once_a_turn(operation, counts, green):
    if green.backend.name == "gevent":
        pytest.skip("gevent's loop is in C, and its system calls are not seen from Python")
    reads = SYSTEM_CALLS[operation][1]
    # Beside one for each turn, one to get to the reader and those of whoever sleeps for a moment.
    assert counts(operation, *POLLS) <= reads + 3
    # The listener stays: no call to the kernel that adds it or takes it off again for each message.
    changes = [f"C {poll}.{verb}" for poll in ("epoll", "poll") for verb in ("register", "modify", "unregister")]
    assert counts(operation, *changes) == 0


# On CPython 3.11, 3.12 and 3.13 these are the same, to less than one.
FUNCTION_CALLS = {
    "call": {"eventlet": 128, "gevent": 106, "threading": 140},
    "flight": {"eventlet": 96, "gevent": 97, "threading": 103},
    "green": {"eventlet": 98, "gevent": 88},
    "publish": {"eventlet": 43, "gevent": 42, "threading": 49},
    "event": {"eventlet": 54, "gevent": 54, "threading": 60},
    "invocation": {"eventlet": 98, "gevent": 96},
}


@pytest.mark.usefixtures("workers_are_settled")
@pytest.mark.parametrize("operation", FUNCTION_CALLS)
def test_an_operation_takes_so_many_calls_of_functions(operation, counts, green):
    # The way of a message through all layers, libraries included: what a step more costs for each message.
    calls = counts(operation)
    assert calls <= 1.1 * FUNCTION_CALLS[operation][green.backend.name]


# Timers that are made in a round, each of which the hub sorts in, calls and drops; a few a turn, none a message. In
# "green" each green thread is started by one on eventlet.
TIMERS = {"call": 2, "flight": 5, "green": 110, "publish": 3, "event": 5, "invocation": 6}


@pytest.mark.parametrize("operation", TIMERS)
def test_no_message_makes_a_timer(operation, counts):
    # Waiting for an answer and being woken go without; a deadline of its own for each call would show here.
    assert counts(operation, *MAKE_TIMERS) <= TIMERS[operation]


@pytest.mark.usefixtures("workers_are_settled")
@pytest.mark.parametrize("operation", ["call", "flight", "publish", "event", "invocation"])
def test_no_message_starts_a_green_thread(operation, counts):
    # Workers are kept: a stack for each invocation costs more than all the rest of it.
    assert counts(operation, *START_THREADS) == 0


def test_what_is_not_there_would_be_seen(counts, green):
    # The names of what is counted here are the backends' and the libraries', and may change.
    assert counts("probe", *MAKE_TIMERS) >= 1
    assert counts("probe", *START_THREADS) == 1
    if green.backend.name != "gevent":
        assert counts("call", *POLLS) >= 1


def test_calls_leave_nothing_in_memory(measured, wampy_router):
    figures = measured("memory")
    # A table from which a request is not taken again: one block at least for each of 500 calls.
    assert figures["blocks left"] <= 100
    # Cycles, which only the collector frees, some time: an error or a slot that refers to its own frame.
    assert figures["objects in cycles"] == 0
    # What a call in flight is made of: the call, the request, its slot, their tables' shares. Ten today.
    assert figures["blocks of a call in flight"] <= 12


# KiB that are traced, of a client that has joined and does nothing.
IDLE = {"eventlet": 23.2, "gevent": 25.4, "threading": 26.0}


def test_an_idle_client_takes_little_memory(measured, wampy_router, green):
    # Tables, queues and buffers that are made before they are needed.
    assert measured("memory")["bytes of a client"] / 1024 <= 1.1 * IDLE[green.backend.name]


def test_large_messages_find_their_memory_ready(measured, wampy_router):
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the page faults of another malloc are its own; see wampy.transports.memory")
    # Without `wampy.transports.memory` there are a hundred page faults for each echo of 200 kB.
    assert measured("memory")["faults"] <= 10
