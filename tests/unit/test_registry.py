"""Roles that are acknowledged and wanted no more in one and the same moment."""

import pytest

from wampy.message_handler import MessageHandler


class KillingHandler(MessageHandler):
    """Kills a green thread when the acknowledgement that it waits for is read, before it can go on."""

    victim = None

    def handle_registered(self, message_obj):
        if self.victim is not None:
            self.victim.kill()
        super().handle_registered(message_obj)

    def handle_subscribed(self, message_obj):
        if self.victim is not None:
            self.victim.kill()
        super().handle_subscribed(message_obj)


@pytest.fixture
def joined(join):
    return join(message_handler_cls=KillingHandler)


def kill_when_acknowledged(green, client, peer, kind, role_id):
    asking = green.spawn(getattr(client.session, kind), "com.example.x", print)
    code, request_id = peer.hear()[:2]
    client.message_handler.victim = asking
    peer.say([code + 1, request_id, role_id])
    assert isinstance(asking.error(), green.backend.kill_error)
    client.message_handler.victim = None


@pytest.mark.parametrize(("kind", "give_up", "given_up"), [("register", 66, 67), ("subscribe", 34, 35)])
def test_a_role_whose_asker_is_killed_as_it_is_acknowledged_is_given_back(joined, green, kind, give_up, given_up):
    client, peer = joined
    kill_when_acknowledged(green, client, peer, kind, 9)
    _, request_id, role_id = peer.expect(give_up)
    assert role_id == 9
    assert client.registration_map == {} and client.subscription_map == {}
    # What the router had sent before is late, not wrong.
    peer.say([68, 1, 9, {}] if kind == "register" else [36, 9, 1, {}], [given_up, request_id])
    green.sleep(0.02)
    assert client.session is not None


def test_a_subscription_that_others_share_stays(joined, green):
    client, peer = joined
    heard = []
    first = green.spawn(client.session.subscribe, "com.example.x", heard.append)
    peer.say([33, peer.expect(32)[1], 9])
    assert first.result().active
    kill_when_acknowledged(green, client, peer, "subscribe", 9)
    assert client.subscription_map == {9: [first.result()]}
    peer.say([36, 9, 1, {}, ["event"]])
    green.wait_until(lambda: heard)
    assert heard == ["event"]
    assert peer.hears_nothing()
