"""What is said when something has kept the hub from running; with real blocks, which are short here."""

import logging
import re
import time
from pathlib import Path

import pytest

from wampy import Client, blocking, callee, subscribe
from wampy.blocking import BlockDetector
from wampy.errors import ConnectionClosed

INTERVAL, TOLERANCE, BLOCK = 0.04, 0.3, 0.5  # seconds; a block is longer than a rest and the tolerance


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(blocking, "INTERVAL", INTERVAL)
    monkeypatch.setattr(blocking, "TOLERANCE", TOLERANCE)


@pytest.fixture
def stops_all(green):
    if green.os_threads:
        pytest.skip("on OS threads a thread that blocks stops nobody else")


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.WARNING)

    def records():
        return [each for each in caplog.records if each.name == "wampy.blocking"]

    return records


@pytest.fixture
def detect(backend):
    begun = []

    def detect(who="Weather"):
        detector = BlockDetector(backend, who)
        detector.start()
        begun.append(detector)
        return detector

    yield detect
    for detector in begun:
        detector.stop()


def compute(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.usefixtures("stops_all")
def test_a_native_sleep_of_the_main_program_is_told_with_what_to_do(detect, green, records):
    detect()
    green.sleep()
    time.sleep(BLOCK)
    green.wait_until(records)
    (record,) = records()
    assert record.levelno == logging.WARNING
    text = record.getMessage()
    assert text.startswith("Weather was blocked for at least ")
    assert BLOCK - INTERVAL - 0.05 < record.args[1] < BLOCK + 5
    for word in ("waited in a blocking call", "no answer was read", "no heartbeat left", "configure_async()"):
        assert word in text
    assert green.backend.elsewhere in text
    assert green.backend.elsewhere.startswith(f"{green.backend.name}.")
    assert "wampy.configure_backend('threading')" in text
    assert "at work" not in text


@pytest.mark.usefixtures("stops_all")
def test_a_long_computation_is_told_from_a_call_that_waits(detect, green, records):
    detect()
    compute(BLOCK)
    green.wait_until(records)
    (record,) = records()
    assert "computed without letting" in record.getMessage()
    assert f"{green.backend.name}.sleep(0.001)" in record.getMessage()


@pytest.mark.usefixtures("stops_all")
def test_it_is_told_once(detect, green, records):
    detect()
    for _ in range(3):
        time.sleep(BLOCK)
        green.sleep(2 * INTERVAL)
    assert len(records()) == 1


@pytest.mark.usefixtures("stops_all")
def test_a_run_that_ends_behind_the_block_tells_it_too(detect, green, records):
    detector = detect()
    time.sleep(BLOCK)
    detector.stop()
    detector.stop()
    green.sleep(0.02)
    assert len(records()) == 1


@pytest.mark.usefixtures("stops_all")
def test_blocks_that_are_shorter_are_none(detect, green, records):
    detect()
    for _ in range(10):
        time.sleep(TOLERANCE / 2)
        green.sleep(INTERVAL * 1.5)
    assert records() == []


def test_a_hub_that_waits_for_long_is_not_blocked(detect, green, records):
    detect()
    green.sleep(3 * BLOCK)
    assert records() == []


def test_a_run_that_has_ended_says_nothing(detect, green, records):
    detect().stop()
    time.sleep(BLOCK)
    green.sleep(2 * INTERVAL)
    assert records() == []


def test_on_os_threads_nothing_is_watched(detect, green, records):
    if not green.os_threads:
        pytest.skip("green threads are watched")
    detector = detect()
    time.sleep(BLOCK)
    detector.stop()
    green.sleep(2 * INTERVAL)
    assert records() == []


@pytest.mark.usefixtures("stops_all")
def test_a_forked_child_says_nothing_of_its_parents_client(green, run_python):
    done = run_python(
        f"""
        import logging, os, time
        from wampy import blocking
        from wampy.backends import get_backend
        logging.basicConfig(format="%(message).11s", level="WARNING")
        blocking.INTERVAL, blocking.TOLERANCE = {INTERVAL}, {TOLERANCE}
        backend = get_backend()
        detector = blocking.BlockDetector(backend, "Weather")
        detector.start()
        backend.sleep(0)
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        time.sleep({BLOCK})
        backend.sleep({INTERVAL * 2})
        if not child:
            detector.stop()
            backend.sleep({INTERVAL * 2})
            os._exit(0)
        """
    )
    assert (done.stderr, done.returncode) == ("Weather was\n", 0)


# Who was at work.


@pytest.mark.usefixtures("stops_all")
def test_who_held_the_hub_is_named_and_whoever_came_behind_is_not(detect, green, records):
    detector = detect()

    def works(name, seconds):
        began = detector.begins()
        time.sleep(seconds)
        detector.worked(name, began)
        detector.ends()

    for name, seconds in (("before", 0.01), ("blocks", BLOCK), ("behind", 0.01)):
        green.spawn(works, name, seconds)
    green.wait_until(records)
    assert "; at work were: blocks." in records()[0].getMessage()


@pytest.mark.usefixtures("stops_all")
def test_who_was_slow_before_is_not_blamed_later(detect, green, records):
    detector = detect()
    began = detector.begins()
    time.sleep(TOLERANCE)  # with the interval, not enough for a record
    detector.worked("slow", began)
    detector.ends()
    assert list(detector._lookout._at_work) == ["slow"]
    green.sleep(2 * INTERVAL)
    time.sleep(BLOCK)
    green.wait_until(records)
    assert "slow" not in records()[0].getMessage()


class Service(Client):
    @callee(procedure="com.example.blocks")
    def blocks(self, seconds):
        time.sleep(seconds)
        return "done"

    @subscribe(topic="com.example.blocked")
    def on_blocked(self, seconds):
        time.sleep(seconds)


@pytest.mark.usefixtures("stops_all")
def test_a_callee_that_blocks_is_named(join, green, records, wamp):
    _, peer = join(Service, roles=2)
    peer.say([wamp.INVOCATION, 1, 100, {}, [BLOCK]])
    green.wait_until(records)
    (record,) = records()
    assert record.getMessage().startswith("Service was blocked")
    assert "; at work were: com.example.blocks." in record.getMessage()


@pytest.mark.usefixtures("stops_all")
def test_an_event_handler_that_blocks_is_named(join, green, records, wamp):
    _, peer = join(Service, roles=2)
    peer.say([wamp.EVENT, 101, 1, {}, [], {"seconds": BLOCK}])
    green.wait_until(records)
    assert "; at work were: the handler of com.example.blocked." in records()[0].getMessage()


@pytest.mark.usefixtures("stops_all")
def test_a_hook_that_blocks_is_named(join, green, records):
    class Hooked(Client):
        def on_join(self, details):
            time.sleep(BLOCK)

    join(Hooked)
    green.wait_until(records)
    assert "; at work were: on_join." in records()[0].getMessage()


def test_the_documentation_shows_the_record_as_it_is(backend, records):
    page = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "eventlet.rst").read_text()
    found = re.search(r"^ {4}Weather was .*\n(?: {4}.*\n)+", page, re.MULTILINE)[0]
    quoted = " ".join(found.split()).removesuffix(" …")
    detector = BlockDetector(backend, "Weather")
    detector.tell(12.3, computing=False, names=["com.example.history"])
    assert records()[0].getMessage().startswith(quoted)


