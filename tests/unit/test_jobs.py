"""The queue of jobs: its order and its limits."""

import pytest

from wampy import jobs
from wampy.jobs import Job, JobQueue


def job(name=None, **parameters):
    return Job(print, (name,), **parameters)


def test_first_in_first_out():
    queue = JobQueue(10)
    for name in "abc":
        assert queue.put(job(name))
    assert len(queue) == queue.waiting == 3
    assert [queue.take().args for _ in "abc"] == [("a",), ("b",), ("c",)]
    assert len(queue) == queue.waiting == 0


def test_its_limit_counts_only_what_is_limited():
    queue = JobQueue(2)
    for _ in range(5):
        assert queue.put(job(limited=False, size=7))
    assert queue.put(job(size=3))
    assert queue.put(job(size=4))
    assert not queue.put(job())
    assert queue.put(job(limited=False))
    assert (len(queue), queue.waiting, queue.bytes) == (8, 2, 7)
    for _ in range(6):
        queue.take()
    assert (len(queue), queue.waiting, queue.bytes) == (2, 1, 4)


@pytest.mark.parametrize(("sizes", "taken"), [([600, 400, 1], 2), ([5000, 1], 1), ([1, 5000], 1), ([0] * 5, 5)])
def test_bytes_are_limited_and_one_job_always_fits(monkeypatch, sizes, taken):
    monkeypatch.setattr(jobs, "MAX_QUEUE_BYTES", 1000)
    queue = JobQueue(10)
    assert [queue.put(job(size=size)) for size in sizes].count(True) == taken


def test_those_that_can_be_refused_leave_the_others_in_their_order():
    queue = JobQueue(10)
    for number in range(6):
        queue.put(job(number, refuse=print if number % 2 else None, size=10))
    assert [each.args[0] for each in queue.take_refusable()] == [1, 3, 5]
    assert (len(queue), queue.waiting, queue.bytes) == (3, 3, 30)
    assert [queue.take().args[0] for _ in range(3)] == [0, 2, 4]
    queue.put(job("first", size=5))
    queue.put(job("second"))
    queue.put_back(queue.take())
    assert (len(queue), queue.waiting, queue.bytes) == (2, 2, 5)
    assert queue.take().args == ("first",)
    queue.clear()
    assert (len(queue), queue.waiting, queue.bytes) == (0, 0, 0)
