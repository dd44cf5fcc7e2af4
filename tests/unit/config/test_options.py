"""What a session is made with, checked when it is given."""

import dataclasses
import sys
from types import MappingProxyType

import pytest

from wampy import Client, __version__
from wampy.auth import Ticket, WampCRA
from wampy.config.options import Options
from wampy.config.transport import TransportOptions, check_seconds
from wampy.errors import AddressError, WampyError
from wampy.interfaces import Serializer
from wampy.serializers import JsonSerializer


def test_the_defaults():
    options = Options()
    assert options.realm == "realm1"
    assert (options.call_timeout, options.open_timeout, options.close_timeout, options.send_timeout) == (10, 10, 5, 30)
    assert (options.max_workers, options.max_queue, options.max_message_size) == (64, 10_000, 16_777_216)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.realm = "x"


class Nameless(Serializer):
    def dumps(self, message):
        return b""

    def loads(self, payload):
        return []


BAD = [
    ({"realm": ""}, "realm"),
    ({"realm": None}, "realm"),
    ({"roles": {}}, "roles"),
    ({"roles": {"roles": ["caller"]}}, "roles"),
    ({"roles": "caller"}, "roles"),
    ({"auth": "secret"}, "auth"),
    ({"auth": [Ticket("joe", "x"), "secret"]}, "auth"),
    ({"serializers": ()}, "serializers is one or several names"),
    ({"serializers": None}, "serializers is one or several names"),
    ({"serializers": {"json": 1}}, "serializers is one or several names"),
    ({"serializers": ("json", "yaml")}, "there is no serializer 'yaml'; known: 'json'"),
    ({"serializers": ["json", 5]}, "there is no serializer 5"),
    ({"serializers": ["json", "cbor", JsonSerializer()]}, "serializers names 'json' twice"),
    ({"serializers": b"json"}, "serializers is one or several names"),
    ({"serializers": JsonSerializer}, "serializers is one or several names"),
    ({"serializers": ["cbor", JsonSerializer]}, r"the class JsonSerializer; make an object of it: JsonSerializer\(\)"),
    ({"serializers": Nameless()}, "which lacks `subprotocol`"),
    ({"call_timeout": 0}, "call_timeout"),
    ({"call_timeout": -1}, "call_timeout"),
    ({"open_timeout": "10"}, "open_timeout"),
    ({"close_timeout": True}, "close_timeout"),
    ({"send_timeout": float("nan")}, "send_timeout"),
    ({"send_timeout": float("inf")}, "send_timeout"),
    ({"call_timeout": 1e10}, r"call_timeout is at most 1e\+09 seconds; give None for no limit"),
    ({"open_timeout": 10**400}, r"open_timeout is at most 1e\+09 seconds"),
    ({"max_workers": 0}, "max_workers"),
    ({"max_workers": 1.5}, "max_workers"),
    ({"max_workers": True}, "max_workers"),
    ({"max_queue": None}, "max_queue"),
    ({"max_message_size": 0}, "max_message_size"),
    ({"max_message_size": "1M"}, "max_message_size"),
    ({"ipv": 5}, "ipv"),
]


@pytest.mark.parametrize(("parameters", "name"), BAD, ids=lambda value: str(value)[:40])
def test_a_value_that_cannot_be_used_is_named(parameters, name):
    with pytest.raises(WampyError, match=name):
        Options(**parameters)
    with pytest.raises(WampyError, match=name):
        Client(**parameters)


@pytest.mark.parametrize("name", ["call_timeout", "open_timeout", "close_timeout", "send_timeout", "max_message_size"])
def test_none_is_no_limit(name):
    assert getattr(Options(**{name: None}), name) is None


def test_serializers_are_offered_in_their_order():
    assert [each.name for each in Options().offered] == ["json"]
    assert [each.name for each in Options(serializers="cbor").offered] == ["cbor"]
    mine = JsonSerializer(default=str)
    assert Options(serializers=mine).offered == (mine,)
    options = Options(serializers=["msgpack", mine, "cbor.batched"])
    assert [each.name for each in options.offered] == ["msgpack", "json", "cbor.batched"]
    assert options.offered[1] is mine


def test_a_serializer_whose_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(WampyError, match=r"pip install 'wampy\[cbor\]'"):
        Client(serializers=("cbor", "json"))


def test_a_client_checks_its_urls():
    with pytest.raises(WampyError, match="empty list"):
        Client([])
    for url in (None, 5, "localhost", ["localhost"]):
        with pytest.raises(AddressError):
            Client(url)


def test_hello_details_are_fresh_and_the_users_are_never_changed():
    roles = {"roles": {"caller": {"features": {}}}, "authid": "joe", "authextra": {"x": [1]}}
    options = Options(roles=roles)
    first = options.hello_details()
    assert first == {**roles, "agent": f"wampy-{__version__}"}
    first["roles"]["caller"]["features"]["x"] = True
    first["authextra"]["x"].append(2)
    assert options.hello_details()["authextra"] == {"x": [1]}
    assert roles == {"roles": {"caller": {"features": {}}}, "authid": "joe", "authextra": {"x": [1]}}


def test_the_agent_can_be_chosen():
    assert Options(roles={"roles": {}, "agent": "mine"}).hello_details()["agent"] == "mine"


def test_a_read_only_mapping_of_roles():
    assert Options(roles=MappingProxyType({"roles": {"caller": {}}})).hello_details()["roles"] == {"caller": {}}


def test_authenticators_are_announced_in_order():
    ticket, cra = Ticket("joe", "secret"), WampCRA("joe", "secret")
    assert Options().authenticators == ()
    assert "authmethods" not in Options().hello_details()
    assert Options(auth=ticket).authenticators == (ticket,)
    options = Options(auth=[cra, ticket])
    assert options.authenticators == (cra, ticket)
    details = options.hello_details()
    assert details["authmethods"] == ["wampcra", "ticket"]
    assert details["authid"] == "joe"
    assert "secret" not in str(details)


def test_what_may_be_a_secret_is_in_no_repr():
    secrets = {"headers": {"Authorization": "tell-tale"}, "proxy": "http://joe:tell-tale@proxy.example.com:3128"}
    options = Options(**secrets)
    assert "tell-tale" not in repr(options)
    assert options.transport_options["headers"] == secrets["headers"]
    client = Client("ws://al@example.com:tell-tale@localhost:1/", **secrets)
    assert "tell-tale" not in repr(client)
    assert "al@example.com" in repr(client)
    client = Client(["rs://localhost:1", "ws://joe:tell-tale@localhost:1/"], **secrets)
    assert "tell-tale" not in repr(client)


def test_the_transports_part():
    options = Options(max_message_size=5, cert_path="x", ipv=6, headers={"X-Team": "red"}, realm="com.example")
    defaults = {each.name: each.default for each in dataclasses.fields(TransportOptions)}
    given = {"max_message_size": 5, "cert_path": "x", "ipv": 6, "headers": {"X-Team": "red"}}
    assert options.transport_options == {**defaults, **given}


def test_seconds():
    for value in (None, 1, 0.5):
        check_seconds("timeout", value)
    with pytest.raises(WampyError, match="timeout is a number of seconds above 0"):
        check_seconds("timeout", 0)
