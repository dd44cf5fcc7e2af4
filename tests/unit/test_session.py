"""The four roles of a session, against the scripted router."""

import logging

import pytest

from wampy import Client, PendingCall, Result, callee, subscribe
from wampy.auth import Ticket, WampCRA
from wampy.errors import (
    ConnectionClosed,
    NoSuchProcedure,
    NoSuchSubscription,
    NotAuthorized,
    ProcedureAlreadyExists,
    RemoteError,
    WampyError,
    WampyTimeOutError,
)
from wampy.messages import Register, Subscribe

# Caller.


@pytest.mark.parametrize(
    ("payload", "result"),
    [
        ([], None),
        ([[]], None),
        ([None, None], None),
        ([["one"]], "one"),
        ([[None]], None),
        ([[[1, 2]]], [1, 2]),
        ([["one", "two"]], Result(("one", "two"))),
        ([["one"], {"more": 1}], Result(("one",), {"more": 1})),
        ([[], {"message": "old", "meta": {}}], "old"),
        ([[], {"message": "old"}], Result((), {"message": "old"})),
    ],
)
def test_a_result(join, green, payload, result):
    client, peer = join()
    calling = green.spawn(client.rpc.com.example.add, 1, 2, x=3)
    assert peer.hear() == [48, 1, {}, "com.example.add", [1, 2], {"x": 3}]
    peer.say([50, 1, {}, *payload])
    assert calling.result() == result


def test_an_error_has_everything_that_came_with_it(join, green):
    client, peer = join()
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.say([8, 48, 1, {"x": 1}, "com.example.bad", ["text", 2], {"left": 0}])
    error = calling.error()
    assert type(error) is RemoteError
    assert (error.uri, error.args, error.kwargs) == ("com.example.bad", ("text", 2), {"left": 0})
    assert error.details == {"x": 1}
    assert (error.procedure, error.request_id) == ("com.example.a", 1)


def test_a_well_known_error_has_its_class(join, green):
    client, peer = join()
    calling = green.spawn(client.call, "com.example.a")
    peer.expect(48)
    peer.say([8, 48, 1, {}, "wamp.error.no_such_procedure"])
    assert type(calling.error()) is NoSuchProcedure


def test_two_waiters_for_one_call_get_errors_of_their_own(join, green):
    client, peer = join()
    pending = client.session.call_async("com.example.a")
    waiting = [green.spawn(pending.result) for _ in range(2)]
    peer.expect(48)
    peer.say([8, 48, 1, {}, "com.example.bad"])
    first, second = (each.error() for each in waiting)
    assert first is not second


def test_options_and_the_timeout_for_the_dealer(join, green):
    client, peer = join(welcome={"roles": {"dealer": {"features": {"call_timeout": True, "call_canceling": True}}}})
    calling = green.spawn(client.options(timeout=2.5, disclose_me=True).call, "com.example.a")
    assert peer.hear()[2] == {"disclose_me": True, "timeout": 2500}
    peer.say([50, 1, {}])
    calling.result()
    unlimited = green.spawn(client.options(timeout=None).call, "com.example.a")
    assert peer.hear()[2] == {}
    peer.say([50, 2, {}])
    unlimited.result()


def test_call_async(join, green):
    client, peer = join()
    pending = client.rpc.com.example.a.call_async(1)
    assert isinstance(pending, PendingCall)
    assert not pending.done()
    assert (pending.procedure, pending.request_id) == ("com.example.a", 1)
    assert peer.hear() == [48, 1, {}, "com.example.a", [1]]
    peer.say([50, 1, {}, [2]])
    green.wait_until(pending.done)
    assert pending.result() == 2


@pytest.mark.parametrize("mode", ["skip", "killnowait"])
def test_cancelling_without_waiting(join, green, mode):
    client, peer = join()
    pending = client.session.call_async("com.example.a")
    waiting = green.spawn(pending.result)
    peer.expect(48)
    pending.cancel(mode)
    error = waiting.error(1.0)
    assert isinstance(error, RemoteError)
    assert (error.uri, error.procedure, error.request_id) == ("wamp.error.canceled", "com.example.a", 1)
    assert peer.hear() == [49, 1, {"mode": mode}]
    pending.cancel(mode)
    assert peer.hears_nothing()


def test_cancelling_and_waiting_for_the_callee(join, green):
    client, peer = join()
    pending = client.session.call_async("com.example.a")
    waiting = green.spawn(pending.result)
    peer.expect(48)
    pending.cancel()
    assert peer.hear() == [49, 1, {"mode": "kill"}]
    green.sleep(0.01)
    assert not waiting.done
    peer.say([50, 1, {}, ["it was quicker"]])
    assert waiting.result() == "it was quicker"


