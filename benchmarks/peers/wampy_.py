"""wampy, on the backend that the environment says."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from benchmarks.meter import Meter, resident_kib
from benchmarks.work import BIG, IN_FLIGHT, PATIENCE, Job, WrongError, check, small
from wampy import Client, callee, subscribe
from wampy.backends import get_async_adapter
from wampy.serializers import OrjsonSerializer
from wampy.session import Session

C = TypeVar("C", bound=Client)

ROWS: dict[str, Callable[[Job, Meter], None]] = {}


def row(function: Callable[[Job, Meter], None]) -> Callable[[Job, Meter], None]:
    """Note the function of a row under its name."""
    ROWS[function.__name__] = function
    return function


def measure(job: Job, meter: Meter) -> None:
    """Do a job."""
    ROWS[job.row](job, meter)


def joined(job: Job) -> Client:
    """Make a client that only calls and publishes, and start it."""
    return joined_as(Client, job)


def joined_as(cls: type[C], job: Job) -> C:
    """Make a client as users do, and start it."""
    quick = job.peer == "wampy-orjson" and job.serializer == "json"
    client = cls(url=job.url, serializers=OrjsonSerializer() if quick else job.serializer, call_timeout=PATIENCE)
    client.start()
    return client


def session_of(client: Client) -> Session:
    """Give the full control of a client that has joined."""
    assert client.session is not None
    return client.session


def section(job: Job, meter: Meter, work: Callable[[int], Any]) -> None:
    """Do the work once to warm up, and once more, measured."""
    work(job.warm_up)
    meter.begin()
    work(job.operations)
    meter.end()


def run_all(functions: list[Callable[[], None]]) -> None:
    """Run functions in green threads of the backend's library, or in OS threads, and wait for all of them."""
    name = get_async_adapter().name
    if name == "eventlet":
        import eventlet

        for each in [eventlet.spawn(function) for function in functions]:
            each.wait()
    elif name == "gevent":
        import gevent

        gevent.joinall([gevent.spawn(function) for function in functions], raise_error=True)
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(functions)) as pool:
            for future in [pool.submit(function) for function in functions]:
                future.result()


def make_calls(client: Client, procedure: str, payload: Callable[[int], str], meter: Meter) -> Callable[[int], None]:
    """Give what calls a procedure so many times, one call after the other."""

    def calls(count: int) -> None:
        call, latencies = client.call, meter.latencies
        for number in range(count):
            text = payload(number)
            begun = monotonic()
            answer = call(procedure, text)
            latencies.append(monotonic() - begun)
            if answer != text:
                raise WrongError(procedure)

    return calls


@row
def seq(job: Job, meter: Meter) -> None:
    """One call at a time."""
    section(job, meter, make_calls(joined(job), job.uri("echo"), small, meter))


@row
def big(job: Job, meter: Meter) -> None:
    """One call at a time, with 200 kB each way."""
    section(job, meter, make_calls(joined(job), job.uri("echo"), lambda _: BIG, meter))


@row
def conc(job: Job, meter: Meter) -> None:
    """Begin a hundred calls, wait for all of them, and again."""
    echo = getattr(joined(job).rpc, job.uri("echo"))

    def calls(count: int) -> None:
        for first in range(0, count, IN_FLIGHT):
            texts = [small(number) for number in range(first, first + IN_FLIGHT)]
            begun = monotonic()
            pending = [echo.call_async(text) for text in texts]
            answers = [each.result() for each in pending]
            meter.latencies.append(monotonic() - begun)
            if answers != texts:
                raise WrongError(job.row)

    section(job, meter, calls)


