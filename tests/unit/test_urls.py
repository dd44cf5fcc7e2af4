"""Router URLs, taken apart."""

import pytest

from wampy.errors import AddressError
from wampy.urls import parse_url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("ws://localhost:8080/", ("ws", "localhost", 8080, "/", False)),
        ("ws://localhost:8080", ("ws", "localhost", 8080, "/", False)),
        ("ws://localhost", ("ws", "localhost", 80, "/", False)),
        ("ws://localhost:", ("ws", "localhost", 80, "/", False)),
        ("wss://router.example.com/ws", ("wss", "router.example.com", 443, "/ws", True)),
        ("WSS://Router.Example.COM/Ws", ("wss", "router.example.com", 443, "/Ws", True)),
        ("ws://h/a/b?c=d&e=f", ("ws", "h", 80, "/a/b?c=d&e=f", False)),
        ("ws://h?c=d", ("ws", "h", 80, "/?c=d", False)),
        ("ws://[::1]:8080/ws", ("ws", "::1", 8080, "/ws", False)),
        ("ws://127.0.0.1:65535/", ("ws", "127.0.0.1", 65535, "/", False)),
        ("ws://h/%C3%A4", ("ws", "h", 80, "/%C3%A4", False)),
    ],
)
def test_parts(url, parts):
    parsed = parse_url(url)
    assert (parsed.scheme, parsed.host, parsed.port, parsed.resource, parsed.secure) == parts
    assert parsed.url == url
    assert parsed.username is parsed.password is None


def test_credentials():
    parsed = parse_url("ws://joe:secret@localhost/")
    assert (parsed.username, parsed.password, parsed.host) == ("joe", "secret", "localhost")
    assert "secret" not in parsed.redacted
    assert parsed.redacted.startswith("ws://joe:")
    assert parse_url("ws://joe@localhost/").password is None
    assert parse_url("ws://localhost/").redacted == "ws://localhost/"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost:8080", "no scheme"),
        ("", "no scheme"),
        ("//localhost", "no scheme"),
        ("http://localhost/", "unknown scheme http://"),
        ("rs://localhost:8081", "rs:// is not supported yet"),
        ("ws+unix:///tmp/socket", "not supported yet"),
        ("ws://", "no host"),
        ("ws:///path", "no host"),
        ("ws://:8080/", "no host"),
        ("ws://localhost:0/", "port 0"),
        ("ws://localhost:65536/", "ort"),
        ("ws://localhost:http/", "ort"),
        ("ws://[::1/", "IPv6"),
        ("ws://localhost/#top", "fragment"),
        ("ws://local host/", "white space"),
        ("ws://localhost/\n", "white space"),
        (" ws://localhost/", "white space"),
        ("ws://localhost/\x00", "white space"),
        ("ws://localhost/ä", "not ASCII"),
        (None, "not NoneType"),
        (b"ws://localhost/", "not bytes"),
        (5, "not int"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(url, problem):
    with pytest.raises(AddressError) as caught:
        parse_url(url)
    assert problem in str(caught.value)
    assert caught.value.url == url
    assert isinstance(caught.value, ValueError)
    assert caught.value.remedy


def test_credentials_are_decoded_and_never_shown():
    parsed = parse_url("ws://us%40er:p%3Aw%2F@localhost/")
    assert (parsed.username, parsed.password) == ("us@er", "p:w/")
    assert parsed.redacted == "ws://us%40er:…@localhost/"
    with pytest.raises(AddressError) as caught:
        parse_url("ws://joe:pass-word@localhost:99999/")
    assert "pass-word" not in str(caught.value)
