"""A lost session is followed by another one: what comes back, who waits, who is told, and how it ends.

Here the router does what the test says, word by word; `test_reconnecting_with_crossbar.py` has a real one.
"""

import contextlib
import dataclasses
import gc
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from wampy import Client, Reconnect, callee, subscribe
from wampy.auth import Ticket
from wampy.errors import (
    AbortError,
    ConnectionClosed,
    ConnectionError,
    NotAuthorized,
    ProcedureAlreadyExists,
    SessionClosed,
    WampyError,
    WampyTimeOutError,
)
from wampy.message_handler import MessageHandler
from wampy.session import Session

QUICK = Reconnect(first_delay=0.03, longest_delay=0.1, jitter=0)

# Time for an attempt that must not be made; and for what must not take as long as any of the client's timeouts.
NEVER = Reconnect(first_delay=60.0, longest_delay=60.0)
AT_ONCE = 2.0


class Service(Client):
    """Notes what its hooks are told, and in which order."""

    def __init__(self, *args, **parameters):
        super().__init__(*args, **{"reconnect": QUICK, **parameters})
        self.told = []

    def on_join(self, details):
        self.told.append(("on_join", details["number"]))

    def on_leave(self, reason):
        self.told.append(("on_leave", reason))

    def on_disconnect(self, error):
        self.told.append(("on_disconnect", error))

    def on_reconnect_attempt(self, attempt):
        self.told.append(("on_reconnect_attempt", attempt))

    @property
    def hooks(self):
        return [name for name, _ in self.told]

    @property
    def attempts(self):
        return [argument for name, argument in self.told if name == "on_reconnect_attempt"]


class Adder(Service):
    @callee(procedure="com.example.add")
    def add(self, a, b):
        return a + b


@pytest.fixture
def router(green, wamp):
    """A scripted router that listens; closed without a word at the end."""
    router = wamp.ScriptedRouter(green.backend)
    yield router
    router.close()


@pytest.fixture
def other_router(green, wamp):
    router = wamp.ScriptedRouter(green.backend)
    yield router
    router.close()


@pytest.fixture
def join(green, router, make_client):
    """Join clients with the scripted router: ``client, peer = join(Class, roles=0, **parameters)``."""
    peers = []

    def join(cls=Service, /, roles=0, **parameters):
        client = make_client(cls, **{"url": router.url, **parameters})
        joining = green.spawn(client.start)
        peer = router.accept()
        peer.welcome(1, number=1)
        if roles:
            peer.roles = peer.acknowledge(roles)
        joining.result()
        peers.append(peer)
        return client, peer

    yield join
    router.drop_all()  # so that nobody waits for an answer to a GOODBYE
    # The clients that come back meanwhile are stopped by `make_client`.


@pytest.fixture
def lose(green):
    """Cut a client off, and wait until it knows: ``lose(client, peer)``."""

    def lose(client, peer, **how):
        peer.drop(**how)
        green.wait_until(lambda: client.session is None)

    return lose


@pytest.fixture
def comes_back(router, green):
    """Let a client join again: ``peer = comes_back(client, roles=0)``; its roles get ids from 200 on."""

    def comes_back(client, roles=0, number=2):
        peer = router.accept()
        peer.welcome(number, number=number)
        if roles:
            peer.roles = peer.acknowledge(roles, 200)
        green.wait_until(lambda: client.told[-1:] == [("on_join", number)])
        return peer

    return comes_back


@contextlib.contextmanager
def taking(at_most, at_least=0.0):
    started = time.monotonic()
    yield
    assert at_least <= time.monotonic() - started < at_most


def without_ids(messages):
    """Give requests without their request ids."""
    return [[message[0], *message[2:]] for message in messages]


# Roles.


class Everything(Service):
    """Roles of all kinds, some of them decorated."""

    def __init__(self, *args, **parameters):
        super().__init__(*args, **parameters)
        self.heard = []

    @callee(procedure="com.example.add")
    def add(self, a, b):
        return a + b

    @callee(procedure="com.example.shared", invocation_policy="roundrobin")
    def shared(self):
        return "shared"

    @subscribe(topic="com.example.topic")
    def on_topic(self, **kwargs):
        self.heard.append(("decorated", kwargs["n"]))

    def note(self, who):
        return lambda **kwargs: self.heard.append((who, kwargs["n"]))


@pytest.fixture
def everything(join, green, wamp):
    """A client with six roles of all kinds: ``client, peer, handles``, the handles of those that are not decorated."""
    client, peer = join(Everything, roles=3)
    session = client.session

    def ask(role_id, function, *args):
        asked = green.spawn(function, *args)
        peer.roles += peer.acknowledge(1, role_id)
        return asked.result()

    handles = [
        ask(110, session.register, "com.example..get", lambda: "got", {"match": "wildcard"}),
        ask(120, session.subscribe, "com.example.", client.note("prefix"), {"match": "prefix"}),
        # The router gives all handlers of one topic one subscription.
        ask(102, session.subscribe, "com.example.topic", client.note("second")),
    ]
    assert [(request[0], request[3]) for request in peer.roles] == [
        (wamp.REGISTER, "com.example.add"),
        (wamp.REGISTER, "com.example.shared"),
        (wamp.SUBSCRIBE, "com.example.topic"),
        (wamp.REGISTER, "com.example..get"),
        (wamp.SUBSCRIBE, "com.example."),
        (wamp.SUBSCRIBE, "com.example.topic"),
    ]
    return client, peer, handles


def test_all_roles_come_back_before_the_session_is_given_out(everything, router, lose, green, wamp):
    client, first, handles = everything
    lose(client, first)
    assert not any(handle.active for handle in handles)
    assert not client.registration_map
    assert not client.subscription_map

    peer = router.accept()
    peer.welcome(2, number=2)
    requests = [peer.hear() for _ in range(6)]
    assert sorted(without_ids(requests), key=str) == sorted(without_ids(first.roles), key=str)
    # Several handlers of one topic hear its events in the same order as before.
    for request in requests[:-1]:
        peer.say([request[0] + 1, request[1], 300 if request[3] == "com.example.topic" else 200 + request[1]])
    green.sleep(0.05)
    assert client.hooks.count("on_join") == 1
    waiting = green.spawn(client.call, "com.example.x")
    assert peer.hears_nothing(), "the session was given out before its roles were there"
    last = requests[-1]
    peer.say([last[0] + 1, last[1], 300 if last[3] == "com.example.topic" else 200 + last[1]])
    call = peer.expect(wamp.CALL)
    peer.say([wamp.RESULT, call[1], {}, ["x"]])
    assert waiting.result() == "x"
    green.wait_until(lambda: client.told[-1] == ("on_join", 2))

    assert all(handle.active for handle in handles)
    assert not {handle.id for handle in handles} & {100, 101, 102, 110, 120}
    registration, _prefix, second = handles
    assert client.registration_map[registration.id] is registration
    assert [each.topic for each in client.subscription_map[300]] == ["com.example.topic"] * 2
    assert client.subscription_map[300][1] is second
    peer.say(
        [wamp.INVOCATION, 1, registration.id, {}],
        [wamp.EVENT, 300, 1, {}, [], {"n": 1}],
        [wamp.EVENT, handles[1].id, 2, {}, [], {"n": 2}],
    )
    assert peer.expect(wamp.YIELD) == [wamp.YIELD, 1, {}, ["got"]]
    green.wait_until(lambda: len(client.heard) == 3)
    assert sorted(client.heard) == [("decorated", 1), ("prefix", 2), ("second", 1)]
    unregistering = green.spawn(client.session.unregister, registration)
    request = peer.expect(wamp.UNREGISTER)
    assert request[2] == registration.id
    peer.say([wamp.UNREGISTERED, request[1]])
    unregistering.result()
    assert not registration.active


