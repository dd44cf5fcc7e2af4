"""A signal is heard at once, also by a program whose green threads all wait."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest


@pytest.fixture
def backend(green):
    return green.backend


@pytest.fixture
def handled():
    """Give SIGUSR1 a handler; the list has what it was called with."""
    numbers = []
    before = signal.signal(signal.SIGUSR1, lambda signum, _frame: numbers.append(signum))
    yield numbers
    signal.signal(signal.SIGUSR1, before)


def send_later(seconds=0.2):
    """Have somebody else send the signal, so that nothing of ours is awake when it comes."""
    kill = f"os.kill({os.getpid()}, {int(signal.SIGUSR1)})"
    return subprocess.Popen([sys.executable, "-c", f"import os, time; time.sleep({seconds}); {kill}"])


def test_it_wakes_a_program_that_waits_for_nothing_else(backend, handled):
    slot = backend.slot()
    heard = []

    def callback(signum):
        assert handled == [signum]  # the handler has run before
        heard.append(time.monotonic())
        slot.set(signum)

    restore = backend.on_signals(callback)
    sender = send_later()
    try:
        assert slot.wait(20.0)
        woken = time.monotonic()
    finally:
        restore()
        sender.wait()
    assert slot.value == signal.SIGUSR1
    assert woken - heard[0] < 0.5


def test_each_signal_is_told(backend, green, handled):
    told = []
    restore = backend.on_signals(told.append)
    try:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGUSR1)
        green.wait_until(lambda: len(told) >= 3)
    finally:
        restore()
    assert told == [signal.SIGUSR1] * 3


def test_nothing_is_told_after_the_end_and_what_was_there_before_is_back(backend, green, handled):
    outer, inner = [], []
    restore_outer = backend.on_signals(outer.append)
    restore_inner = backend.on_signals(inner.append)
    os.kill(os.getpid(), signal.SIGUSR1)
    green.wait_until(lambda: inner)
    restore_inner()
    os.kill(os.getpid(), signal.SIGUSR1)
    green.wait_until(lambda: outer)
    restore_outer()
    os.kill(os.getpid(), signal.SIGUSR1)
    backend.sleep(0.05)
    assert (len(outer), len(inner), len(handled)) == (1, 1, 3)
    assert signal.set_wakeup_fd(-1) == -1


def test_it_may_be_ended_from_the_callback(backend, handled, green):
    if green.os_threads:
        pytest.skip("the callback runs in a thread of its own, and only the main one may end it")
    told = []

    def callback(signum):
        told.append(signum)
        restore()

    restore = backend.on_signals(callback)
    os.kill(os.getpid(), signal.SIGUSR1)
    backend.sleep(0.05)
    assert told == [signal.SIGUSR1]
    assert signal.set_wakeup_fd(-1) == -1


def test_only_the_main_thread_can_hear_signals(backend):
    errors = []

    def elsewhere():
        try:
            backend.on_signals(lambda _signum: None)
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(errors) == 1
