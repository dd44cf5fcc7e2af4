"""Workers and mailboxes, on real green threads."""

import contextvars
import logging

import pytest

from wampy.workers import Job, Mailbox, Workers, current_worker


@pytest.fixture
def make(backend):
    pools = []

    def make(max_workers=2, max_queue=100):
        pools.append(Workers(backend, max_workers, max_queue))
        return pools[-1]

    yield make
    for pool in pools:
        for task in pool.close(kill=True):
            assert task.join(2.0)


class Gate:
    """A function for jobs: says when it has started, and ends when it is let go."""

    def __init__(self, green):
        self.green = green
        self.let_go = green.slot()
        self.started = []
        self.ended = []

    def __call__(self, name):
        self.started.append(name)
        self.let_go.wait()
        self.ended.append(name)


@pytest.fixture
def gate(green):
    return Gate(green)


def test_a_job_runs_with_its_arguments_in_a_worker(make, green):
    pool, seen = make(), []
    assert pool.submit(Job(lambda *args: seen.append((args, current_worker())), (1, "two")))
    assert seen == [], "submit never switches"
    green.wait_until(lambda: seen)
    ((args, worker),) = seen
    assert args == (1, "two")
    assert worker.pool is pool
    assert current_worker() is None


def test_no_more_than_max_workers_run_at_once(make, green, gate):
    pool = make(max_workers=2)
    for number in range(5):
        assert pool.submit(Job(gate, (number,)))
    green.sleep(0.02)
    assert gate.started == [0, 1]
    gate.let_go.set()
    green.wait_until(lambda: len(gate.ended) == 5)
    assert gate.started == [0, 1, 2, 3, 4], "in the order of submission"


def test_idle_workers_are_used_again(make, green):
    pool, workers = make(), set()
    for number in range(10):
        pool.submit(Job(lambda: workers.add(current_worker())))
        green.wait_until(lambda number=number: pool._running == 0 and not pool._jobs)
    assert len(workers) == 1


def test_after_a_burst_no_more_than_max_workers_stay(make, green):
    pool, woken = make(max_workers=3), green.slot()

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


def test_a_worker_that_waits_lends_its_place_and_takes_it_back_without_queueing(make, green, gate):
    pool, answer, order = make(max_workers=1), green.slot(), []

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


def test_callees_that_wait_for_each_other_do_not_starve(make, green):
    pool, done = make(max_workers=4), []

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


def test_at_the_ceiling_waiting_jobs_are_refused_and_others_stay(make, green):
    pool, answer, refused, ran = make(max_workers=1), green.slot(), [], []
    pool.ceiling = 2

    def waits():
        pool.lend()
        answer.wait()
        pool.reclaim()

    pool.submit(Job(waits))
    pool.submit(Job(waits))
    green.wait_until(lambda: len(pool._all) == 2 and pool._running == 0)
    job = Job(ran.append, ("refusable",), refuse=lambda: refused.append("refusable"))
    pool.submit(job)
    assert refused == ["refusable"]
    pool.submit(Job(ran.append, ("patient",)))
    answer.set()
    green.wait_until(lambda: ran == ["patient"])


def test_a_full_queue_takes_no_job(make, green, gate):
    pool = make(max_workers=1, max_queue=2)
    assert pool.submit(Job(gate, ("running",)))
    green.wait_until(lambda: gate.started)
    assert pool.submit(Job(gate, ("first",)))
    assert pool.submit(Job(gate, ("second",)))
    assert not pool.submit(Job(gate, ("too many",)))
    gate.let_go.set()
    green.wait_until(lambda: gate.ended == ["running", "first", "second"])


def test_each_job_has_a_context_of_its_own(make, green):
    pool, variable, seen = make(max_workers=1), contextvars.ContextVar("variable", default="nothing"), []

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


def test_a_green_thread_started_by_a_job_is_no_worker(make, green):
    pool, seen = make(), []

    def job():
        context = contextvars.copy_context()
        green.spawn(lambda: seen.append(context.run(current_worker)))

    pool.submit(Job(job))
    green.wait_until(lambda: seen)
    assert seen == [None]


class NotAnException(BaseException):
    """What eventlet's Timeout is: not an Exception."""


@pytest.mark.parametrize("error", [ValueError("went wrong"), NotAnException("went wrong")])
def test_a_job_that_raises_is_logged_and_its_worker_lives_on(make, green, caplog, error):
    pool, seen = make(max_workers=1), []

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


