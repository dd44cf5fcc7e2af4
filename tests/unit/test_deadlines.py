"""One timer for all requests of a session."""

from contextlib import suppress

import pytest

from wampy.deadlines import Deadlines
from wampy.protocol.pending import PendingRequest, PendingRequests


class Watched:
    def __init__(self, backend):
        self.backend = backend
        self.pending = PendingRequests()
        self.events = []
        self.look = lambda: self.events.append("look")
        self.deadlines = Deadlines(
            backend, self.pending, lambda: self.look(), lambda each: self.events.append(each.request_id)
        )

    def add(self, request_id, seconds):
        deadline = None if seconds is None else self.backend.monotonic() + seconds
        self.pending.put(PendingRequest(48, request_id, "a.b", self.backend.slot(), deadline, seconds))
        self.deadlines.watch(deadline)


@pytest.fixture
def watched(backend):
    watched = Watched(backend)
    yield watched
    watched.deadlines.cancel()


def test_a_request_is_given_up_after_one_more_look(watched, green):
    watched.add(1, 0.02)
    green.wait_until(lambda: 1 in watched.events)
    assert watched.events == ["look", 1]
    assert len(watched.pending) == 0


def test_what_the_look_finds_is_not_given_up(watched, green):
    watched.look = lambda: (watched.events.append("look"), watched.pending.pop(48, 1))
    watched.add(1, 0.01)
    green.wait_until(lambda: watched.events)
    green.sleep(0.02)
    assert watched.events == ["look"]


@pytest.mark.parametrize("order", [(0.06, 0.02, 0.04), (0.02, 0.04, 0.06), (0.04, 0.06, 0.02)])
def test_each_at_its_time_whatever_the_order(watched, green, order):
    for seconds in order:
        watched.add(round(seconds * 100), seconds)
    green.wait_until(lambda: len(watched.pending) == 0)
    assert [event for event in watched.events if event != "look"] == [2, 4, 6]


def test_one_look_gives_up_all_that_are_due(watched, green):
    for number in range(1, 6):
        watched.add(number, 0.02)
    green.wait_until(lambda: len(watched.pending) == 0)
    assert watched.events.count("look") <= 2
    assert sorted(event for event in watched.events if event != "look") == [1, 2, 3, 4, 5]


def test_no_deadline_needs_no_timer(watched, green):
    watched.add(1, None)
    green.sleep(0.02)
    assert watched.events == []
    assert len(watched.pending) == 1


def test_a_deadline_in_the_past_is_looked_at_soon(watched, green):
    watched.add(1, -5)
    green.wait_until(lambda: watched.events == ["look", 1])


def test_one_added_while_looking_is_watched_too(watched, green):
    watched.look = lambda: watched.add(2, 0.02) if watched.pending.get(2) is None and 1 not in watched.events else None
    watched.add(1, 0.01)
    green.wait_until(lambda: watched.events == [1, 2])


def test_cancelled_is_cancelled(watched, green):
    watched.add(1, 0.01)
    watched.deadlines.cancel()
    watched.deadlines.cancel()
    green.sleep(0.03)
    assert watched.events == []


def test_cancelled_between_look_and_end(watched, green):
    # What the look finds may end the session.
    watched.look = lambda: watched.backend.call_later(0.0, watched.deadlines.cancel)
    watched.add(1, 0.01)
    green.sleep(0.03)
    assert watched.events == []


class Interrupted:
    """What `watch` and the timer's callbacks call; Ctrl-C comes behind the so many-th of these calls."""

    def __init__(self):
        self.now, self.timers, self.told, self.left = 0.0, [], [], 0
        self.pending = PendingRequests()
        self.deadlines = Deadlines(self, self, lambda: self.behind(None), self.tell)

    def behind(self, result):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return result

    def monotonic(self):
        return self.behind(self.now)

    def call_later(self, seconds, function):
        self.timers.append(alarm := Alarm(self, self.now + seconds, function))
        return self.behind(alarm)

    def expired(self, now):
        return self.behind(self.pending.expired(now))

    def discard(self, pending):
        return self.behind(self.pending.discard(pending))

    def put(self, pending):
        self.pending.put(pending)

    def next_deadline(self):
        return self.behind(self.pending.next_deadline())

    def tell(self, pending):
        pending.slot.done = True
        self.told.append(pending.request_id)
        self.behind(None)

    def add(self, request_id, deadline):
        self.pending.put(PendingRequest(48, request_id, "a.b", Gate(), deadline, 1.0))
        self.deadlines.watch(deadline)

    def go_to(self, time):
        """Fire what is due."""
        while due := [alarm for alarm in self.timers if alarm.at <= time and not alarm.cancelled]:
            first = min(due, key=lambda alarm: alarm.at)
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            with suppress(KeyboardInterrupt):  # the hub goes on
                first.function()
        self.now = time


class Alarm:
    def __init__(self, owner, at, function):
        self.owner, self.at, self.function, self.cancelled = owner, at, function, False

    def cancel(self):
        self.cancelled = True
        self.owner.behind(None)


class Gate:
    done = False


@pytest.mark.parametrize("new", [10.0, 5.0], ids=["when the time has come", "when another is watched"])
def test_ctrl_c_anywhere_leaves_nobody_waiting_for_ever(new):
    # Behind calls, that is: at the entry of what the timer calls nothing can be done about it.
    number, interrupted = 0, True
    while interrupted:
        number += 1
        requests = Interrupted()
        requests.add(1, 10.0)
        requests.add(2, 10.0)
        requests.left = number
        with suppress(KeyboardInterrupt):
            requests.add(3, new)
        if new == 5.0:
            interrupted, requests.left = requests.left <= 0, 0
        requests.go_to(20.0)
        if new == 10.0:
            interrupted, requests.left = requests.left <= 0, 0
        assert sorted(requests.told) == [1, 2, 3], f"interrupted behind call {number}"
        requests.add(4, 30.0)
        requests.go_to(40.0)
        assert sorted(requests.told) == [1, 2, 3, 4], f"interrupted behind call {number}"
    assert number > 3, "it was interrupted hardly anywhere"
