"""The router has a name, and the name servers fail for a while: real ones, asked by the system's own resolver."""

import textwrap
import time
from itertools import pairwise
from pathlib import Path

import pytest

# How much later than due something may come on a busy machine.
SLACK = 4.0

PROGRAM = """
    import logging, os, sys, time
    from wampy import Client, Reconnect
    from wampy.backends import get_backend
    from wampy.errors import WampyError

    URL = sys.argv[1]
    sleep = get_backend().sleep
    QUICK = Reconnect(first_delay=0.05, longest_delay=0.2)

    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # in one piece, whoever else says something

    class Records(logging.Handler):
        def emit(self, record):
            say("LOG", record.getMessage())

    logging.getLogger("wampy").addHandler(Records())

    class Watcher(Client):
        joins = 0

        def on_join(self, details):
            self.joins += 1
            say("joined")

        def on_disconnect(self, error):
            say("lost")

        def on_reconnect_attempt(self, attempt):
            say("attempt", attempt)

        def until(self, joins):
            while self.joins < joins:
                sleep(0.01)
"""


@pytest.fixture(scope="module")
def islands():
    """The module `island`; a test that needs one is skipped where none can be made."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("wampy_tests_island", Path(__file__).with_name("island.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reason = module.refusal()
    if reason is not None:
        pytest.skip(reason)
    return module


@pytest.fixture
def island(islands, wampy_router, forward, tmp_path, monkeypatch):
    """Run a program on an island, where the router is ``router.example``: ``island(code, how_names_are_answered)``."""
    made = []
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]), prepend=":")

    def start(code, way="answer"):
        program = tmp_path / "program.py"
        program.write_text(textwrap.dedent(PROGRAM) + textwrap.dedent(code))
        url = "ws://router.example:{port}/ws"
        made.append(
            islands.Island(tmp_path, lambda sock: forward(wampy_router.port, listener=sock), way, program, url)
        )
        return made[-1]

    yield start
    for each in made:
        each.close()


def lose_the_router(island, way):
    """End the connection when the name servers have begun to fail."""
    island.hear("joined")
    assert "router.example" in island.names.asked
    island.names.way = way
    island.forwarder.tell("cut", "all")
    return island.hear("lost")


COMES_BACK = """
    with Watcher(url=URL, reconnect=QUICK, open_timeout=0.5) as client:
        client.until(joins=2)
        say("answer", client.call("wamp.session.get", client.session.id)["session"] == client.session.id)
"""


@pytest.mark.parametrize("way", ["SERVFAIL", "NXDOMAIN", "silence"])
def test_a_client_is_back_when_the_name_servers_are(island, way):
    """Also after "no such name": it was there before, and whoever moves a name may take it away for a moment."""
    here = island(COMES_BACK)
    lost_at, _, said = lose_the_router(here, way)
    attempts = [here.hear("attempt")]
    while len(attempts) < 5:
        attempts.append(here.hear("attempt"))
    times = [lost_at, *(at for at, _, _ in attempts)]
    # None takes longer than open_timeout, and the delay before the next one.
    assert max(later - sooner for sooner, later in pairwise(times)) < 0.5 + 0.2 + SLACK
    said += [line for _, _, before in attempts for line in before]
    here.names.way = "answer"
    back_at, _, before = here.hear("joined")
    assert back_at - times[-1] < 0.5 + 0.2 + SLACK
    _, rest = here.rest()
    assert "answer True" in rest
    records = [line for line in said + before + rest if line.startswith("LOG")]
    lost, failing, joined = records
    assert "was lost" in lost
    assert "'router.example'" in failing and failing.endswith("; trying again")
    assert "joined ws://router.example:" in joined


CHANGES = [
    ("SERVFAIL", "Temporary failure in name resolution"),
    ("NXDOMAIN", "Name or service not known"),
    ("silence", "no name server has answered"),
]


def test_there_is_one_record_for_each_change(island):
    here = island(COMES_BACK)
    _, _, said = lose_the_router(here, CHANGES[0][0])
    for way, text in CHANGES:
        here.names.way = way
        _, line, before = here.hear("LOG")
        said += [*before, line]
        assert text in line
        said += [line for _ in range(3) for line in here.hear("attempt")[2]]
    here.names.way = "answer"
    said += here.hear("joined")[2]
    said += here.rest()[1]
    records = [line for line in said if line.startswith("LOG")]
    assert len(records) == 2 + len(CHANGES), records


SEVERAL = """
    urls = [URL, URL.replace("router.", "other."), URL.replace("router.", "third.")]
    with Watcher(url=urls, reconnect=QUICK, open_timeout=0.6) as client:
        client.until(joins=2)
