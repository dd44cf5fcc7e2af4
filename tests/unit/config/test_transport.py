"""What a transport is made with, checked when it is given."""

import dataclasses
import ssl
from pathlib import Path
from types import MappingProxyType

import pytest

from wampy import Client
from wampy.config.transport import TransportOptions, check_seconds
from wampy.errors import AddressError, WampyError


def test_the_defaults():
    options = TransportOptions()
    assert (options.max_message_size, options.heartbeat, options.heartbeat_timeout) == (16_777_216, 15.0, 15.0)
    assert (options.rawsocket_ping, options.compression, options.headers) == (False, None, None)
    assert (options.proxy, options.cert_path, options.ssl_context, options.ipv) == (True, None, None, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.heartbeat = 1.0


@pytest.mark.parametrize(
    "parameters",
    [
        {"max_message_size": 1},
        {"max_message_size": None},
        {"heartbeat": None},
        {"heartbeat": 1, "heartbeat_timeout": 0.5},
        {"heartbeat_timeout": None},
        {"heartbeat": 1e9, "heartbeat_timeout": 10**9},
        {"rawsocket_ping": True},
        {"headers": {}},
        {"headers": {"Host": "elsewhere", "X-Empty": "", "X-Words": "two words,\tand a tab", "!#$%&'*+-.^_`|~": "!"}},
        {"headers": MappingProxyType({"Authorization": "Bearer abc=="})},
        {"compression": "deflate"},
        {"compression": None},
        {"proxy": False},
        {"proxy": True},
        {"proxy": "http://joe:secret@proxy.example.com:3128"},
        {"cert_path": "ca.pem"},
        {"cert_path": Path("ca.pem")},
        {"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
        {"ipv": 4},
        {"ipv": 6},
    ],
    ids=str,
)
def test_values_that_can_be_used(parameters):
    options = TransportOptions(**parameters)
    assert {name: getattr(options, name) for name in parameters} == parameters


BAD = [
    ({"max_message_size": 0}, "max_message_size is a number of bytes or None, not 0"),
    ({"max_message_size": True}, "max_message_size"),
    ({"max_message_size": 1e6}, "max_message_size"),
    ({"heartbeat": 0}, "heartbeat is a number of seconds above 0"),
    ({"heartbeat": -1.0}, "heartbeat is"),
    ({"heartbeat": True}, "heartbeat is"),
    ({"heartbeat": "15"}, "heartbeat is"),
    ({"heartbeat": float("nan")}, "heartbeat is"),
    ({"heartbeat_timeout": 0}, "heartbeat_timeout is a number of seconds above 0"),
    ({"heartbeat_timeout": float("inf")}, "heartbeat_timeout is"),
    ({"rawsocket_ping": 1}, "rawsocket_ping is True or False, not 1"),
    ({"rawsocket_ping": None}, "rawsocket_ping"),
    ({"headers": [("X-A", "b")]}, "headers is a dictionary of HTTP headers, not list"),
    ({"headers": "X-A: b"}, "headers is a dictionary"),
    ({"headers": {"": "x"}}, "headers has '', which cannot be the name"),
    ({"headers": {"X A": "x"}}, "headers has 'X A'"),
    ({"headers": {"X-A:": "x"}}, "headers has 'X-A:'"),
    ({"headers": {"X-A\r\nX-B": "x"}}, r"headers has 'X-A\\r\\nX-B'"),
    ({"headers": {"X-Ä": "x"}}, "headers has 'X-Ä'"),
    ({"headers": {b"X-A": "x"}}, "headers has b'X-A'"),
    ({"headers": {5: "x"}}, "headers has 5"),
    ({"headers": {"Connection": "close"}}, "which the WebSocket handshake itself sets"),
    ({"headers": {"upgrade": "websocket"}}, "itself sets"),
    ({"headers": {"Content-Length": "5"}}, "itself sets"),
    ({"headers": {"Transfer-Encoding": "chunked"}}, "itself sets"),
    ({"headers": {"Sec-WebSocket-Protocol": "wamp.2.json"}}, "itself sets"),
    ({"headers": {"sec-websocket-key": "x"}}, "itself sets"),
    ({"compression": "gzip"}, "compression is 'deflate' or None, not 'gzip'"),
    ({"compression": True}, "compression"),
    ({"proxy": None}, "proxy is the URL of an HTTP proxy, True .* or False"),
    ({"proxy": 1}, "proxy is"),
    ({"proxy": b"http://proxy:3128"}, "proxy is"),
    ({"proxy": ""}, "no scheme"),
    ({"proxy": "proxy:3128"}, "no scheme"),
    ({"proxy": "socks5://proxy:1080"}, "not by socks5://"),
    ({"cert_path": b"ca.pem"}, "cert_path must be the path of a PEM file or of a folder"),
    ({"cert_path": True}, "cert_path"),
    ({"ssl_context": True}, "ssl_context is an ssl.SSLContext"),
    ({"ssl_context": ssl.SSLContext}, "ssl_context"),
    ({"ipv": 5}, "ipv is 4, 6 or None, not 5"),
    ({"ipv": True}, "ipv"),
    ({"ipv": "4"}, "ipv"),
    ({"ipv": 4.0}, "ipv is 4, 6 or None, not 4.0"),
    ({"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, "ssl_context is one for servers"),
    ({"ssl_context": ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)}, "ssl_context is one for servers"),
    ({"ssl_context": ssl.create_default_context(), "cert_path": "ca.pem"}, "load the file into the context instead"),
    ({"headers": {"X-Team": "red", "x-team": "blue"}}, "headers has 'x-team' twice"),
    ({"heartbeat": 1e10}, r"heartbeat is at most 1e\+09 seconds; give None to turn it off"),
    ({"heartbeat_timeout": 10**400}, r"heartbeat_timeout is at most 1e\+09 seconds"),
]


@pytest.mark.parametrize(("parameters", "text"), BAD, ids=lambda value: str(value)[:50])
def test_a_value_that_cannot_be_used_is_named(parameters, text):
    with pytest.raises(WampyError, match=text):
        TransportOptions(**parameters)
    with pytest.raises(WampyError, match=text):
        Client(**parameters)


@pytest.mark.parametrize(
    "value",
    [
        "tell-tale\r\nX-Forged: yes",
        "tell-tale\n",
        "tell-tale\r",
        "tell-tale\0",
        "tell-tale\x7f",
        " tell-tale",
        "tell-tale ",
        "\ttell-tale",
        "tell-tale ä",
        "tell-tale \u2028",
        b"tell-tale",
        ["tell-tale"],
    ],
)
def test_a_header_that_cannot_be_sent_is_named_and_its_value_not_shown(value):
    with pytest.raises(WampyError) as caught:
        TransportOptions(headers={"Authorization": value})
    assert "headers['Authorization']" in str(caught.value)
    assert "tell-tale" not in str(caught.value)


def test_the_headers_that_were_checked_are_those_that_count():
    headers = {"X-Team": "red"}
    options = TransportOptions(headers=headers)
    headers["X-Team"] = "blue\r\nX-Forged: yes"
    assert options.headers == {"X-Team": "red"}


def test_what_may_be_a_secret_is_not_in_the_repr():
    options = TransportOptions(
        headers={"Authorization": "tell-tale"}, proxy="http://joe:tell-tale@proxy.example.com:3128", ipv=6
    )
    assert "tell-tale" not in repr(options)
    assert "ipv=6" in repr(options)


def test_a_bad_proxy_is_an_address_error_and_its_password_is_not_shown():
    with pytest.raises(AddressError) as caught:
        TransportOptions(proxy="https://joe:tell-tale@proxy:3128")
    assert "tell-tale" not in str(caught.value)


def test_seconds():
    for value in (None, 1, 0.5):
        check_seconds("timeout", value)
    with pytest.raises(WampyError, match="timeout is a number of seconds above 0, or None for no limit; not 0"):
        check_seconds("timeout", 0)
    with pytest.raises(WampyError, match=r"timeout is at most 1e\+09 seconds; give None for no limit"):
        check_seconds("timeout", 1.1e9)
