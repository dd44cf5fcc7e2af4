"""`@callee` marks a function, and nothing else."""

import pytest

from wampy.roles import callee
from wampy.roles.callee import MARKS, CalleeMark


def marks(function):
    return getattr(function, MARKS)


def test_without_brackets():
    def forecast(city):
        """Say how it will be."""
        return city

    marked = callee(forecast)
    assert marked is forecast
    assert marked("Rome") == "Rome"
    assert marks(marked) == (CalleeMark(),)


def test_with_brackets():
    @callee()
    def function():
        pass

    assert marks(function) == (CalleeMark(None, {}, None),)


@pytest.mark.parametrize(
    ("arguments", "mark"),
    [
        ({"procedure": "a.b"}, CalleeMark("a.b")),
        ({"invocation_policy": "single"}, CalleeMark()),
        ({"invocation_policy": "roundrobin"}, CalleeMark(None, {"invoke": "roundrobin"})),
        ({"match": "prefix"}, CalleeMark(None, {"match": "prefix"})),
        ({"match": "exact"}, CalleeMark()),
        (
            {"procedure": "a.", "match": "wildcard", "invocation_policy": "last", "details_arg": "details"},
            CalleeMark("a.", {"invoke": "last", "match": "wildcard"}, "details"),
        ),
    ],
)
def test_what_it_notes(arguments, mark):
    assert marks(callee(**arguments)(lambda: None)) == (mark,)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"invocation_policy": "all"}, ValueError, "single, roundrobin, random, first, last"),
        ({"match": "regex"}, ValueError, "exact, prefix, wildcard"),
        ({"procedure": 5}, TypeError, "procedure is a str"),
    ],
)
def test_what_it_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        callee(**arguments)


@pytest.mark.parametrize("policy", ["single", "roundrobin", "random", "first", "last"])
def test_every_policy(policy):
    callee(invocation_policy=policy)


def test_a_procedure_by_position_is_refused():
    with pytest.raises(TypeError):
        callee("com.example.a")  # a forgotten "procedure="


def test_several_marks_keep_their_order():
    @callee(procedure="second")
    @callee(procedure="first")
    def function():
        pass

    assert [mark.procedure for mark in marks(function)] == ["first", "second"]


def test_a_wrapped_function_keeps_its_own():
    import functools

    @callee(procedure="inner")
    def inner():
        pass

    @callee(procedure="outer")
    @functools.wraps(inner)
    def outer():
        pass

    assert [mark.procedure for mark in marks(inner)] == ["inner"]
    assert [mark.procedure for mark in marks(outer)] == ["inner", "outer"]


def test_what_cannot_carry_a_mark_says_so():
    with pytest.raises(TypeError, match="next to the function"):
        callee(len)


def test_the_function_carries_itself():
    assert callee.callee is callee
