"""Requests that wait: whoever pops one owns its outcome."""

import pytest

from wampy.errors import ConnectionClosed
from wampy.protocol.pending import PendingRequest, PendingRequests, fresh


@pytest.fixture
def make(backend):
    def make(request_id, code=48, deadline=None):
        return PendingRequest(code, request_id, "com.example.a", backend.slot(), deadline)

    return make


@pytest.fixture
def table():
    return PendingRequests()


def test_a_reply_takes_its_request(table, make):
    first, second = make(1), make(2)
    table.put(first)
    table.put(second)
    assert len(table) == 2
    assert table.get(1) is first
    assert table.pop(48, 1) is first
    assert table.pop(48, 1) is None
    assert list(table) == [second]


def test_a_reply_of_another_kind_takes_nothing(table, make):
    table.put(make(1, code=48))
    assert table.pop(64, 1) is None
    assert len(table) == 1


def test_a_request_is_discarded_once_and_only_itself(table, make):
    first, other = make(1), make(1)
    table.put(first)
    assert not table.discard(other)
    assert table.discard(first)
    assert not table.discard(first)


def test_what_is_due(table, make):
    for request_id, deadline in ((1, 5.0), (2, None), (3, 10.0), (4, 4.0)):
        table.put(make(request_id, deadline=deadline))
    assert table.next_deadline() == 4.0
    expired = table.expired(5.0)
    assert [each.request_id for each in expired] == [1, 4]
    assert all(map(table.discard, expired))
    assert table.next_deadline() == 10.0
    assert table.expired(5.0) == []
    assert [each.request_id for each in table.pop_all()] == [2, 3]
    assert table.next_deadline() is None
    assert len(table) == 0


def test_the_table_may_change_while_it_is_walked(table, make):
    for request_id in (1, 2, 3):
        table.put(make(request_id))
    for each in table:
        table.discard(each)
    assert len(table) == 0


def test_the_first_outcome_counts(make):
    pending = make(1)
    pending.settle("reply")
    pending.fail(ConnectionClosed("late"))
    pending.settle("again")
    assert pending.outcome() == "reply"
    failed = make(2)
    failed.fail(ConnectionClosed("first"))
    failed.settle("late")
    with pytest.raises(ConnectionClosed, match="first"):
        failed.outcome()


def test_each_waiter_gets_an_error_of_its_own(make):
    pending, error = make(1), ConnectionClosed("gone")
    pending.fail(error)
    caught = []
    for _ in range(2):
        with pytest.raises(ConnectionClosed) as info:
            pending.outcome()
        caught.append(info.value)
    assert caught[0] is not caught[1]
    assert error not in caught
    assert error.__traceback__ is None


def test_a_foreign_error_is_passed_on_as_it_is():
    error = KeyboardInterrupt()
    assert fresh(error) is error
