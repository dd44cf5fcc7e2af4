"""Figures of clients that come and go, added up."""

import gc

import pytest

from wampy import Client, Stats

pytest.importorskip("opentelemetry.sdk", reason="it needs wampy[otel] and OpenTelemetry's SDK, which `test` has")

from opentelemetry.sdk.metrics import MeterProvider

from wampy.otel.figures import COUNTERS, LEVELS, PING, Figures

KEY = ("counted", "realm1")


def make(calls):
    client = Client(name="counted")
    client._keeper._account.add(Stats(calls=calls))
    return client


@pytest.fixture
def figures():
    provider = MeterProvider()
    yield Figures(provider)
    provider.shutdown()


def test_every_figure_is_in_a_metric():
    named = [name for metric in (*COUNTERS, *LEVELS, PING) for name in metric.figures]
    assert sorted(named) == sorted(Stats.__dataclass_fields__)
    names = [metric.name for metric in (*COUNTERS, *LEVELS, PING)]
    assert len(set(names)) == len(names)


def test_clients_of_one_name_are_added_up(figures):
    one, two = make(1), make(2)
    assert figures.sums("calls")[KEY] == 3
    del one, two


def test_nothing_is_lost_with_a_client_and_nothing_kept_of_it(figures):
    for number in range(1, 4):
        client = make(10)
        figures.look(client._keeper)  # as its stop does
        del client
        gc.collect()
        if number > 1:
            assert figures.sums("calls")[KEY] == 10 * number
    gc.collect()
    assert not [key for key, _ in figures._seen.values() if key == KEY], "only the sum is kept"
    assert figures.sums("calls")[KEY] == 30


def test_it_goes_only_up_while_clients_work(figures):
    client, seen = make(0), []
    for _ in range(5):
        client._keeper._account.add(Stats(calls=1))
        figures.look(client._keeper)
        seen.append(figures.sums("calls")[KEY])
    assert seen == [1, 2, 3, 4, 5]