def test_they_come_back_time_and_again(everything, lose, comes_back, green):
    client, peer, handles = everything
    for number in range(2, 7):
        lose(client, peer)
        peer = comes_back(client, roles=6, number=number)
        assert all(handle.active for handle in handles)
        assert len(client.session.roles) == 6


def test_nothing_is_kept_of_sessions_that_were_lost(everything, lose, comes_back, green):
    def kept():
        gc.collect()
        return sum(1 for each in gc.get_objects() if type(each) is Session and each.backend is green.backend)

    client, peer, _ = everything
    before = kept()
    for number in range(2, 22):
        lose(client, peer)
        peer = comes_back(client, roles=6, number=number)
    # The one that was lost last is kept for its reason.
    green.wait_until(lambda: kept() <= before + 1, 5, "lost sessions go away")


def test_what_was_given_up_does_not_come_back(everything, lose, comes_back, green, wamp):
    client, peer, (registration, prefix, second) = everything
    for function, handle, answer in (
        (client.session.unregister, registration, wamp.UNREGISTERED),
        (client.session.unsubscribe, prefix, wamp.UNSUBSCRIBED),
    ):
        asked = green.spawn(function, handle)
        peer.say([answer, peer.hear()[1]])
        asked.result()
    client.session.unsubscribe(second)  # without a message: another handler still wants the topic
    lose(client, peer)
    peer = comes_back(client, roles=3)
    assert [request[3] for request in peer.roles] == ["com.example.add", "com.example.shared", "com.example.topic"]
    assert not any(handle.active for handle in (registration, prefix, second))
    assert peer.hears_nothing()


def test_what_was_just_being_given_up_does_not_either(everything, lose, comes_back, green, wamp):
    client, peer, (registration, prefix, _) = everything
    asked = [
        green.spawn(client.session.unregister, registration),
        green.spawn(client.session.unsubscribe, prefix),
    ]
    assert {peer.hear()[0], peer.hear()[0]} == {wamp.UNREGISTER, wamp.UNSUBSCRIBE}
    lose(client, peer)
    assert {type(each.error()) for each in asked} == {ConnectionClosed}
    peer = comes_back(client, roles=4)
    topics = {request[3] for request in peer.roles}
    assert topics == {"com.example.add", "com.example.shared", "com.example.topic"}
    assert not registration.active
    assert not prefix.active
    # Nor the next time.
    lose(client, peer)
    peer = comes_back(client, roles=4, number=3)
    assert topics == {request[3] for request in peer.roles}


def test_nor_does_what_the_router_did_not_answer_about_in_time(everything, lose, comes_back, green, wamp):
    client, peer, _handles = everything
    client.session.options = dataclasses.replace(client.session.options, call_timeout=0.1)
    unregistering = green.spawn(client.session.unregister, _handles[0])
    registering = green.spawn(client.session.register, "com.example.late", len)
    assert {type(each.error()) for each in (unregistering, registering)} == {WampyTimeOutError}
    lose(client, peer)
    peer = comes_back(client, roles=5)
    assert not {"com.example..get", "com.example.late"} & {request[3] for request in peer.roles}


def test_a_revoked_role_does_not_come_back(everything, lose, comes_back, green, wamp):
    client, peer, (registration, prefix, _) = everything
    peer.say(
        [wamp.UNREGISTERED, 0, {"registration": registration.id, "reason": "wamp.registration.revoked"}],
        [wamp.UNSUBSCRIBED, 0, {"subscription": prefix.id}],
    )
    green.wait_until(lambda: not registration.active and not prefix.active)
    lose(client, peer)
    peer = comes_back(client, roles=4)
    assert not {"com.example..get", "com.example."} & {request[3] for request in peer.roles}


def test_a_role_that_was_being_registered_is_its_askers_business(join, lose, comes_back, green, wamp):
    client, peer = join()
    asked = green.spawn(client.session.register, "com.example.add", lambda a, b: a + b)
    peer.expect(wamp.REGISTER)
    lose(client, peer)
    assert type(asked.error()) is ConnectionClosed
    peer = comes_back(client)
    assert peer.hears_nothing()


def test_the_session_is_lost_again_while_the_roles_are_registered(everything, lose, router, comes_back, green):
    client, peer, handles = everything
    lose(client, peer)
    for count in (0, 1, 5):
        peer = router.accept()
        peer.welcome(2, number=2)
        if count:
            peer.acknowledge(count, 400)
        peer.drop()
    comes_back(client, roles=6, number=7)
    assert all(handle.active for handle in handles)
    assert [argument for name, argument in client.told if name == "on_join"] == [1, 7]
    assert client.attempts == [1, 2, 3, 4]


def test_a_role_that_is_refused_ends_the_client(everything, lose, router, green, wamp, caplog):
    client, peer, handles = everything
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    requests = [peer.hear() for _ in range(6)]
    peer.say([wamp.ERROR, requests[0][0], requests[0][1], {}, "wamp.error.not_authorized"])
    peer.farewell()
    with pytest.raises(NotAuthorized) as caught:
        client.wait(5)
    assert client.session is None
    assert not any(handle.active for handle in handles)
    assert client.attempts == [1]
    with pytest.raises(ConnectionClosed, match="has stopped"):
        client.call("com.example.x")
    assert "not connecting again" in caplog.text
    assert str(caught.value) in caplog.text


# The procedure is still the dead session's.


def refuse(peer, wamp, **options):
    request = peer.expect(wamp.REGISTER)
    assert request[2:] == [options, "com.example.add"]
    peer.say([wamp.ERROR, wamp.REGISTER, request[1], {}, "wamp.error.procedure_already_exists"])


def test_a_procedure_that_the_dead_session_still_holds(join, lose, router, green, wamp):
    client, peer = join(Adder, roles=1)
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    for _ in range(3):
        refuse(peer, wamp)
    assert client.told[-1] != ("on_join", 2)
    waiting = green.spawn(client.call, "com.example.x")
    peer.acknowledge(1)
    call = peer.expect(wamp.CALL)
    peer.say([wamp.RESULT, call[1], {}, ["x"]])
    assert waiting.result() == "x"
    green.wait_until(lambda: client.told[-1] == ("on_join", 2))
    assert client.attempts == [1, 2, 3, 4]


