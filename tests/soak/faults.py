"""The faults of a run: chosen by chance from a seed, and made by the forwarding process and by killing the router."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from faults.forwarder import Forwarder
from soak.journal import Journal

from wampy import Crossbar

#: The kinds, and how often they are chosen.
KINDS = {"cut": 3, "reset": 3, "freeze": 4, "delay": 2, "kill": 2}

#: The shortest freeze and the longest, in seconds; a short run has shorter ones.
FREEZE = (0.1, 30.0)
SHARE = 1 / 10

#: Seconds between two faults, at least and at most, and how much shorter than these a short run makes them.
QUIET = (2.0, 10.0)
CALM = 60.0


@dataclass(frozen=True)
class Fault:
    """A fault that is to be.

    Attributes:
        pause: Seconds of peace before it.
        kind: As in `KINDS`.
        which: ``all``, or the place of a connection.
        seconds: How long it lasts; how long the router stays away.
        delay: How much later everything comes, in seconds.
    """

    pause: float
    kind: str
    which: str
    seconds: float
    delay: float

    def __str__(self) -> str:
        whom = "all connections" if self.which == "all" else "one connection"
        return {
            "cut": f"cut {whom}",
            "reset": f"reset {whom}",
            "freeze": f"freeze {whom} for {self.seconds:.1f} s",
            "delay": f"delay {whom} by {self.delay:.2f} s for {self.seconds:.1f} s",
            "kill": f"kill the router, and start it after {self.seconds:.1f} s",
        }[self.kind]


class Plan:
    """The faults of a run, the same for the same seed.

    Args:
        seed: What they are chosen from.
        seconds: How long the run is.
    """

    def __init__(self, seed: int, seconds: float) -> None:
        self._chance = random.Random(seed)
        self._longest = max(FREEZE[0], min(FREEZE[1], seconds * SHARE))
        self._haste = min(1.0, seconds / CALM)

    def next(self) -> Fault:
        """Choose the next one."""
        chance = self._chance
        kind = chance.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        which = "all" if kind == "kill" or chance.random() < 0.4 else str(chance.randrange(1000))
        # As many short ones as long ones.
        seconds = FREEZE[0] * (self._longest / FREEZE[0]) ** chance.random()
        if kind == "kill":
            seconds = min(seconds, 5.0)
        return Fault(chance.uniform(*QUIET) * self._haste, kind, which, seconds, chance.uniform(0.01, 0.3))


class Faults:
    """Carries out a plan, in a thread of its own.

    Args:
        plan: The plan.
        router: The router.
        forwarder: What the clients reach it through.
        journal: Where faults are noted.

    Attributes:
        error: What has ended the thread before its time.
    """

    def __init__(self, plan: Plan, router: Crossbar, forwarder: Forwarder, journal: Journal) -> None:
        self.error: Exception | None = None
        self._plan = plan
        self._router = router
        self._forwarder = forwarder
        self._journal = journal
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faults")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with everything as it should be; waits."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            number = 0
            while True:
                fault = self._plan.next()
                if self._over.wait(fault.pause):
                    return
                number += 1
                self._journal("fault", number, fault.kind, str(fault))
                getattr(self, f"_{fault.kind}")(fault)
                self._journal("healed", number)
        except Exception as error:
            self.error = error

    def _cut(self, fault: Fault) -> None:
        self._forwarder.tell("cut", fault.which)

    def _reset(self, fault: Fault) -> None:
        self._forwarder.tell("reset", fault.which)

    def _freeze(self, fault: Fault) -> None:
        self._for_a_while(fault, "hold", fault.which)

    def _delay(self, fault: Fault) -> None:
        self._for_a_while(fault, "delay", fault.which, fault.delay)

    def _for_a_while(self, fault: Fault, *command: object) -> None:
        self._forwarder.tell(*command)
        self._over.wait(fault.seconds)
        self._forwarder.tell("heal", "all")

    def _kill(self, fault: Fault) -> None:
        self._router.kill()
        self._over.wait(fault.seconds)
        self._router.start()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds; say whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
