"""Workers, on real green threads."""

import contextvars
import logging

import pytest

from wampy import overload
from wampy.jobs import Job
from wampy.worker import current_worker


def test_a_job_runs_with_its_arguments_in_a_worker(make_workers, green):
    pool, seen = make_workers(), []
    assert pool.submit(Job(lambda *args: seen.append((args, current_worker())), (1, "two")))
    assert seen == [], "submit never switches"
    green.wait_until(lambda: seen)
    ((args, worker),) = seen
    assert args == (1, "two")
    assert worker.pool is pool
    assert current_worker() is None


def test_no_more_than_max_workers_run_at_once(make_workers, green, gate):
    pool = make_workers(max_workers=2)
    for number in range(5):
        assert pool.submit(Job(gate, (number,)))
    green.wait_until(lambda: len(gate.started) == 2)
    green.sleep(0.02)
    if green.os_threads:
        gate.started.sort()  # two threads that were made one after the other may begin in either order
    assert gate.started == [0, 1]
    gate.let_go.set()
    green.wait_until(lambda: len(gate.ended) == 5)
    assert gate.started == [0, 1, 2, 3, 4], "in the order of submission"


def test_idle_workers_are_used_again(make_workers, green):
    pool, workers = make_workers(), set()
    for number in range(10):
        pool.submit(Job(lambda: workers.add(current_worker())))
        green.wait_until(lambda number=number: pool._running == 0 and not pool._jobs)
    assert len(workers) == 1


def test_after_a_burst_no_more_than_max_workers_stay(make_workers, green):
    pool, woken = make_workers(max_workers=3), green.slot()

    def wait():
        pool.lend()
        woken.wait()
        pool.reclaim()

    for _ in range(50):
        pool.submit(Job(wait))
    green.wait_until(lambda: len(pool._all) == 50)
    woken.set()
    green.wait_until(lambda: pool._running == 0)
    green.wait_until(lambda: len(pool._all) <= 3)


def test_a_worker_that_waits_lends_its_place_and_takes_it_back_without_queueing(make_workers, green, gate):
    pool, answer, order = make_workers(max_workers=1), green.slot(), []

    def waits():
        pool.lend()
        answer.wait()
        pool.reclaim()
        order.append("went on")

    pool.submit(Job(waits))
    pool.submit(Job(gate, ("second",)))
    pool.submit(Job(gate, ("third",)))
    green.wait_until(lambda: gate.started == ["second"])
    answer.set()
    green.wait_until(lambda: order == ["went on"])
    assert gate.started == ["second"], "two would be running now"
    gate.let_go.set()
    green.wait_until(lambda: len(gate.ended) == 2)
    assert pool._running == 0 or green.wait_until(lambda: pool._running == 0) is None


def test_callees_that_wait_for_each_other_do_not_starve(make_workers, green):
    pool, done = make_workers(max_workers=4), []

    def call(depth, finished):
        if depth:
            answer = green.slot()
            pool.submit(Job(call, (depth - 1, answer)))
            pool.lend()
            answer.wait()
            pool.reclaim()
        finished.set()

    for _ in range(20):
        top = green.slot()
        done.append(top)
        pool.submit(Job(call, (3, top)))
    green.wait_until(lambda: all(slot.done for slot in done))


def test_at_the_ceiling_waiting_jobs_are_refused_and_others_stay(make_workers, green):
    pool, answer, refused, ran = make_workers(max_workers=1), green.slot(), [], []
    pool.ceiling = 2

    def waits():
        pool.lend()
        answer.wait()
        pool.reclaim()

    pool.submit(Job(waits))
    pool.submit(Job(waits))
    green.wait_until(lambda: len(pool._all) == 2 and not pool._starting and pool._running == 0)
    job = Job(ran.append, ("refusable",), refuse=lambda: refused.append("refusable"))
    pool.submit(job)
    assert refused == ["refusable"]
    pool.submit(Job(ran.append, ("patient",)))
    answer.set()
    green.wait_until(lambda: ran == ["patient"])


