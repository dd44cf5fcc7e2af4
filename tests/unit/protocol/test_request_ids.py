"""Request ids: from 1, one more each time, round to 1 after 2**53."""

from wampy.constants import MAX_ID
from wampy.protocol.request_ids import RequestIds


def test_from_one_by_one():
    ids = RequestIds()
    assert [next(ids) for _ in range(5)] == [1, 2, 3, 4, 5]


def test_looking_does_not_use_up():
    ids = RequestIds()
    assert ids.peek() == ids.peek() == 1
    ids.commit()
    assert ids.peek() == 2


def test_each_session_has_its_own():
    first, second = RequestIds(), RequestIds()
    next(first)
    assert second.peek() == 1


def test_what_has_been_issued():
    ids = RequestIds()
    assert not any(ids.issued(number) for number in (0, 1, 2, -1, MAX_ID))
    next(ids)
    next(ids)
    assert [ids.issued(number) for number in (-1, 0, 1, 2, 3)] == [False, False, True, True, False]


def test_after_the_largest_comes_one():
    ids = RequestIds()
    ids.following = MAX_ID - 1
    assert [next(ids) for _ in range(4)] == [MAX_ID - 1, MAX_ID, 1, 2]
    assert ids.issued(MAX_ID)
    assert ids.issued(12345), "of the first round"
    assert not ids.issued(0)
    assert not ids.issued(MAX_ID + 1)
