"""Heartbeats over a line that the test plays, in real time and with short intervals.

Of times only lower bounds are asserted: a busy machine may be late, but never early. Where something must happen before
something else, both are timers of one hub, which keeps them in order however late it is.
"""

import socket
import sys

import pytest

from wampy.transports.heartbeat import Delivered, Heartbeat, RoundTrips, keep_alive


class Line:
    """A connection, as a heartbeat sees it.

    Attributes:
        pings: When each ping was sent.
        looks: How often it was asked for one more look.
        deaths: When it was given up; at most once.
        answers: Whether each ping is answered at once.
        found: What a look brings in: a number of reads.
    """

    def __init__(self, backend):
        self.backend = backend
        self.reads = self.written = self.unwritten = 0
        self.is_reading = False
        self.pings, self.deaths = [], []
        self.looks = self.found = 0
        self.answers = False
        self.heartbeat = None
        self.on_ping = None

    def ping(self):
        self.pings.append(self.backend.monotonic())
        if self.answers:
            self.backend.call_later(0, self.hear)
        if self.on_ping is not None:
            self.on_ping()

    def hear(self):
        self.reads += 1

    def look(self):
        self.looks += 1
        self.reads, self.found = self.reads + self.found, 0

    def dead(self):
        self.deaths.append(self.backend.monotonic())


@pytest.fixture
def line(backend):
    """Start a heartbeat: ``line(interval, timeout)``; stopped when the test is over."""
    lines = []

    def start(interval, timeout, **attributes):
        made = Line(backend)
        for name, value in attributes.items():
            setattr(made, name, value)
        made.heartbeat = Heartbeat(backend, interval, timeout, made, made.ping, made.look, made.dead)
        made.started_at = backend.monotonic()
        made.heartbeat.start()
        lines.append(made)
        return made

    yield start
    for made in lines:
        made.heartbeat.stop()


def hum(line, green, seconds):
    """Let something come in every so often."""

    def run():
        while not line.heartbeat._stopped:
            line.hear()
            green.sleep(seconds)

    return green.spawn(run)


def test_a_ping_goes_out_every_interval_and_the_first_one_after_one(line, green):
    it = line(0.04, 5.0, answers=True)
    green.wait_until(lambda: len(it.pings) >= 5)
    gaps = [after - before for before, after in zip([it.started_at, *it.pings], it.pings, strict=False)]
    # A timer may fire a hair early, by its own clock.
    assert min(gaps) > 0.038
    assert it.deaths == []
    assert it.looks == 0


def test_pings_go_out_also_while_the_router_talks(line, green):
    it = line(0.03, 5.0)
    talking = hum(it, green, 0.005)
    green.wait_until(lambda: len(it.pings) >= 3)
    it.heartbeat.stop()
    talking.result()


@pytest.mark.parametrize(("interval", "timeout"), [(0.03, 0.05), (0.05, 0.03), (0.04, 0.04)])
def test_silence_ends_it_once_and_after_one_more_look(line, green, interval, timeout):
    it = line(interval, timeout)
    green.wait_until(lambda: it.deaths)
    assert it.deaths[0] - it.pings[0] > timeout - 0.002
    assert it.looks == 1
    assert len(it.pings) == 1, "no other ping follows one that nobody answers"
    green.sleep(2 * (interval + timeout))
    assert len(it.deaths) == 1
    assert len(it.pings) == 1


def test_silence_after_many_answers_ends_it_too(line, green):
    it = line(0.02, 0.05, answers=True)
    green.wait_until(lambda: len(it.pings) >= 3)
    it.answers = False
    green.wait_until(lambda: it.deaths)
    assert it.deaths[0] - it.pings[-1] > 0.048


def test_any_bytes_are_a_sign_of_life(line, green):
    # No ping is ever answered.
    it = line(0.03, 0.06)
    talking = hum(it, green, 0.02)
    green.wait_until(lambda: len(it.pings) >= 6)
    assert it.deaths == []
    it.heartbeat.stop()
    talking.result()


def test_what_came_before_the_ping_is_none(line, green):
    it = line(0.05, 0.05)
    it.hear()
    green.wait_until(lambda: it.deaths)
    assert len(it.pings) == 1


def test_what_one_more_look_finds_counts(line, green):
    it = line(0.03, 0.03, found=1)
    green.wait_until(lambda: it.looks)
    green.wait_until(lambda: len(it.pings) == 2)
    assert it.looks == 1
    assert it.deaths == []
    # The next silence is looked at once more again.
    green.wait_until(lambda: it.deaths)
    assert it.looks == 2


def test_a_late_answer_brings_the_next_ping_at_its_own_time(line, green):
    # Longer to answer than from one ping to the next: what dies after that answer is still noticed within both.
    it = line(0.05, 30.0)
    green.wait_until(lambda: it.pings)
    green.sleep(0.12)
    assert len(it.pings) == 1
    it.hear()
    green.wait_until(lambda: len(it.pings) == 2, 5.0)


def test_without_a_timeout_it_pings_for_ever_and_never_judges(line, green):
    it = line(0.02, None)
    green.wait_until(lambda: len(it.pings) >= 6)
    assert it.deaths == []
    assert it.looks == 0


# A ping that waits behind other bytes.


def test_a_ping_behind_a_backlog_counts_from_when_it_leaves(line, green):
    it = line(0.02, 0.06, unwritten=100)
    taken = []

    def take():
        while it.unwritten:
            it.written, it.unwritten = it.written + 10, it.unwritten - 10
            taken.append(green.backend.monotonic())
            green.sleep(0.03)

    green.wait_until(lambda: it.pings)
    taking = green.spawn(take)
    taking.result()
    assert it.deaths == [], "it was given up while the router took what was before the ping"
    green.wait_until(lambda: it.deaths)
    assert len(it.pings) == 1
    assert it.deaths[0] - taken[-1] > 0.058, "the ping had just left"


