"""Names, and what is measured."""

import pytest

pytest.importorskip("opentelemetry.sdk", reason="it needs wampy[otel] and OpenTelemetry's SDK, which `test` has")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv._incubating.attributes import messaging_attributes, rpc_attributes
from opentelemetry.semconv._incubating.metrics import messaging_metrics, rpc_metrics
from opentelemetry.semconv.attributes import error_attributes, exception_attributes, server_attributes
from opentelemetry.trace import SpanKind

from wampy.otel import observer
from wampy.otel.operations import DURATIONS, Ends, Operations, now


def values(*modules):
    return {value for module in modules for name, value in vars(module).items() if name.isupper()}


def test_the_names_are_in_the_conventions():
    """The rpc ones need the conventions of 1.39 and newer; older SDKs bring older ones, under other names."""
    metrics = values(messaging_metrics, rpc_metrics)
    if "rpc.client.call.duration" not in metrics:
        pytest.skip("these conventions are older than the names")
    assert {name for name, _ in DURATIONS.values()} <= metrics
    known = values(messaging_attributes, rpc_attributes, error_attributes, exception_attributes, server_attributes)
    assert set(observer._messaging("publish", "send", "topic")) <= known
    assert {
        "rpc.system.name", "rpc.method", "rpc.method_original", "rpc.response.status_code", "error.type",
        "exception.type", "server.address", "server.port", "messaging.message.id", "messaging.destination.template",
    } <= known  # fmt: skip
    for name in ("rpc.system.name", "rpc.method", "messaging.destination.name"):
        (documented,) = [key for module in (rpc_attributes, messaging_attributes)
                         for key, value in vars(module).items() if value == name]  # fmt: skip
        assert documented.startswith(("RPC_", "MESSAGING_"))


@pytest.fixture
def meters():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    provider.reader = reader
    yield provider
    provider.shutdown()


def point(meters):
    (metric,) = meters.reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    (only,) = metric.data.data_points
    return metric.name, only


@pytest.mark.parametrize("kind", DURATIONS)
def test_each_kind_is_measured(meters, kind):
    operations = Operations(TracerProvider(), meters, False)
    at, clock = now()
    operation = operations.begin(kind, "name", {"a": 1}, {"b": 2}, began=(at, clock))
    operations.end(operation, ended=(at + 2.0, clock + 2_000_000_000))
    name, only = point(meters)
    assert (name, only.sum, only.count, dict(only.attributes)) == (DURATIONS[kind][0], 2.0, 1, {"a": 1})
    assert operation.span.end_time - operation.span.start_time == 2_000_000_000
    assert dict(operation.span.attributes) == {"a": 1, "b": 2}


def test_what_could_not_begin_need_not_end(meters):
    Operations(TracerProvider(), meters, False).end(None, ValueError())
    assert meters.reader.get_metrics_data() is None


def test_an_error_of_our_own_has_its_name(meters):
    operations = Operations(TracerProvider(), meters, False)
    operations.end(operations.begin(SpanKind.CLIENT, "name", {}), ValueError("text"))
    assert dict(point(meters)[1].attributes) == {"error.type": "ValueError"}


# What ends in a green thread of its own.


def test_ends_run_in_their_order_and_elsewhere(backend, green):
    ends, done, here = Ends(), [], backend.slot()
    for number in range(5):
        ends.put(backend, done.append, number)
    assert done == [], "not in the caller's"
    ends.put(backend, here.set)
    assert here.wait(5.0)
    assert done == [0, 1, 2, 3, 4]
    ends.put(backend, done.append, 5)
    green.wait_until(lambda: done[-1] == 5)


def test_what_is_put_while_they_run_is_run_too(backend, green):
    ends, done = Ends(), []

    def first():
        backend.inside(ends.put, backend, done.append, "second")
        backend.sleep(0.01)
        done.append("first")

    ends.put(backend, first)
    green.wait_until(lambda: done == ["first", "second"])


def test_without_another_thread_they_run_at_once(backend):
    class Exhausted(type(backend)):
        def spawn(self, function, *args):
            raise RuntimeError("can't start new thread")

    ends, done = Ends(), []
    ends.put(Exhausted(), done.append, 1)
    assert done == [1]
