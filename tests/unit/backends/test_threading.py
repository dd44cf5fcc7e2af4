"""What is particular to OS threads: the monitor, strikes in the user's code, signals and forks.

The verbs are tested in test_verbs.py, on each backend and inside. These tests are outside, as the user's threads are.
"""

import socket
import sys
import threading
import time

import pytest

from wampy.errors import WampyError
from wampy.interfaces import READ, WRITE

pytestmark = pytest.mark.outside


@pytest.fixture(autouse=True)
def backend(green):
    if not green.os_threads:
        pytest.skip("this run is for another backend")
    return green.backend


# The monitor.


def test_one_thread_at_a_time_is_inside(backend, green):
    counter = [0]

    def add():
        for _ in range(300):
            seen = counter[0]
            sum(range(50))
            counter[0] = seen + 1

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        adding = [green.spawn(backend.inside, add) for _ in range(8)]
        for each in adding:
            each.result()
    finally:
        sys.setswitchinterval(before)
    assert counter == [2400]


def test_a_task_is_inside_and_others_run_where_it_waits(backend):
    order, slot = [], backend.slot()

    def first():
        order.append("first")
        slot.wait()
        order.append("first again")

    def second():
        order.append("second")
        slot.set()
        time.sleep(0.05)
        order.append("second still")

    tasks = [backend.spawn(first)]
    while not order:
        time.sleep(0.001)
    tasks.append(backend.spawn(second))
    for task in tasks:
        assert task.join(5.0)
    assert order == ["first", "second", "second still", "first again"]


def test_waiting_leaves_the_monitor_however_often_it_is_held(backend, green):
    slot = backend.slot()

    def deep(levels):
        with backend.mutex():
            return deep(levels - 1) if levels else slot.wait(10)

    waiting = green.spawn(deep, 5)
    green.sleep(0.02)
    assert green.spawn(backend.inside, slot.set).result(5.0)
    assert waiting.result(5.0) is True


def test_the_users_code_is_outside_and_may_come_in_again(backend, green):
    let_go, seen = threading.Event(), []

    def users():
        assert let_go.wait(10)  # natively: the others go on
        return backend.inside(lambda: seen.append("in again") or "returned")

    running = green.spawn(backend.inside, backend.outside, users)
    assert green.spawn(backend.inside, lambda: "free").result(5.0) == "free"
    let_go.set()
    assert running.result(5.0) == "returned"
    assert seen == ["in again"]


def test_what_the_users_code_raises_comes_through_and_the_monitor_is_held_again(backend):
    def fails():
        raise ValueError("theirs")

    def engine():
        with pytest.raises(ValueError, match="theirs"):
            backend.outside(fails)
        other = backend.spawn(entered.append, 1)
        time.sleep(0.02)
        assert entered == [], "the monitor was left open"
        return other

    entered = []
    assert backend.inside(engine).join(5.0)
    assert entered == [1]


def test_outside_is_nothing_for_who_is_outside(backend):
    assert backend.outside(lambda *args, **kwargs: (args, kwargs), 1, self=2) == ((1,), {"self": 2})
    assert backend.inside(lambda *args, **kwargs: (args, kwargs), 1, function=2) == ((1,), {"function": 2})


def test_every_verb_may_be_called_by_any_thread_from_outside(backend, green):
    def use():
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            heard, called, told = backend.slot(), backend.slot(), backend.slot()
            watch = backend.watch(ours, lambda: heard.set(ours.recv(10)))
            late = backend.call_later(60, called.set, "late")
            backend.call_later(0.001, called.set, "early")
            watch.want_write(lambda: (told.set(), watch.want_write(None)))
            task = backend.spawn(backend.sleep, 60)
            assert backend.wait(theirs, WRITE, None)
            assert not backend.wait(theirs, READ, backend.monotonic() + 0.01)
            theirs.send(b"x")
            assert heard.wait(5.0) and called.wait(5.0) and told.wait(5.0)
            assert not backend.slot().wait(0.01)
            late.cancel()
            task.throw(backend.kill_error())
            assert task.join(5.0)
            watch.close()
            return heard.value, called.value

    assert use() == (b"x", "early")
    using = [green.spawn(use) for _ in range(6)]
    assert [each.result() for each in using] == [(b"x", "early")] * 6