def test_a_full_queue_takes_no_job(make_workers, green, gate):
    pool = make_workers(max_workers=1, max_queue=2)
    assert pool.submit(Job(gate, ("running",)))
    green.wait_until(lambda: gate.started)
    assert pool.submit(Job(gate, ("first",)))
    assert pool.submit(Job(gate, ("second",)))
    assert not pool.submit(Job(gate, ("too many",)))
    gate.let_go.set()
    green.wait_until(lambda: gate.ended == ["running", "first", "second"])


def test_each_job_has_a_context_of_its_own(make_workers, green):
    pool, variable, seen = make_workers(max_workers=1), contextvars.ContextVar("variable", default="nothing"), []

    def job(value):
        seen.append(variable.get())
        variable.set(value)
        green.sleep(0)
        seen.append(variable.get())

    variable.set("the test's")
    pool.submit(Job(job, ("first",)))
    pool.submit(Job(job, ("second",)))
    green.wait_until(lambda: len(seen) == 4)
    assert seen == ["nothing", "first", "nothing", "second"]


def test_a_green_thread_started_by_a_job_is_no_worker(make_workers, green):
    pool, seen = make_workers(), []

    def job():
        context = contextvars.copy_context()
        green.spawn(lambda: seen.append(context.run(current_worker)))

    pool.submit(Job(job))
    green.wait_until(lambda: seen)
    assert seen == [None]


class NotAnException(BaseException):
    """What eventlet's Timeout is: not an Exception."""


@pytest.mark.parametrize("error", [ValueError("went wrong"), NotAnException("went wrong")])
def test_a_job_that_raises_is_logged_and_its_worker_lives_on(make_workers, green, caplog, error):
    pool, seen = make_workers(max_workers=1), []

    def fails():
        seen.append(current_worker())
        raise error

    with caplog.at_level(logging.ERROR, "wampy.workers"):
        pool.submit(Job(fails))
        pool.submit(Job(lambda: seen.append(current_worker())))
        green.wait_until(lambda: len(seen) == 2)
    assert seen[0] is seen[1]
    (record,) = caplog.records
    assert record.exc_info[1] is error


def test_closing_drops_what_waits_and_lets_the_rest_finish(make_workers, green, gate):
    pool = make_workers(max_workers=1)
    pool.submit(Job(gate, ("running",)))
    pool.submit(Job(gate, ("waiting",)))
    green.wait_until(lambda: gate.started)
    assert pool.close(kill=False) == []
    assert not pool.submit(Job(gate, ("late",)))
    gate.let_go.set()
    green.wait_until(lambda: gate.ended == ["running"])
    green.wait_until(lambda: not pool._all)
    assert gate.started == ["running"]


def test_closing_with_kill_ends_everybody_but_the_caller(make_workers, green, backend):
    pool, events = make_workers(max_workers=3), []

    def sleeps():
        try:
            green.sleep(60)
        except backend.kill_error:
            events.append("killed")
            raise

    def closes():
        green.sleep(0.01)
        tasks = pool.close(kill=True)
        events.append(f"closed {len(tasks)}")
        for task in tasks:
            assert task.join(2.0)
        events.append("still here")

    for job in (sleeps, sleeps, closes):
        pool.submit(Job(job))
    green.wait_until(lambda: "still here" in events)
    assert events == ["closed 2", "killed", "killed", "still here"]
    green.wait_until(lambda: not pool._all)


def test_closing_with_kill_also_ends_what_has_not_started_yet(make_workers, green):
    pool, ran = make_workers(), []
    pool.submit(Job(ran.append, ("never",)))
    for task in pool.close(kill=True):
        assert task.join(2.0)
    green.sleep(0.01)
    assert ran == []


# Too much.


def refusable(name, refused, function=lambda: None, size=0):
    return Job(function, refuse=lambda: refused.append(name), size=size)


def test_what_the_full_queue_does_not_take_is_counted(make_workers, green, gate, caplog):
    pool, refused = make_workers(max_workers=1, max_queue=2), []
    pool.submit(Job(gate, ("running",)))
    green.wait_until(lambda: gate.started)
    assert [pool.submit(refusable(n, refused)) for n in range(5)] == [True, True, False, False, False]
    assert refused == [], "whoever submits refuses then"
    assert pool.refusals.total == 3
    assert (pool.busy, pool.queue) == (1, 2)
    gate.let_go.set()
    green.wait_until(lambda: pool.busy == pool.queue == 0)
    assert len(caplog.records) == 1


