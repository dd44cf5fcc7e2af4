"""autobahn-python on asyncio, as its documentation has one write it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import txaio
from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.serializer import JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import PublishOptions

from benchmarks.meter import Meter, resident_kib
from benchmarks.work import BIG, IN_FLIGHT, PATIENCE, Job, WrongError, check, small

SERIALIZERS = {"json": JsonSerializer, "msgpack": MsgPackSerializer}

#: How many events to publish before the loop has a chance to do something else.
BREATH = 100

ROWS: dict[str, Callable[[Job, Meter], Coroutine[Any, Any, None]]] = {}


def row(
    function: Callable[[Job, Meter], Coroutine[Any, Any, None]],
) -> Callable[[Job, Meter], Coroutine[Any, Any, None]]:
    """Note the function of a row under its name."""
    ROWS[function.__name__] = function
    return function


def measure(job: Job, meter: Meter) -> None:
    """Do a job."""
    txaio.start_logging(level="warn")  # type: ignore[attr-defined]  # of asyncio, since autobahn.asyncio is imported
    asyncio.run(ROWS[job.row](job, meter))


class Session(ApplicationSession):
    """A session that says when it has joined."""

    def onJoin(self, details: Any) -> None:
        self.config.extra["joined"].set_result(None)

    def onUserError(self, fail: Any, msg: str) -> None:
        if not self.config.extra["joined"].done():
            self.config.extra["joined"].set_exception(fail.value)

    def onLeave(self, details: Any) -> None:
        if not self.config.extra["joined"].done():
            self.config.extra["joined"].set_exception(ConnectionError(details.message))


async def joined(job: Job) -> Session:
    """Make a session by the usual runner, and wait until it has joined."""
    sessions: list[Session] = []

    def make(config: Any) -> Session:
        sessions.append(Session(config))
        return sessions[0]

    extra = {"joined": asyncio.get_running_loop().create_future()}
    runner = ApplicationRunner(job.url, "realm1", extra=extra, serializers=[SERIALIZERS[job.serializer]()])
    await runner.run(make, start_loop=False)
    await asyncio.wait_for(extra["joined"], PATIENCE)
    return sessions[0]


async def section(job: Job, meter: Meter, work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Do the work once to warm up, and once more, measured."""
    await work(job.warm_up)
    meter.begin()
    await work(job.operations)
    meter.end()


def make_calls(
    session: Session, procedure: str, payload: Callable[[int], str], meter: Meter
) -> Callable[[int], Coroutine[Any, Any, None]]:
    """Give what calls a procedure so many times, one call after the other."""

    async def calls(count: int) -> None:
        call, latencies = session.call, meter.latencies
        for number in range(count):
            text = payload(number)
            begun = monotonic()
            answer = await call(procedure, text)
            latencies.append(monotonic() - begun)
            if answer != text:
                raise WrongError(procedure)

    return calls


@row
async def seq(job: Job, meter: Meter) -> None:
    """One call at a time."""
    await section(job, meter, make_calls(await joined(job), job.uri("echo"), small, meter))


@row
async def big(job: Job, meter: Meter) -> None:
    """One call at a time, with 200 kB each way."""
    await section(job, meter, make_calls(await joined(job), job.uri("echo"), lambda _: BIG, meter))


@row
async def conc(job: Job, meter: Meter) -> None:
    """Begin a hundred calls, wait for all of them, and again."""
    session, echo = await joined(job), job.uri("echo")

    async def calls(count: int) -> None:
        for first in range(0, count, IN_FLIGHT):
            texts = [small(number) for number in range(first, first + IN_FLIGHT)]
            begun = monotonic()
            answers = await asyncio.gather(*[session.call(echo, text) for text in texts])
            meter.latencies.append(monotonic() - begun)
            if answers != texts:
                raise WrongError(job.row)

    await section(job, meter, calls)


