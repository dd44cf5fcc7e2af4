"""`@subscribe` marks a function, and nothing else."""

import pytest

from wampy.roles import callee, subscribe
from wampy.roles.callee import MARKS, CalleeMark
from wampy.roles.subscriber import SubscriberMark


@pytest.mark.parametrize(
    ("arguments", "mark"),
    [
        ({"topic": "a.b"}, SubscriberMark("a.b")),
        ({"topic": "a.b", "match": "exact"}, SubscriberMark("a.b")),
        ({"topic": "a..b", "match": "wildcard"}, SubscriberMark("a..b", {"match": "wildcard"})),
        ({"topic": "a", "match": "prefix", "details_arg": "d"}, SubscriberMark("a", {"match": "prefix"}, "d")),
    ],
)
def test_what_it_notes(arguments, mark):
    def function(*args):
        return args

    marked = subscribe(**arguments)(function)
    assert marked is function
    assert getattr(marked, MARKS) == (mark,)


def test_what_it_refuses():
    with pytest.raises(ValueError, match="exact, prefix, wildcard"):
        subscribe(topic="a", match="regex")
    with pytest.raises(TypeError, match="topic="):
        subscribe(topic=lambda: None)
    with pytest.raises(TypeError):
        subscribe(lambda: None)
    with pytest.raises(TypeError):
        subscribe()


def test_one_function_may_be_both():
    @subscribe(topic="t")
    @callee
    def function():
        pass

    assert getattr(function, MARKS) == (CalleeMark(), SubscriberMark("t"))


def test_the_function_carries_itself():
    assert subscribe.subscribe is subscribe