def test_cancelling_where_the_router_cannot(join, green):
    client, peer = join(welcome={"roles": {"dealer": {}}})
    pending = client.session.call_async("com.example.a")
    peer.expect(48)
    pending.cancel()
    with pytest.raises(RemoteError, match="canceled"):
        pending.result()
    assert peer.hears_nothing()


def test_an_unknown_way_to_cancel(join):
    client, _peer = join()
    with pytest.raises(ValueError, match="skip, kill, killnowait"):
        client.session.call_async("com.example.a").cancel("softly")


# Publisher.


def test_publishing(join, green):
    client, peer = join()
    assert client.publish(topic="com.example.t", x=1) is None
    assert peer.hear() == [16, 1, {}, "com.example.t", [], {"x": 1}]
    assert client.session.publish("com.example.t", (1, 2), options={"exclude_me": False}) is None
    assert peer.hear() == [16, 2, {"exclude_me": False}, "com.example.t", [1, 2]]
    publishing = green.spawn(client.publish, topic="com.example.t", x=1, options={"acknowledge": True})
    assert peer.hear() == [16, 3, {"acknowledge": True}, "com.example.t", [], {"x": 1}]
    peer.say([17, 3, 4711])
    assert publishing.result() == 4711
    refused = green.spawn(client.publish, topic="com.example.t", x=1, options={"acknowledge": True})
    peer.expect(16)
    peer.say([8, 16, 4, {}, "wamp.error.not_authorized"])
    assert isinstance(refused.error(), NotAuthorized)


def test_an_acknowledgement_that_nobody_asked_for_is_dropped(join, green):
    client, peer = join()
    client.publish(topic="com.example.t", x=1)
    peer.expect(16)
    peer.say([17, 1, 4711])
    assert peer.hears_nothing()
    assert client.session is not None


# Callee.


class Service(Client):
    @callee
    def add(self, x, y):
        return x + y

    @callee(procedure="com.example.all", invocation_policy="roundrobin", match="prefix")
    def everything(self, *args):
        return list(args)

    @subscribe(topic="com.example.topic", match="wildcard")
    def on_topic(self, *args):
        self.seen = args


def test_all_roles_leave_together_after_welcome(join, green):
    client, peer = join(Service, roles=3)
    assert peer.roles == [
        [64, 1, {}, "add"],
        [64, 2, {"invoke": "roundrobin", "match": "prefix"}, "com.example.all"],
        [32, 3, {"match": "wildcard"}, "com.example.topic"],
    ]
    assert {id_: registration.procedure for id_, registration in client.registration_map.items()} == {
        100: "add",
        101: "com.example.all",
    }
    assert [subscription.topic for subscription in client.subscription_map[102]] == ["com.example.topic"]


def test_a_role_that_is_refused_raises_from_start_and_leaves_nothing(green, router):
    client = Service(router.url)
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.welcome()
    for _ in range(3):
        peer.hear()
    peer.say([65, 1, 100], [8, 64, 2, {}, "wamp.error.procedure_already_exists"], [33, 3, 5])
    peer.farewell()
    error = joining.error()
    assert type(error) is ProcedureAlreadyExists
    assert error.procedure == "com.example.all"
    assert "com.example.all" in str(error)
    assert client.session is None


def test_an_invocation_right_behind_its_registration(green, router):
    client = Service(router.url)
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.welcome()
    for _ in range(3):
        peer.hear()
    peer.say([65, 1, 100], [68, 7, 100, {}, [1, 2]], [65, 2, 101], [33, 3, 102], [36, 102, 1, {}, [5]])
    assert peer.hear() == [70, 7, {}, [3]]
    joining.result()
    green.wait_until(lambda: getattr(client, "seen", None) == (5,))
    peer.drop()
    client.stop()


def test_register_and_unregister(join, green):
    client, peer = join()
    session = client.session
    registering = green.spawn(session.register, "com.example.p", lambda x: x * 2, {"invoke": "random"})
    assert peer.hear() == [64, 1, {"invoke": "random"}, "com.example.p"]
    peer.say([65, 1, 55])
    registration = registering.result()
    assert registration.id == 55
    assert registration.active
    assert session.registration_map == {55: registration}
    peer.say([68, 1, 55, {}, [21]])
    assert peer.hear() == [70, 1, {}, [42]]
    unregistering = green.spawn(session.unregister, registration)
    assert peer.hear() == [66, 2, 55]
    peer.say([68, 2, 55, {}, [21]], [67, 2])
    unregistering.result()
    assert session.registration_map == {}
    assert not registration.active
    assert peer.hear() == [70, 2, {}, [42]], "it was ours until the router said otherwise"
    peer.say([68, 3, 55, {}, [21]])
    assert peer.hear()[:5] == [8, 68, 3, {}, "wamp.error.no_such_registration"]
    with pytest.raises(WampyError, match="not registered"):
        session.unregister(registration)


