"""The processes under test: ``python -m soak.roles SPEC``, SPEC being JSON, see `Role`.

They are as a user would write them: unpatched, with decorated and dynamic roles. What they see they note in their
journal and leave the judgement to others. They end when the folder has a file ``quiet`` (callers and publishers stop
to work, nobody leaves yet) and then one called ``stop``, or when their parent is gone.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from soak import work
from soak.journal import Journal

from wampy import Client, callee
from wampy.backends import get_backend
from wampy.errors import RemoteError, WampyError
from wampy.interfaces import Task

#: So that a network that is frozen for some seconds is noticed.
HEARTBEAT = 2.0

#: How many green threads call, in each caller.
CALLING = 8

#: Each of so many publications waits for the router's acknowledgement.
ACKNOWLEDGE = 5

DRAIN = 3.0


class Noting(Client):
    """A client that notes what becomes of its sessions."""

    journal: Journal

    def on_join(self, details):
        self.journal("joined")

    def on_disconnect(self, error):
        if error is None:
            self.journal("left")
        else:
            self.journal("lost", str(error)[:200])


def raised(error: Exception) -> tuple[str, str, bool]:
    """Return what is noted of an exception."""
    return type(error).__name__, str(error)[:200], isinstance(error, WampyError)


class Role:
    """What all roles have in common.

    Args:
        spec: ``name``, ``url``, ``folder``, ``epoch``, ``seed``, ``rate`` (calls or events each second), and the names
            of all ``services`` and ``publishers``.
    """

    client_class: ClassVar[type[Noting]] = Noting

    def __init__(self, spec: dict[str, Any]) -> None:
        self.name = spec["name"]
        self.services = spec["services"]
        self.publishers = spec["publishers"]
        self.rate = spec["rate"]
        self.folder = Path(spec["folder"])
        self.chance = random.Random(f"{spec['seed']} {self.name}")
        self.journal = Journal(self.folder, self.name, spec["epoch"])
        self.backend = get_backend()
        self.client = self.client_class(
            url=spec["url"], name=self.name, heartbeat=HEARTBEAT, heartbeat_timeout=HEARTBEAT, open_timeout=5.0
        )
        self.client.journal = self.journal
        self._parent = os.getppid()
        self._tasks: list[Task] = []

    def begin(self) -> None:
        """Do what the role does; called when the client has joined."""

    def is_over(self, sign: str = "quiet") -> bool:
        """Say whether to end."""
        return (self.folder / sign).exists() or os.getppid() != self._parent

    def work(self, function: Callable[..., None]) -> None:
        """Run a function in a green thread."""
        self._tasks.append(self.backend.spawn(self.backend.outside, function))

    def pause(self, rate: float) -> None:
        """Wait until the next one, so that there are so many each second on the average."""
        self.backend.sleep(min(self.chance.expovariate(rate), 5 / rate))

    def _threads(self) -> int:
        """Count the threads, green or not, beside the workers of the current session, which go with it."""
        found = threading.active_count() - len(self.client._session.workers._all)
        module = sys.modules.get("greenlet")
        if module is not None:
            # Not isinstance: there are weak proxies, and what they stood for may be gone.
            found += sum(1 for each in gc.get_objects() if issubclass(type(each), module.greenlet) and each)
        return found

    def run(self) -> None:
        """Play the role to its end."""
        gc.collect()
        gc.freeze()  # so that counting green threads does not look at modules
        self.client.start()
        self.begin()
        self.journal("ready")
        while not self.is_over("stop"):
            self.journal("threads", self._threads())
            self.backend.sleep(1.0)
        for task in self._tasks:
            task.join(max(work.TIMEOUTS.values()))
        self.client.stop(drain=DRAIN)


def service_class(name: str, services: list[str]) -> type[Noting]:
    """Make the class of a service, whose procedures have its name in theirs."""
    other = services[(services.index(name) + 1) % len(services)]

    class Service(Noting):
        @callee(procedure=f"com.example.soak.{name}.digest")
        def digest(self, argument):
            return work.digest(argument)

        @callee(procedure=f"com.example.soak.{name}.slow")
        def slow(self, argument, seconds):
            get_backend().sleep(seconds)
            return work.digest(argument)

        @callee(procedure=f"com.example.soak.{name}.relay")
        def relay(self, argument):
            return "passed on: " + self.call(f"com.example.soak.{other}.digest", argument)

        # Not decorated: it is registered by hand.
        def fail(self, argument):
            raise RemoteError(work.FAILURE, work.digest(argument))

    return Service


class Service(Role):
    """Answers calls."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.client_class = service_class(spec["name"], spec["services"])  # type: ignore[misc]
        super().__init__(spec)

    def begin(self) -> None:
        self.client.session.register(f"com.example.soak.{self.name}.fail", self.client.fail)


