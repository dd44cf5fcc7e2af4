"""The soak itself, for some seconds, and whether its accounts notice a lie. `make soak` runs it for long."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from soak import work
from soak.accounts import BACK, SLACK, Accounts
from soak.calls import GRACE
from soak.faults import FREEZE, KINDS, Plan
from soak.journal import Journal, Tail
from soak.samples import SHARE, WARM_UP, Series, judge

ROOT = Path(__file__).resolve().parents[2]

# The accounts, with made-up journals. What two processes note about one thing may be SLACK apart; FAR is more.

FAR = 3 * SLACK


def accounts_of(*lines, end=None):
    """Keep the accounts of made-up notes, ``(name, seconds, what, ...)``."""
    accounts = Accounts(["subscriber-1"])
    for name, seconds, *what in sorted(lines, key=lambda line: line[1]):
        accounts.take((name, seconds, what))
    accounts.finish(max((line[1] for line in lines), default=0.0) + FAR if end is None else end)
    return accounts


def call(number, *outcome, begin=1.0, end=1.1, kind="digest"):
    """Return the notes of a call."""
    return [
        ("caller-1", begin, "call", number, kind),
        *([("caller-1", end, outcome[0], number, *outcome[1:])] if outcome else []),
    ]


def answer(number, kind="digest"):
    return work.right_answer("caller-1", number, kind)


CLOSED = "ConnectionClosed", "the connection is closed", True


def outage(name, begin, end):
    """Return the notes of a session that is lost and followed by another."""
    return [(name, begin, "lost", "reset"), (name, end, "joined")]


def test_calls_that_are_answered_right_are_in_order():
    accounts = accounts_of(*(line for number in range(3) for line in call(number, "answered", answer(number))))
    assert not accounts.problems
    assert (accounts.calls.begun, accounts.calls.answered) == (3, 3)


@pytest.mark.parametrize("kind", work.KINDS)
def test_a_wrong_answer_is_noticed(kind):
    right, wrong = call(1, "answered", answer(1, kind), kind=kind), call(1, "answered", answer(2, kind), kind=kind)
    assert not accounts_of(*right).problems
    assert accounts_of(*wrong).problems.counts == {"wrong answer": 1}


def test_the_answer_to_somebody_else_s_call_is_noticed():
    other = work.right_answer("caller-2", 1, "digest")
    assert accounts_of(*call(1, "answered", other)).problems.counts == {"wrong answer": 1}


def test_a_lost_call_is_noticed_and_named():
    accounts = accounts_of(*call(7))
    assert accounts.problems.counts == {"lost call": 1}
    assert "caller-1's call 7 (digest)" in accounts.problems.texts["lost call"][0]


def test_a_call_that_ends_twice_is_noticed():
    assert accounts_of(
        *call(1, "answered", answer(1)), ("caller-1", 1.2, "answered", 1, answer(1))
    ).problems.counts == {"answered twice": 1}


def test_a_hanging_call_is_overdue_and_a_problem_even_if_it_is_answered_late():
    limit = 1.0 + work.TIMEOUTS["digest"] + GRACE
    begun = Accounts([])
    begun.take(("caller-1", 1.0, ["call", 1, "digest"]))
    assert begun.calls.overdue(limit - 0.1) == []
    assert begun.calls.overdue(limit + 0.1) == ["caller-1's call 1 (digest), since 1.0 s"]
    assert accounts_of(*call(1, "answered", answer(1), end=limit + 0.1)).problems.counts == {"hanging call": 1}


def test_a_call_that_raised_needs_a_reason():
    assert accounts_of(*call(1, "raised", *CLOSED)).problems.counts == {"raised for no reason": 1}


@pytest.mark.parametrize(
    "reason",
    [
        outage("caller-1", 0.5, 0.9),
        outage("service-1", 1.05, 5.0),
        [("faults", 0.2, "fault", 1, "freeze", "freeze all"), ("faults", 1.05, "healed", 1)],
        [("faults", 0.2, "fault", 1, "freeze", "freeze all")],
    ],
    ids=["the caller had no session", "the service lost its own", "the network was frozen", "the network is frozen"],
)
def test_a_fault_or_an_outage_at_that_time_is_a_reason_to_raise(reason):
    assert not accounts_of(*reason, *call(1, "raised", *CLOSED)).problems


def test_a_fault_at_another_time_is_no_reason_to_raise():
    early, late = outage("caller-1", 1.0, 2.0), outage("caller-1", 20.0, 21.0)
    assert accounts_of(
        *early, *late, *call(1, "raised", *CLOSED, begin=2.0 + FAR, end=20.0 - FAR)
    ).problems.counts == {"raised for no reason": 1}


def test_an_error_that_is_not_of_wampy_is_never_in_order():
    assert accounts_of(
        *outage("caller-1", 0.5, 2.0), *call(1, "raised", "KeyError", "7", False)
    ).problems.counts == {"foreign error": 1}


@pytest.mark.parametrize("kind", sorted(work.CUT_SHORT))
def test_calls_that_are_cut_short_may_raise(kind):
    accounts = accounts_of(*call(1, "raised", "WampyTimeOutError", "", True, kind=kind))
    assert not accounts.problems
    assert accounts.calls.cut_short == 1


# Events.


def publication(number, seconds, outcome=("published",), acknowledge=False):
    """Return the notes of a publication."""
    return [
        ("publisher-1", seconds, "publish", number, acknowledge),
        ("publisher-1", seconds + 0.001, outcome[0], number, *outcome[1:]),
    ]


def published(numbers, begin=10.0, step=1.0, **more):
    """Return the notes of publications in a row."""
    return [line for number in numbers for line in publication(number, begin + (number - 1) * step, **more)]


def event(number, seconds, content=None):
    """Return the note of an event that came."""
    content = work.event("publisher-1", number) if content is None else content
    return "subscriber-1", seconds, "event", "publisher-1", number, content


def received(numbers, begin=10.0, step=1.0):
    """Return the notes of events that came soon after they were published."""
    return [event(number, begin + (number - 1) * step + 0.01) for number in numbers]


def without(*missing):
    """Return the numbers 1 to 60 without some."""
    return [number for number in range(1, 61) if number not in missing]


def test_events_that_all_come_are_in_order():
    accounts = accounts_of(*published(without()), *received(without()))
    assert not accounts.problems
    assert accounts.events.received == accounts.events.published == 60


def test_an_unexplained_gap_is_noticed_and_told():
    accounts = accounts_of(*published(without()), *received(without(31, 32)))
    assert accounts.problems.counts == {"unexplained gap": 1}
    text = accounts.problems.texts["unexplained gap"][0]
    assert "subscriber-1 has missed 2 of publisher-1's events (31, 32) between 39.0 s and 42.0 s" in text


@pytest.mark.parametrize("who", ["subscriber-1", "publisher-1"])
def test_a_session_that_was_lost_explains_a_gap(who):
    # 31 was published at 40, 33 at 42.
    notes = [*published(without()), *received(without(31, 32)), *outage(who, 40.5, 41.5)]
    accounts = accounts_of(*notes)
    assert not accounts.problems
    assert accounts.events.missing.total() == 2


@pytest.mark.parametrize("who", ["subscriber-1", "publisher-1"])
@pytest.mark.parametrize(("begin", "end"), [(20.0, 21.0), (60.0, 61.0)], ids=["earlier", "later"])
def test_a_session_that_was_lost_at_another_time_explains_nothing(who, begin, end):
    notes = [*published(without()), *received(without(31, 32)), *outage(who, begin, end)]
    assert accounts_of(*notes).problems.counts == {"unexplained gap": 1}


def test_a_session_of_somebody_else_s_explains_nothing():
    notes = [*published(without()), *received(without(31, 32)), *outage("caller-1", 40.5, 41.5)]
    assert accounts_of(*notes).problems.counts == {"unexplained gap": 1}


@pytest.mark.parametrize("who", ["subscriber-1", "publisher-1"])
def test_what_is_published_when_everybody_is_back_has_to_come(who):
    # Lost at 40.5 and back at 41, and yet nothing came between 39 and 58.
    notes = [*published(without()), *received(without(*range(31, 50))), *outage(who, 40.5, 41.0)]
    accounts = accounts_of(*notes)
    assert accounts.problems.counts == {"unexplained gap": 1}
    assert accounts.events.missing.total() < 19


def test_what_the_router_has_acknowledged_is_not_lost_with_the_publisher_s_session():
    acknowledged = published(without(), acknowledge=True)
    lost = outage("publisher-1", 40.5, 41.5)
    assert accounts_of(*acknowledged, *received(without(31)), *lost).problems.counts == {"unexplained gap": 1}
    lost = outage("subscriber-1", 40.5, 41.5)
    assert not accounts_of(*acknowledged, *received(without(31)), *lost).problems


def test_a_publication_that_raised_may_be_missing():
    notes = [*published(without(31)), *publication(31, 40.0, ("unpublished", *CLOSED)), *received(without(31))]
    fault = [("faults", 39.0, "fault", 1, "freeze", "freeze all"), ("faults", 41.0, "healed", 1)]
    assert not accounts_of(*notes, *fault).problems
    assert accounts_of(*notes).problems.counts == {"raised for no reason": 1}


def test_events_that_are_missing_in_the_end_are_noticed():
    accounts = accounts_of(*published(without()), *received(without(59, 60)))
    assert accounts.problems.counts == {"unexplained gap": 1}
    assert accounts_of(*published(without())).problems.counts == {"unexplained gap": 1}


def test_an_event_that_comes_twice_is_noticed():
    notes = [*published(without()), *received(without()), event(31, 45.5), *outage("publisher-1", 40.5, 41.5)]
    assert accounts_of(*notes).problems.counts == {"event twice": 1}


def test_an_event_may_come_late_only_when_its_publisher_has_lost_a_session():
    notes = [*published(without()), *received(without(31)), event(31, 43.5)]
    explained = accounts_of(*notes, *outage("publisher-1", 40.5, 41.5))
    assert not explained.problems
    assert explained.events.late == 1
    unexplained = accounts_of(*notes, *outage("subscriber-1", 40.5, 41.5))
    assert unexplained.problems.counts == {"event out of order": 1}


def test_events_that_nobody_has_published_or_that_say_something_else_are_noticed():
    notes = [*published(without()), *received(without())]
    assert accounts_of(*notes, event(61, 80.0)).problems.counts == {"wrong event": 1}
    assert accounts_of(*notes, event(61, 80.0, work.event("publisher-1", 60))).problems.counts == {"wrong event": 1}


def test_a_long_run_forgets_what_cannot_matter_any_more_and_judges_the_rest_as_ever():
    accounts = Accounts(["subscriber-1"])
    for number in range(1, 3001):
        for name, seconds, *what in [*publication(number, float(number)), event(number, number + 0.01)]:
            if number != 2990 or name != "subscriber-1":
                accounts.take((name, seconds, what))
        if number % 30 == 0:
            accounts.forget(float(number))
    assert len(accounts.events._publications["publisher-1"]) < 200
    accounts.finish(3010.0)
    assert accounts.problems.counts == {"unexplained gap": 1}


# Coming back.


def test_a_client_that_does_not_come_back_is_noticed_once():
    lost = ("service-1", 10.0, "lost", "reset")
    ticks = [("caller-1", float(seconds), "threads", 1) for seconds in range(60)]
    accounts = accounts_of(lost, *ticks)
    assert accounts.problems.counts == {"not back": 1}
    assert "service-1" in accounts.problems.texts["not back"][0]


def test_a_client_need_not_be_back_while_there_are_faults():
    lost = ("service-1", 10.0, "lost", "reset")
    ticks = [("caller-1", float(seconds), "threads", 1) for seconds in range(60)]
    fault = [("faults", 9.0, "fault", 1, "freeze", "freeze all"), ("faults", 50.0, "healed", 1)]
    accounts = accounts_of(lost, *fault, *ticks, ("service-1", 55.0, "joined"), end=60.0)
    assert not accounts.problems
    assert accounts.back == [("freeze", 5.0)]
    assert BACK < 40.0


# Samples.


def series(value, seconds=600):
    """Return the samples of a value that depends on the second."""
    samples = Series()
    for second in range(seconds):
        samples.add(float(second), value(second))
    return samples


def test_memory_that_grows_after_the_warm_up_does_not_hold():
    assert judge("memory", series(lambda second: 50 + second / 1000), 0.0, 600.0).holds
    leak = judge("memory", series(lambda second: 50 + second / 100), 0.0, 600.0)
    assert leak.holds is False
    assert leak.percent > 100 * SHARE


def test_memory_may_rise_before_the_warm_up_is_over_and_for_a_moment():
    assert judge("memory", series(lambda second: 50 if second > WARM_UP else 20), 0.0, 600.0).holds
    assert judge("memory", series(lambda second: 80 if second % 30 < 14 else 50), 0.0, 600.0).holds
    assert not judge("memory", series(lambda second: 80 if 300 <= second < 330 else 50), 0.0, 600.0).holds


def test_threads_and_descriptors_may_come_and_go_and_must_not_leak():
    chance = random.Random(1)
    restless = series(lambda second: 5 + 30 * chance.random() * (second % 20 > 2))
    assert judge("threads", restless, 0.0, 600.0).holds
    leaking = series(lambda second: 5 + 30 * chance.random() * (second % 20 > 2) + second // 50)
    assert judge("threads", leaking, 0.0, 600.0).holds is False


def test_os_threads_are_not_judged():
    assert judge("OS threads", series(lambda second: second), 0.0, 600.0).holds is None


def test_a_short_run_is_not_judged():
    assert judge("memory", series(lambda second: second, seconds=90), 0.0, 90.0).holds is None


# The rest.


def test_a_plan_is_the_same_for_the_same_seed_and_has_all_kinds():
    plan, same, other = Plan(7, 600.0), Plan(7, 600.0), Plan(8, 600.0)
    faults = [plan.next() for _ in range(300)]
    assert faults == [same.next() for _ in range(300)]
    assert faults != [other.next() for _ in range(300)]
    assert {fault.kind for fault in faults} == set(KINDS)
    assert FREEZE[0] <= min(fault.seconds for fault in faults) < 0.2
    assert 25.0 < max(fault.seconds for fault in faults) <= FREEZE[1]
    assert all(str(fault) for fault in faults)


def test_a_journal_is_read_in_whole_lines_while_it_is_written(tmp_path):
    tail = Tail(tmp_path / "caller-1.jsonl")
    assert list(tail.read()) == []
    journal = Journal(tmp_path, "caller-1", 0.0)
    journal("call", 1, "digest")
    journal.close()
    with (tmp_path / "caller-1.jsonl").open("a") as file:
        file.write("[5.0, ")
    ((name, _, what),) = tail.read()
    assert (name, what) == ("caller-1", ["call", 1, "digest"])
    with (tmp_path / "caller-1.jsonl").open("a") as file:
        file.write('"joined"]\n')
    assert list(tail.read()) == [("caller-1", 5.0, ["joined"])]


def test_some_seconds_of_it(tmp_path):
    options = ["--seconds", "4", "--seed", "38", "--each", "1", "--no-plot", "--keep"]
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "soak", *options, "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        timeout=120,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    report = (tmp_path / "report.txt").read_text()
    assert "Everything held." in report and report in finished.stdout
    assert "seed 38" in report
    # It was not for want of anything to account for.
    notes = {
        path.stem: {json.loads(line)[1] for line in path.read_text().splitlines()} for path in tmp_path.glob("*.jsonl")
    }
    assert notes["faults"] == {"fault", "healed"}
    assert {"call", "answered", "raised"} <= notes["caller-1"]
    assert {"event"} <= notes["subscriber-1"]
    assert any("lost" in those for those in notes.values())