def test_nobody_gives_it_up(join, lose, router, wamp, green):
    client, peer = join(Adder, roles=1, reconnect=Reconnect(first_delay=0.02, jitter=0, growth=1, attempts=3))
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    for _ in range(3):
        refuse(peer, wamp)
    peer.farewell()
    with pytest.raises(ProcedureAlreadyExists, match=r"com\.example\.add"):
        client.wait(5)
    assert client.attempts == [1, 2, 3]
    assert client.hooks == ["on_join", "on_disconnect", *["on_reconnect_attempt"] * 3]


def test_it_is_taken_by_force_when_that_is_wanted(join, lose, router, green, wamp):
    policy = Reconnect(first_delay=0.02, jitter=0, growth=1, force_reregister=True)
    client, peer = join(Adder, roles=1, reconnect=policy)
    assert peer.roles[0][2] == {}, "the first time nothing may be taken from anybody"
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    refuse(peer, wamp)
    request = peer.acknowledge(1)[0]
    assert request[2] == {"force_reregister": True}
    green.wait_until(lambda: client.told[-1] == ("on_join", 2))
    assert client.attempts == [1], "it waited before it used force"
    # The next time it is asked for politely again.
    lose(client, peer)
    peer = router.accept()
    peer.welcome(3, number=3)
    assert peer.acknowledge(1)[0][2] == {}
    green.wait_until(lambda: client.told[-1] == ("on_join", 3))


def test_force_is_tried_once_for_each_role_and_wait(join, lose, router, green, wamp):
    """A router that does not know it refuses again: then it is a matter of time, as without."""
    policy = Reconnect(first_delay=0.02, jitter=0, growth=1, force_reregister=True)
    client, peer = join(Adder, roles=1, reconnect=policy)
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    refuse(peer, wamp)
    refuse(peer, wamp, force_reregister=True)
    assert client.attempts in ([1], [1, 2])
    peer.acknowledge(1)
    green.wait_until(lambda: client.told[-1] == ("on_join", 2))
    assert client.attempts == [1, 2]


def test_the_session_is_lost_while_the_procedure_is_still_taken(join, lose, router, comes_back, green, wamp):
    client, peer = join(Adder, roles=1)
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    refuse(peer, wamp)
    peer.drop()
    peer = comes_back(client, roles=1, number=3)
    assert client.told[-1] == ("on_join", 3)


# Calls and publications.


def test_calls_that_were_under_way_raise_at_once(join, lose, comes_back, green, wamp):
    client, peer = join(call_timeout=None)
    calls = [green.spawn(client.call, "com.example.x", n) for n in range(20)]
    publication = green.spawn(client.publish, topic="com.example.t", options={"acknowledge": True}, x=1)
    pending = client.rpc.com.example.y.call_async()
    for _ in range(22):
        peer.hear()
    with taking(at_most=AT_ONCE):
        lose(client, peer)
        errors = [each.error() for each in [*calls, publication]]
        with pytest.raises(ConnectionClosed):
            pending.result()
    assert {type(error) for error in errors} == {ConnectionClosed}
    assert len({id(error) for error in errors}) == 21, "an error is shared"
    assert not any(error.clean for error in errors)
    peer = comes_back(client)
    assert peer.hears_nothing(), "something was sent twice"


def test_calls_and_publications_wait_for_the_next_session(join, lose, router, green, wamp):
    client, peer = join()
    view = client.options(timeout=4.0, disclose_me=True)
    lose(client, peer)
    waiting = {
        "call": green.spawn(client.call, "com.example.call", 1),
        "rpc": green.spawn(client.rpc.com.example.rpc, 2),
        "view": green.spawn(view.call, "com.example.view", 3),
        "for ever": green.spawn(client.options(timeout=None).call, "com.example.for_ever", 4),
        "later": green.spawn(client.rpc.com.example.later.call_async, 5),
        "publish": green.spawn(client.publish, topic="com.example.publish", n=6),
        "acknowledged": green.spawn(
            client.publish, topic="com.example.acknowledged", options={"acknowledge": True}, n=7
        ),
    }
    peer = router.accept()
    green.sleep(0.1)
    assert not any(each.done for each in waiting.values())
    peer.welcome(2, number=2)
    heard = {}
    for _ in waiting:
        message = peer.hear()
        heard[message[3].rpartition(".")[2]] = message
        if message[0] == wamp.CALL:
            peer.say([wamp.RESULT, message[1], {}, [message[4][0] * 10]])
        elif message[2].get("acknowledge"):
            peer.say([wamp.PUBLISHED, message[1], 4711])
    assert {name: each.result() for name, each in waiting.items() if name != "later"} == {
        "call": 10,
        "rpc": 20,
        "view": 30,
        "for ever": 40,
        "publish": None,
        "acknowledged": 4711,
    }
    assert waiting["later"].result().result() == 50
    assert heard["view"][2]["disclose_me"] is True
    assert heard["publish"][-1] == {"n": 6}


@pytest.mark.parametrize("how", ["call", "rpc", "view", "call_async", "publish", "send_message"])
def test_they_wait_no_longer_than_their_own_timeout(how, join, lose, green, wamp):
    from wampy.messages import Publish

    client, peer = join(reconnect=NEVER, call_timeout=60.0 if how == "view" else 0.3)
    lose(client, peer)
    waits = {
        "call": lambda: client.call("com.example.x"),
        "rpc": lambda: client.rpc.com.example.x(),
        "view": lambda: client.options(timeout=0.3).call("com.example.x"),
        "call_async": lambda: client.rpc.com.example.x.call_async(),
        "publish": lambda: client.publish(topic="com.example.t", x=1),
        "send_message": lambda: client.send_message(Publish(None, {}, "com.example.t")),
    }
    with taking(at_least=0.29, at_most=AT_ONCE), pytest.raises(WampyTimeOutError, match="session with ws://") as caught:
        waits[how]()
    assert caught.value.seconds == 0.3
    assert f"no new session with {client.url} within 0.3 seconds" in str(caught.value)
    assert isinstance(caught.value, TimeoutError)


def test_waiting_for_the_session_is_part_of_the_time(join, lose, router, green, wamp):
    client, peer = join()
    lose(client, peer)
    started = time.monotonic()
    waiting = green.spawn(client.options(timeout=1.0).call, "com.example.x")
    peer = router.accept()
    green.sleep(0.5)
    peer.welcome(2, number=2)
    peer.expect(wamp.CALL)
    error = waiting.error()
    assert type(error) is WampyTimeOutError
    assert error.procedure == "com.example.x"
    assert 0.95 <= time.monotonic() - started < 1.4


def test_bad_arguments_do_not_wait(join, lose, green):
    client, peer = join(reconnect=NEVER)
    lose(client, peer)
    with pytest.raises(TypeError):
        client.publish(topic="com.example.t")
    with pytest.raises(WampyError, match="timeout is a number of seconds above 0"):
        client.options(timeout=-1).call("com.example.x")


