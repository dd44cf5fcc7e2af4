"""Handles, and what a function's signature takes."""

import functools
import gc
import weakref

import pytest

from wampy.roles.handles import Registration, Subscription, takes_keyword


def test_a_registration():
    registration = Registration("com.example.a", print, options={"match": "prefix"}, details_arg="d")
    assert (registration.procedure, registration.options, registration.details_arg) == (
        "com.example.a",
        {"match": "prefix"},
        "d",
    )
    assert registration.id is None
    assert not registration.active
    registration.id = 5
    assert registration.active
    assert repr(registration) == "Registration('com.example.a', id=5)"


def test_a_subscription():
    subscription = Subscription("com.example.t", print)
    assert (subscription.topic, subscription.options, subscription.mailbox) == ("com.example.t", {}, None)
    assert repr(subscription) == "Subscription('com.example.t', id=None)"


def test_options_are_the_handles_own():
    options = {"match": "prefix"}
    registration = Registration("a.b", print, options=options)
    options.clear()
    assert registration.options == {"match": "prefix"}
    assert Registration("a.b", print).options is not Registration("a.b", print).options


def test_a_name_is_looked_up_each_time():
    class Owner:
        def method(self):
            return "class"

    owner, registration = Owner(), Registration("a.b", "method")
    assert registration.function_of(owner)() == "class"
    owner.method = lambda: "instance"
    assert registration.function_of(owner)() == "instance"
    assert Registration("a.b", print).function_of(owner) is print


class Methods:
    def takes(self, meta):
        pass

    def takes_any(self, **kwargs):
        pass

    def does_not(self, *args):
        pass

    @classmethod
    def of_class(cls, meta=None):
        pass

    @staticmethod
    def static(*, meta):
        pass


class Callable:
    __hash__ = None

    def __eq__(self, other):
        return self is other

    def __call__(self, meta):
        pass


def positional_only(meta, /):
    pass


def keyword_only(*, meta=None):
    pass


@functools.wraps(keyword_only)
def wrapper(*args, **kwargs):
    pass


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (Methods().takes, True),
        (Methods().takes_any, True),
        (Methods().does_not, False),
        (Methods.of_class, True),
        (Methods.static, True),
        (Callable(), True),
        (positional_only, False),
        (keyword_only, True),
        (wrapper, True),
        (functools.partial(keyword_only), True),
        (lambda x, meta=None: None, True),
        (lambda x: None, False),
        (lambda **meta: None, True),
        (lambda *meta: None, False),
        (dict, False),
    ],
)
def test_whether_a_keyword_is_taken(function, expected):
    for _ in range(2):  # the second time it is remembered
        assert takes_keyword(function, "meta") is expected


def test_a_subscription_remembers_whether_its_function_takes_meta():
    class Listener:
        def with_meta(self, meta):
            return meta

        def without(self):
            return None

    subscription, listener = Subscription("com.example.t", "with_meta"), Listener()
    for _ in range(2):
        assert subscription.takes_meta(listener.with_meta)
        assert not subscription.takes_meta(listener.without), "another is asked about"
    assert subscription.takes_meta(listener.with_meta)
    gone = weakref.ref(Listener.with_meta)
    del Listener, listener
    gc.collect()
    assert gone() is None, "it was kept alive"
    assert not subscription.takes_meta(lambda: None)
    assert not subscription.takes_meta(dict)


def test_what_is_remembered_of_a_function_does_not_keep_it_alive():
    def handler(meta):
        return meta

    assert takes_keyword(handler, "meta")
    gone = weakref.ref(handler)
    del handler
    gc.collect()
    assert gone() is None
