"""Overload: everything is counted, and the log hears of the beginning and the end."""

import logging
import time

import pytest

from wampy import overload
from wampy.overload import Overload


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(overload, "QUIET", 0.1)


@pytest.fixture
def over(backend):
    over = Overload(backend, logging.WARNING, "things are dropped", "no more things are dropped")
    yield over
    over.close()


def said(caplog):
    return [record.getMessage() for record in caplog.records]


def test_it_is_over_when_nothing_was_dropped_for_a_while(over, green, caplog):
    over.count(1, "%d wait", 7)
    for _ in range(10):
        green.sleep(0.03)
        over.count(2, "%d wait", 8)
    assert said(caplog) == ["things are dropped: 7 wait"], "it goes on for longer than the time of quiet"
    green.wait_until(lambda: len(caplog.records) == 2)
    assert said(caplog)[1] == "no more things are dropped; 21 were"
    assert over.total == 21


def test_the_next_run_begins_anew(over, green, caplog):
    over.count(3, "first")
    green.wait_until(lambda: len(caplog.records) == 2)
    over.count(4, "second")
    green.wait_until(lambda: len(caplog.records) == 4)
    assert said(caplog) == [
        "things are dropped: first",
        "no more things are dropped; 3 were",
        "things are dropped: second",
        "no more things are dropped; 4 were",
    ]
    assert over.total == 7


def test_closing_ends_it_at_once_and_leaves_no_timer(over, green, caplog):
    over.close()
    assert said(caplog) == []
    over.count(5, "now")
    over.close()
    over.close()
    assert said(caplog) == ["things are dropped: now", "no more things are dropped; 5 were"]
    green.sleep(0.25)
    assert len(caplog.records) == 2


def test_the_hub_itself_does_not_log(over, green, caplog):
    # A handler of the log's may take its time, and even wait for a lock that somebody holds who waits.
    class Slow(logging.Handler):
        def emit(self, record):
            green.sleep(0.05)
            self.done = True

    handler = Slow()
    logger = logging.getLogger("wampy.overload")
    logger.addHandler(handler)
    try:
        over.count(1, "now")
        del handler.done
        begun = time.monotonic()
        green.wait_until(lambda: hasattr(handler, "done"))
        assert time.monotonic() - begun < 5
    finally:
        logger.removeHandler(handler)


def test_without_a_thread_to_log_in_it_looks_again_later(over, green, caplog, monkeypatch):
    def no_thread(function, *args):
        raise RuntimeError("can't start new thread")

    spawn = over._backend.spawn
    over.count(1, "now")
    monkeypatch.setattr(over._backend, "spawn", no_thread)
    green.sleep(0.25)
    assert len(caplog.records) == 1
    monkeypatch.setattr(over._backend, "spawn", spawn)
    green.wait_until(lambda: len(caplog.records) == 2)
