"""Router URLs, taken apart."""

import socket

import pytest

from wampy.errors import AddressError
from wampy.urls import LONGEST_SOCKET_PATH, SCHEMES, parse_proxy, parse_url


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
        ("wss://[2001:DB8::1]/", ("wss", "2001:db8::1", 443, "/", True)),
        ("ws://[fe80::1%25eth0]:8080/", ("ws", "fe80::1%eth0", 8080, "/", False)),
        ("ws://bücher.example/", ("ws", "xn--bcher-kva.example", 80, "/", False)),
        ("rs://Bücher.example:8081", ("rs", "xn--bcher-kva.example", 8081, "", False)),
        ("rs://localhost:8081", ("rs", "localhost", 8081, "", False)),
        ("rs://localhost:8081/", ("rs", "localhost", 8081, "", False)),
        ("RS://[::1]:8081", ("rs", "::1", 8081, "", False)),
        ("rss://router.example.com:1", ("rss", "router.example.com", 1, "", True)),
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
        ("://localhost", "no scheme"),
        ("localhost:8080/://", "no scheme"),
        ("1ws://localhost", "no scheme"),
        ("http://localhost/", "unknown scheme http://"),
        ("wss+unix:///run/socket", "unknown scheme wss+unix://"),
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
        ("wss://h/?q=ä", "not ASCII"),
        ("ws://localhost/#", "fragment"),
        ("ws://\ud800/", "cannot be a host name"),
        (f"ws://{'ä' * 64}.example/", "cannot be a host name"),
        ("ws://[fe80::1%25eth0/", "IPv6"),
        ("rs://localhost", "no port"),
        ("rs://localhost:", "no port"),
        ("rss://[::1]/", "no port"),
        ("rs://:8081", "no host"),
        ("rs://localhost:0", "port 0"),
        ("rs://localhost:65536", "ort"),
        ("rs://localhost:8081/ws", "no path"),
        ("rs://localhost:8081?x=y", "no path"),
        ("rs://localhost:8081#x", "fragment"),
        ("rs://joe:secret@localhost:8081", "no user and password"),
        ("rss://joe@localhost:8081", "no user and password"),
        ("rs+unix://localhost/run/router.sock", "a host, 'localhost', before the path"),
        ("ws+unix://run/router.sock", "a host, 'run', before the path"),
        ("ws+unix://joe:secret@/run/router.sock", "before the path"),
        ("ws+unix://:8080/run/router.sock", "before the path"),
        ("rs+unix://", "no socket file"),
        ("rs+unix:///", "no socket file"),
        ("ws+unix:///run/", "no socket file"),
        ("ws+unix://:/ws", "before the path"),
        ("ws+unix:///run/:/ws", "no socket file"),
        ("ws+unix:///run/%2F", "no socket file"),
        ("rs+unix:///run/router.sock?x=y", "no query"),
        ("rs+unix:///run/router.sock#x", "fragment"),
        ("rs+unix:///run/a%00b", "a NUL in the path"),
        ("rs+unix:///run/a b", "white space"),
        ("rs+unix:///run/\ud800", "cannot be a file's name"),
        ("ws+unix:///run/router.sock:/ä", "not ASCII"),
        ("ws+unix:///run/router.sock?ä", "not ASCII"),
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


# Wherever it stands, and whatever is wrong with the rest.
SECRETS = [
    "{}://us@er:SECRET@h:1/",
    "{}://al@example.com:SECRET@h:1",
    "{}://user:SECRET/word@h:1/",
    "{}://user:word/SECRET@h:1/",
    "{}://user:word?SECRET@h:1/",
    "{}://user:SECRET#word@h:1",
    "{}://user:word#SECRET@h:1",
    "{}://user:word@SECRET@h:1/",
    "{}://u:SECRET@ho\u2100st:1/",
    "{}://[u:SECRET@h:1/",
    "{}://u:SECRET@[::1",
    "{}://u:SECRET@[::1]x:1",
    "{}://u:SECRET@h:port",
    "{}://u:SECRET@h:99999",
    "{}://u:SECRET@h:0",
    "{}://u:SECRET@",
    "{}://:SECRET@h:1",
    "{}://u%3Ax:SECRET@h:1/",
    "{}://u\ud800:SECRET@h:1/",
    "{}://u:SECRET\ud800@h:1/",
    "{}://u:SECRET word@h:1/",
    "{}://u:SECRET@ä\ud800/",
    "{}:u:SECRET@h:1/",
    "{}:/u:SECRET@h:1/",
    "{}:\\\\u:SECRET@h:1",
    "u:SECRET@h:1",
    "u:SECRET@{}://h:1",
    "u:SECRET@://h:1",
    "xx:{}://u:SECRET@h:1",
]