def test_the_names_of_wampy_1(join, green):
    client, peer = join()
    client.answer = lambda: "late bound"
    registering = green.spawn(client.session._register_procedure, "answer", "roundrobin")
    assert peer.hear() == [64, 1, {"invoke": "roundrobin"}, "answer"]
    peer.say([65, 1, 5], [68, 1, 5, {}])
    registering.result()
    assert peer.hear() == [70, 1, {}, ["late bound"]]
    subscribing = green.spawn(client.session._subscribe_to_topic, print, "com.example.t")
    assert peer.hear() == [32, 2, {}, "com.example.t"]
    peer.say([33, 2, 6])
    assert subscribing.result().id == 6
    assert client.is_pinging is True
    assert client.request_ids is client.session.request_ids


def test_a_revoked_registration(join, green, caplog):
    client, peer = join(Service, roles=3)
    registration = client.registration_map[100]
    with caplog.at_level(logging.WARNING, "wampy"):
        peer.say([67, 0, {"registration": 100, "reason": "wamp.error.unregistered"}])
        green.wait_until(lambda: not registration.active)
    assert 100 not in client.registration_map
    assert "add" in caplog.text
    assert "wamp.error.unregistered" in caplog.text
    peer.say([68, 9, 100, {}, [1, 2]])
    assert peer.hear()[:5] == [8, 68, 9, {}, "wamp.error.no_such_registration"]
    peer.say([67, 0, {"registration": 999}])
    assert peer.hears_nothing()


# Subscriber.


def subscribed(green, peer, session, topic, handler, subscription_id):
    subscribing = green.spawn(session.subscribe, topic, handler)
    request = peer.expect(32)
    peer.say([33, request[1], subscription_id])
    return subscribing.result()


def test_two_handlers_on_one_subscription(join, green):
    client, peer = join()
    session, seen = client.session, []
    first = subscribed(green, peer, session, "com.example.t", lambda x: seen.append(("first", x)), 9)
    second = subscribed(green, peer, session, "com.example.t", lambda x: seen.append(("second", x)), 9)
    assert session.subscription_map == {9: [first, second]}
    peer.say([36, 9, 1, {}, [1]])
    green.wait_until(lambda: len(seen) == 2)
    assert sorted(seen) == [("first", 1), ("second", 1)]
    session.unsubscribe(first)
    assert peer.hears_nothing(), "the other one still wants it"
    assert not first.active
    peer.say([36, 9, 2, {}, [2]])
    green.wait_until(lambda: len(seen) == 3)
    assert seen[-1] == ("second", 2)
    leaving = green.spawn(session.unsubscribe, second)
    assert peer.expect(34)[2] == 9
    peer.say([36, 9, 3, {}, [3]], [35, 3], [36, 9, 4, {}, [4]])
    leaving.result()
    green.sleep(0.02)
    assert ("second", 4) not in seen
    assert session.subscription_map == {}
    assert client.session is not None
    with pytest.raises(WampyError, match="not subscribed"):
        session.unsubscribe(second)


def test_unsubscribing_while_another_handler_is_being_subscribed(join, green):
    client, peer = join()
    session, seen = client.session, []
    first = subscribed(green, peer, session, "com.example.t", print, 9)
    subscribing = green.spawn(session.subscribe, "com.example.t", seen.append)
    request = peer.expect(32)
    session.unsubscribe(first)
    peer.say([33, request[1], 9], [36, 9, 1, {}, [5]])
    subscribing.result()
    green.wait_until(lambda: seen == [5])
    assert peer.hears_nothing()


def test_an_unsubscription_that_is_refused(join, green):
    client, peer = join()
    subscription = subscribed(green, peer, client.session, "com.example.t", print, 9)
    leaving = green.spawn(client.session.unsubscribe, subscription)
    request = peer.expect(34)
    peer.say([8, 34, request[1], {}, "wamp.error.no_such_subscription"])
    assert type(leaving.error()) is NoSuchSubscription


def test_a_revoked_subscription(join, green, caplog):
    client, peer = join()
    first = subscribed(green, peer, client.session, "com.example.t", print, 9)
    second = subscribed(green, peer, client.session, "com.example.t", print, 9)
    with caplog.at_level(logging.WARNING, "wampy"):
        peer.say([35, 0, {"subscription": 9, "reason": "com.example.because"}], [36, 9, 1, {}])
        green.wait_until(lambda: not first.active and not second.active)
    assert client.subscription_map == {}
    assert "com.example.because" in caplog.text
    assert peer.hears_nothing()
    assert client.session is not None


