"""What goes over the wire, and what a peer's custom attributes lead to."""

import subprocess
import sys

import pytest

from wampy import Client, callee, subscribe

pytest.importorskip("opentelemetry.sdk", reason="it needs wampy[otel] and OpenTelemetry's SDK, which `test` has")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import wampy.otel

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Service(Client):
    @callee(procedure="com.example.work")
    def work(self):
        return None

    @subscribe(topic="com.example.topic")
    def on_topic(self):
        pass


@pytest.fixture
def exporter():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    wampy.otel.instrument(provider)
    yield exporter
    wampy.otel.uninstrument()
    provider.shutdown()


def spans(exporter, green, number=1):
    green.wait_until(lambda: len(exporter.get_finished_spans()) >= number)
    return exporter.get_finished_spans()


def test_custom_attributes_are_sent(exporter, join, green):
    client, peer = join()
    calling = green.spawn(client.options(timeout=3.0, disclose_me=True).call, "com.example.work")
    request = peer.expect(48)
    peer.say([50, request[1], {}])
    calling.result()
    client.publish(topic="com.example.topic", number=1)
    asked, published = spans(exporter, green, 2)
    for options, span in ((request[2], asked), (peer.expect(16)[2], published)):
        traceparent = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"
        assert options["_traceparent"] == traceparent
        assert options["transaction_hash"] == f"traceparent={traceparent}"
    assert request[2]["disclose_me"] is True


def test_the_custom_attributes_of_a_peer_lead_to_its_trace(exporter, join, green):
    _, peer = join(Service, roles=2)
    peer.say([68, 1, 100, {"_traceparent": TRACEPARENT}], [36, 101, 7, {"_traceparent": TRACEPARENT}])
    peer.expect(70)
    found = {span.name: span for span in spans(exporter, green, 2)}
    for name in ("com.example.work", "process com.example.topic"):
        assert found[name].context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
        assert found[name].parent.span_id == 0xB7AD6B7169203331
        assert found[name].parent.is_remote


def test_nothing_is_sent_along_when_nobody_watches(join, green):
    client, peer = join()
    client.publish(topic="com.example.topic", number=1)
    assert peer.expect(16)[2] == {}


def test_without_the_package_the_import_names_the_extra():
    program = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError("No module named 'opentelemetry'", name="opentelemetry")

sys.meta_path.insert(0, Missing())
import wampy.peers.clients, wampy.telemetry
try:
    import wampy.otel
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == (
        "wampy.otel needs a package that is not installed: pip install 'wampy[otel]' (No module named 'opentelemetry')"
    ), done.stderr
