"""How a trace is written into options and read from details."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.sdk", reason="it needs wampy[otel] and OpenTelemetry's SDK, which `test` has")

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from wampy.otel.carriers import Carriers, attribute

W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def context(state=(), **carried):
    span = trace.SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C,
        0xB7AD6B7169203331,
        True,
        trace.TraceFlags(1),
        trace.TraceState(state),
    )
    made = trace.set_span_in_context(trace.NonRecordingSpan(span), Context())
    for name, value in carried.items():
        made = baggage.set_baggage(name, value, made)
    return made


def span_of(found):
    return trace.get_current_span(found).get_span_context()


def test_what_is_written():
    options = Carriers(W3C, True).write(None, context([("vendor", "a&b;c")], tenant="one two"))
    assert options == {
        "_traceparent": TRACEPARENT,
        "_tracestate": "vendor=a&b;c",
        "_baggage": "tenant=one+two",
        "transaction_hash": f"traceparent={TRACEPARENT}&tracestate=vendor%3Da%26b%3Bc&baggage=tenant%3Done%2Btwo",
    }


def test_it_can_do_without_the_transaction_hash():
    assert Carriers(W3C, False).write({}, context()) == {"_traceparent": TRACEPARENT}
    assert Carriers(W3C, False).read({"transaction_hash": f"traceparent={TRACEPARENT}"}) is None


def test_the_programs_own_options_are_left_as_they_are():
    given_options = {"timeout": 5, "transaction_hash": "mine", "_traceparent": "mine"}
    assert Carriers(W3C, True).write(given_options, context()) == given_options
    assert len(given_options) == 3


def test_without_a_trace_nothing_is_written():
    options = {"timeout": 5}
    assert Carriers(W3C, True).write(options, Context()) is options
    assert Carriers(W3C, True).write(None, Context()) is None


@pytest.mark.parametrize("options", [1, "text", [("a", 1)]])
def test_options_that_are_none_are_for_others_to_refuse(options):
    assert Carriers(W3C, True).write(options, context()) is options


@pytest.mark.parametrize("left", ["transaction_hash", "_traceparent"])
def test_either_is_enough(left):
    carriers = Carriers(W3C, True)
    options = carriers.write(None, context([("vendor", "a&b;c")], tenant="ä &=%+;,"))
    kept = {key: value for key, value in options.items() if (key == "transaction_hash") == (left == "transaction_hash")}
    found = carriers.read(kept)
    assert span_of(found) == span_of(context([("vendor", "a&b;c")]))
    assert span_of(found).is_remote
    assert span_of(found).trace_state["vendor"] == "a&b;c"
    assert baggage.get_all(found) == {"tenant": "ä &=%+;,"}


def test_the_custom_attributes_count_for_more():
    other = TRACEPARENT.replace("b7ad", "aaaa")
    found = Carriers(W3C, True).read({"_traceparent": TRACEPARENT, "transaction_hash": f"traceparent={other}"})
    assert span_of(found).span_id == 0xB7AD6B7169203331


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"caller": 1, "procedure": "com.example.a"},
        {"transaction_hash": None},
        {"transaction_hash": 1},
        {"transaction_hash": ""},
        {"transaction_hash": "0x3f786850e387550fdab836ed7e6dc881de23001b"},
        {"transaction_hash": "a=b&c=d"},
        {"transaction_hash": "traceparent=" + "0" * 20_000},
        {"_traceparent": 5},
        {"_traceparent": None, "_tracestate": []},
    ],
)
def test_details_without_a_trace(details):
    assert Carriers(W3C, True).read(details) is None


@given(st.dictionaries(st.sampled_from(["_traceparent", "_tracestate", "_baggage", "transaction_hash"]), st.text()))
def test_what_a_peer_writes_breaks_nothing(details):
    found = Carriers(W3C, True).read(details)
    assert found is None or not span_of(found).is_valid or details["_traceparent"].count("-") >= 3


@given(st.text())
def test_what_a_peer_writes_into_the_hash_breaks_nothing(text):
    found = Carriers(W3C, True).read({"transaction_hash": f"traceparent={text}&baggage={text}&tracestate={text}"})
    assert found is None or not span_of(found).is_valid


@pytest.mark.parametrize("field", ["traceparent", "X-B3-TraceId", "uber-trace-id", "baggage"])
def test_custom_attributes_are_named_as_the_specification_wants(field):
    import re

    assert re.fullmatch(r"_[a-z0-9_]{3,}", attribute(field))