class Caller(Role):
    """Calls, several at a time."""

    def begin(self) -> None:
        self._numbers = count(1)
        for _ in range(CALLING):
            self.work(self._call_on)

    def _call_on(self) -> None:
        while not self.is_over():
            number, kind = next(self._numbers), work.choose(self.chance)
            service, seconds = self.chance.choice(self.services), self.chance.uniform(0.01, 0.5)
            self.journal("call", number, kind)
            try:
                answer = self._call(f"com.example.soak.{service}.", kind, work.text(self.name, number, kind), seconds)
            except Exception as error:
                self.journal("raised", number, *raised(error))
            else:
                self.journal("answered", number, answer)
            self.pause(self.rate / CALLING)

    def _call(self, prefix: str, kind: str, text: str, seconds: float) -> Any:
        view = self.client.options(timeout=work.TIMEOUTS[kind])
        if kind == "slow":
            return view.call(f"{prefix}slow", text, seconds)
        if kind == "late":
            return view.call(f"{prefix}slow", text, 1.0)
        if kind == "cancel":
            pending = view.rpc.com.example.soak.__getattr__(prefix.split(".")[-2]).slow.call_async(text, 1.0)
            self.backend.sleep(seconds)
            pending.cancel()
            return pending.result()
        if kind == "fail":
            try:
                return view.call(f"{prefix}fail", text)
            except RemoteError as error:
                if error.uri != work.FAILURE:
                    raise
                return f"refused: {error.args[0]}"
        return view.call(prefix + ("relay" if kind == "relay" else "digest"), text)


class Publisher(Role):
    """Publishes events in a row, and does not repeat one."""

    def begin(self) -> None:
        self.work(self._publish_on)

    def _publish_on(self) -> None:
        topic = f"com.example.soak.{self.name}"
        for number in count(1):
            if self.is_over():
                return
            acknowledge = number % ACKNOWLEDGE == 0
            self.journal("publish", number, acknowledge)
            try:
                self.client.publish(
                    topic=topic,
                    options={"acknowledge": acknowledge},
                    number=number,
                    content=work.event(self.name, number),
                )
            except Exception as error:
                self.journal("unpublished", number, *raised(error))
            else:
                self.journal("published", number)
            self.pause(self.rate)


class Subscriber(Role):
    """Notes the events of all publishers."""

    def begin(self) -> None:
        # The first by a prefix, and the others by their names, as a router keeps these apart.
        for place, publisher in enumerate(self.publishers):
            self.client.session.subscribe(
                f"com.example.soak.{publisher}",
                self._handler(publisher),
                options={"match": "prefix"} if place == 0 else None,
            )

    def _handler(self, publisher: str) -> Callable[..., None]:
        def on_event(number: int, content: str) -> None:
            self.journal("event", publisher, number, content)

        return on_event


ROLES: dict[str, type[Role]] = {
    "service": Service,
    "caller": Caller,
    "publisher": Publisher,
    "subscriber": Subscriber,
}


def main() -> None:
    spec = json.loads(sys.argv[1])
    logging.basicConfig(
        filename=Path(spec["folder"]) / f"{spec['name']}.log", format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    ROLES[spec["name"].split("-")[0]](spec).run()


if __name__ == "__main__":
    main()
