"""Calling procedures of another client through a real router."""

from decimal import Decimal

import pytest

from wampy import Client, Result, callee
from wampy.errors import ConnectionClosed, NoSuchProcedure, WampyError
from wampy.roles.caller import PendingCall


class Service(Client):
    @callee
    def plain(self):
        return "plain"

    @callee(procedure="com.example.echo")
    def echo(self, /, *args, **kwargs):
        return {"args": list(args), "kwargs": kwargs}

    @callee(procedure="com.example.same")
    def same(self, value):
        return value

    @callee(procedure="com.example.history")
    def history(self, city, days=7):
        return f"{city} {days}"

    @callee(procedure="com.example.who", details_arg="details")
    def who(self, details=None):
        return details

    @callee(procedure="com.example.nothing")
    def nothing(self):
        pass

    @callee(procedure="com.example.context")
    def context(self):
        return "from the context"


@pytest.fixture
def service(join):
    return join(Service)


@pytest.fixture
def client(service, join):
    return join()


def test_a_procedure_is_called_by_its_methods_name(client):
    assert client.call("plain") == "plain"
    assert client.rpc.plain() == "plain"


def test_dotted(client):
    assert client.rpc.com.example.history("Rome") == "Rome 7"
    assert client.rpc.com.example.history("Rome", days=3) == "Rome 3"
    assert client.call("com.example.history", "Rome", 2) == "Rome 2"
    example = client.rpc.com.example
    assert example.history(city="Oslo") == "Oslo 7"
    assert getattr(client.rpc, "com.example.history")("Bern") == "Bern 7"


def test_keywords_are_payload_all_of_them(client):
    names = ("timeout", "options", "procedure", "self", "args", "kwargs", "meta", "session", "name", "_call")
    payload = dict.fromkeys(names, 1)
    assert client.call("com.example.echo", **payload) == {"args": [], "kwargs": payload}
    assert client.rpc.com.example.echo(1, **payload) == {"args": [1], "kwargs": payload}


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -1, 2**53, 10**30, -(10**30), 0.1, -1e300, "", "größer", "日本語", "\U0001f600",
        "\0", "\0AAAA", "a\tb\n\"c\"\\",
        b"", b"\0\xff" * 10, [], {}, [[]], {"": ""}, [None], {"deep": {"deeper": [1, {"x": b"y"}]}},
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_there_and_back(client, value):
    if isinstance(value, str) and value.startswith("\0"):
        # A text that begins like binary in JSON cannot be told from it (WAMP.md, section 4).
        try:
            answer = client.call("com.example.same", value)
        except WampyError:
            return
        assert answer == value or isinstance(answer, bytes)
        return
    answer = client.call("com.example.same", value)
    assert answer == value
    assert type(answer) is type(value)


def test_tuples_and_decimals_travel_as_lists_and_numbers(client):
    assert client.call("com.example.same", (1, (2, 3))) == [1, [2, 3]]
    answer = client.call("com.example.same", Decimal("12.5"))
    assert answer == 12.5
    assert type(answer) is float


def test_nothing_is_returned_as_none(client):
    assert client.call("com.example.nothing") is None


def test_a_returned_list_is_one_value(client):
    assert client.call("com.example.same", [1, 2]) == [1, 2]


def test_a_richer_result(client, service):
    from wampy.messages import Yield

    class Rich(type(service.message_handler)):
        def process_result(self, message_obj, result, exc=None):
            self.session.send_message(Yield(message_obj.request_id, {}, *result))

    handler = Rich(service)
    service.message_handler.process_result = handler.process_result
    shapes = [
        (([1, 2],), Result([1, 2])),
        (([], {"a": 1}), Result((), {"a": 1})),
        (([1], {"a": 1}), Result([1], {"a": 1})),
        (([5],), 5),
        ((), None),
        (([], {"message": "old", "meta": {}}), "old"),
        (([], {"message": "new"}), Result((), {"message": "new"})),
    ]
    for shape, expected in shapes:
        service.context = lambda shape=shape: shape
        assert client.call("com.example.context") == expected


def test_invocation_details(client):
    details = client.call("com.example.who")
    assert details["caller"] == client.session.id
    assert "com.example.who" not in details.get("procedure", "")