"""


def test_several_names_that_nobody_tells_anything_about(island):
    """Whoever has several routers hears of each of them, once, and that none could be joined."""
    here = island(SEVERAL)
    _, _, said = lose_the_router(here, "silence")
    for _ in range(5):
        said += here.hear("attempt")[2]
    here.names.way = "answer"
    said += here.hear("joined")[2]
    said += here.rest()[1]
    lost, *failing, joined = (line for line in said if line.startswith("LOG"))
    assert "was lost" in lost
    assert [text.endswith("; trying the next URL") for text in failing] == [True, True, False]
    assert "none of 3 routers could be joined" in failing[-1]
    assert "joined ws://" in joined


STOPS = """
    with Watcher(url=URL, reconnect=QUICK, open_timeout=30.0, close_timeout=15.0) as client:
        while client.session is not None:
            sleep(0.01)
        sleep(0.5)
        began = time.monotonic()
        client.stop()
        say("took", time.monotonic() - began)
"""


def test_a_silent_name_server_holds_nobody_up_who_stops(island):
    here = island(STOPS)
    lose_the_router(here, "silence")
    stopped_at, line, _ = here.hear("took")
    ended_at, _ = here.rest()
    assert float(line.split()[1]) < SLACK
    assert ended_at - stopped_at < SLACK, "the program's end has waited for the name server"


LEAVES = """
    client = Client(url=URL, open_timeout=30.0, close_timeout=15.0)

    def leave():
        sleep(0.5)
        client.stop()
        say("stopped")

    get_backend().spawn(get_backend().outside, leave)
    try:
        client.start()
    except WampyError as error:
        say(type(error).__name__, error)
    sleep(0.1)
"""


def test_a_silent_name_server_holds_no_first_start_up_that_is_stopped(island):
    here = island("began = time.monotonic()" + textwrap.dedent(LEAVES) + "say(time.monotonic() - began)", "silence")
    _, lines = here.rest()
    *said, took = lines
    assert sorted(said) == [
        "ConnectionClosed the connection is closed: the client was stopped while it connected",
        "stopped",
    ]
    assert float(took) < 0.5 + SLACK


INTERRUPTED = """
    client = Client(url=URL, open_timeout=30.0, close_timeout=15.0)
    say("begins")
    try:
        client.start()
    except KeyboardInterrupt:
        say("interrupted", client.session)
"""


def test_a_silent_name_server_holds_nobody_up_who_presses_ctrl_c(island, without_ctrl_c):
    here = island(INTERRUPTED, "silence")
    here.hear("begins")
    while not here.names.asked:
        time.sleep(0.01)
    time.sleep(0.2)  # now it waits, and nobody else asks
    pressed_at = time.monotonic()
    here.interrupt()
    _, line, before = here.hear("interrupted")
    assert (line, without_ctrl_c("".join(f"{each}\n" for each in before))) == ("interrupted None", "")
    ended_at, _ = here.rest()
    assert ended_at - pressed_at < SLACK


STARTS = """
    say(URL)
    began = time.monotonic()
    client = Client(url=URL, open_timeout=0.5)
    try:
        client.start()
    except WampyError as error:
        say(type(error).__name__, error)
    say("took", time.monotonic() - began)
"""


TEXTS = {
    "SERVFAIL": "ConnectionError cannot connect to {url}: host name 'router.example': Temporary failure in name "
    "resolution. The name servers cannot tell at the moment: is this machine's network up?",
    "NXDOMAIN": "ConnectionError cannot connect to {url}: host name 'router.example': Name or service not known. "
    "Is it spelled right, and known on this machine?",
    "silence": "WampyTimeOutError no address of 'router.example' for {url}: no name server has answered within 0.5 "
    "seconds",
}


@pytest.mark.parametrize("way", TEXTS)
def test_the_first_start_says_what_is_wrong_with_the_name(island, way):
    here = island(STARTS, way)
    _, (url, error, took) = here.rest()
    assert error == TEXTS[way].format(url=url)
    assert float(took.split()[1]) < 0.5 + SLACK
