"""Errors are data: fields, texts, copies, and their place in the tree."""

import builtins
import copy
import inspect
import pickle

import pytest

from wampy import errors
from wampy.errors import (
    AbortError,
    AddressError,
    ConnectionClosed,
    ConnectionError,
    HandshakeError,
    NoSuchProcedure,
    ProcedureAlreadyExists,
    RemoteError,
    RemoteRuntimeError,
    SerializationError,
    SessionClosed,
    WampProtocolError,
    WampyError,
    WampyTimeOutError,
)
from wampy.texts import text_of


class OutOfStock(RemoteError):
    uri = "com.example.errors.out_of_stock"

    def __init__(self, item, left=0):
        super().__init__(item, left=left)
        self.item = item


class Plain(WampyError):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
        self.one, self.two = one, two


EXAMPLES = [
    WampyError("something"),
    WampyError(),
    ConnectionError("nobody there"),
    HandshakeError("refused", 404, {"server": "x"}),
    ConnectionClosed("it died"),
    ConnectionClosed("as agreed", clean=True),
    SessionClosed("wamp.close.system_shutdown", "maintenance"),
    AddressError("localhost", "it has no scheme", "write ws://"),
    AbortError("wamp.error.no_such_realm", {"message": "no realm"}),
    WampProtocolError("RESULT: too short"),
    WampyTimeOutError("answer to the call of a.b", 2.5, "a.b"),
    SerializationError("cannot travel", "object", "args[0]"),
    RemoteError("com.example.bad", 1, "two", three=3),
    NoSuchProcedure("no such"),
    OutOfStock("apples", left=2),
    Plain(1, 2),
]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],
                         ids=["copy", "deepcopy", "pickle"])  # fmt: skip
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_a_copy_is_equal_in_every_way(error, make):
    twin = make(error)
    assert twin is not error
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert twin.args == error.args
    fields = {key: value for key, value in vars(twin).items() if key != "args"}
    assert fields == {key: value for key, value in vars(error).items() if key != "args"}
    again = make(twin)
    assert str(again) == str(error)
    assert again.args == error.args


def test_every_class_has_an_example_or_is_only_a_uri():
    covered = {type(error) for error in EXAMPLES}
    classes = {value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, WampyError)}
    assert all(cls in covered or "uri" in vars(cls) for cls in classes)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (WampyError("something"), "something"),
        (ConnectionClosed("it died"), "the connection is closed: it died"),
        (ConnectionClosed(), "the connection is closed"),
        (SessionClosed("a.b", "maintenance"), "the session is closed: a.b (maintenance)"),
        (SessionClosed(), "the session is closed: wamp.close.normal"),
        (AddressError("x", "wrong", "do so"), "'x': wrong; do so"),
        (AddressError("ws:joe:a/b@h", "wrong", "do so"), "'ws:…@h': wrong; do so"),
        (AbortError("a.b", {"message": "why"}), "the router aborted the session: a.b (why)"),
        (AbortError("a.b"), "the router aborted the session: a.b"),
        (WampyTimeOutError("answer", 2.5), "no answer within 2.5 seconds"),
        (WampyTimeOutError("answer", 0.99995), "no answer within 1 seconds"),
        (WampyTimeOutError("answer", 4.999871), "no answer within 5 seconds"),
        (WampyTimeOutError("answer", 0.1234), "no answer within 0.123 seconds"),
        (WampyTimeOutError("answer"), "no answer"),
        (RemoteError("a.b"), "a.b"),
        (RemoteError("a.b", "went wrong", 5, x=1), "a.b: went wrong, 5, x=1"),
    ],
)
def test_the_text_is_made_of_the_fields(error, text):
    assert str(error) == text


def test_texts_follow_the_fields():
    error = WampyTimeOutError("answer")
    error.seconds = 3
    assert "3 seconds" in str(error)
    remote = RemoteError("a.b", 1)
    remote.procedure = "com.example.p"
    assert str(remote) == "a.b for com.example.p: 1"


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ConnectionError("x"), builtins.ConnectionError),
        (ConnectionError("x"), OSError),
        (HandshakeError("x"), builtins.ConnectionError),
        (ConnectionClosed("x"), builtins.ConnectionError),
        (SessionClosed("a.b"), ConnectionClosed),
        (AddressError("x", "y"), ValueError),
        (WampyTimeOutError("x"), TimeoutError),
        (WampyTimeOutError("x"), OSError),
        (RemoteError("a.b"), WampyError),
    ],
)
def test_what_else_they_are(error, builtin):
    assert isinstance(error, WampyError)
    with pytest.raises(builtin):
        raise error


