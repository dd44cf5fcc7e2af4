"""The backend of OS threads: the guarantees of the monitor, and the seam's verbs, on real threads and sockets."""

import errno
import os
import socket
import sys
import threading
import time

import pytest

from wampy.errors import WampyError
from wampy.interfaces import READ, WRITE


@pytest.fixture
def backend():
    from wampy.backends import get_backend

    return get_backend("threading")


@pytest.fixture
def green(backend, green):
    """What tests wait with, on this backend whichever the others use."""
    return type(green)(backend)


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


# Slots.


def test_a_slot_is_filled_once(backend):
    slot = backend.slot()
    assert not slot.done
    assert slot.set("first")
    assert not slot.set("second")
    assert slot.done
    assert slot.value == "first"
    assert slot.wait()
    assert slot.wait(0)


def test_of_many_that_fill_a_slot_one_is_told_that_it_was_the_first(backend, green):
    for _ in range(50):
        slot = backend.slot()
        setting = [green.spawn(slot.set, number) for number in range(4)]
        assert sorted(each.result() for each in setting) == [False, False, False, True]


def test_all_waiters_of_a_slot_go_on(backend, green):
    slot = backend.slot()
    waiters = [green.spawn(slot.wait) for _ in range(5)]
    green.sleep(0.02)
    assert not any(waiter.done for waiter in waiters)
    slot.set()
    assert [waiter.result() for waiter in waiters] == [True] * 5


def test_filling_a_slot_never_switches(backend, green):
    slot, order = backend.slot(), []
    waiting = green.spawn(backend.inside, lambda: (slot.wait(), order.append("woken")))
    green.sleep(0.02)

    def fill():
        slot.set()
        time.sleep(0.03)
        order.append("set")

    backend.inside(fill)
    waiting.result()
    assert order == ["set", "woken"]


def test_waiting_for_a_slot_ends_at_the_timeout(backend):
    slot, before = backend.slot(), time.monotonic()
    assert slot.wait(0.03) is False
    assert time.monotonic() - before >= 0.025
    assert slot.wait(0) is False
    assert slot.wait(-1) is False
    slot.set()
    assert slot.wait(0.01)


def test_a_wait_may_be_longer_than_the_system_knows(backend, green):
    slot = backend.slot()
    waiting = green.spawn(slot.wait, 1e300)
    green.sleep(0.01)
    slot.set()
    assert waiting.result() is True


def test_a_waiter_that_was_killed_is_not_woken_from_a_later_wait(backend, green):
    first, second, seen = backend.slot(), backend.slot(), []

    def waits():
        try:
            first.wait()
        except backend.kill_error:
            seen.append("killed")
        seen.append(second.wait(0.1))

    waiting = green.spawn(waits)
    green.sleep(0.02)
    waiting.kill()
    first.set()
    waiting.result()
    assert seen == ["killed", False]


def test_waiting_costs_no_processor_time(backend):
    before = time.process_time()
    backend.slot().wait(0.3)
    assert time.process_time() - before < 0.1


