"""A hub that was blocked is reported, once; and a busy one is not, on a real router."""

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from wampy import Client, blocking, callee
from wampy.errors import ConnectionClosed
from wampy.peers._configuration import CONFIGS
from wampy.peers.routers import Crossbar

INTERVAL, TOLERANCE, BLOCK = 0.1, 0.5, 0.8  # seconds


class Service(Client):
    @callee(procedure="com.example.sleeps_natively")
    def sleeps_natively(self, seconds):
        time.sleep(seconds)
        return seconds

    @callee(procedure="com.example.computes")
    def computes(self, slices, seconds):
        sleep = self.message_handler.session.backend.sleep
        for _ in range(slices):
            end = time.thread_time() + seconds
            while time.thread_time() < end:
                pass
            sleep(0.001)
        return slices


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(blocking, "INTERVAL", INTERVAL)
    monkeypatch.setattr(blocking, "TOLERANCE", TOLERANCE)


@pytest.fixture
def stops_all(green):
    if green.os_threads:
        pytest.skip("on OS threads a thread that blocks stops nobody else")


@pytest.fixture
def warnings_of(caplog):
    caplog.set_level(logging.WARNING)

    def warnings_of(name=None):
        ours = [each for each in caplog.records if each.name.startswith("wampy")]
        return [each.getMessage() for each in ours if name is None or each.name == name]

    return warnings_of


@pytest.mark.usefixtures("short", "stops_all")
def test_a_callee_that_blocks_natively_is_reported_once(join, warnings_of):
    join(Service)
    caller = join(name="Caller")
    for _ in range(3):
        assert caller.call("com.example.sleeps_natively", BLOCK) == BLOCK
    texts = warnings_of()
    # They share the hub, so each was blocked; nothing else is worth a warning.
    assert sorted(text.split()[0] for text in texts) == ["Caller", "Service"], texts
    (text,) = (each for each in texts if each.startswith("Service"))
    assert "; at work were: com.example.sleeps_natively." in text
    assert all("waited in a blocking call" in each for each in texts)


@pytest.mark.usefixtures("short")
def test_a_quiet_client_and_a_patient_one_report_nothing(join, green, warnings_of):
    service, caller = join(Service), join()
    green.sleep(3 * BLOCK)
    assert not service.wait(BLOCK)
    assert caller.call("com.example.computes", 1, 0.001) == 1
    assert warnings_of() == []


@pytest.mark.usefixtures("short")
def test_a_busy_client_that_lets_others_run_reports_nothing(join, warnings_of):
    join(Service, max_workers=100)
    caller = join(call_timeout=60.0)
    began = time.monotonic()
    calls = [caller.rpc.com.example.computes.call_async(24, 0.001) for _ in range(100)]
    assert [call.result() for call in calls] == [24] * 100
    assert time.monotonic() - began > 2 * TOLERANCE, "it was not busy for long enough to show anything"
    assert warnings_of() == []


@pytest.mark.usefixtures("short")
def test_threads_that_block_beside_the_hub_report_nothing(join, green, warnings_of):
    join(Service)
    with ThreadPoolExecutor(1) as pool:
        sleeping = pool.submit(time.sleep, BLOCK)
        green.wait_until(sleeping.done)
    assert warnings_of() == []


@pytest.fixture
def pinging_router(tmp_path):
    """A router that gives up those who do not answer its pings within a second."""
    config = json.loads((CONFIGS / "crossbar.json").read_text())
    (path,) = config["workers"][0]["transports"][0]["web"]["paths"].values()
    path["options"] |= {"auto_ping_interval": 1000, "auto_ping_timeout": 1000}
    place = tmp_path / "crossbar.json"
    place.write_text(json.dumps(config))
    with Crossbar(config_path=place) as router:
        yield router


@pytest.mark.usefixtures("stops_all")
def test_whoever_was_dropped_meanwhile_finds_it_in_the_log(pinging_router, make_client, warnings_of):
    # With the figures as they are: this is what a user sees.
    client = make_client(url=pinging_router.url, name="Weather")
    client.start()
    time.sleep(blocking.TOLERANCE + blocking.INTERVAL + 0.2)
    with pytest.raises(ConnectionClosed):
        client.call("com.example.anything")
        client.call("com.example.anything")
    (text,) = warnings_of("wampy.blocking")
    assert text.startswith("Weather was blocked for ")
    (other,) = set(warnings_of()) - {text}
    assert "was lost" in other