def test_a_remote_error_is_no_os_error():
    assert not isinstance(RemoteError("a.b"), OSError)


def test_the_fields():
    error = HandshakeError("refused", 404, {"server": "x"})
    assert (error.status, error.headers) == (404, {"server": "x"})
    assert HandshakeError("refused").headers == {}
    closed = SessionClosed("a.b", "why")
    assert (closed.uri, closed.reason, closed.clean) == ("a.b", "why", True)
    late = WampyTimeOutError("answer", 2.0, "a.b")
    assert (late.what, late.seconds, late.procedure) == ("answer", 2.0, "a.b")
    bad = SerializationError("x", "object", "args[0]")
    assert (bad.value_type, bad.where) == ("object", "args[0]")
    assert WampProtocolError("x").uri == "wamp.error.protocol_violation"
    details = {"message": "x"}
    abort = AbortError("a.b", details)
    details.clear()
    assert abort.details == {"message": "x"}


# Remote errors.


def test_a_remote_errors_payload():
    error = RemoteError("a.b", 1, "two", three=3)
    assert (error.uri, error.args, error.kwargs) == ("a.b", (1, "two"), {"three": 3})
    assert (error.details, error.procedure, error.request_id) == ({}, None, None)


@pytest.mark.parametrize("args", [(), (5,), (None,)])
def test_a_remote_error_needs_a_uri(args):
    with pytest.raises(TypeError, match="URI"):
        RemoteError(*args)


def test_a_class_tied_to_a_uri_takes_its_payload_only():
    error = ProcedureAlreadyExists("taken", by=5)
    assert error.uri == "wamp.error.procedure_already_exists"
    assert (error.args, error.kwargs) == (("taken",), {"by": 5})


@pytest.mark.parametrize("uri", sorted(RemoteError.by_uri))
def test_the_uri_chooses_the_class(uri):
    error = RemoteError.from_reply(uri, ["x"], {"y": 1}, {"z": 2}, "com.example.p", 7)
    assert type(error) is RemoteError.by_uri[uri]
    assert error.uri == uri
    assert (error.args, error.kwargs, error.details) == (("x",), {"y": 1}, {"z": 2})
    assert (error.procedure, error.request_id) == ("com.example.p", 7)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_another_uri_is_a_plain_remote_error():
    error = RemoteError.from_reply("com.example.unheard_of")
    assert type(error) is RemoteError
    assert (error.args, error.kwargs, error.details) == ((), {}, {})


def test_what_a_peer_sends_never_meets_a_users_constructor():
    error = RemoteError.from_reply(OutOfStock.uri, [], {"unexpected": 1})
    assert type(error) is OutOfStock
    assert error.kwargs == {"unexpected": 1}
    assert str(error) == f"{OutOfStock.uri}: unexpected=1"


def test_the_payload_is_the_errors_own():
    kwargs = {"x": 1}
    error = RemoteError.from_reply("a.b", [], kwargs)
    kwargs.clear()
    assert error.kwargs == {"x": 1}


def test_a_child_of_a_tied_class_does_not_take_its_uri_over():
    class Special(RemoteRuntimeError):
        pass

    assert Special("x").uri == "wamp.error.runtime_error"
    assert type(RemoteError.from_reply("wamp.error.runtime_error")) is RemoteRuntimeError


def test_a_subclass_that_forgets_our_constructor_still_has_its_fields():
    class Forgetful(RemoteError):
        uri = "com.example.errors.forgetful"

        def __init__(self, item):
            self.item = item

    error = Forgetful("keys")
    assert (error.uri, error.args, error.kwargs, error.details) == (Forgetful.uri, ("keys",), {}, {})
    assert "keys" in str(error)
    assert Forgetful("keys").kwargs is not error.kwargs


def test_the_well_known_uris_are_wamps():
    assert all(
        uri.startswith("wamp.error.") for uri, cls in RemoteError.by_uri.items() if cls.__module__ == "wampy.errors"
    )


def test_a_cause_survives_a_fresh_copy():
    from wampy.protocol.pending import fresh

    error, cause = ConnectionClosed("x"), ValueError("y")
    error.__cause__ = cause
    assert fresh(error).__cause__ is cause
    assert fresh(cause) is cause


def test_the_text_of_anybodys_error():
    class Unprintable(Exception):
        def __str__(self):
            raise KeyError("no")

    assert text_of(ValueError("x")) == "x"
    assert "Unprintable" in text_of(Unprintable())
    text_of(ValueError("\ud800")).encode()