# Slots.


def test_of_many_that_fill_a_slot_one_is_told_that_it_was_the_first(backend, green):
    for _ in range(50):
        slot = backend.slot()
        setting = [green.spawn(slot.set, number) for number in range(4)]
        assert sorted(each.result() for each in setting) == [False, False, False, True]


def test_ctrl_c_gets_through_a_wait_of_the_main_thread(run_python):
    done = run_python(
        """
        import os, signal, threading, time
        from wampy.backends import get_backend
        backend = get_backend()
        for wait in (backend.slot().wait, lambda: backend.slot().wait(60), lambda: backend.sleep(60),
                     lambda: backend.inside(backend.slot().wait), backend.spawn(backend.sleep, 60).join):
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                wait()
            except KeyboardInterrupt:
                print("interrupted")
            free = backend.spawn(lambda: None)
            assert free.join(5)
        """
    )
    assert done.stdout.splitlines() == ["interrupted"] * 5, done.stderr


# Tasks.


def test_a_task_that_was_killed_before_it_started_never_does(backend):
    def make():
        task = backend.spawn(started.append, 1)
        task.throw(backend.kill_error())
        return task

    started = []
    assert backend.inside(make).join(5.0)
    backend.sleep(0.02)
    assert started == []


def test_a_throw_reaches_a_task_that_computes_in_the_users_code(backend, green):
    def computes():
        try:
            while True:
                started.append(1)
                time.sleep(0.001)
        except backend.kill_error:
            return "killed"

    started = []
    running = green.spawn(computes)
    green.wait_until(lambda: started)
    running.kill()
    assert running.result() == "killed"


def test_a_throw_strikes_once_whatever_the_victim_does(backend, green):
    # It strikes in the user's code, on the way in, in a wait or on the way out, and never in the engine's own code.
    def users():
        for number in range(30):
            backend.inside(engine)
            if number % 3 == 0:
                backend.slot().wait(1e-5)

    def engine():
        inside.append(1)
        sum(range(200))
        inside.pop()

    def victim():
        struck = after = 0
        end = time.monotonic() + 10
        ready.set()
        while after < 2 and time.monotonic() < end:
            after += struck  # it goes on for a while, and is not struck again
            try:
                backend.outside(users)
                backend.sleep(0.005)
            except backend.kill_error:
                struck += 1
        return struck

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for number in range(150):
            inside, ready = [], backend.slot()
            running = green.spawn(backend.inside, victim)
            ready.wait()
            time.sleep(number % 10 * 1e-4)
            running.kill()
            assert running.result() == 1
            assert inside == []
    finally:
        sys.setswitchinterval(before)


def test_what_was_thrown_while_the_user_blocked_natively_strikes_afterwards(backend, green):
    let_go = threading.Event()
    running = green.waiting(let_go.wait, 10)
    green.sleep(0.02)
    running.kill()
    green.sleep(0.02)
    assert not running.done
    let_go.set()
    assert isinstance(running.error(), backend.kill_error)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_task_that_would_end_the_program_says_so_and_ends(backend, capfd, error):
    # Only the main thread can end it.
    def fails():
        raise error("the last resort")

    assert backend.spawn(fails).join(5.0)
    assert "the last resort" in capfd.readouterr().err


def test_threads_are_daemons_and_say_whose_they_are(backend):
    task = backend.spawn(backend.sleep, 60)
    (thread,) = [each for each in threading.enumerate() if "ThreadingBackend.sleep" in each.name]
    assert thread.daemon
    assert thread.name.startswith("wampy ")
    task.throw(backend.kill_error())
    assert task.join(5.0)


