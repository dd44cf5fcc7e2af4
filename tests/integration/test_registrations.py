"""Which methods are registered, under which options, and what happens when the router refuses."""

import pytest

from wampy import Client, callee, subscribe
from wampy.errors import (
    InvocationPolicyConflict,
    NoSuchProcedure,
    NotAuthorized,
    ProcedureAlreadyExists,
    RemoteError,
    WampyError,
)


class Base(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []

    @callee(procedure="com.example.method")
    def method(self):
        return "base"

    @callee(procedure="com.example.other")
    def other(self):
        return "other"

    @subscribe(topic="com.example.topic")
    def on_topic(self, n):
        self.heard.append(("base", n))


class OverridesPlainly(Base):
    def method(self):
        return "overridden"

    def on_topic(self, n):
        self.heard.append(("overridden", n))


class OverridesDecorated(Base):
    @callee(procedure="com.example.method")
    def method(self):
        return "decorated again"

    @subscribe(topic="com.example.topic")
    def on_topic(self, n):
        self.heard.append(("decorated again", n))


class OverridesUnderAnotherName(Base):
    @callee(procedure="com.example.renamed")
    def method(self):
        return "renamed"


class CallsSuper(OverridesPlainly):
    def method(self):
        return "super of " + super().method()


class Mixin:
    @callee(procedure="com.example.mixed")
    def mixed(self):
        return f"mixed into {type(self).__name__}"

    @subscribe(topic="com.example.mixed")
    def on_mixed(self, n):
        self.heard.append(("mixin", n))


class Mixed(Mixin, Base):
    pass


def procedures(client):
    return sorted(registration.procedure for registration in client.registration_map.values())


@pytest.mark.parametrize(
    ("cls", "answer", "heard"),
    [
        (Base, "base", "base"),
        (OverridesPlainly, "overridden", "overridden"),
        (OverridesDecorated, "decorated again", "decorated again"),
        (CallsSuper, "super of overridden", "overridden"),
    ],
)
def test_an_overridden_method_is_registered_once(join, green, cls, answer, heard):
    service, client = join(cls), join()
    assert procedures(service) == ["com.example.method", "com.example.other"]
    assert [len(sharing) for sharing in service.subscription_map.values()] == [1]
    assert client.call("com.example.method") == answer
    client.publish(topic="com.example.topic", n=1)
    client.publish(topic="com.example.topic", n=2)
    green.wait_until(lambda: len(service.heard) == 2)
    assert service.heard == [(heard, 1), (heard, 2)]


def test_an_override_may_have_another_uri(join):
    service, client = join(OverridesUnderAnotherName), join()
    assert procedures(service) == ["com.example.other", "com.example.renamed"]
    assert client.call("com.example.renamed") == "renamed"
    with pytest.raises(NoSuchProcedure):
        client.call("com.example.method")


def test_a_method_of_a_mixin_is_found(join, green):
    service, client = join(Mixed), join()
    assert procedures(service) == ["com.example.method", "com.example.mixed", "com.example.other"]
    assert client.call("com.example.mixed") == "mixed into Mixed"
    client.publish(topic="com.example.mixed", n=1)
    green.wait_until(lambda: service.heard == [("mixin", 1)])


def test_an_override_that_is_none_takes_the_role_away(join):
    class Without(Base):
        other = None

    assert procedures(join(Without)) == ["com.example.method"]


def test_static_and_class_methods(join):
    class Service(Client):
        @staticmethod
        @callee(procedure="com.example.static")
        def static(value):
            return ["static", value]

        @classmethod
        @callee(procedure="com.example.class")
        def cls(cls, value):
            return [cls.__name__, value]

    join(Service)
    client = join()
    assert client.call("com.example.static", 1) == ["static", 1]
    assert client.call("com.example.class", 2) == ["Service", 2]


def test_one_method_under_two_procedures(join):
    class Service(Client):
        @callee(procedure="com.example.one")
        @callee(procedure="com.example.two")
        def both(self):
            return "both"

    service, client = join(Service), join()
    assert procedures(service) == ["com.example.one", "com.example.two"]
    assert client.call("com.example.one") == client.call("com.example.two") == "both"


def test_two_clients_of_one_class_share_nothing(join):
    class Service(Client):
        @callee(procedure="com.example.shared", invocation_policy="roundrobin")
        def shared(self):
            return self.name

    first, second = join(Service, name="first"), join(Service, name="second")
    client = join()
    assert sorted(client.call("com.example.shared") for _ in range(4)) == ["first", "first", "second", "second"]
    assert first.registration_map is not second.registration_map


@pytest.mark.parametrize(
    ("policy", "who"), [("first", {"first"}), ("last", {"second"}), ("random", {"first", "second"})]
)
def test_invocation_policies(join, policy, who):
    class Service(Client):
        @callee(procedure=f"com.example.{policy}", invocation_policy=policy)
        def shared(self):
            return self.name

    join(Service, name="first")
    join(Service, name="second")
    client = join()
    assert {client.call(f"com.example.{policy}") for _ in range(40)} == who


def test_patterns(join):
    class Service(Client):
        @callee(procedure="com.example.deep", match="prefix", details_arg="details")
        def deep(self, details):
            return ["prefix", details["procedure"]]

        @callee(procedure="com..named", match="wildcard", details_arg="details")
        def named(self, details):
            return ["wildcard", details["procedure"]]

    join(Service)
    client = join()
    assert client.call("com.example.deep.down") == ["prefix", "com.example.deep.down"]
    assert client.call("com.anything.named") == ["wildcard", "com.anything.named"]


def test_a_second_registration_raises_from_start_and_leaves_nothing_running(join, make_client, router):
    first = join(Base)
    second = make_client(OverridesPlainly, url=router.url)
    for _ in range(2):
        with pytest.raises(ProcedureAlreadyExists) as caught:
            second.start()
        assert caught.value.procedure == "com.example.method"
        assert "com.example.method" in str(caught.value)
        assert isinstance(caught.value, RemoteError)
        assert second.session is None
        assert second.wait(0.1)
        # Its session is gone from the router, and with it the roles that were acknowledged.
        client = join()
        assert sorted(client.call("wamp.session.list")) == sorted([first.session.id, client.session.id])
        assert client.call("com.example.method") == "base"
        client.stop()
    first.stop()
    second.start()
    assert second.session is not None
    assert join().call("com.example.method") == "overridden"


def test_another_policy_on_a_taken_procedure(join, make_client, router):
    class Shared(Client):
        @callee(procedure="com.example.method", invocation_policy="roundrobin")
        def method(self):
            pass

    join(Base)
    with pytest.raises((InvocationPolicyConflict, ProcedureAlreadyExists)):
        make_client(Shared, url=router.url).start()


def test_a_role_that_is_not_authorized(auth_router, make_client):
    from wampy.auth import Ticket

    client = make_client(Base, url=auth_router.url, auth=Ticket("gus", "ticket-of-gus"))
    with pytest.raises(NotAuthorized):
        client.start()
    assert client.wait(0.1)


def test_a_reserved_uri_is_refused_by_somebody(make_client, router):
    class Reserved(Client):
        @callee(procedure="wamp.example.mine")
        def mine(self):
            pass

    client = make_client(Reserved, url=router.url)
    with pytest.raises(WampyError):
        client.start()
    assert client.wait(0.1)


def test_a_bad_uri_raises_from_start_and_leaves_nothing_running(make_client, router):
    class Bad(Base):
        @callee(procedure="com..example")
        def bad(self):
            pass

    client = make_client(Bad, url=router.url)
    with pytest.raises(WampyError, match=r"com\.\.example"):
        client.start()
    assert client.wait(0.1)
    assert client.session is None


def test_many_roles_are_registered_in_one_go(join):
    class Many(Client):
        pass

    for number in range(300):
        # A class body in a loop.
        function = callee(procedure=f"com.example.many.p{number}")(lambda self, number=number: number)
        setattr(Many, f"p{number}", function)

    service, client = join(Many), join()
    assert len(service.registration_map) == 300
    assert [client.call(f"com.example.many.p{number}") for number in (0, 150, 299)] == [0, 150, 299]


def test_register_and_unregister_at_run_time(join):
    service, client = join(), join()
    registration = service.session.register("com.example.dynamic", lambda a, b=2: [a, b])
    assert registration.active
    assert service.registration_map[registration.id] is registration
    assert client.call("com.example.dynamic", 1) == [1, 2]
    with pytest.raises(ProcedureAlreadyExists):
        client.session.register("com.example.dynamic", print)
    service.session.unregister(registration)
    assert not registration.active
    assert service.registration_map == {}
    with pytest.raises(NoSuchProcedure):
        client.call("com.example.dynamic")
    with pytest.raises(WampyError):
        service.session.unregister(registration)
    again = client.session.register("com.example.dynamic", lambda: "again", {"invoke": "roundrobin"})
    assert again.procedure == "com.example.dynamic"
    assert service.call("com.example.dynamic") == "again"


def test_unregister_of_a_decorated_method(join):
    service, client = join(Base), join()
    registration = next(r for r in service.registration_map.values() if r.procedure == "com.example.other")
    service.session.unregister(registration)
    with pytest.raises(NoSuchProcedure):
        client.call("com.example.other")
    assert client.call("com.example.method") == "base"


def test_a_registration_of_another_session_cannot_be_unregistered(join):
    service, client = join(), join()
    registration = service.session.register("com.example.dynamic", print)
    with pytest.raises(WampyError):
        client.session.unregister(registration)
    assert registration.active


def test_a_revoked_registration_is_forgotten(join, green, caplog):
    first, second = join(Base), join()
    second.session.register("com.example.method", lambda: "taken over", {"force_reregister": True})
    green.wait_until(lambda: procedures(first) == ["com.example.other"])
    assert join().call("com.example.method") == "taken over"
    assert "com.example.method" in caplog.text
    assert first.session is not None


def test_a_revoked_subscription_is_forgotten(join, green, caplog):
    listener, client = join(Base), join()
    (subscription_id,) = listener.subscription_map
    client.call("wamp.subscription.remove_subscriber", subscription_id, listener.session.id, reason="com.example.why")
    green.wait_until(lambda: not listener.subscription_map)
    assert "com.example.topic" in caplog.text
    client.publish(topic="com.example.topic", n=1, options={"acknowledge": True})
    assert listener.heard == []
    assert listener.session is not None


def test_subscribe_and_unsubscribe_at_run_time(join, green):
    listener, publisher = join(), join()
    heard, other = [], []
    first = listener.session.subscribe("com.example.dynamic", lambda n: heard.append(n))
    second = listener.session.subscribe("com.example.dynamic", lambda n: other.append(n))
    assert first.id == second.id
    assert listener.subscription_map == {first.id: [first, second]}

    def publish(number):
        publisher.publish(topic="com.example.dynamic", n=number, options={"acknowledge": True})

    publish(1)
    green.wait_until(lambda: heard == other == [1])
    number = first.id
    listener.session.unsubscribe(first)
    assert not first.active and second.active
    assert listener.subscription_map == {number: [second]}
    publish(2)
    green.wait_until(lambda: other == [1, 2])
    assert heard == [1]
    listener.session.unsubscribe(second)
    assert listener.subscription_map == {}
    publish(3)
    assert publisher.call("wamp.session.count") >= 2
    listener.call("wamp.session.count")
    assert (heard, other) == ([1], [1, 2])
    with pytest.raises(WampyError):
        listener.session.unsubscribe(second)
    third = listener.session.subscribe("com.example", lambda n: heard.append(n), {"match": "prefix"})
    assert third.active
    publish(4)
    green.wait_until(lambda: heard == [1, 4])


def test_wampy_1s_own_names(join, green):
    class Old(Client):
        heard = ()

        def forecast(self):
            return "sunny"

        def on_report(self, n):
            self.heard += (n,)

    old, client = join(Old), join()
    old.session._register_procedure("forecast")
    old.session._subscribe_to_topic(old.on_report, "com.example.report")
    assert client.call("forecast") == "sunny"
    client.publish(topic="com.example.report", n=1)
    green.wait_until(lambda: old.heard == (1,))


def test_decorating_does_nothing_else():
    calls = []

    class Service(Client):
        @callee
        def method(self, a, b=1):
            """Its own words."""
            calls.append(1)
            return a + b

    assert Service.method.__doc__ == "Its own words."
    assert Service.method.__name__ == "method"
    assert Service.method(None, 1) == 2
    assert calls == [1]


@pytest.mark.parametrize("bad", [{"invocation_policy": "nobody"}, {"match": "fuzzy"}])
def test_a_decorator_refuses_what_wamp_does_not_have(bad):
    with pytest.raises(ValueError, match="one of"):
        callee(procedure="com.example.x", **bad)


def test_a_subscribe_without_a_topic():
    with pytest.raises(TypeError):
        subscribe()
    with pytest.raises(TypeError):
        subscribe(topic=5)
