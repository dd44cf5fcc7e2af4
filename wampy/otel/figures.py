"""The figures of `client.stats` as metrics, of all clients of the process together by name and realm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import ReferenceType, ref

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter, get_meter_provider

from wampy import __version__, telemetry
from wampy.stats import Stats


class Metric(NamedTuple):
    """A metric of the figures.

    Attributes:
        name, unit, description: The metric's.
        figures: Each with what tells it from the others of that metric.
    """

    name: str
    unit: str
    description: str
    figures: dict[str, str]


DIRECTION = "network.io.direction"
COUNTERS = (
    Metric("wampy.client.messages", "{message}", "WAMP messages that came in and went out.",
           {"messages_in": "receive", "messages_out": "transmit"}),
    Metric("wampy.client.io", "By", "Bytes that were read from sockets and written to them.",
           {"bytes_in": "receive", "bytes_out": "transmit"}),
    Metric("wampy.client.calls", "{call}", "Calls that were made.", {"calls": ""}),
    Metric("wampy.client.errors", "{request}", "Requests that were answered with ERROR or not in time.",
           {"errors": ""}),
    Metric("wampy.client.invocations", "{invocation}", "Invocations that came in.", {"invocations": ""}),
    Metric("wampy.client.invocations.refused", "{invocation}", "Invocations that were refused, as too many waited.",
           {"invocations_refused": ""}),
    Metric("wampy.client.events", "{event}", "Events that came in.", {"events": ""}),
    Metric("wampy.client.events.dropped", "{event}", "Events that were dropped, as too many waited.",
           {"events_dropped": ""}),
    Metric("wampy.client.reconnects", "{session}", "Sessions that followed a lost one.", {"reconnects": ""}),
)  # fmt: skip
LEVELS = (
    Metric("wampy.client.requests.pending", "{request}", "Requests that wait for their reply.", {"pending": ""}),
    Metric("wampy.client.workers.busy", "{worker}", "Callees and event handlers that run.", {"workers_busy": ""}),
    Metric("wampy.client.queue", "{job}", "Invocations and events that wait for a worker.", {"queue": ""}),
)
PING = Metric("wampy.client.ping.duration", "s", "How long the last heartbeat took, the slowest client's.",
              {"last_ping": ""})  # fmt: skip

Key = tuple[str, str]


class Figures:
    """Adds up what clients have done. What a client has done counts for ever, also when it is no longer there.

    The SDK asks in an OS thread of its own, while clients work: here nothing waits for them.

    Args:
        meter_provider: As for `wampy.otel.instrument`.
    """

    def __init__(self, meter_provider: MeterProvider | None) -> None:
        # Of each client, as of the last look. Filled without a lock: it may be a reader, or a signal's handler, who
        # says that a client has stopped.
        self._seen: dict[ReferenceType[Any], tuple[Key, Stats]] = {}
        # Of clients that are no longer there.
        self._gone: dict[Key, Stats] = {}
        self._lock = threading.Lock()
        self._provider = meter_provider
        meter = get_meter("wampy", __version__, meter_provider)
        makers = (
            (COUNTERS, meter.create_observable_counter, Figures.sums),
            (LEVELS, meter.create_observable_up_down_counter, _summed),
            ((PING,), meter.create_observable_gauge, _slowest),
        )
        for metrics, create, observe in makers:
            for metric in metrics:
                callback = _callback(meter_provider, metric, observe)
                create(metric.name, [callback], unit=metric.unit, description=metric.description)

    def is_for(self, meter_provider: MeterProvider | None) -> bool:
        """Say whether its metrics go there."""
        return (self._provider or get_meter_provider()) is (meter_provider or get_meter_provider())

    def look(self, keeper: Any) -> None:
        """Take down what a client has done. Never blocks."""
        self._seen[ref(keeper)] = _key(keeper), keeper.figures()

    def sums(self, name: str) -> dict[Key, float]:
        """Return what all clients have done, by name and realm.

        Args:
            name: The figure.
        """
        with self._lock:
            for keeper in telemetry.keepers():
                self.look(keeper)
            for reference, (key, figures) in list(self._seen.items()):
                if reference() is None:
                    self._gone[key] = self._gone.get(key, Stats()) + figures
                    del self._seen[reference]
            done = [*self._gone.items(), *self._seen.values()]
        sums: dict[Key, float] = {}
        for key, figures in done:
            sums[key] = sums.get(key, 0) + getattr(figures, name)
        return sums


def _key(keeper: Any) -> Key:
    return keeper.who, keeper.options.realm


def _summed(_: Figures, name: str) -> dict[Key, float]:
    levels: dict[Key, float] = {}
    for keeper in telemetry.keepers():
        levels[_key(keeper)] = levels.get(_key(keeper), 0) + getattr(keeper.figures(), name)
    return levels


def _slowest(_: Figures, name: str) -> dict[Key, float]:
    levels: dict[Key, float] = {}
    for keeper in telemetry.keepers():
        seconds = getattr(keeper.figures(), name)
        if seconds is not None and keeper.running:
            levels[_key(keeper)] = max(levels.get(_key(keeper), 0.0), seconds)
    return levels


def _callback(
    provider: MeterProvider | None, metric: Metric, observe: Callable[[Figures, str], dict[Key, float]]
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        # OpenTelemetry keeps a callback for good, and takes no second one for the same name: who observes now?
        figures = getattr(telemetry.observer, "figures", None)
        if not isinstance(figures, Figures) or not figures.is_for(provider):
            return
        for name, direction in metric.figures.items():
            for (who, realm), number in observe(figures, name).items():
                attributes = {"wampy.client.name": who, "wamp.realm": realm}
                if direction:
                    attributes[DIRECTION] = direction
                yield Observation(number, attributes)

    return callback