def test_whoever_waits_is_told_that_there_will_be_none(join, lose, router, green, wamp):
    client, peer = join()
    lose(client, peer)
    waiting = [green.spawn(client.call, "com.example.x"), green.spawn(client.publish, topic="com.example.t", x=1)]
    peer = router.accept()
    peer.expect(wamp.HELLO)
    peer.say([wamp.ABORT, {"message": "gone for good"}, "wamp.error.no_such_realm"])
    errors = [each.error() for each in waiting]
    assert {type(error) for error in errors} == {ConnectionClosed}
    assert all("gone for good" in str(error) for error in errors)


def test_whoever_waits_is_told_that_the_client_was_stopped(join, lose, green):
    client, peer = join(reconnect=NEVER, call_timeout=None)
    lose(client, peer)
    waiting = [green.spawn(client.call, "com.example.x") for _ in range(3)]
    green.sleep(0.05)
    client.stop()
    assert {type(each.error(AT_ONCE)) for each in waiting} == {ConnectionClosed}


def test_a_waiter_that_is_killed_takes_nobody_along(join, lose, router, green, wamp):
    client, peer = join()
    lose(client, peer)
    killed, waiting = (green.spawn(client.call, "com.example.x", n) for n in range(2))
    green.sleep(0.05)
    killed.kill()
    peer = router.accept()
    peer.welcome(2, number=2)
    call = peer.expect(wamp.CALL)
    assert call[4] == [1]
    peer.say([wamp.RESULT, call[1], {}, ["x"]])
    assert waiting.result() == "x"
    assert isinstance(killed.error(), green.backend.kill_error)


def test_a_session_is_never_used_twice(join, lose, comes_back, green):
    client, peer = join()
    session = client.session
    lose(client, peer)
    assert client.session is None
    with pytest.raises(ConnectionClosed):
        session.call("com.example.x")
    comes_back(client)
    assert client.session is not session
    assert client.session.id == 2
    for use in (
        lambda: session.call("com.example.x"),
        lambda: session.publish("com.example.t"),
        lambda: session.register("com.example.x", len),
    ):
        with pytest.raises(ConnectionClosed):
            use()
    session.stop()
    assert client.session.established


def test_there_is_no_session_in_between(join, lose, router, green):
    client, peer = join()
    lose(client, peer)
    peer = router.accept()
    for _ in range(10):
        assert client.session is None
        assert "not joined" in repr(client)
        green.sleep(0.005)
    peer.welcome(2, number=2)
    green.wait_until(lambda: client.session is not None)


# Callees and event handlers, of the session before and of the next one.


class Caller(Service):
    def __init__(self, *args, **parameters):
        super().__init__(*args, **parameters)
        self.answers, self.begun = [], []

    @callee(procedure="com.example.slow")
    def slow(self):
        self.begun.append(self.session.id)
        self.may_call.wait(10)
        self.answers.append(self.call("com.example.other"))
        return "an answer that nobody waits for"

    @subscribe(topic="com.example.slow")
    def on_slow(self, **_):
        self.slow()


@pytest.mark.parametrize("what", ["callee", "event handler"])
def test_what_still_runs_for_the_lost_session_calls_through_the_next(what, join, lose, comes_back, green, wamp):
    client, peer = join(Caller, roles=2)
    client.may_call = green.slot()
    peer.say([wamp.INVOCATION, 1, 100, {}] if what == "callee" else [wamp.EVENT, 101, 1, {}])
    lost = client.session
    green.wait_until(lambda: client.begun == [1])
    lose(client, peer)
    client.may_call.set()
    peer = comes_back(client, roles=2)
    call = peer.expect(wamp.CALL)
    assert call[3] == "com.example.other"
    peer.say([wamp.RESULT, call[1], {}, ["other"]])
    green.wait_until(lambda: client.answers == ["other"])
    assert peer.hears_nothing(), "the answer of a lost invocation was sent to the next session"
    assert not lost.workers.busy


def test_a_callee_may_call_before_all_roles_are_there(join, lose, router, green, wamp):
    client, peer = join(Caller, roles=2)
    client.may_call = green.slot()
    client.may_call.set()
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    first, second = peer.hear(), peer.hear()
    peer.say([first[0] + 1, first[1], 300], [wamp.INVOCATION, 1, 300, {}])
    call = peer.expect(wamp.CALL)  # although another role has not been acknowledged yet
    peer.say([wamp.RESULT, call[1], {}, ["other"]])
    assert peer.expect(wamp.YIELD)[1] == 1
    assert client.hooks.count("on_join") == 1
    peer.say([second[0] + 1, second[1], 301])
    green.wait_until(lambda: client.told[-1] == ("on_join", 2))


def test_a_message_handler_may_send_before_all_roles_are_there(join, lose, router, green, wamp):
    class Announcing(MessageHandler):
        def handle_registered(self, message_obj):
            super().handle_registered(message_obj)
            self.client.publish(topic="com.example.registered", n=message_obj.registration_id)

    client, peer = join(Service, message_handler_cls=Announcing)
    registering = green.spawn(client.session.register, "com.example.add", lambda a, b: a + b)
    peer.acknowledge(1)
    assert peer.expect(wamp.PUBLISH)[-1] == {"n": 100}
    registering.result()
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    peer.acknowledge(1, 200)
    assert peer.expect(wamp.PUBLISH)[-1] == {"n": 200}


# Hooks, and what is told of the end.


def test_the_hooks_of_a_session_that_is_cut_off(join, lose, router, comes_back, green):
    client, peer = join()
    lose(client, peer)
    for _ in range(2):
        router.accept(handshake=False).drop()
    comes_back(client)
    assert client.hooks == ["on_join", "on_disconnect", *["on_reconnect_attempt"] * 3, "on_join"]
    error = client.told[1][1]
    assert type(error) is ConnectionClosed
    assert not error.clean
    assert client.attempts == [1, 2, 3]


def test_the_hooks_when_the_router_says_goodbye(join, comes_back, green, wamp):
    client, peer = join()
    peer.say([wamp.GOODBYE, {"message": "maintenance"}, "wamp.close.system_shutdown"])
    assert peer.expect(wamp.GOODBYE)[2] == "wamp.close.goodbye_and_out"
    comes_back(client)
    assert client.hooks == ["on_join", "on_leave", "on_disconnect", "on_reconnect_attempt", "on_join"]
    assert client.told[1] == ("on_leave", "wamp.close.system_shutdown")
    assert type(client.told[2][1]) is SessionClosed


def test_the_hooks_when_the_router_aborts(join, comes_back, green, wamp):
    client, peer = join()
    peer.say([wamp.ABORT, {"message": "enough"}, "com.example.enough"])
    comes_back(client)
    assert client.hooks == ["on_join", "on_leave", "on_disconnect", "on_reconnect_attempt", "on_join"]
    assert client.told[1] == ("on_leave", "com.example.enough")
    assert type(client.told[2][1]) is AbortError