# Timers.


def test_the_thread_of_the_timers_ends_with_the_last_and_begins_anew(backend, green):
    def running():
        return any(each.name == "wampy timers" for each in threading.enumerate())

    for _ in range(3):
        timer = backend.call_later(60, print)
        assert running()
        timer.cancel()
        green.wait_until(lambda: not running(), 5.0)
    seen = []
    for _ in range(20):
        backend.call_later(0.0, seen.append, 1)
        backend.sleep(0.001)
    green.wait_until(lambda: len(seen) == 20)


def test_a_timer_that_was_made_before_a_poke_lets_the_reader_look_first_too(read, pair, green, backend):
    order = []
    reader = read(lambda data: order.append(data))

    def late():
        backend.call_later(0.0, order.append, "too late")
        reader.watch.poke()
        pair[1].send(b"in time")

    for _ in range(20):
        order.clear()
        backend.inside(late)
        green.wait_until(lambda: len(order) >= 2)
        assert order[0] == b"in time"


# Watches.


def test_the_reader_reads_while_the_main_thread_blocks_natively(read, pair):
    reader = read()
    pair[1].send(b"one")
    deadline = time.monotonic() + 5.0
    while not reader.heard and time.monotonic() < deadline:
        time.sleep(0.01)  # not a wait of ours
    assert reader.heard == b"one"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_reader_that_would_end_the_program_goes_on(read, pair, green, capfd, error):
    def then(data):
        if data == b"bad":
            raise error("in the reader")

    reader = read(then)
    pair[1].send(b"bad")
    green.wait_until(lambda: reader.turns)
    pair[1].send(b"good")
    green.wait_until(lambda: reader.heard == b"badgood", 5.0)
    assert "in the reader" in capfd.readouterr().err


# Forks.


def test_a_forked_child_begins_anew(run_python):
    done = run_python(
        """
        import os, socket, threading, time
        from wampy.backends import get_backend
        backend = get_backend()
        home = backend.home()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        turns, called = [], []
        watch = backend.watch(ours, lambda: turns.append(ours.recv(10)))
        backend.call_later(0.2, called.append, os.getpid())
        task = backend.spawn(backend.outside, time.sleep, 60)
        holding = backend.spawn(time.sleep, 0.5)  # inside: it holds the monitor in the very moment
        time.sleep(0.1)
        pid = os.fork()
        if pid == 0:
            try:
                backend.check_caller(home)
            except Exception as error:
                print(type(error).__name__, error)
            assert watch.orphaned
            watch.poke()
            watch.want_write(print)
            watch.close()
            assert task.join(0) and holding.join(0)
            assert backend.spawn(lambda: None).join(5)
            seen = backend.slot()
            backend.call_later(0.01, seen.set)
            assert seen.wait(5)
            time.sleep(0.3)
            assert called == turns == []
            print("fine", flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        backend.check_caller(home)
        theirs.send(b"x")
        deadline = time.monotonic() + 10
        while not (turns and called) and time.monotonic() < deadline:
            backend.sleep(0.01)
        assert turns == [b"x"] and called == [os.getpid()]
        watch.close()
        """
    )
    assert done.returncode == 0, done.stderr
    assert "WampyError" in done.stdout
    assert "forked child" in done.stdout
    assert done.stdout.endswith("fine\n")


def test_a_fork_from_inside_leaves_the_child_inside(run_python):
    done = run_python(
        """
        import os
        from wampy.backends import get_backend
        backend = get_backend()
        pid = backend.inside(os.fork)
        assert backend.spawn(lambda: None).join(5)
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert done.returncode == 0, done.stderr


# The rest.


def test_there_is_nothing_to_patch(backend):
    with pytest.raises(WampyError, match="nothing to patch"):
        backend.monkey_patch()
