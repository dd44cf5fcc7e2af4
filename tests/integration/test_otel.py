"""Spans and metrics of what clients do, and the trace that goes with calls and events over a real Crossbar."""

import contextlib
import gc
import json
import logging

import pytest

from wampy import Client, Reconnect, RemoteError, WampyTimeOutError, callee, subscribe
from wampy.errors import Canceled, ConnectionClosed, NoSuchProcedure, SerializationError

pytest.importorskip("opentelemetry.sdk", reason="it needs wampy[otel] and OpenTelemetry's SDK, which `test` has")

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import wampy.otel

CLIENT, SERVER = trace.SpanKind.CLIENT, trace.SpanKind.SERVER
PRODUCER, CONSUMER = trace.SpanKind.PRODUCER, trace.SpanKind.CONSUMER
RUNTIME_ERROR = "wamp.error.runtime_error"
CANCELED = "wamp.error.canceled"


class Observed:
    """What has been observed since the test began."""

    def __init__(self, green, **parameters):
        self._green = green
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader])
        self.instrument(**parameters)

    def instrument(self, **parameters):
        wampy.otel.instrument(self.provider, self.meters, **parameters)

    @property
    def all(self):
        return list(self._exporter.get_finished_spans())

    def spans(self, name, kind=None, number=1):
        """Wait for the spans of that name, and return them in the order of their ends."""

        def found():
            return [span for span in self.all if span.name == name and kind in (None, span.kind)]

        self._green.wait_until(lambda: len(found()) >= number, what=f"{number} spans {name!r} of {kind}")
        assert len(found()) == number
        return found()

    def span(self, name, kind=None):
        (only,) = self.spans(name, kind)
        return only

    def metrics(self):
        """Return the points of each metric by its name, as dictionaries."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric["name"]: metric["data"]["data_points"]
            for resource in json.loads(data.to_json())["resource_metrics"]
            for scope in resource["scope_metrics"]
            for metric in scope["metrics"]
        }

    def number(self, metric, **attributes):
        """Add up the points of a metric that have these attributes."""
        points = self.metrics().get(metric, [])
        wanted = {name.replace("_", "."): value for name, value in attributes.items()}.items()
        return sum(point.get("value", point.get("count")) for point in points if wanted <= point["attributes"].items())

    def close(self):
        wampy.otel.uninstrument()
        self.provider.shutdown()
        self.meters.shutdown()


@pytest.fixture
def observe(green):
    with contextlib.ExitStack() as stack:

        def observe(**parameters):
            observed = Observed(green, **parameters)
            stack.callback(observed.close)
            return observed

        yield observe


@pytest.fixture
def observed(observe):
    return observe()


class Service(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.current = []
        self.heard = []

    def note_current(self):
        self.current.append(trace.get_current_span().get_span_context())

    @callee(procedure="com.example.outer")
    def outer(self):
        self.note_current()
        return self.call("com.example.inner", 1)

    @callee(procedure="com.example.inner")
    def inner(self, value):
        self.note_current()
        return value

    @callee(procedure="com.example.announce")
    def announce(self):
        self.publish(topic="com.example.news", options={"exclude_me": False}, text="secret text")

    @callee(procedure="com.example.bad")
    def bad(self, text):
        raise ValueError(text)

    @callee(procedure="com.example.refusing")
    def refusing(self, text):
        raise RemoteError("com.example.error.refused", text)

    @callee(procedure="com.example.slow")
    def slow(self):
        self.note_current()
        self._session.backend.sleep(60)

    @callee(procedure="com.example.details", details_arg="details")
    def details(self, details=None):
        return details

    @callee(procedure="com.example.baggage")
    def baggage(self):
        return dict(baggage.get_all())

    @subscribe(topic="com.example.news")
    def on_news(self, text):
        self.note_current()
        self.heard.append(text)
        if text == "bad news":
            raise ValueError(text)


@pytest.fixture
def service(observed, join):
    return join(Service)


def is_child(span, of):
    same = span.context.trace_id == of.context.trace_id
    return same and span.parent is not None and span.parent.span_id == of.context.span_id


def attributes(span, *left_out):
    # Where the router is, is not the same in two runs.
    kept = {name: value for name, value in span.attributes.items() if not name.startswith("server.")}
    return {name: value for name, value in kept.items() if name not in left_out}


# Linked.


@pytest.mark.parametrize("serializer", ["json", "msgpack", "cbor"])
def test_a_call_and_what_its_callee_calls_are_one_trace(observed, service, join, serializer):
    client = join(serializers=serializer)
    assert client.call("com.example.outer") == 1
    asked, served = observed.span("com.example.outer", CLIENT), observed.span("com.example.outer", SERVER)
    asked_inside, served_inside = observed.span("com.example.inner", CLIENT), observed.span("com.example.inner", SERVER)
    assert asked.parent is None
    assert is_child(served, asked)
    assert is_child(asked_inside, served)
    assert is_child(served_inside, asked_inside)
    # The callees ran with their own span as the current one.
    assert [each.span_id for each in service.current] == [served.context.span_id, served_inside.context.span_id]


def test_a_call_is_a_child_of_the_programs_own_span(observed, service, join):
    with observed.provider.get_tracer("program").start_as_current_span("program") as own:
        join().call("com.example.inner", 1)
    assert is_child(observed.span("com.example.inner", CLIENT), own)


def test_an_event_is_of_its_publishers_trace(observed, service, join, green):
    client = join()
    client.call("com.example.announce")
    published = observed.span("publish com.example.news", PRODUCER)
    handled = observed.span("process com.example.news", CONSUMER)
    assert is_child(published, observed.span("com.example.announce", SERVER))
    assert is_child(handled, published)
    assert [each.span_id for each in service.current] == [handled.context.span_id]
    # The next one is another trace's.
    client.publish(topic="com.example.news", text="more")
    first, second = observed.spans("process com.example.news", CONSUMER, 2)
    assert first.context.trace_id != second.context.trace_id


def test_all_handlers_of_an_event_are_of_the_trace(observed, join, make_client):
    one, two = join(Service, name="one"), make_client(Client, url=join().url)
    two.start()
    heard = []
    two.session.subscribe("com.example.news", lambda text: heard.append(text))
    one.publish(topic="com.example.news", options={"exclude_me": False}, text="both")
    published = observed.span("publish com.example.news")
    assert all(is_child(each, published) for each in observed.spans("process com.example.news", number=2))


def test_many_calls_at_once_are_not_mixed_up(observed, service, join, green):
    client = join()
    calls = [green.spawn(client.call, "com.example.outer") for _ in range(30)]
    assert [call.result() for call in calls] == [1] * 30
    asked = {span.context.span_id: span for span in observed.spans("com.example.outer", CLIENT, 30)}
    served = {span.context.span_id: span for span in observed.spans("com.example.outer", SERVER, 30)}
    assert len({span.context.trace_id for span in asked.values()}) == 30
    assert {span.parent.span_id for span in served.values()} == set(asked)
    assert {span.parent.span_id for span in observed.spans("com.example.inner", CLIENT, 30)} == set(served)
    for span in observed.spans("com.example.inner", CLIENT, 30):
        assert is_child(span, served[span.parent.span_id])


def test_calls_without_waiting(observed, service, join):
    client = join()
    calls = [client.rpc.com.example.inner.call_async(number) for number in range(20)]
    assert [call.result() for call in calls] == list(range(20))
    asked = observed.spans("com.example.inner", CLIENT, 20)
    served = observed.spans("com.example.inner", SERVER, 20)
    assert {span.parent.span_id for span in served} == {span.context.span_id for span in asked}
    for span in asked:
        (inside,) = [each for each in served if is_child(each, span)]
        assert span.start_time <= inside.start_time and inside.end_time <= span.end_time


def test_a_call_that_nobody_asks_after_ends_all_the_same(observed, service, join):
    join().rpc.com.example.inner.call_async(1)
    assert observed.span("com.example.inner", CLIENT).status.is_ok


# How it travels.


def test_crossbar_hands_the_transaction_hash_on_and_no_custom_attribute(observed, service, join):
    """Once it does, the documentation is to be changed, and `transaction_hash` may go."""
    details = join().call("com.example.details")
    span = observed.span("com.example.details", CLIENT).context
    assert details["transaction_hash"].startswith(f"traceparent=00-{span.trace_id:032x}-{span.span_id:016x}-")
    assert not [name for name in details if name.startswith("_")]


def test_a_retained_event_is_the_first_of_a_trace(observed, join):
    publisher, late = join(), join()
    publisher.publish(topic="com.example.kept", options={"retain": True, "acknowledge": True}, number=1)
    late.session.subscribe("com.example.kept", lambda number: None, {"get_retained": True})
    assert observed.span("process com.example.kept").parent is None


def test_without_the_transaction_hash_there_are_two_traces(observe, join):
    observed = observe(transaction_hash=False)
    join(Service)
    assert "transaction_hash" not in join().call("com.example.details")
    asked, served = observed.spans("com.example.details", number=2)
    assert asked.parent is served.parent is None


def test_a_transaction_hash_of_the_programs_own_stays(observed, service, join):
    details = join().options(transaction_hash="0xabc").call("com.example.details")
    assert details["transaction_hash"] == "0xabc"
    assert observed.span("com.example.details", SERVER).parent is None


def test_baggage_travels_too(observe, join):
    observe(propagator=CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]))
    join(Service)
    client = join()
    token = attach(baggage.set_baggage("tenant", "ä&=b", Context()))
    try:
        assert client.call("com.example.baggage") == {"tenant": "ä&=b"}
    finally:
        detach(token)
    assert client.call("com.example.baggage") == {}


# What is in spans.


def test_the_attributes_are_those_of_the_conventions(observed, service, join, green):
    client = join()
    client.call("com.example.inner", 1)
    publication = client.publish(topic="com.example.news", options={"acknowledge": True}, text="text")
    asked = observed.span("com.example.inner", CLIENT)
    assert asked.attributes["server.address"] == "127.0.0.1"
    assert asked.attributes["server.port"] == client.session.router.port
    rpc = {"rpc.system.name": "wamp", "rpc.method": "com.example.inner", "wamp.realm": "realm1"}
    assert attributes(asked) == rpc == attributes(observed.span("com.example.inner", SERVER))
    messaging = {
        "messaging.system": "wamp",
        "messaging.destination.name": "com.example.news",
        "messaging.message.id": str(publication),
        "wamp.realm": "realm1",
    }
    send = {"messaging.operation.name": "publish", "messaging.operation.type": "send"}
    assert attributes(observed.span("publish com.example.news")) == messaging | send
    process = {"messaging.operation.name": "process", "messaging.operation.type": "process"}
    assert attributes(observed.span("process com.example.news")) == messaging | process


def test_patterns_have_one_name(observed, service, join, green):
    client = join()
    service.session.register("com.example.room", lambda: "open", {"match": "prefix"})
    service.session.subscribe("com.example.door", lambda **_: None, {"match": "prefix"})
    for number in range(2):
        client.call(f"com.example.room.{number}.state")
        client.publish(topic=f"com.example.door.{number}", options={"acknowledge": True}, state="open")
    served = observed.spans("com.example.room", SERVER, 2)
    assert [span.attributes["rpc.method_original"] for span in served] == [
        "com.example.room.0.state",
        "com.example.room.1.state",
    ]
    handled = observed.spans("process com.example.door", CONSUMER, 2)
    assert {span.attributes["messaging.destination.template"] for span in handled} == {"com.example.door"}
    assert [span.attributes["messaging.destination.name"] for span in handled] == [
        "com.example.door.0",
        "com.example.door.1",
    ]
    (point,) = observed.metrics()["rpc.server.call.duration"]
    assert point["count"] == 2 and point["attributes"]["rpc.method"] == "com.example.room"
    (point,) = observed.metrics()["messaging.process.duration"]
    assert point["count"] == 2 and "messaging.destination.name" not in point["attributes"]


def failures(observed, name, kind):
    span = observed.span(name, kind)
    assert not span.status.is_ok
    return attributes(span, "rpc.system.name", "rpc.method", "wamp.realm")


def test_a_callee_that_fails(observed, service, join):
    client = join()
    with pytest.raises(RemoteError):
        client.call("com.example.bad", "text")
    with pytest.raises(RemoteError):
        client.call("com.example.refusing", "text")
    code = {"error.type": RUNTIME_ERROR, "rpc.response.status_code": RUNTIME_ERROR}
    assert failures(observed, "com.example.bad", CLIENT) == code
    assert failures(observed, "com.example.bad", SERVER) == code | {"exception.type": "ValueError"}
    refused = dict.fromkeys(code, "com.example.error.refused")
    assert failures(observed, "com.example.refusing", CLIENT) == refused
    assert failures(observed, "com.example.refusing", SERVER) == refused


def test_a_handler_that_fails(observed, service, join):
    join().publish(topic="com.example.news", text="bad news")
    span = observed.span("process com.example.news")
    assert not span.status.is_ok and span.attributes["error.type"] == "ValueError"
    assert observed.span("publish com.example.news").status.is_ok


def test_a_call_that_times_out_and_the_callee_that_is_interrupted(observed, service, join):
    client = join()
    with pytest.raises(WampyTimeOutError):
        client.options(timeout=1.0).call("com.example.slow")
    assert failures(observed, "com.example.slow", CLIENT) == {"error.type": "wampy.errors.WampyTimeOutError"}
    kill = service._session.backend.kill_error
    assert failures(observed, "com.example.slow", SERVER) == {
        "error.type": CANCELED,
        "rpc.response.status_code": CANCELED,
        "exception.type": f"{kill.__module__}.{kill.__qualname__}",
    }


@pytest.mark.parametrize("mode", ["kill", "killnowait", "skip"])
def test_a_call_that_is_cancelled(observed, service, join, green, mode):
    call = join().rpc.com.example.slow.call_async()
    green.wait_until(lambda: service.current)
    call.cancel(mode)
    with pytest.raises(Canceled):
        call.result()
    assert failures(observed, "com.example.slow", CLIENT)["error.type"] == CANCELED


def test_calls_without_waiting_that_fail(observed, service, join):
    client = join()
    refused, late = client.rpc.com.example.refusing.call_async("text"), client.options(timeout=0.3)
    late = late.rpc.com.example.slow.call_async()
    for call, error in ((refused, RemoteError), (late, WampyTimeOutError)):
        with pytest.raises(error):
            call.result()
    assert failures(observed, "com.example.refusing", CLIENT)["error.type"] == "com.example.error.refused"
    assert failures(observed, "com.example.slow", CLIENT)["error.type"] == "wampy.errors.WampyTimeOutError"


def test_calls_that_end_with_the_session(observed, service, join, green):
    client = join()
    blocked = green.spawn(client.call, "com.example.slow")
    call = None
    green.wait_until(lambda: client.stats.pending == 1)
    call = client.rpc.com.example.slow.call_async()
    client.stop()
    assert isinstance(blocked.error(), ConnectionClosed)
    with pytest.raises(ConnectionClosed):
        call.result()
    spans = observed.spans("com.example.slow", CLIENT, 2)
    assert [span.attributes["error.type"] for span in spans] == ["wampy.errors.ConnectionClosed"] * 2


def test_what_cannot_be_sent(observed, service, join):
    client = join()
    with pytest.raises(SerializationError):
        client.call("com.example.inner", object())
    with pytest.raises(SerializationError):
        client.rpc.com.example.inner.call_async(object())
    with pytest.raises(SerializationError):
        client.publish(topic="com.example.news", text=object())
    spans = [*observed.spans("com.example.inner", CLIENT, 2), observed.span("publish com.example.news")]
    assert {span.attributes["error.type"] for span in spans} == {"wampy.errors.SerializationError"}
    for wrong in (None, 1, [], "no uri at all"):
        with pytest.raises(Exception) as caught:
            client.session.call(wrong)
        assert isinstance(caught.value, wampy.WampyError), wrong
    for options in (1, [], "text"):
        with pytest.raises(wampy.WampyError):
            client.session.call("com.example.inner", (1,), options=options)


def test_what_has_no_session(observed, make_client):
    never = make_client(Client)
    for ask in (
        lambda: never.call("com.example.inner", 1),
        lambda: never.rpc.com.example.inner.call_async(1),
        lambda: never.publish(topic="com.example.news", text="text"),
    ):
        with pytest.raises(ConnectionClosed):
            ask()
    spans = [*observed.spans("com.example.inner", CLIENT, 2), observed.span("publish com.example.news", PRODUCER)]
    assert {span.attributes["error.type"] for span in spans} == {"wampy.errors.ConnectionClosed"}


def test_the_wait_for_the_next_session_counts(observed, join, green):
    client = join(reconnect=Reconnect(first_delay=30.0, longest_delay=30.0), call_timeout=0.4)
    client.session._transport._stream.socket.shutdown(2)
    green.wait_until(lambda: client.session is None)
    with pytest.raises(WampyTimeOutError):
        client.call("com.example.inner", 1)
    span = observed.span("com.example.inner", CLIENT)
    assert span.attributes["error.type"] == "wampy.errors.WampyTimeOutError"
    assert span.end_time - span.start_time > 0.3e9


def test_nothing_of_a_payload_is_told(observed, service, join):
    client = join()
    for procedure in ("com.example.inner", "com.example.bad", "com.example.refusing"):
        with contextlib.suppress(RemoteError):
            client.call(procedure, "secret text")
    client.call("com.example.announce")
    observed.span("process com.example.news")
    told = [span.to_json() for span in observed.all] + [json.dumps(observed.metrics())]
    assert len(told) == 11
    assert not [text for text in told if "secret" in text]


def test_exceptions_are_recorded_on_demand(observe, join):
    observed = observe(record_exceptions=True)
    join(Service)
    with pytest.raises(RemoteError):
        join().call("com.example.bad", "the reason")
    (event,) = observed.span("com.example.bad", SERVER).events
    assert event.attributes["exception.message"] == "the reason"
    assert "raise ValueError(text)" in event.attributes["exception.stacktrace"]


# Metrics.


def test_durations(observed, service, join):
    client = join()
    for _ in range(3):
        client.call("com.example.inner", 1)
    for number in range(4):
        with pytest.raises(NoSuchProcedure):
            client.call(f"com.example.nobody.{number}")
    client.publish(topic="com.example.news", text="text", options={"acknowledge": True})
    observed.span("process com.example.news")
    asked = {point["attributes"]["rpc.method"]: point for point in observed.metrics()["rpc.client.call.duration"]}
    # There is any number of names that nobody has registered.
    assert {name: point["count"] for name, point in asked.items()} == {"com.example.inner": 3, "_OTHER": 4}
    assert asked["_OTHER"]["attributes"]["error.type"] == "wamp.error.no_such_procedure"
    assert 0 < asked["com.example.inner"]["sum"] < 3
    assert asked["com.example.inner"]["explicit_bounds"][:3] == [0.005, 0.01, 0.025]
    assert observed.number("rpc.server.call.duration", rpc_method="com.example.inner") == 3
    for metric in ("messaging.client.operation.duration", "messaging.process.duration"):
        (point,) = observed.metrics()[metric]
        assert point["count"] == 1
    points = [point for each in observed.metrics().values() for point in each]
    assert not [name for point in points for name in point["attributes"] if name.endswith(".id")]


def test_the_metrics_are_the_figures_of_the_clients(observed, join, green):
    # By names that no client of another test has: those may still be there.
    service, client = join(Service, name="service of figures"), join(name="client of figures")
    for _ in range(5):
        client.call("com.example.inner", 1)
    client.publish(topic="com.example.news", text="text", options={"acknowledge": True})
    green.wait_until(lambda: service.heard and not service.stats.workers_busy)
    for name, whose in ((client.name, client), (service.name, service)):
        stats = whose.stats
        of = {"wampy_client_name": name, "wamp_realm": "realm1"}
        for metric, number in (
            ("calls", stats.calls),
            ("errors", stats.errors),
            ("invocations", stats.invocations),
            ("invocations.refused", stats.invocations_refused),
            ("events", stats.events),
            ("events.dropped", stats.events_dropped),
            ("reconnects", stats.reconnects),
            ("requests.pending", stats.pending),
            ("workers.busy", stats.workers_busy),
            ("queue", stats.queue),
        ):
            assert observed.number(f"wampy.client.{metric}", **of) == number, metric
        for metric, received, sent in (
            ("messages", stats.messages_in, stats.messages_out),
            ("io", stats.bytes_in, stats.bytes_out),
        ):
            for direction, number in (("receive", received), ("transmit", sent)):
                assert observed.number(f"wampy.client.{metric}", network_io_direction=direction, **of) == number
    assert (client.stats.calls, service.stats.invocations, service.stats.events) == (5, 5, 1)


def test_the_last_ping(observed, join, green):
    client = join(name="pinging", heartbeat=0.05)
    green.wait_until(lambda: client.stats.last_ping is not None)
    assert 0 < observed.number("wampy.client.ping.duration", wampy_client_name="pinging") < 5


def test_what_clients_have_done_counts_when_they_are_gone(observed, service, wampy_router):
    for number in range(1, 4):
        # In a function of its own, so that nothing is left of it.
        def ask():
            with Client(url=wampy_router.url, name="brief") as client:
                client.call("com.example.inner", 1)

        ask()
        gc.collect()
        if number != 2:
            assert observed.number("wampy.client.calls", wampy_client_name="brief") == number
    assert observed.number("wampy.client.requests.pending", wampy_client_name="brief") == 0


# On and off.


def test_a_client_that_runs_already(observe, join):
    service, client = join(Service), join(name="early")
    client.call("com.example.inner", 1)
    observed = observe()
    client.call("com.example.inner", 2)
    assert is_child(observed.span("com.example.inner", SERVER), observed.span("com.example.inner", CLIENT))
    assert observed.number("wampy.client.calls", wampy_client_name="early") == 2
    assert service.stats.invocations == 2


def test_it_can_be_ended_and_begun_again(observed, service, join):
    client = join(name="observed twice")
    client.call("com.example.inner", 1)
    wampy.otel.uninstrument()
    client.call("com.example.inner", 2)
    assert "wampy.client.calls" not in observed.metrics()
    observed.instrument()
    observed.instrument()  # the second takes the first's place
    client.call("com.example.inner", 3)
    assert len(observed.spans("com.example.inner", CLIENT, 2)) == 2
    assert observed.number("wampy.client.calls", wampy_client_name="observed twice") == 3


def test_what_has_begun_before_is_still_ended(observed, service, join, green):
    client = join()
    call = client.rpc.com.example.slow.call_async()
    green.wait_until(lambda: service.current)
    wampy.otel.uninstrument()
    call.cancel("killnowait")
    assert failures(observed, "com.example.slow", CLIENT)["error.type"] == CANCELED
    assert failures(observed, "com.example.slow", SERVER)["error.type"] == CANCELED


def test_the_global_providers_are_used_when_none_is_given(join):
    """Of these there is none here: nothing is sent along, and all goes on."""
    wampy.otel.instrument()
    try:
        join(Service)
        client = join()
        assert "transaction_hash" not in client.call("com.example.details")
        assert client.call("com.example.outer") == 1
    finally:
        wampy.otel.uninstrument()


# What must not happen.


class Failing(SpanProcessor):
    """A processor of the program's that raises."""

    def __init__(self, where):
        self.where = where

    def on_start(self, span, parent_context=None):
        if self.where == "start":
            raise RuntimeError("start fails")

    def on_end(self, span):
        if self.where == "end":
            raise RuntimeError("end fails")


