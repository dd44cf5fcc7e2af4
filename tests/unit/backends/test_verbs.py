"""The seam's verbs, the same on each backend: slots, tasks, watches and the rest, on real sockets.

A run is for one backend, as a process is; the run's name decides (``WAMPY_ASYNC_NAME``). The tests are inside, so that
on OS threads, too, nobody else runs but where they wait. What OS threads do not promise is in which order those go on
that may go on, and how soon: `in_any_order` and `wait_until` say so. What is particular to a backend, such as who may
interrupt the user's code, is in the file of that backend.
"""

import errno
import socket
import sys
import threading
import time

import pytest

from wampy.errors import WampyError
from wampy.interfaces import READ, WRITE


@pytest.fixture
def in_any_order(green):
    """Sort what came in an order that OS threads do not promise: whoever takes the monitor first goes on first."""
    return sorted if green.os_threads else list


@pytest.fixture
def begin(backend, green):
    """Spawn a task that waits, and return it when it does."""

    def begin(function, *args):
        def run():
            begun.append(True)
            function(*args)

        begun = []
        task = backend.spawn(run)
        green.wait_until(lambda: begun)
        return task

    return begin


@pytest.fixture
def waits(backend, pair):
    """The ways to wait, each for something that does not come."""
    endless = backend.spawn(backend.slot().wait)
    yield {
        "sleep": lambda: backend.sleep(60),
        "slot": backend.slot().wait,
        "slot, for a time": lambda: backend.slot().wait(60),
        "socket": lambda: backend.wait(pair[0], READ, None),
        "join": endless.join,
    }
    endless.throw(backend.kill_error())
    assert endless.join(5.0)


WAITS = ["sleep", "slot", "slot, for a time", "socket", "join"]

# Slots.


def test_a_slot_is_filled_once(backend):
    slot = backend.slot()
    assert not slot.done
    assert slot.set("first")
    assert not slot.set("second")
    assert slot.done
    assert slot.value == "first"
    assert slot.wait()


def test_a_slot_that_is_filled_already_does_not_block(backend):
    slot = backend.slot()
    slot.set()
    assert slot.wait()
    assert slot.wait(0)
    assert slot.value is None


def test_all_waiters_of_a_slot_go_on_after_the_one_that_fills_it(backend, green, in_any_order):
    slot, order = backend.slot(), []
    waiters = [green.waiting(lambda number=number: order.append((number, slot.wait()))) for number in range(5)]
    assert order == []
    slot.set()
    time.sleep(0.03)  # natively
    assert order == [], "set never switches"
    for waiter in waiters:
        waiter.result()
    assert in_any_order(order) == [(0, True), (1, True), (2, True), (3, True), (4, True)]


def test_waiting_for_a_slot_ends_at_the_timeout(backend):
    slot, before = backend.slot(), time.monotonic()
    assert slot.wait(0.03) is False
    assert time.monotonic() - before >= 0.025
    assert not slot.done
    assert slot.wait(0) is False
    assert slot.wait(-1) is False
    slot.set()
    assert slot.wait(0.01)


@pytest.mark.parametrize("timeout", [60, 1e300], ids=["a minute", "longer than the system knows"])
def test_waiting_with_a_timeout_ends_when_the_slot_is_filled(backend, green, timeout):
    slot = backend.slot()
    waiting = green.waiting(slot.wait, timeout)
    assert not waiting.done
    slot.set()
    assert waiting.result(2.0) is True


def test_a_waiter_that_was_killed_is_not_woken_from_a_later_wait(backend, green):
    first, second, seen = backend.slot(), backend.slot(), []

    def waits():
        try:
            first.wait()
        except backend.kill_error:
            seen.append("killed")
        seen.append(second.wait(0.1))

    waiting = green.waiting(waits)
    waiting.kill()
    first.set()  # queues its wake-up, which comes when the second wait has begun
    waiting.result()
    assert seen == ["killed", False], "a wake-up for the first slot ended the wait for the second"


def test_a_waiter_that_was_killed_is_not_woken_from_a_sleep(backend, green):
    slot, slept = backend.slot(), []

    def waits():
        try:
            slot.wait(0.1)
        except backend.kill_error:
            before = time.monotonic()
            green.sleep(0.3)
            slept.append(time.monotonic() - before)

    waiting = green.waiting(waits)
    waiting.kill()
    slot.set()
    waiting.result()
    assert slept[0] >= 0.29