@row
async def green(job: Job, meter: Meter) -> None:
    """A hundred tasks that call, each one call at a time."""
    calls = make_calls(await joined(job), job.uri("echo"), small, meter)

    async def tasks(count: int) -> None:
        await asyncio.gather(*[asyncio.create_task(calls(count // IN_FLIGHT)) for _ in range(IN_FLIGHT)])

    await section(job, meter, tasks)


class Counter:
    """Count what comes, and wait for the last."""

    def __init__(self) -> None:
        self._last = self._count = 0
        self._event = asyncio.Event()

    def expect(self, count: int) -> None:
        """Begin again."""
        self._last, self._count = count, 0
        self._event.clear()

    def add(self) -> None:
        """Count one."""
        self._count += 1
        if self._count == self._last:
            self._event.set()

    async def wait(self) -> None:
        """Wait for the last."""
        await asyncio.wait_for(self._event.wait(), PATIENCE)


@row
async def event(job: Job, meter: Meter) -> None:
    """Events that come in bursts, to a function."""
    counter, wrong, session = Counter(), [], await joined(job)
    expected = 0

    def on_event(number: int, text: str, sent: float) -> None:
        nonlocal expected
        meter.latencies.append(monotonic() - sent)
        if number != expected:
            wrong.append(number)
        expected += 1
        counter.add()

    await session.subscribe(on_event, job.uri("events"))

    async def events(count: int) -> None:
        nonlocal expected
        expected = 0
        counter.expect(count)
        await session.call(job.uri("events"), count)
        await counter.wait()

    await section(job, meter, events)
    check(wrong, [])


@row
async def invocation(job: Job, meter: Meter) -> None:
    """Invocations of a function, a hundred in flight."""
    await serve(job, meter, [job.uri("serve")])


async def serve(job: Job, meter: Meter, procedures: list[str]) -> None:
    """Register procedures, have them called, and measure that."""
    session, counter = await joined(job), Counter()

    def answer(text: str) -> str:
        counter.add()
        return text

    for procedure in procedures:
        await session.register(answer, procedure)

    async def invocations(count: int) -> None:
        counter.expect(count)
        await session.call(job.uri("calls"), count, IN_FLIGHT, procedures)
        await counter.wait()

    await invocations(job.warm_up)
    await session.call(job.uri("report"))
    meter.begin()
    await invocations(job.operations)
    meter.end()
    report = await session.call(job.uri("report"))
    check((report["answers"], report["wrong"]), (job.operations, 0))
    meter.take_report(report)


@row
async def publish(job: Job, meter: Meter) -> None:
    """Publish events, and make sure by the last one that the router has them all."""
    session, topic = await joined(job), job.uri("sink")

    async def publications(count: int) -> None:
        for number in range(count - 1):
            session.publish(topic, number=number, text=small(number))
            if number % BREATH == 0:
                await asyncio.sleep(0)
        await session.publish(topic, number=count - 1, text=small(0), options=PublishOptions(acknowledge=True))

    await publications(job.warm_up)
    await session.call(job.uri("report"))
    meter.begin()
    await publications(job.operations)
    meter.end()
    report = await session.call(job.uri("report"))
    check((report["events"], report["wrong"]), (job.operations, 0))


@row
async def session(job: Job, meter: Meter) -> None:
    """Open many sessions in one process."""
    sessions = [await joined(job) for _ in range(job.warm_up)]
    meter.begin()
    before = resident_kib()
    sessions += [await joined(job) for _ in range(job.operations)]
    meter.figures["kib"] = (resident_kib() - before) / job.operations
    meter.end()
    check(len({each.session_id for each in sessions}), len(sessions))


@row
async def idle(job: Job, meter: Meter) -> None:
    """Do nothing for so many seconds, with heartbeats."""
    session = await joined(job)
    await session.call(job.uri("echo"), "")
    meter.begin()
    await asyncio.sleep(job.operations)
    meter.end_idleness()


@row
async def scaling_pending(job: Job, meter: Meter) -> None:
    """One call at a time, while others are pending."""
    session = await joined(job)
    pending = [session.call(job.uri("hold"), small(number)) for number in range(job.level - 1)]
    await section(job, meter, make_calls(session, job.uri("echo"), small, meter))
    await session.call(job.uri("release"))
    check(await asyncio.gather(*pending), [small(number) for number in range(job.level - 1)])


@row
async def scaling_registrations(job: Job, meter: Meter) -> None:
    """Invocations of many procedures in turn."""
    await serve(job, meter, [job.uri(f"serve.{number}") for number in range(job.level)])


@row
async def scaling_clients(job: Job, meter: Meter) -> None:
    """One call at a time, by many sessions in turn."""
    calls = [make_calls(await joined(job), job.uri("echo"), small, meter) for _ in range(job.level)]

    async def in_turn(count: int) -> None:
        for number in range(count):
            await calls[number % job.level](1)

    await section(job, meter, in_turn)