# The life of a client.


@pytest.mark.usefixtures("stops_all")
def test_each_run_of_a_client_tells_it_anew(router, make_client, green, records):
    client = make_client(Client, url=router.url, name="Again", reconnect=False)
    for number in (1, 2):
        joining = green.spawn(client.start)
        peer = router.accept()
        peer.welcome()
        joining.result()
        for _ in range(2):
            time.sleep(BLOCK)
            green.sleep(2 * INTERVAL)
        peer.drop()
        with pytest.raises(ConnectionClosed):
            client.wait(5.0)
        assert len(records()) == number


@pytest.mark.usefixtures("stops_all")
def test_a_connection_that_was_lost_meanwhile_does_not_hide_it(join, green, records):
    client, peer = join()
    peer.drop()
    time.sleep(BLOCK)
    with pytest.raises(ConnectionClosed):
        client.wait(5.0)
    assert len(records()) == 1


@pytest.mark.usefixtures("stops_all")
def test_without_heartbeats_and_deadlines_it_is_told_all_the_same(join, green, records):
    join(heartbeat=None, call_timeout=None)
    time.sleep(BLOCK)
    green.wait_until(records)
    assert len(records()) == 1


def test_a_client_that_never_ran_has_no_timer(backend):
    client = Client(url="ws://127.0.0.1:9/", open_timeout=1.0)
    assert not blocking._lookouts
    with pytest.raises(ConnectionError):
        client.start()
    assert not blocking._lookouts