def test_closing_drops_what_waits_and_lets_the_rest_finish(make, green, gate):
    pool = make(max_workers=1)
    pool.submit(Job(gate, ("running",)))
    pool.submit(Job(gate, ("waiting",)))
    green.wait_until(lambda: gate.started)
    assert pool.close(kill=False) == []
    assert not pool.submit(Job(gate, ("late",)))
    gate.let_go.set()
    green.wait_until(lambda: gate.ended == ["running"])
    green.wait_until(lambda: not pool._all)
    assert gate.started == ["running"]


def test_closing_with_kill_ends_everybody_but_the_caller(make, green, backend):
    pool, events = make(max_workers=3), []

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


def test_closing_with_kill_also_ends_what_has_not_started_yet(make, green):
    pool, ran = make(), []
    pool.submit(Job(ran.append, ("never",)))
    for task in pool.close(kill=True):
        assert task.join(2.0)
    green.sleep(0.01)
    assert ran == []


def test_events_of_one_handler_run_in_order_one_at_a_time(make, green):
    pool, seen, running = make(max_workers=8), [], []

    def deliver(number):
        running.append(number)
        assert len(running) == 1
        green.sleep(0.001 if number % 3 else 0)
        running.remove(number)
        seen.append(number)

    mailbox = Mailbox(pool, deliver)
    for number in range(30):
        assert mailbox.put(number)
    green.wait_until(lambda: len(seen) == 30)
    assert seen == list(range(30))


def test_handlers_share_the_workers(make, green):
    pool, seen = make(max_workers=1), []
    busy, other = Mailbox(pool, seen.append), Mailbox(pool, seen.append)
    for number in range(5):
        busy.put(number)
    other.put("other")
    green.wait_until(lambda: len(seen) == 6)
    assert seen.index("other") == 1, "a mailbox queues again after each event"


def test_a_full_mailbox_takes_no_event_and_goes_on_later(make, green, gate):
    pool = make(max_workers=1, max_queue=3)
    mailbox = Mailbox(pool, gate)
    assert mailbox.put("first")
    green.wait_until(lambda: gate.started)
    assert [mailbox.put(number) for number in range(5)] == [True, True, True, False, False]
    gate.let_go.set()
    green.wait_until(lambda: gate.ended == ["first", 0, 1, 2])
    assert mailbox.put("again")
    green.wait_until(lambda: gate.ended[-1] == "again")


def test_a_mailbox_is_emptied_although_the_queue_of_jobs_is_full(make, green, gate):
    # Its own next turn must not be lost because invocations fill the queue.
    pool, seen = make(max_workers=1, max_queue=2), []
    mailbox = Mailbox(pool, lambda item: (seen.append(item), gate(item)))
    mailbox.put("one")
    mailbox.put("two")
    green.wait_until(lambda: gate.started == ["one"])
    assert pool.submit(Job(seen.append, ("job",)))
    assert pool.submit(Job(seen.append, ("job",)))
    gate.let_go.set()
    green.wait_until(lambda: sorted(seen) == ["job", "job", "one", "two"], 2.0, lambda: seen)


def test_a_handler_that_raises_does_not_stop_its_mailbox(make, green, caplog):
    pool, seen = make(), []

    def deliver(item):
        seen.append(item)
        raise ValueError(item)

    mailbox = Mailbox(pool, deliver)
    mailbox.put("one")
    mailbox.put("two")
    green.wait_until(lambda: seen == ["one", "two"])
    assert len(caplog.records) == 2


def test_a_run_of_dropped_events_is_logged_twice(make, green, gate, caplog):
    mailbox = Mailbox(make(max_workers=1, max_queue=2), gate, "the handler of com.example.t")
    mailbox.put("first")
    green.wait_until(lambda: gate.started)
    for number in range(50):
        mailbox.put(number)
    gate.let_go.set()
    green.wait_until(lambda: gate.ended == ["first", 0, 1])
    green.wait_until(lambda: len(caplog.records) == 2)
    assert [record.getMessage() for record in caplog.records] == [
        "the handler of com.example.t has max_queue=2 events to handle; more are dropped",
        "the handler of com.example.t has handled them all; 48 were dropped",
    ]


def test_a_job_whose_worker_is_ended_before_it_woke_up_is_run_by_another(make, green, backend):
    workers, done = make(max_workers=1), []
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