def test_an_abort_that_nothing_cures_ends_a_session_for_good(join, green, wamp):
    client, peer = join()
    peer.say([wamp.ABORT, {}, "wamp.error.not_authorized"])
    with pytest.raises(AbortError, match="not_authorized"):
        client.wait(5)
    green.wait_until(lambda: client.hooks == ["on_join", "on_leave", "on_disconnect"])


def test_a_violation_is_followed_by_another_session(join, comes_back, green, wamp):
    client, peer = join()
    peer.say([wamp.EVENT, 4711, 1, {}])
    assert peer.expect(wamp.ABORT)[2] == "wamp.error.protocol_violation"
    comes_back(client)
    assert client.hooks == ["on_join", "on_disconnect", "on_reconnect_attempt", "on_join"]


def test_a_hook_that_fails_or_calls_changes_nothing(join, lose, router, green, wamp, caplog):
    class Busy(Service):
        def on_disconnect(self, error):
            super().on_disconnect(error)
            self.answer = self.call("com.example.x")  # waits for the next session
            raise KeyError("mine")

    client, peer = join(Busy)
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    call = peer.expect(wamp.CALL)
    peer.say([wamp.RESULT, call[1], {}, ["x"]])
    green.wait_until(lambda: client.told[-1] == ("on_join", 2))
    assert client.answer == "x"
    assert "Busy.on_disconnect failed" in caplog.text


def test_an_on_join_that_goes_on_is_over_with_its_session(join, lose, comes_back, green):
    """Else nothing would be told any more, and what is to be told would pile up."""

    class Publishing(Service):
        ended = 0

        def on_join(self, details):
            super().on_join(details)
            try:
                while True:
                    green.sleep(0.01)
            finally:
                self.ended += 1

    client, peer = join(Publishing)
    for number in (2, 3):
        lose(client, peer)
        peer = comes_back(client, number=number)
    assert client.ended == 2
    assert client.hooks == ["on_join", *["on_disconnect", "on_reconnect_attempt", "on_join"] * 2]
    peer.drop()
    client.stop()
    assert client.ended == 3


def test_goodbye_by_hand_is_no_loss(join, green, wamp):
    from wampy.messages import Goodbye

    client, peer = join()
    client.send_message(Goodbye({}, "wamp.close.close_realm"))
    peer.expect(wamp.GOODBYE)
    peer.say([wamp.GOODBYE, {}, "wamp.close.goodbye_and_out"])
    assert client.wait(5)
    green.wait_until(lambda: client.hooks == ["on_join", "on_leave", "on_disconnect"])
    assert client.told[-1] == ("on_disconnect", None)


# wait(), and the ends for good.


def test_wait_goes_on(join, lose, comes_back, green):
    client, peer = join()
    waiting = green.spawn(client.wait)
    for number in (2, 3):
        lose(client, peer)
        assert client.wait(0.01) is False
        peer = comes_back(client, number=number)
    assert not waiting.done
    peer.drop()
    client.stop()
    assert waiting.result() is True


@pytest.mark.parametrize("reconnect", [False, None], ids=str)
def test_without_reconnecting(reconnect, join, lose, green, caplog):
    client, peer = join(reconnect=reconnect)
    waiting = green.spawn(client.wait)
    lose(client, peer)
    assert type(waiting.error()) is ConnectionClosed
    with pytest.raises(ConnectionClosed) as caught:
        client.wait()
    assert not caught.value.clean
    for use in (lambda: client.call("com.example.x"), lambda: client.publish(topic="com.example.t", x=1)):
        with taking(at_most=AT_ONCE), pytest.raises(ConnectionClosed, match=r"has stopped \(.*\); start\(\) it again"):
            use()
    green.wait_until(lambda: client.hooks == ["on_join", "on_disconnect"])
    client.stop()
    assert client.wait() is True, "whoever stops a client has dealt with the reason"


def test_attempts_that_are_used_up(join, router, lose, green, caplog):
    client, _ = join(reconnect=Reconnect(first_delay=0.02, growth=1, jitter=0, attempts=3))
    waiting = green.spawn(client.wait)
    router.close()
    green.wait_until(lambda: waiting.done)
    error = waiting.error()
    assert isinstance(error, ConnectionError)
    assert "refused" in str(error)
    assert client.attempts == [1, 2, 3]
    for _ in range(2):  # an instance of its own for everybody
        with pytest.raises(ConnectionError, match="refused") as caught:
            client.wait()
        assert caught.value is not error
    with pytest.raises(ConnectionClosed, match="has stopped"):
        client.call("com.example.x")
    assert [record.message for record in caplog.records][-1].endswith("refused; not connecting again") or (
        "not connecting again" in caplog.records[-1].message
    )


def test_a_session_that_has_lasted_begins_the_counting_anew(join, lose, comes_back, green):
    policy = Reconnect(first_delay=0.02, longest_delay=0.2, growth=1, jitter=0, attempts=2)
    client, peer = join(reconnect=policy)
    for number in (2, 3, 4):
        green.sleep(0.25)
        lose(client, peer)
        peer = comes_back(client, number=number)
    assert client.attempts == [1, 1, 1]


def test_sessions_that_last_no_time_are_no_success(join, router, green):
    """Else a router that lets us in and throws us out would be asked without a pause, for ever."""
    client, peer = join(reconnect=Reconnect(first_delay=0.02, longest_delay=30.0, growth=1, jitter=0, attempts=2))
    for number in (2, 3):
        peer.drop()
        peer = router.accept()
        peer.welcome(number, number=number)
        green.wait_until(lambda number=number: client.told[-1] == ("on_join", number))
    peer.drop()
    with pytest.raises(ConnectionClosed):
        client.wait(5)
    assert client.attempts == [1, 2]


INCURABLE = ["wamp.error.no_such_realm", "wamp.error.not_authorized", "wamp.error.authentication_failed"]


@pytest.mark.parametrize("uri", INCURABLE)
def test_an_abort_that_no_retry_can_cure(uri, join, lose, router, wamp, caplog, green):
    client, peer = join()
    lose(client, peer)
    peer = router.accept()
    peer.expect(wamp.HELLO)
    peer.say([wamp.ABORT, {"message": "never again"}, uri])
    with pytest.raises(AbortError, match="never again") as caught:
        client.wait(5)
    assert caught.value.uri == uri
    assert client.attempts == [1]
    green.wait_until(lambda: "not connecting again" in caplog.text)
    peer.until_closed()


def test_an_abort_that_may_be_over_soon_is_retried(join, lose, router, comes_back, wamp):
    client, peer = join()
    lose(client, peer)
    peer = router.accept()
    peer.expect(wamp.HELLO)
    peer.say([wamp.ABORT, {"message": "come back later"}, "wamp.error.system_shutdown"])
    comes_back(client)
    assert client.attempts == [1, 2]