@row
def green(job: Job, meter: Meter) -> None:
    """A hundred green threads that call, each one call at a time."""
    calls = make_calls(joined(job), job.uri("echo"), small, meter)
    section(job, meter, lambda count: run_all([lambda: calls(count // IN_FLIGHT)] * IN_FLIGHT))


class Counter:
    """Count what comes, from several OS threads if need be, and wait for the last."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._last = 0
        self._slot = get_async_adapter().slot()

    def expect(self, count: int) -> None:
        """Begin again."""
        self._slot = get_async_adapter().slot()
        self._last, self._numbers = count, itertools.count(1)

    def add(self) -> None:
        """Count one."""
        if next(self._numbers) == self._last:  # one step, so that threads need no lock
            self._slot.set()

    def wait(self) -> None:
        """Wait for the last."""
        if not self._slot.wait(PATIENCE):
            raise WrongError(f"{next(self._numbers) - 1} of {self._last} have come")


@row
def event(job: Job, meter: Meter) -> None:
    """Events that come in bursts, to a decorated method."""
    counter, wrong = Counter(), []

    class Subscriber(Client):
        expected = 0

        @subscribe(topic=job.uri("events"))
        def on_event(self, number: int, text: str, sent: float) -> None:
            meter.latencies.append(monotonic() - sent)
            if number != self.expected:
                wrong.append(number)
            self.expected += 1
            counter.add()

    client = joined_as(Subscriber, job)

    def events(count: int) -> None:
        client.expected = 0
        counter.expect(count)
        client.call(job.uri("events"), count)
        counter.wait()

    section(job, meter, events)
    check(wrong, [])


@row
def invocation(job: Job, meter: Meter) -> None:
    """Invocations of a decorated method, a hundred in flight."""
    counter = Counter()

    class Service(Client):
        @callee(procedure=job.uri("serve"))
        def serve(self, text: str) -> str:
            counter.add()
            return text

    serve(job, meter, joined_as(Service, job), counter, [job.uri("serve")])


def serve(job: Job, meter: Meter, client: Client, counter: Counter, procedures: list[str]) -> None:
    """Have procedures called, and measure that."""

    def invocations(count: int) -> None:
        counter.expect(count)
        client.call(job.uri("calls"), count, IN_FLIGHT, procedures)
        counter.wait()

    invocations(job.warm_up)
    client.call(job.uri("report"))
    meter.begin()
    invocations(job.operations)
    meter.end()
    report = client.call(job.uri("report"))
    check((report["answers"], report["wrong"]), (job.operations, 0))
    meter.take_report(report)


@row
def publish(job: Job, meter: Meter) -> None:
    """Publish events, and make sure by the last one that the router has them all."""
    client, topic = joined(job), job.uri("sink")

    def publications(count: int) -> None:
        for number in range(count - 1):
            client.publish(topic=topic, number=number, text=small(number))
        client.publish(topic=topic, number=count - 1, text=small(0), options={"acknowledge": True})

    publications(job.warm_up)
    client.call(job.uri("report"))
    meter.begin()
    publications(job.operations)
    meter.end()
    report = client.call(job.uri("report"))
    check((report["events"], report["wrong"]), (job.operations, 0))


@row
def session(job: Job, meter: Meter) -> None:
    """Open many sessions in one process."""
    clients = [joined(job) for _ in range(job.warm_up)]
    meter.begin()
    before = resident_kib()
    clients += [joined(job) for _ in range(job.operations)]
    meter.figures["kib"] = (resident_kib() - before) / job.operations
    meter.end()
    check(len({session_of(client).id for client in clients}), len(clients))


@row
def idle(job: Job, meter: Meter) -> None:
    """Do nothing for so many seconds, with heartbeats."""
    client = joined(job)
    client.call(job.uri("echo"), "")
    meter.begin()
    check(client.wait(job.operations), False)
    meter.end_idleness()


@row
def scaling_pending(job: Job, meter: Meter) -> None:
    """One call at a time, while others are pending."""
    client = joined(job)
    hold = getattr(client.rpc, job.uri("hold"))
    pending = [hold.call_async(small(number)) for number in range(job.level - 1)]
    section(job, meter, make_calls(client, job.uri("echo"), small, meter))
    client.call(job.uri("release"))
    check([each.result() for each in pending], [small(number) for number in range(job.level - 1)])


@row
def scaling_registrations(job: Job, meter: Meter) -> None:
    """Invocations of many procedures in turn."""
    client, counter = joined(job), Counter()
    procedures = [job.uri(f"serve.{number}") for number in range(job.level)]

    def answer(text: str) -> str:
        counter.add()
        return text

    for procedure in procedures:
        session_of(client).register(procedure, answer)
    serve(job, meter, client, counter, procedures)


@row
def scaling_clients(job: Job, meter: Meter) -> None:
    """One call at a time, by many clients in turn."""
    calls = [make_calls(joined(job), job.uri("echo"), small, meter) for _ in range(job.level)]

    def in_turn(count: int) -> None:
        for number in range(count):
            calls[number % job.level](1)

    section(job, meter, in_turn)
