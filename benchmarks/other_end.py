"""The other end of every pair: a session over a bare socket that serves, calls, publishes and listens as it is told.

    python -m benchmarks.other_end URL SERIALIZER PREFIX

It is told by calls from the process under test, so there is no other channel between the two. It ends with the
router's connection.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from benchmarks.meter import summary
from benchmarks.wire import CALL, ERROR, EVENT, INVOCATION, PUBLISH, PUBLISHED, RESULT, YIELD, Message, Wire
from benchmarks.work import IN_FLIGHT, small

#: What goes to standard output when everything is registered.
READY = "ready"


class OtherEnd:
    """A session that does what it is told.

    Args:
        wire: Joined.
        prefix: What all URIs begin with.
    """

    def __init__(self, wire: Wire, prefix: str) -> None:
        self._wire = wire
        self._prefix = prefix
        self._procedures = {
            wire.register(f"{prefix}.{name}"): getattr(self, f"_on_{name}")
            for name in ("echo", "events", "calls", "hold", "release", "report")
        }
        wire.subscribe(f"{prefix}.sink")
        self._out: list[Message] = []
        self._held: list[tuple[int, list[Any]]] = []
        self._events_left = self._events_sent = 0
        self._is_publishing = False
        self._calls_left = self._calls_sent = 0
        self._procedures_to_call: list[str] = []
        self._calls: dict[int, tuple[str, float]] = {}
        self._asked: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._sunk = self._wrong = 0
        self._latencies: list[float] = []

    def run(self) -> None:
        """Serve until the connection is gone."""
        while True:
            for message in self._wire.receive():
                code = message[0]
                if code == INVOCATION:
                    self._procedures[message[2]](message[1], message[4] if len(message) > 4 else [])
                elif code == RESULT:
                    self._on_result(message[1], message[3] if len(message) > 3 else [])
                elif code == EVENT:
                    self._wrong += message[5]["number"] != self._sunk
                    self._sunk += 1
                elif code == PUBLISHED:
                    self._is_publishing = False
                    self._publish_burst()
                elif code == ERROR and message[1] == CALL:
                    self._on_result(message[2], [])
                else:
                    raise ConnectionError(f"the router says {message!r}")
            if self._asked is not None and not self._calls and not self._calls_left:
                self._answer_report(self._asked)
            if self._out:
                out, self._out = self._out, []
                self._wire.send(*out)

    def _yield(self, request_id: int, *args: Any) -> None:
        self._out.append([YIELD, request_id, {}, list(args)])

    # What can be called.

    def _on_echo(self, request_id: int, args: list[Any]) -> None:
        self._yield(request_id, *args)

    def _on_hold(self, request_id: int, args: list[Any]) -> None:
        """Leave a call pending."""
        self._held.append((request_id, args))

    def _on_release(self, request_id: int, args: list[Any]) -> None:
        """Answer the calls that were left pending."""
        for held, its_args in self._held:
            self._yield(held, *its_args)
        self._held.clear()
        self._yield(request_id)

    def _on_events(self, request_id: int, args: list[Any]) -> None:
        """Publish a number of events in bursts; the next leaves when the router has the last."""
        self._yield(request_id)
        self._events_left, self._events_sent = args[0], 0
        if not self._is_publishing:
            self._publish_burst()

    def _on_calls(self, request_id: int, args: list[Any]) -> None:
        """Make a number of calls, so many at once, of these procedures in turn."""
        self._yield(request_id)
        self._calls_left, in_flight, self._procedures_to_call = args
        self._calls_sent = 0
        for _ in range(min(in_flight, self._calls_left)):
            self._call()

    def _on_report(self, request_id: int, args: list[Any]) -> None:
        """Tell what has come, when all of it has come, and forget it."""
        self._asked = request_id

    # The rest.

    def _answer_report(self, request_id: int) -> None:
        median, high = summary(self._latencies)
        answers = len(self._latencies)
        report = {"events": self._sunk, "answers": answers, "wrong": self._wrong, "median": median, "p99": high}
        self._yield(request_id, report)
        self._asked = None
        self._forget()

    def _publish_burst(self) -> None:
        size = min(self._events_left, IN_FLIGHT)
        self._events_left -= size
        self._is_publishing = size > 0
        topic, now = f"{self._prefix}.events", time.monotonic()
        for place in range(size):
            options = {"acknowledge": True} if place == size - 1 else {}
            event = {"number": self._events_sent, "text": small(self._events_sent), "sent": now}
            self._out.append([PUBLISH, self._wire.request_id(), options, topic, [], event])
            self._events_sent += 1

    def _call(self) -> None:
        number = self._calls_sent
        self._calls_sent += 1
        self._calls_left -= 1
        request_id = self._wire.request_id()
        self._calls[request_id] = small(number), time.monotonic()
        procedure = self._procedures_to_call[number % len(self._procedures_to_call)]
        self._out.append([CALL, request_id, {}, procedure, [small(number)]])

    def _on_result(self, request_id: int, args: list[Any]) -> None:
        text, begun = self._calls.pop(request_id)
        self._latencies.append(time.monotonic() - begun)
        self._wrong += args != [text]
        if self._calls_left:
            self._call()


def main() -> None:
    """Join, say so, and serve."""
    url, serializer, prefix = sys.argv[1:]
    other_end = OtherEnd(Wire(url, serializer), prefix)
    print(READY, flush=True)
    other_end.run()


if __name__ == "__main__":
    main()