def test_a_callee_is_looked_up_late(client, service):
    service.context = lambda: "from the instance"
    assert client.call("com.example.context") == "from the instance"
    del service.context
    assert client.call("com.example.context") == "from the context"


def test_a_client_calls_its_own_procedure(service):
    assert service.call("plain") == "plain"


def test_a_procedure_that_nobody_has(client):
    with pytest.raises(NoSuchProcedure) as caught:
        client.call("com.example.no_such_thing")
    assert caught.value.uri == "wamp.error.no_such_procedure"
    assert caught.value.procedure == "com.example.no_such_thing"


def test_call_async(client):
    pending = client.rpc.com.example.same.call_async(1)
    assert isinstance(pending, PendingCall)
    assert pending.procedure == "com.example.same"
    assert pending.request_id == client.request_ids.peek() - 1
    assert pending.result() == 1
    assert pending.done()
    assert pending.result(timeout=1) == 1


def test_call_async_raises_at_result(client):
    pending = client.rpc.com.example.no_such_thing.call_async()
    for _ in range(2):
        with pytest.raises(NoSuchProcedure):
            pending.result()


def test_a_call_async_is_answered_while_nobody_waits_for_it(client, green):
    calls = [client.rpc.com.example.same.call_async(number) for number in range(20)]
    green.wait_until(lambda: all(call.done() for call in calls))
    assert [call.result() for call in reversed(calls)] == list(reversed(range(20)))


def test_two_wait_for_one_call(client, green):
    class Slow(Client):
        @callee(procedure="com.example.slow")
        def slow(self):
            green.sleep(0.05)
            return "slow"

    with Slow(url=client.url):
        pending = client.rpc.com.example.slow.call_async()
        waiting = [green.spawn(pending.result) for _ in range(5)]
        assert [each.result() for each in waiting] == ["slow"] * 5
        pending = client.rpc.com.example.no_such_thing.call_async()
        waiting = [green.spawn(pending.result) for _ in range(5)]
        errors = [each.error() for each in waiting]
        assert {type(error) for error in errors} == {NoSuchProcedure}
        assert len({id(error) for error in errors}) == 5


def test_options_views(client, service):
    view = client.options(disclose_me=True)
    assert view.call("com.example.who")["caller"] == client.session.id
    assert view.rpc.com.example.same(3) == 3
    narrower = view.options(timeout=3.0)
    assert narrower.rpc.com.example.same.call_async(4).result() == 4
    assert client.call("com.example.same", 5) == 5


def test_an_unknown_option_is_no_reason_to_fail(client):
    assert client.options(x_com_example="y").call("com.example.same", 1) == 1


def test_rpc_without_a_name_says_how_to_write_it(client):
    with pytest.raises(TypeError, match=r"client\.rpc\."):
        client.rpc()
    assert "com.example.same" in repr(client.rpc.com.example.same)


def test_a_rpc_proxy_is_no_trap_for_python_itself(client):
    import copy

    proxy = client.rpc.com.example
    assert not hasattr(proxy, "__len__")
    assert list(map(callable, [proxy])) == [True]
    with pytest.raises(TypeError):
        iter(proxy)
    copy.copy(proxy)


def test_calling_when_it_is_over(client):
    rpc = client.rpc.com.example.same
    session = client.session
    client.stop()
    for call in (lambda: client.call("com.example.same", 1), lambda: rpc(1), lambda: rpc.call_async(1)):
        with pytest.raises(ConnectionClosed):
            call()
    with pytest.raises(ConnectionClosed):
        session.call("com.example.same", [1])


def test_meta_procedures(client):
    assert client.session.id in client.call("wamp.session.list")
    assert client.call("wamp.session.get", client.session.id)["session"] == client.session.id


def test_contextvars_are_each_jobs_own(client, join):
    import contextvars

    variable = contextvars.ContextVar("variable", default="fresh")

    class Tainting(Client):
        @callee(procedure="com.example.taint")
        def taint(self):
            before = variable.get()
            variable.set("tainted")
            return before

    join(Tainting, max_workers=1)
    assert [client.call("com.example.taint") for _ in range(3)] == ["fresh"] * 3