def test_a_client_that_has_ended_for_good_can_start_again(join, lose, router, green, wamp):
    client, peer = join(Adder, roles=1, reconnect=False)
    lose(client, peer)
    with pytest.raises(ConnectionClosed):
        client.wait()
    starting = green.spawn(client.start)
    peer = router.accept()
    peer.welcome(2, number=2)
    peer.acknowledge(1)
    starting.result()
    assert client.wait(0.01) is False
    green.wait_until(lambda: client.told[-1] == ("on_join", 2))


def test_start_is_refused_while_the_client_comes_back(join, lose, comes_back):
    client, peer = join()
    lose(client, peer)
    with pytest.raises(WampyError, match="started already"):
        client.start()
    comes_back(client)


# Authentication.


def test_the_challenge_is_answered_anew(join, lose, router, green, wamp):
    secrets = iter(["first", "second"])

    class Rotating(Ticket):
        def sign(self, method, extra):
            return next(secrets), {}

    client = Service(router.url, auth=Rotating("tom", "unused"))
    starting = green.spawn(client.start)
    try:
        for number, secret in ((1, "first"), (2, "second")):
            peer = router.accept()
            hello = peer.expect(wamp.HELLO)
            assert (hello[2]["authid"], hello[2]["authmethods"]) == ("tom", ["ticket"])
            peer.say([wamp.CHALLENGE, "ticket", {}])
            assert peer.expect(wamp.AUTHENTICATE)[1] == secret
            peer.say([wamp.WELCOME, number, {"roles": wamp.ROLES, "number": number, "authmethod": "ticket"}])
            green.wait_until(lambda number=number: client.told[-1:] == [("on_join", number)])
            starting.result()
            peer.drop()
    finally:
        client.stop()


@pytest.mark.parametrize("heals", [True, False])
def test_an_authenticator_that_cannot_get_its_secret(heals, join, lose, router, green, wamp):
    class Remote(Ticket):
        broken = False

        def sign(self, method, extra):
            if self.broken:
                try:
                    raise ConnectionRefusedError("the server of secrets") if heals else KeyError("secret")
                except (OSError, KeyError) as error:
                    raise WampyError("no secret") from error
            return super().sign(method, extra)

    ticket = Remote("tom", "secret")
    client = Service(router.url, auth=ticket, reconnect=QUICK)
    starting = green.spawn(client.start)
    try:
        for round_, number in enumerate((1, 2, 3)):
            peer = router.accept()
            peer.expect(wamp.HELLO)
            ticket.broken = round_ == 1
            peer.say([wamp.CHALLENGE, "ticket", {}])
            if ticket.broken:
                assert peer.expect(wamp.ABORT)[2]
                if not heals:
                    with pytest.raises(WampyError, match="no secret"):
                        client.wait(5)
                    return
                continue
            peer.expect(wamp.AUTHENTICATE)
            peer.say([wamp.WELCOME, number, {"roles": wamp.ROLES, "number": number, "authmethod": "ticket"}])
            starting.result()
            green.wait_until(lambda number=number: client.told[-1:] == [("on_join", number)])
            peer.drop()
    finally:
        client.stop()


# Several URLs.


def test_the_next_url_comes_first(join, router, other_router, green, wamp):
    client, peer = join(url=[router.url, other_router.url])
    assert client.url == router.url
    for number, next_router in ((2, other_router), (3, router), (4, other_router)):
        peer.drop()
        peer = next_router.accept()
        peer.welcome(number, number=number)
        green.wait_until(lambda number=number: client.told[-1] == ("on_join", number))
        assert client.url == next_router.url
    assert set(client.attempts) == {1, 2, 3}, "the other URL was not the first to be tried"


def test_a_url_that_does_not_work_is_passed_over(join, router, other_router, green, comes_back):
    client, peer = join(url=[router.url, other_router.url])
    other_router.close()
    peer.drop()
    comes_back(client)
    assert client.attempts == [1], "an attempt tries every URL"


def test_all_urls_refuse_the_client_for_good(join, router, other_router, green, wamp):
    client, peer = join(url=[router.url, other_router.url])
    peer.drop()
    for each in (other_router, router):
        peer = each.accept()
        peer.expect(wamp.HELLO)
        peer.say([wamp.ABORT, {}, "wamp.error.no_such_realm"])
    with pytest.raises(ConnectionError, match="none of 2 routers") as caught:
        client.wait(5)
    assert [error.uri for error in caught.value.errors] == ["wamp.error.no_such_realm"] * 2


# The log.


def logged(caplog):
    return [record for record in caplog.records if record.name.startswith("wampy.")]


def test_one_record_for_each_news(join, lose, router, comes_back, green, wamp, caplog):
    client, peer = join(reconnect=Reconnect(first_delay=0.01, longest_delay=0.01, jitter=0))
    caplog.clear()
    lose(client, peer)
    for _ in range(20):
        peer = router.accept(handshake=False)
        peer.drop()
    for _ in range(5):
        peer = router.accept()
        peer.expect(wamp.HELLO)
        peer.say([wamp.ABORT, {"message": "starting up"}, "com.example.later"])
    comes_back(client)
    assert client.attempts[-1] == 26
    green.wait_until(lambda: len(logged(caplog)) >= 4)
    lost, *reasons, back = logged(caplog)
    assert lost.levelno == logging.ERROR
    assert lost.message.startswith(f"session 1 with {router.url} was lost: the connection is closed")
    assert 1 <= len(reasons) <= 3, "how a handshake is cut off may be told in two ways"
    assert all(record.levelno == logging.WARNING for record in reasons)
    assert all(record.message.endswith("; trying again") for record in reasons)
    assert len({record.message for record in reasons}) == len(reasons)
    assert "starting up" in reasons[-1].message
    assert back.levelno == logging.WARNING
    assert back.message == f"joined {router.url} again as session 2"


def test_fifty_attempts_are_one_record(join, router, green, caplog):
    client, peer = join(reconnect=Reconnect(first_delay=0.002, longest_delay=0.002))
    caplog.clear()
    peer.drop()
    router.close()
    green.wait_until(lambda: client.attempts[-1:] >= [50], 30)
    client.stop()
    assert len(logged(caplog)) == 2, [record.message for record in logged(caplog)]


def test_fifty_attempts_with_two_urls_are_two_records(join, router, other_router, green, caplog):
    client, peer = join(url=[router.url, other_router.url], reconnect=Reconnect(first_delay=0.002, longest_delay=0.002))
    caplog.clear()
    peer.drop()
    router.close()
    other_router.close()
    green.wait_until(lambda: client.attempts[-1:] >= [50], 30)
    client.stop()
    assert len(logged(caplog)) <= 4, [record.message for record in logged(caplog)]


def test_the_password_of_a_url_is_not_logged(router, green, join, caplog):
    client, peer = join(url=router.url.replace("//", "//joe:my-secret@"))
    peer.drop()
    router.close()
    green.wait_until(lambda: client.attempts[-1:] >= [3])
    client.stop()
    assert "my-secret" not in caplog.text