class FailingPropagator(TraceContextTextMapPropagator):
    def __init__(self, where):
        self.where = where

    def inject(self, *args, **kwargs):
        if self.where == "inject":
            raise RuntimeError("inject fails")
        super().inject(*args, **kwargs)

    def extract(self, *args, **kwargs):
        if self.where == "extract":
            raise RuntimeError("extract fails")
        return super().extract(*args, **kwargs)


@pytest.mark.parametrize("where", ["start", "end", "inject", "extract"])
def test_what_fails_in_telemetry_fails_no_call(observe, join, green, caplog, where):
    observed = observe(propagator=FailingPropagator(where))
    observed.provider.add_span_processor(Failing(where))
    service, client = join(Service), join()
    with caplog.at_level(logging.ERROR, "wampy"):
        for number in range(3):
            assert client.call("com.example.outer") == 1
            assert client.rpc.com.example.inner.call_async(number).result() == number
            with pytest.raises(RemoteError) as caught:
                client.call("com.example.refusing", "text")
            assert caught.value.args == ("text",)
            client.publish(topic="com.example.news", text=str(number), options={"acknowledge": True})
        green.wait_until(lambda: service.heard == ["0", "1", "2"])
    (record,) = [each for each in caplog.records if each.name.startswith("wampy.otel")]
    assert str(record.exc_info[1]) == f"{where} fails"