def test_jobs_that_are_not_limited_leave_the_room_to_the_others(make_workers, green, gate):
    pool, ran = make_workers(max_workers=1, max_queue=2), []
    pool.submit(Job(gate, ("running",)))
    for _ in range(5):
        assert pool.submit(Job(ran.append, ("a mailbox's",), limited=False))
    assert pool.submit(Job(ran.append, ("job",)))
    assert pool.submit(Job(ran.append, ("job",)))
    assert not pool.submit(Job(ran.append, ("too many",)))
    gate.let_go.set()
    green.wait_until(lambda: len(ran) == 7)


def test_a_run_of_refused_jobs_is_logged_twice(make_workers, green, gate, caplog, monkeypatch):
    monkeypatch.setattr(overload, "QUIET", 0.05)
    pool = make_workers(max_workers=1, max_queue=2)
    pool.submit(Job(gate, ("running",)))
    green.wait_until(lambda: gate.started)
    for number in range(50):
        pool.submit(refusable(number, [], size=10))
    green.wait_until(lambda: len(caplog.records) == 2)
    assert [record.getMessage() for record in caplog.records] == [
        "invocations are refused (wamp.error.unavailable): 2 with 20 bytes wait (max_queue=2)",
        "no more invocations are refused; 48 were",
    ]
    assert {(record.name, record.levelno) for record in caplog.records} == {("wampy.overload", logging.WARNING)}
    gate.let_go.set()


def test_at_the_ceiling_refusals_are_counted_and_say_why(make_workers, green, caplog):
    pool, answer, refused = make_workers(max_workers=1), green.slot(), []
    pool.ceiling = 2

    def waits():
        pool.lend()
        answer.wait()
        pool.reclaim()

    pool.submit(Job(waits))
    pool.submit(Job(waits))
    green.wait_until(lambda: len(pool._all) == 2 and not pool._starting and pool._running == 0)
    for number in range(3):
        assert pool.submit(refusable(number, refused)), "it was taken, and refused then"
    assert refused == [0, 1, 2]
    assert pool.refusals.total == 3
    (record,) = caplog.records
    assert "all 2 workers wait for answers" in record.getMessage()
    answer.set()


def test_when_the_system_has_no_more_threads_jobs_are_refused_and_it_is_said_once(
    make_workers, green, caplog, monkeypatch
):
    pool, refused = make_workers(), []

    def no_thread(function, *args):
        raise RuntimeError("can't start new thread")

    spawn = pool.backend.spawn
    monkeypatch.setattr(pool.backend, "spawn", no_thread)
    for number in range(3):
        assert pool.submit(refusable(number, refused))
    monkeypatch.setattr(pool.backend, "spawn", spawn)
    assert refused == [0, 1, 2]
    assert pool.refusals.total == 3
    assert pool.queue == 0
    (record,) = caplog.records
    assert "no worker can be started beside 0: can't start new thread" in record.getMessage()
    pool.submit(refusable("fourth", refused, lambda: refused.append("ran")))
    green.wait_until(lambda: refused == [0, 1, 2, "ran"])


def test_closing_tells_how_many_were_refused(make_workers, green, gate, caplog):
    pool = make_workers(max_workers=1, max_queue=1)
    pool.submit(Job(gate, ("running",)))
    green.wait_until(lambda: gate.started)
    for number in range(5):
        pool.submit(refusable(number, []))
    pool.close(kill=False)
    assert [record.getMessage() for record in caplog.records][1:] == ["no more invocations are refused; 4 were"]
    pool.close(kill=False)
    assert len(caplog.records) == 2
    assert pool.queue == 0
    gate.let_go.set()


def test_a_job_whose_worker_is_ended_before_it_woke_up_is_run_by_another(make_workers, green, backend):
    workers, done = make_workers(max_workers=1), []
    workers.submit(Job(done.append, (1,)))
    green.wait_until(lambda: done == [1] and not workers.busy)
    (idle,) = workers._all
    with backend.mutex():
        workers.submit(Job(done.append, (2,)))
        assert workers.busy, "what was handed to an idle worker does not count yet"
        idle.task.throw(backend.kill_error())
    green.wait_until(lambda: done == [1, 2])
    workers.submit(Job(done.append, (3,)))
    green.wait_until(lambda: done == [1, 2, 3])


