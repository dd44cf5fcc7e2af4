"""Mailboxes: events in order, one at a time, and the oldest dropped when there are too many."""

import logging

from wampy import mailbox as module
from wampy import overload
from wampy.jobs import Job
from wampy.mailbox import Mailbox


def test_events_of_one_handler_run_in_order_one_at_a_time(make_workers, green):
    pool, seen, running = make_workers(max_workers=8), [], []

    def deliver(number):
        running.append(number)
        assert len(running) == 1
        green.sleep(0.001 if number % 3 else 0)
        running.remove(number)
        seen.append(number)

    mailbox = Mailbox(pool, deliver)
    for number in range(30):
        mailbox.put(number)
    green.wait_until(lambda: len(seen) == 30)
    assert seen == list(range(30))


def test_handlers_share_the_workers(make_workers, green):
    pool, seen = make_workers(max_workers=1), []
    busy, other = Mailbox(pool, seen.append), Mailbox(pool, seen.append)
    for number in range(5):
        busy.put(number)
    other.put("other")
    green.wait_until(lambda: len(seen) == 6)
    assert seen.index("other") == 1, "a mailbox queues again after each event"


def test_a_full_mailbox_drops_the_oldest_and_goes_on(make_workers, green, gate):
    pool = make_workers(max_workers=1, max_queue=3)
    mailbox = Mailbox(pool, gate)
    mailbox.put("first")
    green.wait_until(lambda: gate.started)
    for number in range(5):
        mailbox.put(number)
    assert (pool.events, pool.events_dropped, pool.queue) == (3, 2, 3)
    gate.let_go.set()
    green.wait_until(lambda: gate.ended == ["first", 2, 3, 4])
    mailbox.put("again")
    green.wait_until(lambda: gate.ended[-1] == "again")
    assert (pool.events, pool.events_dropped, pool.queue) == (0, 2, 0)


def test_bytes_are_limited_as_well_and_the_largest_event_fits(make_workers, green, gate, monkeypatch):
    monkeypatch.setattr(module, "MAX_QUEUE_BYTES", 1000)
    pool = make_workers(max_workers=1)
    mailbox = Mailbox(pool, gate)
    mailbox.put("running", size=5000)
    green.wait_until(lambda: gate.started)
    for number in range(4):
        mailbox.put(number, size=300)
    assert (pool.events, pool.events_dropped) == (3, 1)
    mailbox.put("larger than all", size=5000)
    assert (pool.events, pool.events_dropped) == (1, 4)
    mailbox.put("the next", size=1)
    assert (pool.events, pool.events_dropped) == (1, 5)
    gate.let_go.set()
    green.wait_until(lambda: gate.ended == ["running", "the next"])


def test_another_mailbox_loses_nothing(make_workers, green, gate):
    pool, seen = make_workers(max_workers=2, max_queue=3), []
    full, other = Mailbox(pool, gate), Mailbox(pool, seen.append)
    for number in range(10):
        full.put(number)
        other.put(number)
        green.wait_until(lambda number=number: seen[-1:] == [number])
    assert seen == list(range(10))
    assert pool.events_dropped == 6
    gate.let_go.set()


def test_a_mailbox_of_closed_workers_is_empty_and_stays_so(make_workers, green, gate):
    pool = make_workers(max_workers=1)
    mailbox = Mailbox(pool, gate)
    for number in range(3):
        mailbox.put(number)
    green.wait_until(lambda: gate.started)
    pool.close(kill=False)
    mailbox.put("late")
    assert pool.queue == len(mailbox._items) == 0
    gate.let_go.set()
    green.wait_until(lambda: not pool._all)
    assert gate.ended == [0]


def test_an_event_on_its_way_to_a_worker_is_forgotten_with_the_rest(make_workers, green, caplog):
    pool, seen = make_workers(max_workers=1), []
    mailbox = Mailbox(pool, seen.append)
    mailbox.put("one")
    pool.close(kill=False)
    green.wait_until(lambda: not pool._all)
    assert seen == []
    assert caplog.records == []


def test_a_mailbox_is_emptied_although_the_queue_of_jobs_is_full(make_workers, green, gate):
    # Its own next turn must not be lost because invocations fill the queue.
    pool, seen = make_workers(max_workers=1, max_queue=2), []
    mailbox = Mailbox(pool, lambda item: (seen.append(item), gate(item)))
    mailbox.put("one")
    mailbox.put("two")
    green.wait_until(lambda: gate.started == ["one"])
    assert pool.submit(Job(seen.append, ("job",)))
    assert pool.submit(Job(seen.append, ("job",)))
    gate.let_go.set()
    green.wait_until(lambda: sorted(seen) == ["job", "job", "one", "two"], 2.0, lambda: seen)


def test_a_handler_that_raises_does_not_stop_its_mailbox(make_workers, green, caplog):
    pool, seen = make_workers(), []

    def deliver(item):
        seen.append(item)
        raise ValueError(item)

    mailbox = Mailbox(pool, deliver)
    mailbox.put("one")
    mailbox.put("two")
    green.wait_until(lambda: seen == ["one", "two"])
    assert len(caplog.records) == 2


def test_a_run_of_dropped_events_is_logged_twice(make_workers, green, gate, caplog, monkeypatch):
    monkeypatch.setattr(overload, "QUIET", 0.05)
    mailbox = Mailbox(make_workers(max_workers=1, max_queue=2), gate, "the handler of com.example.t")
    mailbox.put("first")
    green.wait_until(lambda: gate.started)
    for number in range(50):
        mailbox.put(number, size=20)
    gate.let_go.set()
    green.wait_until(lambda: gate.ended == ["first", 48, 49])
    green.wait_until(lambda: len(caplog.records) == 2)
    assert [record.getMessage() for record in caplog.records] == [
        "the handler of com.example.t is too slow, the oldest of its events are dropped: "
        "2 with 40 bytes wait (max_queue=2)",
        "the handler of com.example.t: no more events are dropped; 48 were",
    ]
    assert {(record.name, record.levelno) for record in caplog.records} == {("wampy.overload", logging.ERROR)}