def test_a_backlog_that_is_not_taken_is_silence(line, green):
    it = line(0.02, 0.05, unwritten=100)
    green.wait_until(lambda: it.deaths)
    assert it.looks == 1


def test_a_backlog_that_is_taken_no_more_is_silence_too(line, green):
    it = line(0.02, 0.06, unwritten=100)
    green.wait_until(lambda: it.pings)
    green.sleep(0.03)
    it.written, it.unwritten, stopped_at = 50, 50, green.backend.monotonic()
    green.wait_until(lambda: it.deaths)
    assert it.deaths[0] - stopped_at > 0.058


def test_what_is_written_behind_the_ping_does_not_prolong_its_time(line, green):
    it = line(0.02, 0.06)
    green.wait_until(lambda: it.pings)

    def write():
        while not it.deaths:
            it.written += 1000
            green.sleep(0.01)

    writing = green.spawn(write)
    writing.result(5.0)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what has been acknowledged")
def test_what_the_other_end_has_not_acknowledged_is_not_written_yet(connect, green):
    opened = connect(receive_buffer=4096)
    transport, count = opened.transport, 0
    delivered = Delivered(transport, transport._stream.socket)
    assert (delivered.written, delivered.unwritten) == (transport.written, 0)
    while transport.unwritten == 0:
        transport.send(b'"' + b"x" * 100_000 + b'"')
        count += 1
    assert 0 <= delivered.written < transport.written
    assert delivered.written + delivered.unwritten == transport.written + transport.unwritten
    assert delivered.unwritten > transport.unwritten
    for _ in range(count):
        opened.peer.hear()
    green.wait_until(lambda: delivered.unwritten == 0)
    assert delivered.written == transport.written
    opened.peer.say("x")
    green.wait_until(lambda: delivered.reads)
    assert delivered.reads == transport.reads
    assert not delivered.is_reading


# A reader that is kept from reading.


def test_while_the_reader_is_kept_its_silence_is_no_sign(line, green):
    it = line(0.02, 0.04, is_reading=True)
    green.wait_until(lambda: it.pings)
    green.sleep(0.2)
    assert it.deaths == []
    it.is_reading, freed_at = False, green.backend.monotonic()
    green.wait_until(lambda: it.deaths)
    assert it.deaths[0] >= freed_at


# The end.


def test_after_the_end_nothing_is_sent_any_more(line, green):
    it = line(0.02, 0.02, answers=True)
    green.wait_until(lambda: it.pings)
    it.heartbeat.stop()
    it.heartbeat.stop()
    count = len(it.pings)
    green.sleep(0.1)
    assert len(it.pings) == count
    assert it.deaths == []


@pytest.mark.parametrize("where", ["on_ping", "look"])
def test_it_may_end_in_what_it_calls(line, green, where):
    it = line(0.02, 0.02)
    setattr(it, where, it.heartbeat.stop)
    it.heartbeat._look = it.look
    green.sleep(0.15)
    assert len(it.pings) == 1
    assert it.deaths == []


def test_an_end_before_the_beginning(backend, green):
    it = Line(backend)
    heartbeat = Heartbeat(backend, 0.01, 0.01, it, it.ping, it.look, it.dead)
    heartbeat.stop()
    heartbeat.start()
    green.sleep(0.05)
    assert it.pings == []


# The kernel's own.


@pytest.fixture
def sock(backend):
    sock = backend.socket(socket.AF_INET, socket.SOCK_STREAM)
    yield sock
    sock.close()


@pytest.mark.parametrize(
    ("interval", "timeout", "idle", "between", "dead_after"),
    [(15.0, 15.0, 15, 5, 30_000), (7, 60.0, 7, 20, 67_000), (0.2, 0.1, 1, 1, 300), (2.6, 4.4, 3, 1, 7000)],
)
def test_keep_alive_asks_the_kernel_to_probe(sock, interval, timeout, idle, between, dead_after):
    keep_alive(sock, interval, timeout)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == idle
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == between
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == dead_after


def test_times_beyond_what_the_kernel_takes_are_the_longest_that_it_does(sock):
    keep_alive(sock, 1e308, 1e308)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 32_767
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2**31 - 1


# Round trips.


def test_a_round_trip_is_measured(backend):
    trips = RoundTrips(backend)
    assert trips.last is None
    payload = trips.ping()
    backend.sleep(0.05)
    trips.pong(payload)
    assert 0.05 <= trips.last < 2


def test_a_pong_counts_for_the_ping_with_its_payload(backend):
    trips = RoundTrips(backend)
    first, second, third = trips.ping(), trips.ping(), trips.ping()
    assert len({first, second, third}) == 3
    backend.sleep(0.05)
    last = trips.ping()
    trips.pong(last)
    assert trips.last < 0.05, "those before it need no answer any more"
    trips.pong(first)
    assert trips.last < 0.05, "a late one says nothing"


@pytest.mark.parametrize("payload", [b"", b"wampy", b"wampy 2", b"nonsense"])
def test_a_pong_that_nobody_asked_for_says_nothing(backend, payload):
    trips = RoundTrips(backend)
    trips.ping()
    trips.pong(payload)
    assert trips.last is None


def test_of_a_router_that_never_answers_not_all_pings_are_kept(backend):
    trips = RoundTrips(backend)
    payloads = [trips.ping() for _ in range(1000)]
    assert len(trips._under_way) <= 16
    trips.pong(payloads[-1])
    assert trips.last is not None
