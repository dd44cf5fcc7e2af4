"""Which methods of an object are roles, whatever its classes did with them."""

import functools

import pytest

from wampy.roles import callee, subscribe
from wampy.roles.discovery import discover
from wampy.roles.handles import Registration, Subscription


def found(owner):
    return [role.procedure if isinstance(role, Registration) else f"on {role.topic}" for role in discover(owner)]


def called(owner):
    return {role.procedure: role.function_of(owner)() for role in discover(owner)}


class Base:
    @callee
    def first(self):
        return "base"

    @callee(procedure="com.example.second", match="prefix", details_arg="d")
    def second(self):
        return "base"

    @subscribe(topic="com.example.topic", match="wildcard", details_arg="e")
    def on_topic(self):
        pass

    def unmarked(self):
        pass


def test_in_the_order_of_definition():
    assert found(Base()) == ["first", "com.example.second", "on com.example.topic"]


def test_the_handles():
    first, second, topic = discover(Base())
    assert isinstance(second, Registration)
    assert (first.options, first.details_arg) == ({}, None)
    assert (second.options, second.details_arg) == ({"match": "prefix"}, "d")
    assert isinstance(topic, Subscription)
    assert (topic.options, topic.details_arg) == ({"match": "wildcard"}, "e")
    assert first.id is None
    assert discover(Base())[0] is not first


def test_nothing_marked():
    assert discover(object()) == []


def test_a_subclass_inherits_and_adds_behind():
    class Child(Base):
        @callee
        def third(self):
            return "child"

    assert found(Child()) == ["first", "com.example.second", "on com.example.topic", "third"]


def test_an_override_that_is_not_decorated_again_counts_once():
    class Child(Base):
        def first(self):
            return "child"

    assert found(Child()).count("first") == 1
    assert discover(Child())[0].function_of(Child())() == "child"


def test_an_override_that_is_decorated_again_counts_once():
    class Child(Base):
        @callee
        def first(self):
            return "child"

    assert found(Child()) == ["first", "com.example.second", "on com.example.topic"]
    child = Child()
    assert discover(child)[0].function_of(child)() == "child"


def test_an_override_with_another_procedure_takes_the_place():
    class Child(Base):
        @callee(procedure="com.example.renamed")
        def first(self):
            pass

    assert found(Child()) == ["com.example.renamed", "com.example.second", "on com.example.topic"]


def test_the_nearest_marks_count_through_an_undecorated_override():
    class Child(Base):
        @callee(procedure="com.example.renamed")
        def first(self):
            pass

    class Grandchild(Child):
        def first(self):
            return "grandchild"

    owner = Grandchild()
    assert found(owner)[0] == "com.example.renamed"
    assert discover(owner)[0].function_of(owner)() == "grandchild"


def test_an_override_with_none_takes_the_role_away():
    class Child(Base):
        first = None

    assert found(Child()) == ["com.example.second", "on com.example.topic"]


def test_a_mixin():
    class Mixin:
        @callee
        def mixed(self):
            pass

    class Child(Mixin, Base):
        pass

    class Other(Base, Mixin):
        pass

    assert sorted(found(Child())) == sorted(found(Other()))
    assert "mixed" in found(Child())


def test_a_diamond():
    class Top:
        @callee
        def shared(self):
            return "top"

    class Left(Top):
        @callee
        def shared(self):
            return "left"

    class Right(Top):
        def shared(self):
            return "right"

        @callee
        def only_right(self):
            pass

    class Bottom(Left, Right):
        pass

    owner = Bottom()
    assert sorted(found(owner)) == ["only_right", "shared"]
    (shared,) = [role for role in discover(owner) if role.procedure == "shared"]
    assert shared.function_of(owner)() == "left"


@pytest.mark.parametrize("outer", [staticmethod, classmethod], ids=lambda outer: outer.__name__)
def test_static_and_class_methods(outer):
    class Marked:
        @outer
        @callee(procedure="under")
        def under(*args):
            return len(args)

        @callee(procedure="over")
        @outer
        def over(*args):
            return len(args)

    assert called(Marked()) == dict.fromkeys(("under", "over"), 0 if outer is staticmethod else 1)


def test_wraps_on_top_keeps_the_role():
    def logged(function):
        @functools.wraps(function)
        def wrapper(*args):
            return f"logged {function(*args)}"

        return wrapper

    class Marked:
        @logged
        @callee
        def method(self):
            return "result"

    assert called(Marked()) == {"method": "logged result"}


def test_several_marks_on_one_method():
    class Marked:
        @callee(procedure="two")
        @callee(procedure="one")
        @subscribe(topic="t")
        def method(self):
            pass

    assert found(Marked()) == ["on t", "one", "two"]


def test_a_method_under_two_names_is_two_roles():
    class Marked:
        @callee
        def method(self):
            pass

        alias = method

    assert found(Marked()) == ["method", "alias"]


def test_an_instances_own_attribute_is_what_is_called():
    owner = Base()
    owner.first = lambda: "instance"
    assert discover(owner)[0].function_of(owner)() == "instance"


def test_looking_runs_no_property():
    class Marked(Base):
        @property
        def explosive(self):
            raise AssertionError("looked at")

    assert len(found(Marked())) == 3
