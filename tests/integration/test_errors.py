"""Errors that cross the router, and errors that never get that far."""

import copy
import pickle

import pytest

from wampy import Client, callee
from wampy.errors import InvalidArgument, RemoteError, RemoteRuntimeError, SerializationError, Unavailable, WampyError


class OutOfStock(RemoteError):
    uri = "com.example.out_of_stock"


class OutOfMilk(OutOfStock):
    """Not tied to a URI of its own: its parent's."""


class WithASignatureOfItsOwn(RemoteError):
    uri = "com.example.own_signature"

    def __init__(self, number):
        super().__init__(number, doubled=2 * number)


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")

    __repr__ = __str__


class GreenTimeout(BaseException):
    """As the green-thread libraries' timeouts, which are no `Exception`."""


class Service(Client):
    @callee(procedure="com.example.raise")
    def raises(self, what, *args, **kwargs):
        kinds = {
            "remote": lambda: RemoteError("com.example.chosen", *args, **kwargs),
            "stock": lambda: OutOfStock(*args, **kwargs),
            "milk": lambda: OutOfMilk(*args, **kwargs),
            "own": lambda: WithASignatureOfItsOwn(*args),
            "invalid": lambda: InvalidArgument(*args),
            "value": lambda: ValueError(*args),
            "none": lambda: ValueError(),
            "key": lambda: KeyError(*args),
            "unspeakable": Unspeakable,
            "non-ascii": lambda: ValueError("größer \U0001f600 \ud800"),
            "unserializable": lambda: RemoteError("com.example.chosen", object()),
            "bad uri": lambda: RemoteError("com..example"),
            "stop": StopIteration,
            "generator": GeneratorExit,
            "green timeout": lambda: GreenTimeout(),
            "recursion": RecursionError,
        }
        raise kinds[what]()

    @callee(procedure="com.example.return")
    def returns(self, what):
        loop = []
        loop.append(loop)
        results = {"object": object(), "nan": float("nan"), "set": {1}, "loop": loop, "surrogate": "\ud800"}
        return results.get(what, what)


@pytest.fixture
def service(join):
    return join(Service)


@pytest.fixture
def client(service, join):
    return join()


@pytest.fixture
def fails(client, service):
    def fails(*args, procedure="com.example.raise", **kwargs):
        with pytest.raises(RemoteError) as caught:
            client.call(procedure, *args, **kwargs)
        # One ERROR and nothing after it: the session of each goes on.
        assert client.call("com.example.return", "fine") == "fine"
        assert service.session is not None
        assert not service.session.invocations
        return caught.value

    return fails


def test_a_callee_chooses_the_uri(fails):
    error = fails("remote", 1, "größer", b"\0", key={"a": None})
    assert type(error) is RemoteError
    assert error.uri == "com.example.chosen"
    assert error.args == (1, "größer", b"\0")
    assert error.kwargs == {"key": {"a": None}}
    assert error.procedure == "com.example.raise"
    assert error.request_id == 1
    assert error.details == {} or isinstance(error.details, dict)
    assert "com.example.chosen" in str(error) and "größer" in str(error)


def test_a_class_tied_to_a_uri_is_raised_at_the_caller(fails):
    error = fails("stock", "apples", left=0)
    assert type(error) is OutOfStock
    assert (error.uri, error.args, error.kwargs) == ("com.example.out_of_stock", ("apples",), {"left": 0})
    assert type(fails("milk", 1)) is OutOfStock
    error = fails("own", 4)
    assert type(error) is WithASignatureOfItsOwn
    assert (error.args, error.kwargs) == ((4,), {"doubled": 8})


def test_errors_of_the_router_s_own_uris(fails):
    assert type(fails("invalid", "no")) is InvalidArgument
    assert isinstance(fails("invalid", "no"), WampyError)


def test_errors_can_be_copied_and_pickled(fails):
    error = fails("stock", "apples", left=0)
    for twin in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is OutOfStock
        assert (twin.uri, twin.args, twin.kwargs) == (error.uri, error.args, error.kwargs)
        assert (twin.procedure, twin.request_id) == (error.procedure, error.request_id)
        assert str(twin) == str(error)