# What it costs: how often the hub is woken.


@pytest.fixture
def looks(monkeypatch):
    """Note when the next look is to be, in intervals, each time that one is asked for."""
    looks = []
    schedule = blocking._Lookout._schedule

    def noting(lookout, seconds):
        looks.append(round(seconds / blocking.INTERVAL))
        schedule(lookout, seconds)

    monkeypatch.setattr(blocking._Lookout, "_schedule", noting)
    # A look may come a quarter of that late, and looking at something all the time while one waits is not much work.
    monkeypatch.setattr(blocking, "INTERVAL", 0.2)
    monkeypatch.setattr(blocking, "_STILL", 0.3)
    return looks


@pytest.mark.usefixtures("stops_all")
def test_where_nothing_runs_it_looks_less_often_but_not_ever_less(detect, green, looks):
    detect()
    green.wait_until(lambda: len(looks) == 5)
    assert looks == [1, 2, 4, 4, 4]


@pytest.mark.usefixtures("stops_all")
def test_whoever_begins_to_work_ends_the_rest(detect, green, looks, records):
    detector = detect()
    green.wait_until(lambda: looks == [1, 2, 4])
    began = detector.begins()
    assert looks == [1, 2, 4, 1]
    green.wait_until(lambda: len(looks) == 6)
    assert looks == [1, 2, 4, 1, 1, 1], "one that waits is at work too, and may block at any time"
    time.sleep(BLOCK)
    detector.worked("com.example.blocks", began)
    detector.ends()
    green.wait_until(records)
    assert records()[0].args[1] > BLOCK - 0.2 - 0.05
    assert "; at work were: com.example.blocks." in records()[0].getMessage()


@pytest.mark.usefixtures("stops_all")
def test_it_rests_again_when_the_work_is_done(detect, green, looks):
    detector = detect()
    detector.worked("com.example.works", detector.begins())
    detector.ends()
    green.wait_until(lambda: len(looks) == 3)
    assert looks == [1, 2, 4]


@pytest.mark.usefixtures("stops_all")
def test_the_main_program_that_computes_or_blocks_keeps_it_from_resting(detect, green, looks):
    detect()
    compute(0.1)
    green.wait_until(lambda: len(looks) == 2)
    time.sleep(0.27)  # no block to speak of, but a look comes late
    green.wait_until(lambda: len(looks) == 3)
    assert looks == [1, 1, 1]


@pytest.mark.usefixtures("stops_all")
def test_a_main_program_that_blocks_behind_a_rest_is_told_all_the_same(detect, green, looks, records):
    detect()
    green.wait_until(lambda: looks == [1, 2, 4])
    time.sleep(0.2 * blocking.REST + TOLERANCE + 0.1)
    green.wait_until(records)
    assert "waited in a blocking call" in records()[0].getMessage()


@pytest.mark.usefixtures("stops_all")
def test_all_runs_on_a_hub_share_one_timer_and_each_tells_it(detect, green, looks, records):
    for number in range(100):
        detect(f"Client {number}")
    green.wait_until(lambda: len(looks) == 2)
    assert looks == [1, 2]
    time.sleep(2 * 0.2 + TOLERANCE + 0.1)
    green.wait_until(lambda: len(records()) == 100)
    assert {each.args[0] for each in records()} == {f"Client {number}" for number in range(100)}


@pytest.mark.usefixtures("stops_all")
def test_who_comes_behind_a_block_has_no_part_in_it(detect, green, records):
    detect("before")
    time.sleep(BLOCK)
    detect("behind")
    green.sleep(2 * INTERVAL)
    assert [each.args[0] for each in records()] == ["before"]


@pytest.mark.usefixtures("stops_all")
def test_the_timer_goes_with_the_last_run(detect, looks, green):
    first, second = detect("first"), detect("second")
    first.stop()
    assert blocking._lookouts
    second.stop()
    assert not blocking._lookouts
    green.sleep(0.5)
    assert looks == [1]