class Watching(SpanProcessor):
    """Notes where spans end."""

    def __init__(self, *clients):
        self._clients = clients
        self.in_reader = []

    def on_end(self, span):
        self.in_reader.append(any(client._session.in_reader for client in self._clients))


def test_no_span_ends_in_a_reader(observed, service, join):
    client = join()
    watching = Watching(client, service)
    observed.provider.add_span_processor(watching)
    client.call("com.example.outer")
    client.call("com.example.announce")
    calls = [client.rpc.com.example.inner.call_async(1) for _ in range(10)]
    calls.append(client.rpc.com.example.nobody.call_async())
    for call in calls:
        with contextlib.suppress(RemoteError):
            call.result()
    observed.spans("com.example.inner", CLIENT, 11)
    observed.span("com.example.nobody")
    observed.span("process com.example.news")
    assert len(watching.in_reader) == 4 + 2 + 2 + 2 * 10 + 1
    assert not any(watching.in_reader)


class Counting(MetricExporter):
    """Counts the exports."""

    exports = 0

    def export(self, metrics_data, timeout_millis=0, **kwargs):
        self.exports += 1
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=0):
        return True

    def shutdown(self, timeout_millis=0, **kwargs):
        pass


def test_the_threads_of_the_sdk(join, green):
    """They export and collect all the time, while calls are made, and neither waits for the other."""
    exporter, counting = InMemorySpanExporter(), Counting()
    spans = TracerProvider()
    spans.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=10, max_export_batch_size=8))
    meters = MeterProvider([PeriodicExportingMetricReader(counting, export_interval_millis=5)])
    wampy.otel.instrument(spans, meters)
    try:
        join(Service)
        clients = [join() for _ in range(3)]
        calls = [green.spawn(client.call, "com.example.outer") for client in clients for _ in range(40)]
        calls += [client.rpc.com.example.inner.call_async(1) for client in clients for _ in range(40)]
        assert {call.result() for call in calls} == {1}
        green.wait_until(lambda: counting.exports > 3)
        # 120 calls with two spans each and as many inside, and 120 with two.
        green.wait_until(lambda: spans.force_flush() and len(exporter.get_finished_spans()) == 120 * 4 + 120 * 2)
    finally:
        wampy.otel.uninstrument()
        spans.shutdown()
        meters.shutdown()


