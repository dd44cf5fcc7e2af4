"""One trace through four programs: a call, the event that its callee publishes, who handles that, and whom he calls."""

import os

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import wampy.otel
from wampy import Client, callee, subscribe

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")

# A program of yours has an exporter here that sends the spans away.
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(exporter))
wampy.otel.instrument(provider)


class Shop(Client):
    @callee(procedure="com.example.order")
    def order(self, article):
        self.publish(topic="com.example.ordered", article=article, options={"acknowledge": True})


class Warehouse(Client):
    @subscribe(topic="com.example.ordered")
    def on_ordered(self, article):
        self.call("com.example.stock.take", article)


class Stock(Client):
    @callee(procedure="com.example.stock.take")
    def take(self, article):
        raise LookupError(f"there are no {article}")


with Shop(url=URL), Stock(url=URL) as stock, Warehouse(url=URL) as warehouse, Client(url=URL) as customer:
    customer.call("com.example.order", "apples")
    warehouse.stop(drain=5.0)  # when it has handled the event
    stock.stop(drain=5.0)

provider.shutdown()  # sends what has not been sent


def show(parent=None, depth=0):
    for span in exporter.get_finished_spans():
        if (span.parent and span.parent.span_id) == parent:
            error = span.attributes.get("error.type", "")
            print("  " * depth + f"{span.kind.name.lower()}: {span.name} {error}".rstrip())
            show(span.context.span_id, depth + 1)


show()
