"""Results, pending calls and the dotted proxy."""

import copy

import pytest

from wampy.errors import WampyError
from wampy.protocol.pending import PendingRequest
from wampy.roles.caller import PendingCall, Result, RpcProxy, unwrap


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((), {}, None),
        ((1,), {}, 1),
        ((None,), {}, None),
        (([],), {}, []),
        ((1, 2), {}, Result((1, 2))),
        ((1,), {"a": 2}, Result((1,), {"a": 2})),
        ((), {"a": 2}, Result((), {"a": 2})),
        ((), {"message": 5, "meta": {}}, 5),
        ((), {"message": 5, "meta": {}, "more": 1}, Result((), {"message": 5, "meta": {}, "more": 1})),
        ((1,), {"message": 5, "meta": {}}, Result((1,), {"message": 5, "meta": {}})),
    ],
)
def test_unwrapping(args, kwargs, expected):
    assert unwrap(args, kwargs) == expected


def test_a_result():
    args, kwargs = [1], {"a": 2}
    result = Result(args, kwargs)
    args.append(2)
    kwargs.clear()
    assert (result.args, result.kwargs) == ((1,), {"a": 2})
    assert repr(result) == "Result(args=(1,), kwargs={'a': 2})"
    assert result == Result((1,), {"a": 2})
    assert result != Result((1,), {"a": 3})
    assert result != (1,)
    assert copy.copy(result) == result


class Calls:
    def __init__(self):
        self.made = []

    def call(self, procedure, /, *args, **kwargs):
        self.made.append(("call", procedure, args, kwargs))
        return "result"

    def call_async(self, procedure, /, *args, **kwargs):
        self.made.append(("async", procedure, args, kwargs))
        return "pending"


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def rpc(calls):
    return RpcProxy(calls.call, calls.call_async)


def test_attributes_are_procedures(rpc, calls):
    assert rpc.add(1, x=2) == "result"
    assert rpc.com.example._private.add() == "result"
    assert rpc.add.call_async(1, x=2) == "pending"
    assert calls.made == [
        ("call", "add", (1,), {"x": 2}),
        ("call", "com.example._private.add", (), {}),
        ("async", "add", (1,), {"x": 2}),
    ]


def test_every_keyword_is_payload(rpc, calls):
    payload = {"timeout": 1, "procedure": "x", "options": {}, "name": "y", "call": 1, "args": 2, "self": 3}
    rpc.add(**payload)
    rpc.add.call_async(**payload)
    assert [made[3] for made in calls.made] == [payload, payload]


def test_a_proxy_is_not_changed_by_use(rpc, calls):
    com = rpc.com
    com.one()
    com.two()
    assert [made[1] for made in calls.made] == ["com.one", "com.two"]


def test_no_name_is_no_procedure(rpc):
    with pytest.raises(TypeError, match="name a procedure"):
        rpc()
    with pytest.raises(TypeError, match="name a procedure"):
        rpc.call_async()


def test_pythons_own_questions_are_no_procedures(rpc, calls):
    assert not hasattr(rpc, "__len__")
    assert not hasattr(rpc.a, "__deepcopy__")
    assert repr(rpc) == "<rpc>"
    assert repr(rpc.a.b) == "<procedure 'a.b'>"
    assert calls.made == []


class CallingSession:
    def __init__(self):
        self.asked = []

    def result_of(self, pending, timeout):
        self.asked.append(("result", pending, timeout))
        return "result"

    def cancel(self, pending, mode):
        self.asked.append(("cancel", pending, mode))


def test_a_pending_call(backend):
    session, pending = CallingSession(), PendingRequest(48, 7, "com.example.a", backend.slot())
    call = PendingCall(session, pending)
    assert (call.procedure, call.request_id) == ("com.example.a", 7)
    assert not call.done()
    assert repr(call) == "<PendingCall 7 of com.example.a: pending>"
    call.cancel()
    call.cancel("skip")
    assert call.result() == call.result(timeout=2) == "result"
    assert session.asked == [
        ("cancel", pending, "kill"),
        ("cancel", pending, "skip"),
        ("result", pending, None),
        ("result", pending, 2),
    ]
    pending.settle("reply")
    assert call.done()
    assert "done" in repr(call)
    with pytest.raises(WampyError, match="timeout"):
        call.result(timeout=-1)
