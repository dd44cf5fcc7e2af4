"""OpenTelemetry: spans and metrics of what clients do, and the trace handed on with calls and events.

It needs the extra ``wampy[otel]``, that is the package opentelemetry-api. What becomes of spans and metrics is the
program's choice: it sets the SDK up, with an exporter, before or after `instrument`.
"""

from __future__ import annotations

from wampy import telemetry

try:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import TracerProvider
except ImportError as error:
    raise ImportError(
        f"wampy.otel needs a package that is not installed: pip install 'wampy[otel]' ({error})", name=error.name
    ) from error

from wampy.otel.carriers import Carriers
from wampy.otel.figures import Figures
from wampy.otel.observer import Telemetry
from wampy.otel.operations import Operations

__all__ = ["instrument", "uninstrument"]


def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    *,
    propagator: TextMapPropagator | None = None,
    transaction_hash: bool = True,
    record_exceptions: bool = False,
) -> None:
    """Observe all clients of this process from now on, those too that are running. A second call replaces the first.

    Args:
        tracer_provider: Where spans go; left out, to OpenTelemetry's global provider.
        meter_provider: Where metrics go; likewise.
        propagator: What writes and reads the trace that is handed on; left out, OpenTelemetry's global one.
        transaction_hash: Whether the trace travels in the option ``transaction_hash`` too, the one that Crossbar hands
            on. A ``transaction_hash`` of the program's own is left as it is.
        record_exceptions: Whether spans of what failed have the exception's message and traceback. Those may hold
            what was sent.
    """
    figures = Figures(meter_provider)
    telemetry.watch(
        Telemetry(
            Operations(tracer_provider, meter_provider, record_exceptions),
            Carriers(propagator, transaction_hash),
            figures,
        )
    )


def uninstrument() -> None:
    """Observe no more. What has begun is still recorded when it ends."""
    telemetry.watch(None)
