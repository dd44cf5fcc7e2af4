"""The floor: blocking sockets and no library, and only what must be done."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from benchmarks.meter import Meter, resident_kib
from benchmarks.wire import CALL, ERROR, EVENT, INVOCATION, PUBLISH, PUBLISHED, RESULT, YIELD, Wire
from benchmarks.work import BIG, IN_FLIGHT, Job, WrongError, check, small


def measure(job: Job, meter: Meter) -> None:
    """Do a job."""
    ROWS[job.row](job, meter)


def joined(job: Job) -> Wire:
    """Open a session."""
    return Wire(job.url, job.serializer)


def section(job: Job, meter: Meter, work: Callable[[int], Any]) -> None:
    """Do the work once to warm up, and once more, measured."""
    work(job.warm_up)
    meter.begin()
    work(job.operations)
    meter.end()


def call(wire: Wire, procedure: str, *args: Any) -> Any:
    """Call a procedure and wait for its result; only what has to do with that may come meanwhile."""
    wire.send([CALL, wire.request_id(), {}, procedure, list(args)])
    answer = wire.next()
    if answer[0] != RESULT:
        raise WrongError(answer)
    return answer[3][0] if len(answer) > 3 and answer[3] else None


def call_in_turn(job: Job, meter: Meter, payload: Callable[[int], str]) -> None:
    """Call a procedure many times, one call after the other."""
    wire, echo = joined(job), job.uri("echo")

    def calls(count: int) -> None:
        for number in range(count):
            text = payload(number)
            begun = monotonic()
            answer = call(wire, echo, text)
            meter.latencies.append(monotonic() - begun)
            if answer != text:
                raise WrongError(job.row)

    section(job, meter, calls)


def seq(job: Job, meter: Meter) -> None:
    """One call at a time."""
    call_in_turn(job, meter, small)


def big(job: Job, meter: Meter) -> None:
    """One call at a time, with 200 kB each way."""
    call_in_turn(job, meter, lambda _: BIG)


def conc(job: Job, meter: Meter) -> None:
    """Send a hundred calls in one write, read all answers, and again."""
    wire, echo = joined(job), job.uri("echo")

    def calls(count: int) -> None:
        for first in range(0, count, IN_FLIGHT):
            begun = monotonic()
            texts = {wire.request_id(): small(number) for number in range(first, first + IN_FLIGHT)}
            wire.send(*[[CALL, request_id, {}, echo, [text]] for request_id, text in texts.items()])
            while texts:
                for answer in wire.receive():
                    if answer[0] != RESULT or answer[3] != [texts.pop(answer[1])]:
                        raise WrongError(answer)
            meter.latencies.append(monotonic() - begun)

    section(job, meter, calls)


def event(job: Job, meter: Meter) -> None:
    """Events that come in bursts."""
    wire = joined(job)
    wire.subscribe(job.uri("events"))

    def events(count: int) -> None:
        wire.send([CALL, wire.request_id(), {}, job.uri("events"), [count]])
        expected = 0
        while expected < count:
            for message in wire.receive():
                if message[0] != EVENT:
                    check(message[0], RESULT)
                    continue
                meter.latencies.append(monotonic() - message[5]["sent"])
                if message[5]["number"] != expected:
                    raise WrongError(message)
                expected += 1

    section(job, meter, events)


def invocation(job: Job, meter: Meter) -> None:
    """Invocations, a hundred in flight; those that come together are answered together."""
    wire = joined(job)
    wire.register(job.uri("serve"))

    def invocations(count: int) -> None:
        wire.send([CALL, wire.request_id(), {}, job.uri("calls"), [count, IN_FLIGHT, [job.uri("serve")]]])
        left = count
        while left:
            messages = wire.receive()
            answers = [[YIELD, each[1], {}, each[4]] for each in messages if each[0] == INVOCATION]
            if len(answers) < len(messages) and any(each[0] == ERROR for each in messages):
                raise WrongError(messages)
            left -= len(answers)
            if answers:
                wire.send(*answers)

    invocations(job.warm_up)
    call(wire, job.uri("report"))
    meter.begin()
    invocations(job.operations)
    meter.end()
    report = call(wire, job.uri("report"))
    check((report["answers"], report["wrong"]), (job.operations, 0))
    meter.take_report(report)


def publish(job: Job, meter: Meter) -> None:
    """Publish events, one write each, and make sure by the last one that the router has them all."""
    wire, topic = joined(job), job.uri("sink")

    def publications(count: int) -> None:
        for number in range(count - 1):
            wire.send([PUBLISH, wire.request_id(), {}, topic, [], {"number": number, "text": small(number)}])
        event = {"number": count - 1, "text": small(0)}
        wire.send([PUBLISH, wire.request_id(), {"acknowledge": True}, topic, [], event])
        check(wire.next()[0], PUBLISHED)

    publications(job.warm_up)
    call(wire, job.uri("report"))
    meter.begin()
    publications(job.operations)
    meter.end()
    report = call(wire, job.uri("report"))
    check((report["events"], report["wrong"]), (job.operations, 0))


def session(job: Job, meter: Meter) -> None:
    """Open many sessions in one process."""
    wires = [joined(job) for _ in range(job.warm_up)]
    meter.begin()
    before = resident_kib()
    wires += [joined(job) for _ in range(job.operations)]
    meter.figures["kib"] = (resident_kib() - before) / job.operations
    meter.end()


def idle(job: Job, meter: Meter) -> None:
    """Do nothing for so many seconds, with heartbeats."""
    wire = joined(job)
    call(wire, job.uri("echo"), "")
    meter.begin()
    wire.stay(job.operations)
    meter.end_idleness()


ROWS: dict[str, Callable[[Job, Meter], None]] = {
    function.__name__: function for function in (seq, big, conc, event, invocation, publish, session, idle)
}
