"""Ticket and WAMP-CRA, with `auth=` and with `roles` and WAMPYSECRET."""

import pytest

from wampy import Client
from wampy.auth import Ticket, WampCRA
from wampy.errors import AbortError, NotAuthorized, WampyError

WHO = [("ticket", "tom", "ticket-of-tom"), ("wampcra", "ann", "secret-of-ann"), ("wampcra", "sam", "secret-of-sam")]
IDS = ["ticket", "wampcra", "wampcra, salted"]
AUTHENTICATORS = {"ticket": Ticket, "wampcra": WampCRA}


@pytest.fixture(autouse=True)
def no_secret(monkeypatch):
    monkeypatch.delenv("WAMPYSECRET", raising=False)


@pytest.fixture
def make(auth_router, make_client):
    def make(**parameters):
        return make_client(url=auth_router.url, **parameters)

    return make


def old_roles(method, authid):
    roles = {"caller": {}, "callee": {}, "publisher": {}, "subscriber": {}}
    return {"roles": roles, "authmethods": [method], "authid": authid}


@pytest.mark.parametrize(("method", "authid", "secret"), WHO, ids=IDS)
def test_auth(make, method, authid, secret):
    client = make(auth=AUTHENTICATORS[method](authid, secret))
    client.start()
    details = client.session.details
    assert (details["authid"], details["authmethod"], details["authrole"]) == (authid, method, "member")
    client.session.register("com.example.mine", lambda: "mine")
    assert client.call("com.example.mine") == "mine"
    client.stop()
    client.start()
    assert client.session.details["authid"] == authid


@pytest.mark.parametrize(("method", "authid", "secret"), WHO, ids=IDS)
def test_roles_and_wampysecret(make, monkeypatch, method, authid, secret):
    client = make(roles=old_roles(method, authid))
    monkeypatch.setenv("WAMPYSECRET", secret)  # read when the CHALLENGE comes, not before
    client.start()
    assert client.session.details["authid"] == authid
    assert client.session.details["authmethod"] == method


@pytest.mark.parametrize(("method", "authid", "secret"), WHO, ids=IDS)
def test_a_wrong_secret(make, caplog, method, authid, secret):
    client = make(auth=AUTHENTICATORS[method](authid, "the wrong one"))
    with pytest.raises(AbortError) as caught:
        client.start()
    assert caught.value.uri.startswith("wamp.error.")
    assert caught.value.uri in str(caught.value)
    assert client.session is None and client.wait(0.1)
    assert "the wrong one" not in str(caught.value) + caplog.text + repr(client)


@pytest.mark.parametrize("method", ["ticket", "wampcra"])
def test_a_wrong_wampysecret(make, monkeypatch, method):
    monkeypatch.setenv("WAMPYSECRET", "the wrong one")
    with pytest.raises(AbortError):
        make(roles=old_roles(method, "tom" if method == "ticket" else "ann")).start()


@pytest.mark.parametrize(("method", "authid", "secret"), WHO, ids=IDS)
def test_a_missing_secret_is_named(make, method, authid, secret):
    client = make(roles=old_roles(method, authid))
    with pytest.raises(WampyError, match="WAMPYSECRET") as caught:
        client.start()
    assert not isinstance(caught.value, AbortError)
    assert client.session is None and client.wait(0.1)


def test_nobody_is_let_in_without(make):
    with pytest.raises(AbortError) as caught:
        make().start()
    assert "no_auth_method" in caught.value.uri or "no_matching_auth_method" in caught.value.uri


def test_an_unknown_authid(make):
    with pytest.raises(AbortError):
        make(auth=Ticket("nobody", "ticket")).start()


def test_a_method_that_cannot_be_answered(make, monkeypatch):
    """The roles offer a method that `auth=` has no answer to: auth= wins, so that the router never asks for it."""
    client = make(auth=WampCRA("ann", "secret-of-ann"), roles=old_roles("ticket", "ann"))
    client.start()
    assert client.session.details["authmethod"] == "wampcra"


def test_several_authenticators(make):
    client = make(auth=[Ticket("tom", "ticket-of-tom"), WampCRA("tom", "none")])
    client.start()
    assert client.session.details["authmethod"] == "ticket"


def test_authid_of_auth_comes_into_hello(make):
    client = make(auth=WampCRA("ann", "secret-of-ann"), roles={"roles": {"caller": {}}})
    client.start()
    assert client.session.details["authid"] == "ann"


def test_non_ascii_secrets_do_not_break_anything(make):
    for auth in (Ticket("tom", "größer"), WampCRA("ann", "größer"), WampCRA("sam", "größer")):
        with pytest.raises(AbortError):
            make(auth=auth).start()


def test_what_a_guest_may_and_may_not(make):
    member = make(auth=Ticket("tom", "ticket-of-tom"))
    guest = make(auth=Ticket("gus", "ticket-of-gus"))
    member.start()
    guest.start()
    member.session.register("com.example.public.hello", lambda: "hello")
    member.session.register("com.example.private.hello", lambda: "private")
    assert guest.call("com.example.public.hello") == "hello"
    with pytest.raises(NotAuthorized):
        guest.call("com.example.private.hello")
    with pytest.raises(NotAuthorized):
        guest.session.register("com.example.public.mine", print)
    with pytest.raises(NotAuthorized):
        guest.session.subscribe("com.example.private.topic", print)
    assert guest.call("com.example.public.hello") == "hello"


def test_secrets_are_nowhere_to_be_seen(make, caplog):
    caplog.set_level("DEBUG")
    client = make(auth=Ticket("tom", "ticket-of-tom"))
    client.start()
    client.stop()
    cra = make(auth=WampCRA("ann", "secret-of-ann"))
    cra.start()
    shown = caplog.text + repr(client) + repr(cra) + repr(client._keeper.options)
    assert "ticket-of-tom" not in shown
    assert "secret-of-ann" not in shown


def test_an_authenticator_is_what_auth_takes():
    with pytest.raises(WampyError, match="auth"):
        Client(auth="secret")