def test_ctrl_c_gets_through_a_wait_of_the_main_thread(run_python):
    done = run_python(
        """
        import os, signal, threading, time
        from wampy.backends import get_backend
        backend = get_backend("threading")
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


def test_a_task_runs_when_its_maker_is_outside(backend):
    def make():
        seen = []
        task = backend.spawn(lambda *args: seen.append((args, task.is_current)), 1, 2)
        assert seen == []
        assert task.join(5.0)
        assert seen == [((1, 2), True)]
        assert not task.is_current

    backend.inside(make)


def test_joining_a_task_that_goes_on_ends_at_the_timeout(backend):
    let_go = backend.slot()
    task = backend.spawn(let_go.wait)
    assert task.join(0.02) is False
    let_go.set()
    assert task.join(5.0) is True
    assert task.join(0) is True


def test_a_throw_into_a_task_that_has_not_started_ends_it(backend):
    def make():
        task = backend.spawn(started.append, 1)
        task.throw(backend.kill_error())
        return task

    started = []
    assert backend.inside(make).join(5.0)
    backend.sleep(0.02)
    assert started == []


@pytest.mark.parametrize("where", ["sleep", "slot", "socket", "join"])
def test_a_throw_reaches_a_task_that_waits(backend, pair, where):
    seen, slot, other = [], backend.slot(), backend.spawn(backend.sleep, 0.5)
    waits_of = {
        "sleep": lambda: backend.sleep(60),
        "slot": slot.wait,
        "socket": lambda: backend.wait(pair[0], READ, None),
        "join": other.join,
    }

    def waits():
        try:
            waits_of[where]()
        except ValueError as error:
            seen.append(error)

    task = backend.spawn(waits)
    backend.sleep(0.05)
    error = ValueError("thrown")

    def throw():
        task.throw(error)
        assert seen == [], "throw never switches"

    backend.inside(throw)
    assert task.join(5.0)
    assert seen == [error]
    assert other.join(5.0)


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
        struck = 0
        ready.set()
        for _ in range(3):
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
    running = green.spawn(let_go.wait, 10)
    green.sleep(0.02)
    running.kill()
    green.sleep(0.02)
    assert not running.done
    let_go.set()
    assert isinstance(running.error(), backend.kill_error)


def test_a_throw_asks_again_before_it_strikes(backend, pair):
    def throw():
        wanted[0] = True
        task.throw(backend.kill_error(), still=lambda: wanted[0])
        wanted[0] = False

    wanted, slot = [True], backend.slot()
    for wait in (slot.wait, lambda: backend.sleep(60), lambda: backend.wait(pair[0], READ, None)):
        task = backend.spawn(wait)
        backend.sleep(0.02)
        backend.inside(throw)
        assert task.join(0.05) is False, "it was woken for nothing, and its wait has ended"
        wanted[0] = True
        task.throw(backend.kill_error(), still=lambda: wanted[0])
        assert task.join(5.0)


def test_a_throw_into_a_task_that_is_over_is_nothing(backend):
    task = backend.spawn(lambda: None)
    assert task.join(5.0)
    task.throw(backend.kill_error())
    backend.sleep(0.01)


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_task_that_raises_says_so_and_ends(backend, capfd, error):
    def fails():
        raise error("the last resort")

    assert backend.spawn(fails).join(5.0)
    backend.sleep(0.01)
    assert "the last resort" in capfd.readouterr().err


def test_a_killed_task_is_silent(backend, capfd):
    task = backend.spawn(backend.sleep, 60)
    backend.sleep(0.02)
    task.throw(backend.kill_error())
    assert task.join(5.0)
    assert capfd.readouterr().err == ""


def test_threads_are_daemons_and_say_whose_they_are(backend):
    task = backend.spawn(backend.sleep, 60)
    (thread,) = [each for each in threading.enumerate() if "ThreadingBackend.sleep" in each.name]
    assert thread.daemon
    assert thread.name.startswith("wampy ")
    task.throw(backend.kill_error())
    assert task.join(5.0)


# Timers.


def test_timers_are_called_in_order_inside_and_can_be_called_off(backend, green):
    def schedule():
        backend.call_later(0.02, seen.append, "later")
        backend.call_later(0.0, seen.append, "now")
        cancelled = backend.call_later(0.0, seen.append, "cancelled")
        cancelled.cancel()
        time.sleep(0.03)
        assert seen == []
        return cancelled

    seen = []
    cancelled = backend.inside(schedule)
    green.wait_until(lambda: len(seen) == 2)
    assert seen == ["now", "later"]
    cancelled.cancel()


def test_an_earlier_timer_overtakes(backend, green):
    seen = []
    late = backend.call_later(60, seen.append, "late")
    backend.call_later(0.02, seen.append, "early")
    green.wait_until(lambda: seen, 5.0)
    late.cancel()
    assert seen == ["early"]


def test_a_timer_that_raises_says_so_and_the_next_is_called(backend, green, capfd):
    seen = []
    backend.call_later(0.0, lambda: 1 / 0)
    backend.call_later(0.01, seen.append, "next")
    green.wait_until(lambda: seen)
    assert "ZeroDivisionError" in capfd.readouterr().err


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


def test_a_timer_lets_a_reader_that_was_poked_look_first(read, pair, green, backend):
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


def test_the_reader_is_called_when_there_is_something_to_read(read, pair, green):
    pair[1].send(b"zero")
    reader = read()
    green.wait_until(lambda: reader.heard == b"zero")
    pair[1].send(b"one")
    green.wait_until(lambda: reader.heard == b"zeroone")
    green.sleep(0.02)
    assert len(reader.turns) == 2


def test_the_reader_reads_while_the_main_thread_blocks_natively(read, pair):
    reader = read()
    pair[1].send(b"one")
    time.sleep(0.2)
    assert reader.heard == b"one"


def test_a_poke_gives_the_reader_a_turn(read, green):
    reader = read()
    for number in range(1, 4):
        reader.watch.poke()
        green.wait_until(lambda number=number: reader.turns == [None] * number)


def test_a_poke_in_the_reader_gives_it_another_turn(read, green):
    reader = read(lambda data: len(reader.turns) < 3 and reader.watch.poke())
    reader.watch.poke()
    green.wait_until(lambda: len(reader.turns) == 3)
    green.sleep(0.02)
    assert len(reader.turns) == 3


def test_the_reader_knows_itself(read, pair, green):
    seen = []
    reader = read(lambda data: seen.append(reader.watch.is_reader))
    pair[1].send(b"x")
    green.wait_until(lambda: seen)
    assert seen == [True]
    assert not reader.watch.is_reader


def test_a_reader_that_is_blocked_does_not_spin_and_goes_on(read, pair, green, backend):
    let_go = backend.slot()
    reader = read(lambda data: let_go.wait())
    pair[1].send(b"one")
    green.wait_until(lambda: reader.turns)
    pair[1].send(b"two")
    before = time.process_time()
    green.sleep(0.3)
    assert time.process_time() - before < 0.1
    assert reader.heard == b"one"
    let_go.set()
    green.wait_until(lambda: reader.heard == b"onetwo")


def test_a_closed_watch_reads_no_more_and_its_thread_and_descriptors_go(read, pair, green):
    def readers():
        return [each for each in threading.enumerate() if each.name.startswith("wampy reader")]

    before = len(os.listdir("/proc/self/fd"))
    reader = read()
    green.sleep(0.01)
    assert len(readers()) == 1
    reader.watch.close()
    pair[1].send(b"late")
    reader.watch.poke()
    reader.watch.close()
    green.wait_until(lambda: not readers())
    assert reader.turns == []
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("where", ["elsewhere", "in the reader"])
def test_a_watch_can_be_closed_while_its_reader_has_a_turn(read, pair, green, backend, where):
    let_go = backend.slot()
    reader = read(lambda data: reader.watch.close() if where == "in the reader" else let_go.wait())
    pair[1].send(b"one")
    green.wait_until(lambda: reader.turns)
    reader.watch.close()
    pair[1].send(b"two")
    let_go.set()
    green.sleep(0.02)
    assert reader.heard == b"one"


class Unwelcome(BaseException):
    """Neither an Exception nor what ends programs."""


@pytest.mark.parametrize("error", [ValueError, Unwelcome, SystemExit])
def test_a_reader_that_raises_goes_on(read, pair, green, capfd, error):
    def then(data):
        if data == b"bad":
            raise error("in the reader")

    reader = read(then)
    pair[1].send(b"bad")
    green.wait_until(lambda: reader.turns)
    pair[1].send(b"good")
    green.wait_until(lambda: reader.heard == b"badgood", 5.0)
    assert "in the reader" in capfd.readouterr().err


def test_write_readiness_is_told_until_nobody_wants_it(read, pair, green):
    reader, calls = read(), []
    reader.watch.want_write(lambda: calls.append(1))
    green.wait_until(lambda: len(calls) > 2)
    reader.watch.want_write(None)
    before = len(calls)
    green.sleep(0.02)
    assert len(calls) == before
    pair[1].send(b"still read")
    green.wait_until(lambda: reader.heard == b"still read")


def test_write_readiness_waits_for_room(read, pair, green):
    reader, calls = read(), []
    with pytest.raises(BlockingIOError):
        while True:
            pair[0].send(b"x" * 65536)
    reader.watch.want_write(lambda: (calls.append(1), reader.watch.want_write(None)))
    green.sleep(0.02)
    assert calls == []
    with pytest.raises(BlockingIOError):
        while True:
            pair[1].recv(1 << 20)
    green.wait_until(lambda: calls)
    green.sleep(0.02)
    assert calls == [1], "the callback itself can end it"


def test_a_closed_watch_tells_of_no_room(read, green, backend):
    def want():
        reader.watch.want_write(lambda: calls.append(1))
        reader.watch.close()
        reader.watch.want_write(lambda: calls.append(2))

    reader, calls = read(), []
    backend.inside(want)
    green.sleep(0.02)
    assert calls == []


def test_a_socket_at_its_end_keeps_the_reader_informed(read, pair, green):
    reader = read(lambda data: reader.watch.close() if data == b"" else None)
    pair[1].close()
    green.wait_until(lambda: reader.turns == [b""])


# Sockets and names.


def test_waiting_for_a_socket(backend, pair, green):
    assert backend.wait(pair[0], WRITE, None) is True
    assert backend.wait(pair[0], READ, backend.monotonic() + 0.02) is False
    assert backend.wait(pair[0], READ, backend.monotonic() - 1) is False
    waiting = green.spawn(backend.inside, backend.wait, pair[0], READ, backend.monotonic() + 60)
    green.sleep(0.02)
    assert green.spawn(backend.inside, lambda: "free").result(5.0) == "free"
    assert not waiting.done
    pair[1].send(b"x")
    assert waiting.result(5.0) is True


def test_a_socket_does_not_block(backend):
    sock = backend.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        assert sock.connect_ex(("127.0.0.1", 9)) in (errno.EINPROGRESS, errno.ECONNREFUSED)
        with pytest.raises(OSError):
            sock.recv(1)
    finally:
        sock.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_name_is_looked_up(backend, host):
    found = backend.resolve(host, 8080, socket.AF_INET, backend.monotonic() + 5)
    assert ("127.0.0.1", 8080) in [address for _, _, _, _, address in found]
    assert all(kind == socket.SOCK_STREAM for _, kind, _, _, _ in found)


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "two..dots", "l" * 70, "ü" * 70], ids=["unknown", "dots", "long", "not ASCII"]
)
def test_a_name_that_cannot_be_looked_up_is_an_os_error(backend, host):
    with pytest.raises(OSError):
        backend.resolve(host, 80, socket.AF_UNSPEC, backend.monotonic() + 5)


# Who may call.


def test_any_thread_may_call(backend):
    home, errors = backend.home(), []

    def other():
        try:
            backend.check_caller(home)
        except WampyError as error:
            errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert errors == []


def test_a_callback_of_a_timer_may_not_block(backend, green):
    home, errors = backend.home(), []

    def in_the_timers_thread():
        try:
            backend.check_caller(home)
        except WampyError as error:
            errors.append(str(error))

    backend.call_later(0, in_the_timers_thread)
    green.wait_until(lambda: errors)
    assert "nothing may block" in errors[0]


def test_a_forked_child_begins_anew(run_python):
    done = run_python(
        """
        import os, socket, threading, time
        from wampy.backends import get_backend
        backend = get_backend("threading")
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
        backend = get_backend("threading")
        pid = backend.inside(os.fork)
        assert backend.spawn(lambda: None).join(5)
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert done.returncode == 0, done.stderr


# The rest.


def test_neither_eventlet_nor_gevent_is_imported(run_python):
    done = run_python(
        """
        import sys
        import wampy.backends, wampy.peers.clients
        wampy.peers.clients.Client()
        print(wampy.backends.get_backend().name, sorted({"eventlet", "gevent", "greenlet"} & set(sys.modules)))
        """,
        WAMPY_ASYNC_NAME="threading",
    )
    assert done.stdout == "threading []\n", done.stderr


def test_there_is_nothing_to_patch(backend):
    with pytest.raises(WampyError, match="nothing to patch"):
        backend.monkey_patch()


def test_it_has_no_state(backend):
    assert vars(backend) == {}