@pytest.mark.parametrize("scheme", [*SCHEMES, "http"])
@pytest.mark.parametrize("url", SECRETS, ids=ascii)
def test_a_password_is_in_no_text_whether_the_url_can_be_used_or_not(url, scheme):
    url = url.format(scheme)
    for parse in (parse_url, parse_proxy):
        try:
            parsed = parse(url)
        except AddressError as error:
            texts = [str(error), repr(error)]
        else:
            texts = [repr(parsed), str(parsed), f"{parsed}", parsed.redacted]
        # A scheme is told in small letters.
        assert not [text for text in texts if "secret" in text.lower()]


def test_what_is_left_of_a_url_without_its_password_can_be_recognized():
    parsed, proxy = parse_url("ws://al@example.com:SECRET@h:1/ws?q"), parse_proxy("http://joe:SECRET@proxy:3128")
    assert repr(parsed) == "<RouterUrl ws://al@example.com:…@h:1/ws?q>"
    assert repr(proxy) == "<ProxyUrl http://joe:…@proxy:3128>"
    assert (parsed.username, parsed.password) == ("al@example.com", "SECRET")


@pytest.mark.parametrize("parse", [parse_url, parse_proxy])
@pytest.mark.parametrize(
    ("credentials", "problem"),
    [
        ("a%3Ab:x", "its user has a colon, which HTTP's basic authentication cannot tell"),
        ("a%3Ab", "its user has a colon"),
        ("a\ud800:x", "its user or password is no text"),
        ("a:\udcff", "its user or password is no text"),
    ],
    ids=ascii,
)
def test_credentials_that_http_cannot_carry_are_refused(parse, credentials, problem):
    with pytest.raises(AddressError) as caught:
        parse(f"{'ws' if parse is parse_url else 'http'}://{credentials}@localhost:1")
    assert caught.value.problem.startswith(problem)
    assert caught.value.remedy


def test_an_unknown_scheme_is_answered_with_the_known_ones():
    with pytest.raises(AddressError) as caught:
        parse_url("wamp://localhost:8080/")
    assert "known are ws://, wss://, ws+unix://, rs://, rss://, rs+unix://" in str(caught.value)
    assert SCHEMES.keys() == {"ws", "wss", "ws+unix", "rs", "rss", "rs+unix"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_example_of_each_scheme_is_a_url_of_that_scheme(scheme):
    parsed = parse_url(SCHEMES[scheme].example)
    assert parsed.scheme == scheme
    assert parsed.framing == ("websocket" if scheme.startswith("ws") else "rawsocket")
    assert parsed.secure is (scheme in ("wss", "rss"))
    assert (parsed.socket_path is not None) is scheme.endswith("unix")


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("rs://localhost", "rs://localhost:8081"),
        ("rs://localhost:8081/ws", "ws:// for a WebSocket with a path"),
        ("rs://joe:secret@localhost:8081", "auth="),
        ("ws+unix://run/router.sock", "ws+unix:///run/router.sock"),
        ("rs+unix:///run/a?b", "%3F"),
        ("ws://localhost/a#b", "%23"),
    ],
)
def test_the_remedy_fits_the_scheme(url, remedy):
    with pytest.raises(AddressError) as caught:
        parse_url(url)
    assert remedy in caught.value.remedy
    assert "secret" not in str(caught.value)


def test_the_zone_of_an_ipv6_address_is_nobody_else_s_business():
    parsed = parse_url("ws://[fe80::1%25eth0]:8080/")
    assert (parsed.host, parsed.server_name) == ("fe80::1%eth0", "fe80::1")
    assert parse_url("ws://localhost/").server_name == "localhost"


# Unix sockets.