@pytest.mark.parametrize("kind", ["register", "subscribe"])
def test_an_acknowledgement_that_comes_too_late_is_no_violation_later(join, green, kind):
    client, peer = join(call_timeout=0.05)
    request = getattr(client.session, kind)
    with pytest.raises(WampyTimeOutError):
        request("com.example.x", print)
    code, request_id = peer.hear()[:2]
    delivery = [68, 1, 9, {}] if kind == "register" else [36, 9, 1, {}]
    peer.say([code + 1, request_id, 9], delivery)
    if kind == "register":
        while peer.hear()[:5] != [8, 68, 1, {}, "wamp.error.no_such_registration"]:
            pass
    green.sleep(0.02)
    assert client.session is not None, "the router cannot know that we gave up"


@pytest.mark.parametrize("kind", ["register", "subscribe"])
def test_a_role_that_was_asked_for_by_hand_is_no_violation_later(join, green, kind):
    client, peer = join()
    message = Register(None, {}, "com.example.x") if kind == "register" else Subscribe(None, {}, "com.example.x")
    client.send_message(message)
    code, request_id = peer.hear()[:2]
    assert message.request_id == request_id == 1
    delivery = [68, 1, 9, {}] if kind == "register" else [36, 9, 1, {}]
    peer.say([code + 1, request_id, 9], delivery)
    green.sleep(0.05)
    assert client.session is not None


def test_handles_of_a_session_that_is_over_are_inactive(join, green):
    client, peer = join(Service, roles=3)
    registration, (subscription,) = client.registration_map[100], client.subscription_map[102]
    session = client.session
    peer.drop()
    green.wait_until(lambda: not registration.active and not subscription.active)
    with pytest.raises(ConnectionClosed):
        session.register("com.example.p", print)
    with pytest.raises((ConnectionClosed, WampyError)):
        session.unregister(registration)


# Its identity.


def challenged(green, router, client, challenge):
    joining = green.spawn(client.start)
    peer = router.accept()
    peer.hello = peer.expect(1)
    peer.say(challenge)
    return joining, peer


def test_a_ticket(green, router):
    client = Client(router.url, auth=Ticket("joe", "secret"))
    joining, peer = challenged(green, router, client, [4, "ticket", {}])
    assert peer.hello[2]["authmethods"] == ["ticket"]
    assert peer.hello[2]["authid"] == "joe"
    assert peer.hear() == [5, "secret", {}]
    peer.say([2, 1, {"roles": {}, "authmethod": "ticket"}])
    joining.result()
    peer.drop()
    client.stop()


def test_the_secret_of_the_environment(green, router, monkeypatch):
    monkeypatch.setenv("WAMPYSECRET", "secret")
    roles = {"roles": {"caller": {}}, "authmethods": ["wampcra"], "authid": "joe"}
    client = Client(router.url, roles=roles)
    joining, peer = challenged(green, router, client, [4, "wampcra", {"challenge": "{}"}])
    assert peer.hello[2]["roles"] == {"caller": {}}
    expected, _ = WampCRA("joe", "secret").sign("wampcra", {"challenge": "{}"})
    assert peer.hear() == [5, expected, {}]
    peer.say([2, 1, {"roles": {}}])
    joining.result()
    peer.drop()
    client.stop()
    assert roles == {"roles": {"caller": {}}, "authmethods": ["wampcra"], "authid": "joe"}


@pytest.mark.parametrize(
    ("auth", "challenge", "text"),
    [
        (None, [4, "ticket", {}], "WAMPYSECRET"),
        (Ticket("joe", "secret"), [4, "wampcra", {"challenge": "{}"}], "can answer ticket only"),
        (WampCRA("joe", "secret"), [4, "wampcra", {}], "no 'challenge'"),
    ],
    ids=["no secret", "another method", "a bad challenge"],
)
def test_a_challenge_that_cannot_be_answered(green, router, monkeypatch, auth, challenge, text):
    monkeypatch.delenv("WAMPYSECRET", raising=False)
    client = Client(router.url, auth=auth)
    joining, peer = challenged(green, router, client, challenge)
    abort = peer.expect(3)
    assert abort[2] == "wamp.error.cannot_authenticate"
    assert "secret" not in str(abort)
    error = joining.error(2.0)
    assert isinstance(error, WampyError)
    assert text in str(error)
    client.stop()


def test_a_router_that_does_not_prove_itself(green, router):
    class Mutual(Ticket):
        def verify_welcome(self, details):
            raise WampyError("the router has proved nothing")

    client = Client(router.url, auth=Mutual("joe", "secret"))
    joining, peer = challenged(green, router, client, [4, "ticket", {}])
    peer.expect(5)
    peer.say([2, 1, {"roles": {}, "authmethod": "ticket"}])
    error = joining.error(2.0)
    assert "the router has proved nothing" in str(error)
    assert client.session is None
    peer.expect(3)
    client.stop()
