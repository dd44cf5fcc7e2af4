"""Texts for messages and logs."""

import pytest

from wampy.texts import SHOWN, redact, redact_anything, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("größer als 😀", "größer als 😀"),
        ("a\r\nERROR: all is lost", r"a\r\nERROR: all is lost"),
        ("\x1b[31mred\0", r"\x1b[31mred\x00"),
        ("half a pair \ud800", r"half a pair \ud800"),
        ("\u202egnorw", r"\u202egnorw"),
        ("\u2028", r"\u2028"),
    ],
)
def test_what_a_peer_says_is_shown_in_one_line(text, expected):
    assert shown(text) == expected


def test_what_a_peer_says_is_shown_up_to_a_length():
    assert shown("x" * SHOWN) == "x" * SHOWN
    assert shown("x" * 10_000_000) == "x" * SHOWN + "…"
    assert len(shown("\0" * 10_000_000)) <= SHOWN * 4 + 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://h/", "ws://h/"),
        ("ws://joe@h:1/", "ws://joe@h:1/"),
        ("ws://joe:x@h:1/a", "ws://joe:…@h:1/a"),
        ("ws://al@example.com:x@h:1/", "ws://al@example.com:…@h:1/"),
        ("ws://joe:x:y@z@h:1/", "ws://joe:…@h:1/"),
        ("ws://:x@h", "ws://:…@h"),
        ("ws://[::1]:1/?to=a@b", "ws://[::1]:1/?to=a@b"),
        ("ws://h:1/a:b@c", "ws://h:1/a:b@c"),
    ],
)
def test_a_url_without_its_password(url, expected):
    assert redact(url) == expected
    # In what can be used, both find the same, but for a path that might be a part of a password.
    if "@" not in url.partition("//")[2].partition("/")[2]:
        assert redact_anything(url) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("localhost:8080", "localhost:8080"),
        ("ws:joe:x@h", "ws:…@h"),
        ("joe:x@h", "joe:…@h"),
        ("ws://joe:a/b?c#d@e@h/", "ws://joe:…@h/"),
        ("ws://joe:a\nb@h", "ws://joe:…@h"),
        ("ws:/joe:x@h", "ws:…@h"),
        ("joe@h", "joe@h"),
    ],
)
def test_what_is_no_url_may_have_a_password_too(text, expected):
    assert redact_anything(text) == expected
