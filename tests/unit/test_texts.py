"""Texts for messages and logs."""

import pytest

from wampy.texts import SHOWN, shown


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