@pytest.mark.parametrize("text", ["was lost", "trying again", "joined"])
def test_a_logging_handler_that_waits_while_more_happens(text, join, lose, router, comes_back, green, wamp):
    """As one that sends its records over a network does in green threads."""
    if green.os_threads:
        pytest.skip("wampy logs while it works, and on OS threads nothing more happens until the handler is done")

    class Slow(logging.Handler):
        def emit(self, record):
            if text in record.getMessage():
                self.waiting.set()
                green.sleep(0.2)

    handler = Slow()
    client, peer = join(Adder, roles=1)
    logging.getLogger("wampy").addHandler(handler)
    try:
        for number in (3, 5):
            handler.waiting = green.slot()
            peer.drop()
            if text == "trying again":
                router.accept(handshake=False).drop()
            if text != "joined":
                assert handler.waiting.wait(5)
            peer = router.accept()
            peer.welcome(number - 1, number=number - 1)
            peer.acknowledge(1)
            if text == "joined":
                assert handler.waiting.wait(5)
            peer.drop()  # while the handler waits
            green.wait_until(lambda number=number: ("on_join", number - 1) in client.told)
            peer = comes_back(client, roles=1, number=number)
            calling = green.spawn(client.call, "com.example.x")
            call = peer.expect(wamp.CALL)
            peer.say([wamp.RESULT, call[1], {}, ["x"]])
            assert calling.result() == "x"
    finally:
        logging.getLogger("wampy").removeHandler(handler)


@pytest.mark.parametrize("reconnect", [False, QUICK], ids=["ends", "goes_on"])
def test_a_logging_handler_that_stops_the_client_whose_loss_it_hears_of(reconnect, join, green):
    """It runs in the reader of the session that is over, where nothing may be waited for that the reader has to do."""
    client, peer = join(reconnect=reconnect)
    lost = client.session
    told = {}

    class Stops(logging.Handler):
        def emit(self, record):
            if "was lost" in record.getMessage() and not told:
                told["in_reader"] = lost.in_reader
                began = time.monotonic()
                client.stop()
                told["seconds"] = time.monotonic() - began

    handler = Stops()
    logging.getLogger("wampy").addHandler(handler)
    try:
        peer.drop()
        green.wait_until(lambda: "seconds" in told)
    finally:
        logging.getLogger("wampy").removeHandler(handler)
    assert told["in_reader"]
    assert told["seconds"] < AT_ONCE
    with taking(at_most=AT_ONCE):
        client.stop()
    assert [name for name, _ in client.told].count("on_disconnect") == 1


# The first connection.


def test_the_first_connection_waits_for_a_router_that_comes_later(make_client, green, wamp, caplog):
    router = wamp.ScriptedRouter(green.backend)
    port = router.port
    router.close()
    client = make_client(
        Adder, url=f"ws://127.0.0.1:{port}/ws", reconnect=Reconnect(first_delay=0.02, jitter=0, first_connection=True)
    )
    starting = green.spawn(client.start)
    green.wait_until(lambda: client.attempts[-1:] >= [2])
    assert not starting.done
    with taking(at_most=AT_ONCE), pytest.raises(ConnectionClosed):
        client.call("com.example.x")  # only a session that was lost is waited for
    router = wamp.ScriptedRouter(green.backend, port=port)
    try:
        peer = router.accept()
        peer.welcome(1, number=1)
        peer.acknowledge(1)
        starting.result()
        assert client.session is not None
        green.wait_until(lambda: client.hooks[-1] == "on_join")
        assert set(client.hooks[:-1]) == {"on_reconnect_attempt"}
        router.drop_all()
        client.stop()
    finally:
        router.close()


def test_without_that_the_first_failure_is_raised(make_client, green, wamp):
    router = wamp.ScriptedRouter(green.backend)
    router.close()
    client = make_client(Service, url=router.url)
    with taking(at_most=AT_ONCE), pytest.raises(ConnectionError, match="refused"):
        client.start()
    assert client.wait(0) is True
    assert client.hooks == []


FIRST = Reconnect(first_delay=0.02, longest_delay=0.1, first_connection=True)


def test_a_refused_role_does_not_loop_in_the_first_connection(make_client, green, router, wamp):
    client = make_client(Adder, url=router.url, reconnect=FIRST)
    starting = green.spawn(client.start)
    peer = router.accept()
    peer.welcome(1, number=1)
    refuse(peer, wamp)
    peer.farewell()
    assert type(starting.error()) is ProcedureAlreadyExists
    assert client.hooks == []
    assert client.wait(0) is True


def test_nor_does_an_abort_that_nothing_cures(make_client, green, router, wamp):
    client = make_client(Service, url=router.url, reconnect=FIRST)
    starting = green.spawn(client.start)
    peer = router.accept()
    peer.expect(wamp.HELLO)
    peer.say([wamp.ABORT, {}, "wamp.error.no_such_realm"])
    assert type(starting.error()) is AbortError


def test_the_first_attempts_are_bounded_too(make_client, green, wamp):
    router = wamp.ScriptedRouter(green.backend)
    router.close()
    client = make_client(
        Service, url=router.url, reconnect=Reconnect(first_delay=0.02, attempts=2, first_connection=True)
    )
    with pytest.raises(ConnectionError, match="refused"):
        client.start()
    green.wait_until(lambda: client.attempts == [1, 2])


def test_a_second_start_tells_its_reason_too(make_client, green, wamp, caplog):
    router = wamp.ScriptedRouter(green.backend)
    router.close()
    client = make_client(
        Service, url=router.url, reconnect=Reconnect(first_delay=0.02, attempts=1, first_connection=True)
    )
    for _ in range(2):
        caplog.clear()
        with pytest.raises(ConnectionError, match="refused"):
            client.start()
        assert [record.message.rpartition("; ")[2] for record in logged(caplog)] == ["trying again"]


# stop(), in every state.


def test_stop_while_it_waits_for_an_attempt(join, lose, green):
    client, peer = join(reconnect=NEVER)
    waiting = green.spawn(client.wait)
    lose(client, peer)
    green.sleep(0.05)
    with taking(at_most=AT_ONCE):
        client.stop()
    assert waiting.result() is True
    assert client.wait(0) is True
    assert client.hooks == ["on_join", "on_disconnect"]


@pytest.mark.parametrize("phase", ["handshake", "WELCOME"])
def test_stop_while_it_connects(phase, join, lose, router, green, wamp):
    client, peer = join()
    lose(client, peer)
    peer = router.accept(handshake=phase == "WELCOME")
    if phase == "WELCOME":
        peer.expect(wamp.HELLO)
    green.sleep(0.05)
    with taking(at_most=AT_ONCE):
        client.stop()
    assert client.wait(0) is True
    assert client.hooks == ["on_join", "on_disconnect", "on_reconnect_attempt"]