IN_A_PATCHED_PROGRAM = """
import sys
import wampy

wampy.configure_async()

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

import wampy.otel
from wampy import Client, callee

class Service(Client):
    @callee(procedure="com.example.patched.outer")
    def outer(self):
        return self.call("com.example.patched.inner")

    @callee(procedure="com.example.patched.inner")
    def inner(self):
        return 1

spans = TracerProvider()
spans.add_span_processor(
    BatchSpanProcessor(
        ConsoleSpanExporter(formatter=lambda span: f"{span.kind.name} {span.name}\\n"), schedule_delay_millis=10
    )
)
reader = PeriodicExportingMetricReader(
    ConsoleMetricExporter(out=sys.stderr, formatter=lambda data: data.to_json()), export_interval_millis=10
)
meters = MeterProvider([reader])
wampy.otel.instrument(spans, meters)
with Service(url=sys.argv[1]) as service, Client(url=sys.argv[1]) as client:
    calls = [client.rpc.com.example.patched.outer.call_async() for _ in range(50)]
    assert sum(call.result() for call in calls) == 50
spans.shutdown()
meters.shutdown()
"""


def test_in_a_patched_program(run_python, wampy_router, green):
    """The SDK's threads are green ones then."""
    if green.os_threads:
        pytest.skip("there is nothing to patch, and configure_async() says so: tests/integration/test_patched.py")
    done = run_python(IN_A_PATCHED_PROGRAM, wampy_router.url)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    for name in ("outer", "inner"):
        for kind in ("CLIENT", "SERVER"):
            assert lines.count(f"{kind} com.example.patched.{name}") == 50
    assert '"rpc.client.call.duration"' in done.stderr and '"wampy.client.calls"' in done.stderr
    assert "Traceback" not in done.stderr
