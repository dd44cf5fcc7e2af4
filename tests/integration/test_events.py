"""Publishing and subscribing through a real router."""

import pytest

from wampy import Client, subscribe
from wampy.errors import RemoteError, SerializationError


class Listener(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []

    @subscribe(topic="com.example.everything")
    def on_everything(self, *args, **kwargs):
        self.heard.append((args, kwargs))

    @subscribe(topic="com.example.named")
    def on_named(self, city, degrees=None):
        self.heard.append((city, degrees))

    @subscribe(topic="com.example.meta")
    def on_meta(self, value, meta):
        self.heard.append((value, meta))

    @subscribe(topic="com.example.details", details_arg="details")
    def on_details(self, value, details):
        self.heard.append((value, details))

    @subscribe(topic="com.example.pre", match="prefix")
    def on_prefix(self, meta, **payload):
        self.heard.append((meta["topic"], payload))

    @subscribe(topic="com.example..wild", match="wildcard")
    def on_wildcard(self, meta, **payload):
        self.heard.append((meta["topic"], payload))

    @subscribe(topic="com.example.fails")
    def on_failing(self, **_):
        self.heard.append("failing")
        raise ValueError("handlers fail")


@pytest.fixture
def listener(join):
    return join(Listener)


@pytest.fixture
def publisher(listener, join):
    return join()


@pytest.fixture
def hears(listener, green):
    def hears(*expected):
        green.wait_until(lambda: len(listener.heard) >= len(expected))
        heard, listener.heard = listener.heard, []
        assert heard == list(expected)

    return hears


def subscription_id(client, topic):
    (found,) = [key for key, sharing in client.subscription_map.items() if sharing[0].topic == topic]
    return found


def test_keyword_payload_and_meta(listener, publisher, hears):
    publisher.publish(topic="com.example.everything", a=1, b=["x"])
    meta = {"topic": "com.example.everything", "subscription_id": subscription_id(listener, "com.example.everything")}
    hears(((), {"a": 1, "b": ["x"], "meta": meta}))


def test_positional_payload(listener, publisher, hears):
    publisher.session.publish("com.example.everything", [1, "größer", None], {"k": b"\0\1"})
    meta = {"topic": "com.example.everything", "subscription_id": subscription_id(listener, "com.example.everything")}
    hears(((1, "größer", None), {"k": b"\0\1", "meta": meta}))


def test_an_event_without_payload(publisher, hears, listener):
    publisher.session.publish("com.example.everything")
    meta = {"topic": "com.example.everything", "subscription_id": subscription_id(listener, "com.example.everything")}
    hears(((), {"meta": meta}))


def test_meta_only_for_who_takes_it(listener, publisher, hears):
    publisher.publish(topic="com.example.named", city="Rome", degrees=30)
    hears(("Rome", 30))
    publisher.publish(topic="com.example.meta", value=1)
    hears((1, {"topic": "com.example.meta", "subscription_id": subscription_id(listener, "com.example.meta")}))


def test_a_publishers_own_meta_cannot_forge_ours(listener, publisher, hears):
    publisher.publish(topic="com.example.meta", value=1, meta={"topic": "com.example.forged"})
    hears((1, {"topic": "com.example.meta", "subscription_id": subscription_id(listener, "com.example.meta")}))


def test_details(listener, publisher, hears, green):
    publisher.publish(topic="com.example.details", value=1)
    green.wait_until(lambda: listener.heard)
    ((value, details),) = listener.heard
    assert value == 1
    assert details["publisher"] == publisher.session.id


def test_patterns_tell_the_events_own_topic(publisher, hears):
    # One after the other: two handlers may run at the same time on OS threads.
    publisher.publish(topic="com.example.prefixed.deep", n=1)
    hears(("com.example.prefixed.deep", {"n": 1}))
    publisher.publish(topic="com.example.free.wild", n=2)
    hears(("com.example.free.wild", {"n": 2}))


def test_a_handler_that_raises_is_logged_and_goes_on(publisher, hears, listener, caplog, green):
    publisher.publish(topic="com.example.fails", n=1)
    publisher.publish(topic="com.example.fails", n=2)
    hears("failing", "failing")
    green.wait_until(lambda: len(caplog.records) >= 2)  # each is logged behind what it noted
    assert [record.exc_info[0] for record in caplog.records] == [ValueError, ValueError]
    assert "com.example.fails" in caplog.text
    assert listener.session is not None


def test_a_handler_whose_signature_does_not_fit_is_logged_and_goes_on(publisher, hears, caplog):
    publisher.publish(topic="com.example.named", country="Italy")
    publisher.publish(topic="com.example.named", city="Rome")
    hears(("Rome", None))
    assert "country" in caplog.text or "city" in caplog.text


def test_acknowledge(publisher):
    options = {"acknowledge": True}
    first = publisher.publish(topic="com.example.everything", options=options, a=1)
    second = publisher.options(acknowledge=True).publish(topic="com.example.everything", a=1)
    third = publisher.session.publish("com.example.everything", options=options)
    assert len({first, second, third}) == 3
    assert all(isinstance(number, int) and number > 0 for number in (first, second, third))
    assert options == {"acknowledge": True}
    assert publisher.publish(topic="com.example.everything", a=1) is None


def test_a_refused_publication_raises_only_with_acknowledge(auth_router, make_client):
    from wampy.auth import Ticket

    guest = make_client(url=auth_router.url, auth=Ticket("gus", "ticket-of-gus"))
    guest.start()
    assert guest.publish(topic="com.example.public.topic", x=1) is None
    with pytest.raises(RemoteError) as caught:
        guest.publish(topic="com.example.public.topic", options={"acknowledge": True}, x=1)
    assert caught.value.uri == "wamp.error.not_authorized"
    assert guest.session is not None


def test_a_publisher_does_not_hear_itself_unless_it_says_so(listener, hears):
    listener.publish(topic="com.example.named", city="nobody hears this")
    listener.publish(topic="com.example.named", options={"exclude_me": False}, city="Rome")
    hears(("Rome", None))


def test_eligible_and_excluded(listener, publisher, hears, join, green):
    other = join(Listener)
    publisher.options(eligible=[listener.session.id]).publish(topic="com.example.named", city="for one")
    publisher.options(exclude=[listener.session.id]).publish(topic="com.example.named", city="for the other")
    publisher.publish(topic="com.example.named", city="for both")
    hears(("for one", None), ("for both", None))
    green.wait_until(lambda: len(other.heard) == 2)
    assert other.heard == [("for the other", None), ("for both", None)]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((), {"topic": "com.example.x"}), (("com.example.x",), {"a": 1}), (("com.example.x", {"a": 1}), {}),
     ((), {"topic": None, "a": 1}), ((), {"topic": 5, "a": 1})],
)  # fmt: skip
def test_what_publish_does_not_take(publisher, args, kwargs):
    with pytest.raises(TypeError, match="topic"):
        publisher.publish(*args, **kwargs)


