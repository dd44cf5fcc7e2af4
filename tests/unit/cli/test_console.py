"""What is printed can be printed, whatever the encoding."""

import io
import sys

from wampy.cli.console import complain, one_line, say


def test_say_in_ascii(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    say("caf\u00e9", end="!")
    assert raw.getvalue() == b"caf\\xe9!"


def test_complain_names_the_command(capsys):
    complain("run", "it is broken")
    assert capsys.readouterr() == ("", "wampy run: it is broken\n")


def test_complain_comes_after_what_was_printed(monkeypatch):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="utf-8", write_through=True))
    stream.write("first\n")
    complain("demo", "second")
    assert raw.getvalue() == b"first\nwampy demo: second\n"


def test_one_line():
    assert one_line("  a\n\n  b\tc ") == "a b c"