@pytest.mark.parametrize(
    ("url", "path", "resource"),
    [
        ("ws+unix:///run/router.sock", "/run/router.sock", "/"),
        ("ws+unix:///run/router.sock:/", "/run/router.sock", "/"),
        ("ws+unix:///run/router.sock:/ws", "/run/router.sock", "/ws"),
        ("ws+unix:///run/router.sock:/a/b?c=d", "/run/router.sock", "/a/b?c=d"),
        ("ws+unix:///run/router.sock?c=d", "/run/router.sock", "/?c=d"),
        ("ws+unix:///run/router.sock:/a:/b", "/run/router.sock", "/a:/b"),
        ("ws+unix:///run/a:b", "/run/a:b", "/"),
        ("ws+unix:///run/a%3A/b:/ws", "/run/a:/b", "/ws"),
        ("ws+unix:///run/my%20router%3F%23.sock:/%20", "/run/my router?#.sock", "/%20"),
        ("rs+unix:///run/router.sock", "/run/router.sock", ""),
        ("rs+unix:///run/a:/b", "/run/a:/b", ""),
        ("RS+UNIX:///Run/Router", "/Run/Router", ""),
        ("rs+unix:///run/b%C3%BCcher", "/run/bücher", ""),
        ("rs+unix:///run/bücher", "/run/bücher", ""),
        ("rs+unix:///run/%FF", "/run/\udcff", ""),
    ],
)
def test_the_path_of_a_unix_socket(url, path, resource):
    parsed = parse_url(url)
    assert (parsed.socket_path, parsed.resource) == (path, resource)
    assert (parsed.host, parsed.port, parsed.secure) == ("localhost", 0, False)
    assert parsed.username is parsed.password is None


@pytest.mark.parametrize("scheme", ["ws+unix", "rs+unix"])
@pytest.mark.parametrize(("letter", "size"), [("x", 1), ("%20", 1), ("ä", 2), ("%FF", 1)])
def test_the_longest_path_is_counted_in_the_bytes_of_the_file_name(scheme, letter, size):
    assert parse_url(f"{scheme}:///{letter * (106 // size)}").socket_path is not None
    with pytest.raises(AddressError, match="longer than the 107 bytes"):
        parse_url(f"{scheme}:///{letter * (106 // size + 1)}")


def test_the_longest_path_is_the_systems_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    longest = "x" * LONGEST_SOCKET_PATH
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(longest)
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match="too long"):
        sock.bind(longest + "x")


# Proxies.


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://proxy.example.com:3128", ("proxy.example.com", 3128, None, None)),
        ("http://proxy.example.com:3128/", ("proxy.example.com", 3128, None, None)),
        ("HTTP://Proxy.Example.com", ("proxy.example.com", 80, None, None)),
        ("http://joe:p%40ss@[::1]:8080", ("::1", 8080, "joe", "p@ss")),
        ("http://joe@bücher.example", ("xn--bcher-kva.example", 80, "joe", None)),
    ],
)
def test_the_parts_of_a_proxy(url, parts):
    parsed = parse_proxy(url)
    assert (parsed.host, parsed.port, parsed.username, parsed.password) == parts
    assert parsed.url == url
    assert "p%40ss" not in parsed.redacted


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("proxy.example.com:3128", "no scheme"),
        ("", "no scheme"),
        ("https://proxy.example.com", "by http:// only, not by https://"),
        ("socks5://proxy.example.com:1080", "not by socks5://"),
        ("http://", "no host"),
        ("http://:3128", "no host"),
        ("http://proxy:0", "port 0"),
        ("http://proxy:port", "ort"),
        ("http://proxy:3128/path", "ends with its port"),
        ("http://proxy:3128?x", "ends with its port"),
        ("http://proxy:3128#x", "ends with its port"),
        ("http://pro xy:3128", "white space"),
        (None, "a proxy URL is a str, not NoneType"),
    ],
)
def test_a_proxy_that_cannot_be_used_says_why(url, problem):
    with pytest.raises(AddressError) as caught:
        parse_proxy(url)
    assert problem in str(caught.value)
    assert "http://proxy.example.com:3128" in caught.value.remedy


def test_a_proxys_password_is_not_shown():
    with pytest.raises(AddressError) as caught:
        parse_proxy("http://joe:pass-word@proxy:3128/path")
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("ws+unix:/run/x", "write it as ws+unix:///run/router.sock"),
        ("RS:/host:8081", "write it as rs://localhost:8081"),
        ("rs://host:18082/ws", "write it as rs://host:18082, or ws:// for a WebSocket with a path"),
    ],
)
def test_the_remedy_is_near_to_what_was_meant(url, remedy):
    with pytest.raises(AddressError) as caught:
        parse_url(url)
    assert caught.value.remedy == remedy
