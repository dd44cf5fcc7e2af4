"""The accounts of events: each gap in what a subscriber gets is explained by a session that was lost.

A publisher numbers its events from 1, and says of each publication whether it returned or raised; some wait for the
router's acknowledgement. A subscriber may miss an event when

- the publication raised: its publisher was told,
- its publisher lost a session after it and before the subscriber's next event, and the router had not acknowledged it,
- the subscriber lost a session between the event before and the one after,

and not when it was published after whoever lost the session was back. What comes twice is never explained. What comes
late is when its publisher has lost a session: a connection that is held up may deliver beside the one that follows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from soak import work
from soak.spans import Spans

NOTES = frozenset({"publish", "published", "unpublished", "event"})


@dataclass
class Publication:
    """An event on its publisher's side."""

    seconds: float
    acknowledge: bool
    acknowledged: bool = False
    raised: bool = False


@dataclass
class Sequence:
    """What a subscriber has got of a publisher's events."""

    number: int = 0
    seconds: float = 0.0
    missing: set[int] = field(default_factory=set)


class Events:
    """The events of all publishers at all subscribers.

    Args:
        problem: Called with a kind and a text for what did not hold.
        outages: When clients had no session.
        in_trouble: Says whether something was wrong within a stretch of time.
        subscribers: Who is to get every event.
        slack: How far apart, in seconds, the notes of two processes about the same thing may be.

    Attributes:
        published: How many publications there were.
        raised: How many of them raised, by class.
        received: How many events came.
        missing: How many did not come, by what explains it.
        late: How many came after one that was published later.
        arrivals: How many came in each second.
    """

    def __init__(
        self,
        problem: Callable[[str, str], None],
        outages: Spans,
        in_trouble: Callable[[float, float], bool],
        subscribers: list[str],
        slack: float,
    ) -> None:
        self.published = 0
        self.raised: Counter[str] = Counter()
        self.received = 0
        self.missing: Counter[str] = Counter()
        self.late = 0
        self.arrivals: Counter[int] = Counter()
        self._problem = problem
        self._outages = outages
        self._in_trouble = in_trouble
        self._subscribers = subscribers
        self._slack = slack
        self._publications: dict[str, dict[int, Publication]] = {}
        self._sequences: dict[tuple[str, str], Sequence] = {}

    def take(self, name: str, seconds: float, what: str, rest: list[Any]) -> Callable[[], None] | None:
        """Take a note into account; return what is to be judged later, if anything."""
        if what == "event":
            return self._take_event(name, seconds, *rest)
        publications = self._publications.setdefault(name, {})
        number = rest[0]
        if what == "publish":
            self.published += 1
            publications[number] = Publication(seconds, rest[1])
            return None
        publication = publications[number]
        if what == "published":
            publication.acknowledged = publication.acknowledge
            return None
        _, error, text, is_ours = rest
        publication.raised = True
        self.raised[error] += 1
        about = f"{name}'s publication {number}, from {publication.seconds:.1f} s to {seconds:.1f} s: {error}: {text}"
        if not is_ours:
            self._problem("foreign error", about)
            return None

        def judge() -> None:
            if not self._in_trouble(publication.seconds, seconds):
                self._problem("raised for no reason", about)

        return judge

    def _take_event(
        self, subscriber: str, seconds: float, publisher: str, number: int, content: str
    ) -> Callable[[], None] | None:
        self.received += 1
        self.arrivals[int(seconds)] += 1
        about = f"event {number} of {publisher} at {subscriber}, at {seconds:.1f} s"
        if content != work.event(publisher, number):
            self._problem("wrong event", f"{about}: {content!r}")
            return None
        publication = self._publications.get(publisher, {}).get(number)
        if publication is None:
            self._problem("wrong event", f"{about}: it was not published")
            return None
        before = self._sequences.setdefault((publisher, subscriber), Sequence())
        if number > before.number:
            missing = range(before.number + 1, number)
            since, before.number, before.seconds = before.seconds, number, seconds
            if not missing:
                return None
            before.missing.update(missing)
            return lambda: self._judge_gap(publisher, subscriber, missing, since, seconds)
        if number not in before.missing:
            self._problem("event twice", f"{about}, behind {before.number}")
            return None
        before.missing.discard(number)
        return lambda: self._judge_late(publisher, publication, about, seconds)

    def _judge_late(self, publisher: str, publication: Publication, about: str, seconds: float) -> None:
        self.late += 1
        if not self._lost(publisher, publication.seconds, seconds, publication.seconds):
            self._problem("event out of order", f"{about}: no loss of {publisher}'s explains it")

    def _judge_gap(self, publisher: str, subscriber: str, missing: range, since: float, until: float) -> None:
        unexplained = []
        for number in missing:
            publication = self._publications[publisher].get(number)
            why = None if publication is None else self._why(publication, publisher, subscriber, since, until)
            if why is None:
                unexplained.append(number)
            else:
                self.missing[why] += 1
        if unexplained:
            which = ", ".join(map(str, unexplained[:10])) + (", …" if len(unexplained) > 10 else "")
            self._problem(
                "unexplained gap",
                f"{subscriber} has missed {len(unexplained)} of {publisher}'s events ({which}) between "
                f"{since:.1f} s and {until:.1f} s",
            )

    def _why(
        self, publication: Publication, publisher: str, subscriber: str, since: float, until: float
    ) -> str | None:
        """Say what explains that a subscriber has missed an event, if anything does."""
        published = publication.seconds
        if publication.raised:
            return "the publication raised"
        if self._lost(subscriber, since, until, published):
            return "the subscriber's session was lost"
        if not publication.acknowledged and self._lost(publisher, published, until, published):
            return "the publisher's session was lost"
        return None

    def _lost(self, who: str, begin: float, end: float, published: float) -> bool:
        """Say whether a client lost a session then and was not back before a publication."""
        return any(
            begin - self._slack <= outage.begin <= end + self._slack and published <= outage.end + self._slack
            for outage in self._outages.of(who)
        )

    def finish(self, now: float) -> None:
        """Judge what has not come, at the end of the run."""
        for publisher, publications in self._publications.items():
            behind = max(publications, default=0) + 1
            for subscriber in self._subscribers:
                before = self._sequences.setdefault((publisher, subscriber), Sequence())
                if before.number + 1 < behind:
                    missing = range(before.number + 1, behind)
                    self._judge_gap(publisher, subscriber, missing, before.seconds, now)

    def forget(self, before: float) -> None:
        """Forget what everybody has or will never get, as a run may take hours."""
        for publisher, publications in self._publications.items():
            sequences = [self._sequences.get((publisher, each), Sequence()) for each in self._subscribers]
            got_by_all = min((each.number for each in sequences), default=inf)
            for number in [
                number for number, each in publications.items() if number < got_by_all and each.seconds < before
            ]:
                del publications[number]
                for each in sequences:
                    each.missing.discard(number)