def test_stop_while_it_registers(join, lose, router, green, wamp):
    client, peer = join(Adder, roles=1)
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    peer.expect(wamp.REGISTER)
    stopping = green.spawn(client.stop)
    peer.farewell()
    stopping.result(AT_ONCE)
    assert client.wait(0) is True
    assert client.hooks == ["on_join", "on_disconnect", "on_reconnect_attempt"]


def test_stop_while_a_procedure_is_still_taken(join, lose, router, green, wamp):
    client, peer = join(Adder, roles=1, reconnect=Reconnect(first_delay=0.02, longest_delay=60.0, growth=2000))
    lose(client, peer)
    peer = router.accept()
    peer.welcome(2, number=2)
    refuse(peer, wamp)
    stopping = green.spawn(client.stop)
    peer.farewell()
    stopping.result(AT_ONCE)
    assert client.wait(0) is True


@pytest.mark.parametrize("hook", ["on_disconnect", "on_reconnect_attempt", "on_join"])
def test_stop_from_a_hook(hook, join, lose, router, green, wamp):
    class Stopping(Service):
        def stop_now(self, name):
            if name == hook and self.hooks.count("on_join") == (2 if hook == "on_join" else 1):
                self.stop()
                self.stopped = True

        def on_join(self, details):
            super().on_join(details)
            self.stop_now("on_join")

        def on_disconnect(self, error):
            super().on_disconnect(error)
            self.stop_now("on_disconnect")

        def on_reconnect_attempt(self, attempt):
            super().on_reconnect_attempt(attempt)
            self.stop_now("on_reconnect_attempt")

    client, peer = join(Stopping)
    lose(client, peer)
    if hook == "on_join":
        peer = router.accept()
        peer.welcome(2, number=2)
        peer.farewell()
    assert client.wait(AT_ONCE) is True
    green.wait_until(lambda: getattr(client, "stopped", False), AT_ONCE)


def test_stop_from_a_worker_of_the_lost_session(join, lose, green, wamp):
    class Stopping(Service):
        @callee(procedure="com.example.stop")
        def stop_when_lost(self):
            self.begun = True
            self.lost.wait(10)
            self.stop()
            self.stopped = True

    client, peer = join(Stopping, roles=1, reconnect=NEVER)
    client.lost, client.begun, client.stopped = green.slot(), False, False
    peer.say([wamp.INVOCATION, 1, 100, {}])
    green.wait_until(lambda: client.begun)
    lose(client, peer)
    client.lost.set()
    assert client.wait(AT_ONCE) is True
    green.wait_until(lambda: client.stopped, AT_ONCE)


def test_stop_interrupts_what_still_runs_for_lost_sessions(join, lose, comes_back, green, wamp):
    class Slow(Service):
        @callee(procedure="com.example.slow")
        def slow(self):
            try:
                self.begun += 1
                green.slot().wait(60)
            finally:
                self.interrupted += 1

    client, peer = join(Slow, roles=1)
    client.begun = client.interrupted = 0
    for number in (2, 3, 4):
        peer.say([wamp.INVOCATION, 1, 100 if number == 2 else 200, {}])
        green.wait_until(lambda number=number: client.begun == number - 1)
        lose(client, peer)
        peer = comes_back(client, roles=1, number=number)
    stopping = green.spawn(client.stop)
    peer.farewell()
    stopping.result(AT_ONCE)
    assert client.interrupted == 3


def test_two_stops_at_once_while_it_connects(join, lose, router, green):
    client, peer = join()
    lose(client, peer)
    router.accept(handshake=False)
    stops = [green.spawn(client.stop) for _ in range(3)]
    for stop in stops:
        stop.result(AT_ONCE)
    assert client.wait(0) is True


def test_start_after_stop_while_it_came_back(join, lose, router, green, wamp):
    client, peer = join(Adder, roles=1)
    for number in (2, 3):
        lose(client, peer)
        router.accept(handshake=False)
        client.stop()
        starting = green.spawn(client.start)
        peer = router.accept()
        peer.welcome(number, number=number)
        peer.acknowledge(1)
        starting.result()
        green.wait_until(lambda number=number: client.told[-1] == ("on_join", number))
    assert client.wait(0.01) is False
    green.sleep(0.2)
    assert client.session.id == 3, "an attempt of the time before went on"


@pytest.mark.parametrize("when", ["waiting", "connecting", "joined"])
def test_stop_from_a_foreign_thread(when, join, lose, router, comes_back, green):
    """A client belongs to the OS thread that has started it: another one is told so, and the client goes on."""
    if green.os_threads:
        pytest.skip("any thread may stop a client here")
    client, peer = join()
    errors = []

    def stop():
        try:
            client.stop()
        except WampyError as error:
            errors.append(str(error))

    if when != "joined":
        lose(client, peer)
    if when == "connecting":
        peer = router.accept()
    thread = threading.Thread(target=stop)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert len(errors) == 1
    assert "OS thread" in errors[0]
    if when == "joined":
        lose(client, peer)
    if when == "connecting":
        peer.welcome(2, number=2)
        green.wait_until(lambda: client.told[-1] == ("on_join", 2))
    else:
        comes_back(client)


# fork().

FORKS = """
    import os, sys, time, traceback
    from wampy import Client, Reconnect, WampyError
    from wampy.backends import get_backend

    sleep = get_backend().sleep
    client = Client(sys.argv[1], call_timeout=20.0, reconnect=Reconnect(first_delay=float(sys.argv[2]), jitter=0))
    client.start()
    print("joined", flush=True)
    while client.session is not None:
        sleep(0.005)
    sleep(0.3)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sleep(0.7)  # copies of the parent's green threads have their turns
            try:
                client.call("com.example.x")
            except WampyError as error:
                assert "fork" in str(error), error
            started = time.monotonic()
            client.stop()
            assert time.monotonic() - started < 1.0
            sleep(0.1)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    print("forked", flush=True)
    answer = client.call("com.example.x")
    print(answer, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    client.stop()
"""


@pytest.mark.parametrize("phase", ["waiting", "handshake", "WELCOME"])
def test_a_fork_while_it_comes_back(phase, router, wamp, tmp_path, green):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(FORKS))
    command = [sys.executable, "-W", "ignore", str(program), router.url, "0.8" if phase == "waiting" else "0.05"]
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    try:
        assert router.has_a_caller(20)
        peer = router.accept()
        peer.welcome(1)
        assert process.stdout.readline() == "joined\n"
        peer.drop()
        if phase != "waiting":
            peer = router.accept(handshake=phase == "WELCOME")
        line = process.stdout.readline()
        assert line == "forked\n", process.stderr.read()
        if phase == "waiting":
            peer = router.accept()
        if phase == "handshake":
            peer.shake_hands()
        peer.welcome(2)
        call = peer.expect(wamp.CALL)
        peer.say([wamp.RESULT, call[1], {}, ["answer"]])
        peer.farewell()
        output, errors = process.communicate(timeout=20)
        assert (output, errors, process.returncode) == ("answer 0\n", "", 0)
        assert not router.has_a_caller(0.2), "the child has tried to come back as well"
    finally:
        process.kill()
        process.communicate()