def test_a_foreign_switch_does_not_end_a_wait(backend, green):
    if green.os_threads:
        pytest.skip("nobody can switch to an OS thread")
    import greenlet

    slot, inside = backend.slot(), []

    def waits():
        inside.append(greenlet.getcurrent())
        return slot.wait()

    waiting = green.waiting(waits)
    backend.call_later(0, inside[0].switch)
    green.sleep(0.02)
    assert not waiting.done
    slot.set()
    assert waiting.result() is True


def test_the_main_program_may_wait_with_nothing_else_to_do(run_python):
    done = run_python(
        """
        import os, signal, sys
        from wampy.backends import get_backend
        sys.stderr = open(os.devnull, "w")
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            get_backend().slot().wait()
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert done.stdout == "interrupted\n"


def test_waiting_costs_no_processor_time(backend):
    before = time.process_time()
    backend.slot().wait(0.3)
    assert time.process_time() - before < 0.1


# Benches.


@pytest.fixture
def sit(backend, green):
    """Have some sit on a bench, who do work as it comes: ``bench, work, done = sit(3, do)``."""

    def sit(number, do=lambda item: None):
        work, done = [], []
        bench = backend.bench(lambda: bool(work))

        def sits(name):
            while True:
                bench.wait()
                while work:
                    item = work.pop(0)
                    bench.call()
                    do(item)
                    done.append((item, name))

        tasks.extend(backend.spawn(sits, name) for name in range(number))
        green.sleep(0.05)
        return bench, work, done

    tasks = []
    yield sit
    for task in tasks:
        task.throw(backend.kill_error())
        assert task.join(5.0)


def test_one_who_is_called_does_all_the_work_if_it_does_not_wait(green, sit):
    bench, work, done = sit(3)
    work.extend(range(10))
    for _ in range(10):
        bench.call()
    assert done == [], "it never switches"
    green.wait_until(lambda: not work)
    assert [item for item, _ in done] == list(range(10))
    assert len({name for _, name in done}) == 1
    work.append("more")
    bench.call()
    green.wait_until(lambda: done[10:])
    if not green.os_threads:  # where another may have looked whether there is more, and sat down again
        assert done[10] == ("more", done[0][1]), "whoever sat down last"


def test_when_one_waits_the_next_is_called(green, sit):
    let_go = green.slot()
    bench, work, done = sit(3, lambda item: let_go.wait())
    work.extend(range(4))
    bench.call()
    green.wait_until(lambda: work == [3])
    let_go.set()
    green.wait_until(lambda: len(done) == 4)
    assert len({name for _, name in done}) == 3


def test_nobody_is_called_for_nothing_or_when_nobody_sits_there(backend, green, sit):
    bench, _, done = sit(1)
    bench.call()
    green.sleep(0.01)
    assert done == []
    backend.bench(lambda: True).call()


def test_one_who_is_killed_on_the_bench_is_not_woken_from_a_later_wait(backend, green):
    slept, bench = [], backend.bench(lambda: True)

    def sits():
        try:
            bench.wait()
        except backend.kill_error:
            begun = time.monotonic()
            green.sleep(0.2)
            slept.append(time.monotonic() - begun)

    task = backend.spawn(sits)
    green.sleep(0.02)
    task.throw(backend.kill_error())
    bench.call()
    green.wait_until(lambda: slept)
    assert task.join(5.0)
    assert slept[0] >= 0.19


# Tasks.


def test_a_task_runs_when_its_maker_blocks(backend):
    seen = []
    task = backend.spawn(lambda *args: seen.append((args, task.is_current)), 1, 2)
    assert seen == []
    assert task.join(2.0)
    assert seen == [((1, 2), True)]
    assert not task.is_current


def test_joining_a_task_that_goes_on_ends_at_the_timeout(backend):
    let_go = backend.slot()
    task = backend.spawn(let_go.wait)
    assert task.join(0.02) is False
    let_go.set()
    assert task.join(2.0) is True
    assert task.join(0) is True


def test_a_throw_into_a_task_that_has_not_started_ends_it(backend):
    # In its first wait, or before it has begun.
    task = backend.spawn(backend.sleep, 60)
    task.throw(backend.kill_error())
    assert task.join(2.0)


@pytest.mark.parametrize("wait", WAITS)
def test_a_throw_reaches_a_task_that_waits(waits, begin, wait):
    seen = []

    def catches():
        try:
            waits[wait]()
        except ValueError as error:
            seen.append(error)

    task = begin(catches)
    error = ValueError("thrown")
    task.throw(error)
    time.sleep(0.01)  # natively
    assert seen == [], "throw never switches"
    assert task.join(2.0)
    assert seen == [error]


@pytest.mark.parametrize("wait", WAITS)
def test_a_throw_asks_again_before_it_strikes(backend, waits, begin, wait):
    wanted = [True]
    task = begin(waits[wait])
    task.throw(backend.kill_error(), still=lambda: wanted[0])
    wanted[0] = False
    assert task.join(0.05) is False, "it was woken for nothing, and its wait has ended"
    wanted[0] = True
    task.throw(backend.kill_error(), still=lambda: wanted[0])
    assert task.join(2.0)


def test_a_throw_into_a_task_that_is_over_is_nothing(backend):
    task = backend.spawn(lambda: None)
    assert task.join(2.0)
    task.throw(backend.kill_error())
    backend.sleep(0.01)


def test_a_task_that_raises_says_so_and_ends(backend, capfd):
    def fails():
        raise ValueError("the last resort")

    assert backend.spawn(fails).join(2.0)
    assert "the last resort" in capfd.readouterr().err


def test_a_killed_task_is_silent(backend, begin, capfd):
    task = begin(backend.sleep, 60)
    task.throw(backend.kill_error())
    assert task.join(2.0)
    assert capfd.readouterr().err == ""


# Timers.


def test_timers_are_called_in_order_and_can_be_called_off(backend, green):
    seen = []
    backend.call_later(0.02, seen.append, "later")
    backend.call_later(0.0, seen.append, "now")
    cancelled = backend.call_later(0.0, seen.append, "cancelled")
    cancelled.cancel()
    time.sleep(0.03)  # natively
    assert seen == [], "a timer is called where its maker waits"
    green.wait_until(lambda: len(seen) > 1)
    backend.sleep(0.02)
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


def test_a_timer_that_was_made_after_a_poke_lets_the_reader_look_first(read, pair, green, backend):
    order = []
    reader = read(lambda data: order.append(data))
    for _ in range(20):
        order.clear()
        reader.watch.poke()
        backend.call_later(0.0, order.append, "too late")
        pair[1].send(b"in time")
        green.wait_until(lambda: len(order) >= 2)
        assert order[0] == b"in time"


def test_the_clock_goes_forward(backend):
    before = backend.monotonic()
    backend.sleep(0.02)
    assert backend.monotonic() - before >= 0.015


# Watches.


def test_the_reader_is_called_when_there_is_something_to_read(read, pair, green):
    reader = read()
    green.sleep(0.01)
    assert reader.turns == []
    pair[1].send(b"one")
    green.wait_until(lambda: reader.heard == b"one")
    pair[1].send(b"two")
    green.wait_until(lambda: reader.heard == b"onetwo")
    assert len(reader.turns) == 2


def test_what_was_there_before_the_watch_is_read_too(read, pair, green):
    pair[1].send(b"early")
    reader = read()
    green.wait_until(lambda: reader.heard == b"early")


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


def test_a_closed_watch_reads_no_more_and_its_reader_ends(read, pair, green):
    reader = read()
    green.sleep(0.01)
    reader.watch.close()
    pair[1].send(b"late")
    reader.watch.poke()
    reader.watch.close()
    green.sleep(0.02)
    assert reader.turns == []
    # That its thread, green or not, and its descriptors are gone is for the check on what tests leave behind.


def test_a_watch_can_be_closed_before_its_reader_has_started(read, pair, green):
    pair[1].send(b"early")
    reader = read()
    reader.watch.close()
    green.sleep(0.02)
    assert reader.turns == []


def test_a_watch_can_be_closed_in_its_reader(read, pair, green):
    reader = read(lambda data: reader.watch.close())
    pair[1].send(b"one")
    green.wait_until(lambda: reader.turns)
    pair[1].send(b"two")
    green.sleep(0.02)
    assert reader.heard == b"one"


def test_a_watch_can_be_closed_while_its_reader_is_blocked(read, pair, green, backend):
    let_go = backend.slot()
    reader = read(lambda data: let_go.wait())
    pair[1].send(b"one")
    green.wait_until(lambda: reader.turns)
    reader.watch.close()
    pair[1].send(b"two")
    let_go.set()
    green.sleep(0.02)
    assert reader.heard == b"one"


class Unwelcome(BaseException):
    """Neither an Exception nor what ends programs."""


@pytest.mark.parametrize("error", [ValueError, Unwelcome])
def test_a_reader_that_raises_goes_on(read, pair, green, capfd, error):
    def then(data):
        if data == b"bad":
            raise error("in the reader")

    reader = read(then)
    pair[1].send(b"bad")
    green.wait_until(lambda: reader.turns)
    pair[1].send(b"good")
    green.wait_until(lambda: reader.heard == b"badgood", 2.0)
    assert "in the reader" in capfd.readouterr().err
    pair[1].send(b"better")
    green.wait_until(lambda: reader.heard == b"badgoodbetter", 2.0)


def test_ctrl_c_in_the_reader_reaches_the_main_program_and_the_reader_goes_on(green, run_python):
    if green.os_threads:
        pytest.skip("Ctrl-C comes up in the main thread, and never in the reader")
    # In a process of its own: it is the main green thread that gets it.
    done = run_python(
        """
        import socket
        from wampy.backends import get_backend
        backend = get_backend()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        seen = []
        def turn():
            seen.append(ours.recv(100))
            if seen == [b"one"]:
                raise KeyboardInterrupt
        watch = backend.watch(ours, turn)
        theirs.send(b"one")
        try:
            backend.sleep(5)
        except KeyboardInterrupt:
            print("interrupted")
        theirs.send(b"two")
        backend.sleep(0.05)
        theirs.send(b"three")
        backend.sleep(0.05)
        print(seen)
        watch.close()
        backend.sleep(0)
        """
    )
    assert done.stdout.splitlines() == ["interrupted", "[b'one', b'two', b'three']"], done.stderr


def test_ctrl_c_again_and_again_leaves_a_watch_alive(run_python):
    # An alarm's handler that raises is what Ctrl-C is, at whatever step of the hub it comes.
    done = run_python(
        """
        import os, signal, socket, sys, time
        from wampy.backends import get_backend
        backend = get_backend()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        heard, told, raised = [], [], []
        def turn():
            try:
                heard.append(ours.recv(100_000))
            except BlockingIOError:
                pass
        def work(end):
            while time.monotonic() < end:
                try:
                    theirs.send(b"x" * 100)
                except BlockingIOError:
                    pass
                backend.sleep(0.0002)
        def interrupt(signum, frame):
            if frame is None or frame.f_code.co_name != "<module>":
                raised.append(1)
                raise KeyboardInterrupt
        sys.stderr = open(os.devnull, "w")  # gevent reports each
        watch = backend.watch(ours, turn)
        watch.want_write(lambda: told.append(1))
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.0071, 0.0071)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                work(end)
            except KeyboardInterrupt:
                pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        backend.sleep(0.1)
        before = len(told)
        theirs.send(b"the end")
        backend.sleep(0.1)
        print(len(raised) > 20, heard[-1], len(told) > before)
        watch.close()
        backend.sleep(0)
        """
    )
    assert done.stdout == "True b'the end' True\n"


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
    green.sleep(0.01)
    assert calls == [1], "the callback itself can end it"


def test_a_closed_watch_tells_of_no_room(read, green):
    reader, calls = read(), []
    reader.watch.want_write(lambda: calls.append(1))
    reader.watch.close()
    reader.watch.want_write(lambda: calls.append(2))
    green.sleep(0.02)
    assert calls == []


def test_a_socket_at_its_end_keeps_the_reader_informed(read, pair, green):
    reader = read(lambda data: reader.watch.close() if data == b"" else None)
    pair[1].close()
    green.wait_until(lambda: reader.turns == [b""])


# Waiting for a socket.


def test_waiting_for_a_socket(backend, pair, green):
    assert backend.wait(pair[0], WRITE, None) is True
    assert backend.wait(pair[0], READ, backend.monotonic() + 0.02) is False
    assert backend.wait(pair[0], READ, backend.monotonic() - 1) is False
    waiting = green.waiting(backend.wait, pair[0], READ, backend.monotonic() + 60)
    green.sleep(0.01)
    assert not waiting.done
    pair[1].send(b"x")
    assert waiting.result(2.0) is True


def test_a_socket_does_not_block(backend):
    sock = backend.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        assert sock.connect_ex(("127.0.0.1", 9)) in (errno.EINPROGRESS, errno.ECONNREFUSED)
        with pytest.raises(OSError):
            sock.recv(1)
    finally:
        sock.close()


# Names.


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_name_is_looked_up(backend, host):
    found = backend.resolve(host, 8080, socket.AF_INET, backend.monotonic() + 5)
    assert ("127.0.0.1", 8080) in [address for _, _, _, _, address in found]
    assert all(kind == socket.SOCK_STREAM for _, kind, _, _, _ in found)


def test_a_numeric_address_of_ipv6(backend):
    ((family, _, _, _, address),) = backend.resolve("::1", 8080, socket.AF_UNSPEC, None)
    assert family == socket.AF_INET6
    assert address[:2] == ("::1", 8080)


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "two..dots", "l" * 70, "ü" * 70], ids=["unknown", "dots", "long", "not ASCII"]
)
def test_a_name_that_cannot_be_looked_up_is_an_os_error(backend, host):
    with pytest.raises(OSError):
        backend.resolve(host, 80, socket.AF_UNSPEC, backend.monotonic() + 5)


@pytest.fixture
def slow_name(backend, green, monkeypatch):
    """A name whose look-up takes five seconds, or as long as the test if that is less."""
    release = threading.Event()

    def slow(host, port, family, kind, protocol=0, flags=0):
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "not numeric")
        release.wait(5)
        return []

    if green.os_threads:
        monkeypatch.setattr(socket, "getaddrinfo", slow)
    else:
        monkeypatch.setattr(sys.modules[type(backend).__module__], "_getaddrinfo", slow)
    yield "slow.example.com"
    release.set()


def test_a_look_up_lets_other_green_threads_run_and_ends_at_the_deadline(backend, green, slow_name):
    turns, before = [], backend.monotonic()
    ticking = green.spawn(lambda: [(turns.append(1), green.sleep(0.005)) for _ in range(5)])
    with pytest.raises(TimeoutError):
        backend.resolve(slow_name, 80, socket.AF_INET, before + 0.1)
    ticking.result()
    assert len(turns) == 5
    assert backend.monotonic() - before < 2


def test_a_look_up_ends_when_somebody_ends_it(backend, green, slow_name):
    turn, before = backend.slot(), backend.monotonic()
    looking = green.waiting(backend.resolve, slow_name, 80, socket.AF_INET, before + 5, turn)
    green.sleep(0.02)
    assert not looking.done
    turn.set()
    assert list(looking.result()) == []
    assert list(backend.resolve(slow_name, 80, socket.AF_INET, before + 5, turn)) == [], "it was ended before it began"
    assert backend.monotonic() - before < 2


# Who may call.


def test_a_green_thread_of_the_same_os_thread_may_call(backend, green):
    home = backend.home()
    backend.check_caller(home)
    green.spawn(backend.check_caller, home).result()


def test_another_os_thread_may_not_unless_all_are(backend, green):
    home, errors = backend.home(), []

    def other():
        try:
            backend.check_caller(home)
        except WampyError as error:
            errors.append(str(error))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(errors) == (0 if green.os_threads else 1)
    for error in errors:
        assert "another OS thread" in error
        assert 'wampy.configure_backend("threading")' in error
        assert "WAMPY_ASYNC_NAME=threading" in error


def test_nor_one_that_has_the_identifier_of_one_that_has_ended(backend, green):
    if green.os_threads:
        pytest.skip("any thread may")
    # What a server does that has a thread for each request.
    homes = {}

    def comes_home():
        ident = threading.get_ident()
        if ident not in homes:
            homes[ident] = backend.home()
            return
        with pytest.raises(WampyError, match="another OS thread"):
            backend.check_caller(homes[ident])
        checked.append(ident)

    checked = []
    for _ in range(100):
        thread = threading.Thread(target=comes_home)
        thread.start()
        thread.join()
    assert checked


def test_the_hub_may_not(backend, green):
    home, errors = backend.home(), []

    def in_the_hub():
        try:
            backend.check_caller(home)
        except WampyError as error:
            errors.append(str(error))

    backend.call_later(0, in_the_hub)
    green.wait_until(lambda: errors)
    assert "nothing may block" in errors[0]


def test_a_forked_child_may_not(run_python):
    done = run_python(
        """
        import os, sys
        from wampy.backends import get_backend
        backend = get_backend()
        home = backend.home()
        pid = os.fork()
        if pid == 0:
            try:
                backend.check_caller(home)
            except Exception as error:
                print(type(error).__name__, error, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        backend.check_caller(home)
        """
    )
    assert done.returncode == 0, done.stderr
    assert "WampyError" in done.stdout
    assert "forked child" in done.stdout


def test_a_forked_child_leaves_a_watch_s_socket_to_its_parent(run_python):
    done = run_python(
        """
        import os, socket
        from wampy.backends import get_backend
        backend = get_backend()
        def watched(heard):
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            return backend.watch(ours, lambda: heard.append(ours.recv(10))), theirs
        heard = []
        watch, theirs = watched(heard)
        backend.sleep(0.05)
        pid = os.fork()
        if pid == 0:
            backend.sleep(0.3)
            watch.close()
            own = []
            another, peer = watched(own)
            peer.send(b"own")
            backend.sleep(0.1)
            another.close()
            print(watch.orphaned, heard, own, flush=True)
            os._exit(0)
        for number in range(5):
            theirs.send(b"%d" % number)
            backend.sleep(0.08)
        os.waitpid(pid, 0)
        theirs.send(b"last")
        backend.sleep(0.1)
        print(watch.orphaned, heard)
        watch.close()
        backend.sleep(0)
        """
    )
    assert done.stdout.splitlines() == [
        "True [] [b'own']",
        "False [b'0', b'1', b'2', b'3', b'4', b'last']",
    ], done.stderr


# In a patched program.


@pytest.fixture
def patches(backend):
    if not backend.patches:
        pytest.skip("this backend has nothing to patch, and says so")


def test_it_works_in_a_patched_program(patches, run_python):
    done = run_python(
        """
        import wampy
        wampy.configure_async()
        import os, socket, threading, time
        from wampy.backends import get_backend
        backend = get_backend()
        assert backend.name in type(socket.socket(socket.AF_INET, socket.SOCK_STREAM)).__module__, "not patched"
        home = backend.home()
        errors = []
        def green():
            time.sleep(0.01)
            try:
                backend.check_caller(home)
            except Exception as error:
                errors.append(error)
        threads = [threading.Thread(target=green) for _ in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert errors == [], errors
        slot = backend.slot()
        threading.Timer(0.02, slot.set, ("from a green thread",)).start()
        assert slot.wait(5) and slot.value == "from a green thread"
        found = backend.resolve("localhost", 80, socket.AF_INET, backend.monotonic() + 5)
        assert found[0][4] == ("127.0.0.1", 80)
        sock = backend.socket(socket.AF_INET, socket.SOCK_STREAM)
        assert backend.name not in type(sock).__module__
        sock.close()
        ours, theirs = socket.socketpair()
        turns = []
        watch = backend.watch(ours, lambda: turns.append(os.readv(ours.fileno(), [bytearray(10)])))  # never patched
        theirs.send(b"x")
        while not turns:
            time.sleep(0.001)
        watch.close()
        backend.sleep(0)
        print("fine")
        """
    )
    assert done.stdout == "fine\n", done.stderr


def test_patching_is_said_in_the_log(backend, patches, run_python):
    done = run_python(
        """
        import logging, sys
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
        import wampy
        wampy.configure_async()
        """
    )
    assert done.stdout == f"{backend.name} monkey-patched your environment\n"