@pytest.fixture
def make_idle(make_workers, green):
    """Make workers of whom all have nothing to do."""

    def make(max_workers):
        workers, let_go = make_workers(max_workers=max_workers), green.slot()
        for _ in range(max_workers):
            workers.submit(Job(let_go.wait))
        green.wait_until(lambda: workers._running == max_workers)
        let_go.set()
        green.wait_until(lambda: workers._parked == max_workers)
        return workers

    return make


def test_what_comes_in_one_piece_and_does_not_wait_is_done_by_one_in_its_order(make_idle, green):
    workers, done = make_idle(8), []
    for number in range(100):
        workers.submit(Job(lambda number=number: done.append((number, current_worker()))))
    green.wait_until(lambda: len(done) == 100)
    assert [number for number, _ in done] == list(range(100))
    assert len({worker for _, worker in done}) == 1
    assert workers._running == 0


def test_what_comes_in_one_piece_and_waits_is_begun_at_once(make_idle, green, gate, backend):
    workers = make_idle(8)
    for number in range(10):
        workers.submit(Job(gate, (number,)))
    assert (workers.busy, workers.queue) == (8, 2)
    if green.os_threads:
        green.wait_until(lambda: len(gate.started) == 8)
    else:
        backend.sleep(0)  # one turn of the hub, not one for each
    assert sorted(gate.started) == list(range(8))
    gate.let_go.set()
    green.wait_until(lambda: len(gate.ended) == 10)


def test_no_more_workers_are_started_than_there_is_work_for(make_workers, green):
    workers, done = make_workers(max_workers=64, max_queue=1000), []
    for number in range(1000):
        workers.submit(Job(done.append, (number,)))
    green.wait_until(lambda: len(done) == 1000)
    assert done == list(range(1000))
    assert len(workers._all) <= 2, "one that does it all, and one that would have if that had waited"


def test_a_job_that_there_is_a_place_for_does_not_wait(make_workers, green, gate):
    workers = make_workers(max_workers=2, max_queue=1)
    assert [workers.submit(Job(gate, (number,))) for number in range(5)] == [True, True, True, False, False]
    assert (workers.busy, workers.queue) == (2, 1)
    green.wait_until(lambda: len(gate.started) == 2)
    assert (workers.busy, workers.queue) == (2, 1)
    gate.let_go.set()
    green.wait_until(lambda: len(gate.ended) == 3)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_waits_behind_a_job_that_ends_its_worker_is_done(make_idle, green, backend, error):
    # The error is the main program's; on OS threads only the main thread can end the program.
    workers, done = make_idle(4), []

    def interrupted():
        raise error("in a job")

    for job in (done.append, 1), (interrupted,), (done.append, 2), (done.append, 3):
        workers.submit(Job(job[0], job[1:]))
    if green.os_threads:
        green.wait_until(lambda: len(done) == 3)
    else:
        with pytest.raises(error, match="in a job"):
            green.wait_until(lambda: len(done) == 3)
    green.wait_until(lambda: done == [1, 2, 3])
    assert len(workers._all) == 3
    workers.submit(Job(done.append, (4,)))
    green.wait_until(lambda: done == [1, 2, 3, 4] and workers._running == 0)


@pytest.mark.parametrize("idle", [1, 16])
def test_jobs_that_never_wait_let_others_run_in_between(make_idle, green, backend, idle):
    workers, done, ticks = make_idle(idle), [], []

    def compute(number):
        end = backend.monotonic() + 0.005
        while backend.monotonic() < end:
            pass
        done.append(number)

    def tick():
        while len(done) < 40:
            ticks.append(len(done))
            backend.sleep(0)

    for number in range(40):
        workers.submit(Job(compute, (number,)))
    green.spawn(tick).result()
    assert done == list(range(40))
    assert len(set(ticks)) > 5, "nobody else ran while they were at work"
