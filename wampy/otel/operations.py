"""Spans, and how long what they stand for has taken. Nothing here may fail, whatever the SDK or an exporter does."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from time import perf_counter, time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider, get_tracer, set_span_in_context

from wampy import __version__
from wampy.errors import NoSuchProcedure, RemoteError
from wampy.interfaces import Backend

logger = logging.getLogger(__name__)

Attributes = Mapping[str, Any]

# Seconds, as OpenTelemetry's conventions have them for every duration.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
DURATIONS = {
    SpanKind.CLIENT: ("rpc.client.call.duration", "How long calls took, until their answer."),
    SpanKind.SERVER: ("rpc.server.call.duration", "How long callees took."),
    SpanKind.PRODUCER: ("messaging.client.operation.duration", "How long publishing took."),
    SpanKind.CONSUMER: ("messaging.process.duration", "How long handlers of events took."),
}


class Operation:
    """Something that is being done.

    Attributes:
        span: Its span.
        context: The context in which that is the current one.
        bounded: The attributes that its metric has, and its span.
        kind: What it is.
        began: When it began, by the performance counter.
    """

    __slots__ = ("began", "bounded", "context", "kind", "span")

    def __init__(self, kind: SpanKind, span: Span, parent: Context | None, bounded: Attributes, began: float) -> None:
        self.kind = kind
        self.span = span
        self.context = set_span_in_context(span, parent)
        self.bounded = bounded
        self.began = began


class Operations:
    """Begins and ends them.

    Args:
        tracer_provider, meter_provider, record_exceptions: As for `wampy.otel.instrument`.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        record_exceptions: bool,
    ) -> None:
        self._tracer = get_tracer("wampy", __version__, tracer_provider)
        meter = get_meter("wampy", __version__, meter_provider)
        self._durations = {
            kind: meter.create_histogram(
                name, unit="s", description=description, explicit_bucket_boundaries_advisory=BUCKETS
            )
            for kind, (name, description) in DURATIONS.items()
        }
        self._record_exceptions = record_exceptions
        self._has_failed = False

    def begin(
        self,
        kind: SpanKind,
        name: str,
        bounded: Attributes,
        more: Attributes | None = None,
        parent: Context | None = None,
        began: tuple[float, int] | None = None,
    ) -> Operation:
        """Begin one.

        Args:
            kind: What it is.
            name: The span's.
            bounded: The attributes that have few values, for the metric too.
            more: The attributes of its span alone.
            parent: The context that it is done in; left out, the current one.
            began: When that was, as `now` gives it, if not just now.
        """
        attributes = {**bounded, **more} if more else bounded
        at, clock = began or (perf_counter(), None)
        span = self._tracer.start_span(name, parent, kind, attributes, start_time=clock)
        return Operation(kind, span, parent, bounded, at)

    def end(
        self,
        operation: Operation | None,
        error: BaseException | None = None,
        uri: str | None = None,
        ended: tuple[float, int] | None = None,
        more: Attributes | None = None,
    ) -> None:
        """End one; never fails.

        Args:
            operation: What has ended; ``None`` for one that could not begin.
            error: What it has raised, if anything.
            uri: The error's URI, when it is no `RemoteError` but has one for the caller.
            ended: When that was, as `now` gives it, if not just now.
            more: Attributes to add to its span.
        """
        if operation is None:
            return
        try:
            at, clock = ended or (perf_counter(), None)
            bounded = operation.bounded if error is None else self._note_error(operation, error, uri)
            if more:
                operation.span.set_attributes(more)
            operation.span.end(clock)
            self._durations[operation.kind].record(max(at - operation.began, 0.0), bounded, context=operation.context)
        except Exception:
            self.failed()

    def _note_error(self, operation: Operation, error: BaseException, uri: str | None) -> Attributes:
        span, bounded = operation.span, dict(operation.bounded)
        what = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        if isinstance(error, RemoteError):
            uri = error.uri
        elif uri is not None:
            span.set_attribute("exception.type", what)
        noted = {"error.type": uri or what}
        if uri is not None and "rpc.method" in bounded:
            noted["rpc.response.status_code"] = uri
        span.set_status(StatusCode.ERROR)
        span.set_attributes(noted)
        if self._record_exceptions:
            span.record_exception(error)
        bounded.update(noted)
        if isinstance(error, NoSuchProcedure) and operation.kind is SpanKind.CLIENT:
            bounded["rpc.method"] = "_OTHER"  # there is any number of those
        return bounded

    def failed(self) -> None:
        """Log the exception that is being handled, if it is the first; no call fails for that."""
        if not self._has_failed:
            self._has_failed = True
            logger.exception("OpenTelemetry failed; what it was to observe goes on, and this is not logged again")


class Ends:
    """Runs what is due when the reader has seen a call's outcome: an exporter may block, and the reader must not.

    There is a green thread while anything is due.
    """

    def __init__(self) -> None:
        self._due: deque[tuple[Any, ...]] = deque()
        self._running = False

    def put(self, backend: Backend, function: Callable[..., None], *args: Any) -> None:
        """Have a function that does not fail run soon. Never blocks.

        Args:
            backend: The verbs.
            function: What to run.
            *args: Its arguments.
        """
        self._due.append((function, *args))
        if self._running:
            return
        self._running = True
        try:
            backend.spawn(self._run, backend)
        except RuntimeError:  # the system has no more threads to give, or the program ends
            self._run(backend)

    def _run(self, backend: Backend) -> None:
        # Once more after it has said that it does not run: several hubs, each in an OS thread, may share it.
        while self._due:
            self._running = True
            try:
                while self._due:
                    try:
                        due = self._due.popleft()
                    except IndexError:
                        break
                    backend.outside(*due)
            finally:
                self._running = False


def now() -> tuple[float, int]:
    """Return the time, by the performance counter and by the clock in nanoseconds."""
    return perf_counter(), time_ns()