def test_a_payload_that_cannot_travel(publisher, hears):
    with pytest.raises(SerializationError):
        publisher.publish(topic="com.example.named", city=object())
    publisher.publish(topic="com.example.named", city="Rome")
    hears(("Rome", None))


def test_two_handlers_of_one_topic_both_hear(join, green):
    class Two(Client):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            self.first, self.second = [], []

        @subscribe(topic="com.example.shared")
        def on_first(self, n):
            self.first.append(n)

        @subscribe(topic="com.example.shared")
        def on_second(self, n):
            self.second.append(n)

    two, publisher = join(Two), join()
    assert len(two.subscription_map) == 1
    assert [len(sharing) for sharing in two.subscription_map.values()] == [2]
    for number in range(5):
        publisher.publish(topic="com.example.shared", n=number)
    green.wait_until(lambda: len(two.first) == len(two.second) == 5)
    assert two.first == two.second == list(range(5))


def test_one_method_for_two_topics(join, green):
    class Both(Client):
        heard = ()

        @subscribe(topic="com.example.one")
        @subscribe(topic="com.example.two")
        def on_either(self, n, meta):
            self.heard += ((meta["topic"], n),)

    both, publisher = join(Both), join()
    publisher.publish(topic="com.example.one", n=1)
    publisher.publish(topic="com.example.two", n=2)
    green.wait_until(lambda: len(both.heard) == 2)
    assert set(both.heard) == {("com.example.one", 1), ("com.example.two", 2)}


def test_an_event_handler_may_call_and_publish(join, green):
    class Relay(Client):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            self.relayed = []

        @subscribe(topic="com.example.in")
        def on_in(self, n):
            count = self.call("wamp.session.count")
            self.publish(topic="com.example.out", options={"exclude_me": False, "acknowledge": True}, n=n + count)

        @subscribe(topic="com.example.out")
        def on_out(self, n):
            self.relayed.append(n)

    relay, publisher = join(Relay, max_workers=1), join()
    publisher.publish(topic="com.example.in", n=10)
    green.wait_until(lambda: relay.relayed)
    assert relay.relayed == [10 + publisher.call("wamp.session.count")]


def test_a_handler_that_changes_its_payload_does_not_change_anothers(join, green):
    class Two(Client):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            self.seen = []

        @subscribe(topic="com.example.shared")
        def on_first(self, items, **rest):
            self.seen.append((list(items), rest.keys()))
            items.append("changed")
            rest.clear()

        @subscribe(topic="com.example.shared")
        def on_second(self, items, **rest):
            self.seen.append((list(items), rest.keys()))

    two, publisher = join(Two), join()
    publisher.publish(topic="com.example.shared", items=[1])
    green.wait_until(lambda: len(two.seen) == 2)
    assert [items[0] for items, _ in two.seen] == [1, 1]