def test_any_other_exception_is_a_runtime_error(fails, caplog):
    error = fails("value", "what was wrong")
    assert type(error) is RemoteRuntimeError
    assert error.uri == "wamp.error.runtime_error"
    assert error.args == ("what was wrong",)
    assert error.kwargs == {"exc_type": "ValueError", "message": "what was wrong"}
    assert "com.example.raise failed" in caplog.text
    assert any(record.exc_info for record in caplog.records), "the traceback is not in the callee's log"
    assert "Traceback" not in str(error) + repr(error.args) + repr(error.kwargs)


def test_texts_of_all_kinds(fails):
    assert fails("none").args == ("",)
    assert fails("key", "missing").args == ("'missing'",)
    assert fails("value", 1, 2).args == ("(1, 2)",)


def test_a_str_that_raises(fails):
    error = fails("unspeakable")
    assert error.uri == "wamp.error.runtime_error"
    assert error.kwargs["exc_type"] == "Unspeakable"
    assert "Unspeakable" in error.args[0]


def test_a_text_that_cannot_travel(fails):
    assert fails("non-ascii").uri == "wamp.error.runtime_error"


def test_an_error_that_cannot_travel(fails):
    error = fails("unserializable")
    assert error.uri == "wamp.error.runtime_error"
    assert error.kwargs["exc_type"] == "SerializationError"


def test_an_error_with_a_bad_uri(fails):
    assert fails("bad uri").uri == "wamp.error.runtime_error"


@pytest.mark.parametrize("what", ["stop", "recursion", "generator", "green timeout"])
def test_exceptions_that_python_treats_in_a_special_way(fails, what):
    assert fails(what).uri in ("wamp.error.runtime_error", "wamp.error.canceled")


@pytest.mark.parametrize("what", ["object", "nan", "set", "loop", "surrogate"])
def test_a_result_that_json_cannot_hold(fails, what):
    error = fails(what, procedure="com.example.return")
    assert error.uri == "wamp.error.runtime_error"
    assert error.kwargs["exc_type"] == "SerializationError"


def test_arguments_that_do_not_fit(fails):
    error = fails("too", "many", procedure="com.example.return")
    assert error.kwargs["exc_type"] == "TypeError"
    assert fails(procedure="com.example.return", unknown=1).kwargs["exc_type"] == "TypeError"


def test_one_error_on_the_wire_and_nothing_after_it(join, client, green):
    """The original sent an ERROR and then a YIELD."""
    answers = []

    service = join()
    send = service.session.send_message
    service.session.send_message = lambda message: (answers.append(message), send(message))

    def bad():
        raise ValueError("bad")

    service.session.register("com.example.bad", bad)
    answers.clear()
    with pytest.raises(RemoteError):
        client.call("com.example.bad")
    with pytest.raises(RemoteError):
        client.call("com.example.bad")
    service.session.call("wamp.session.count")
    assert [message.name for message in answers] == ["error", "error"]


def test_an_error_passes_through_a_callee_that_does_not_catch_it(client, join):
    class Middle(Client):
        @callee(procedure="com.example.middle")
        def middle(self):
            self.call("com.example.raise", "stock", "pears", left=1)

    join(Middle)
    with pytest.raises(OutOfStock) as caught:
        client.call("com.example.middle")
    assert caught.value.args == ("pears",)
    assert caught.value.procedure == "com.example.middle"


def test_a_callee_that_has_no_room(join, client, green):
    class Small(Client):
        @callee(procedure="com.example.small")
        def small(self):
            green.sleep(0.2)

    join(Small, max_workers=1, max_queue=2)
    calls = [green.spawn(client.call, "com.example.small") for _ in range(10)]
    errors = [call.error() for call in calls]
    refused = [error for error in errors if error is not None]
    assert {type(error) for error in refused} == {Unavailable}
    assert len(refused) == 7


def test_except_wampy_error_is_enough(client):
    for wrong in (
        lambda: client.call("com.example.raise", "value", "x"),
        lambda: client.call("com..example"),
        lambda: client.call("com.example.raise", object()),
        lambda: client.call("no.such.procedure"),
        lambda: client.options(timeout=0).call("no.such.procedure"),
    ):
        with pytest.raises(WampyError):
            wrong()


def test_a_serialization_error_is_the_callers_own(client, service):
    with pytest.raises(SerializationError) as caught:
        client.call("com.example.return", {"deep": [object()]})
    assert not isinstance(caught.value, RemoteError)
    assert caught.value.value_type == "object"
