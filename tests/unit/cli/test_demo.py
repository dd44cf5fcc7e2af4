"""The demonstration's transcript, and what it says when it cannot begin."""

import re

import pytest

from wampy.cli.demo import DemoError, Transcript, _check, demo


def test_a_step_has_its_text_before_it_is_done_and_its_time_after(capsys):
    transcript = Transcript()
    with transcript.step("Do it."):
        before = capsys.readouterr().out
    transcript.note("done")
    after = capsys.readouterr().out
    assert before == " 1. Do it.".ljust(84)
    assert re.fullmatch(r" +[\d,]+\.\d ms\n      done\n", after)
    assert len(before + after.splitlines()[0]) == 96


def test_a_step_that_is_broken_off(capsys):
    transcript = Transcript()
    with pytest.raises(KeyError), transcript.step("Do it."):
        raise KeyError
    transcript.break_off("failed")
    transcript.break_off("failed")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(" failed")
    assert len(lines[0]) == 96


def test_a_wrong_result():
    _check([1], [1])
    with pytest.raises(DemoError, match="the result is wrong: 2 instead of 5"):
        _check(2, 5)


@pytest.mark.parametrize(
    ("url", "realm", "complaint"),
    [
        ("localhost", None, "wampy demo: the URL 'localhost': it has no scheme"),
        ("", None, "wampy demo: the URL '': it has no scheme"),
        (None, "realm2", "wampy demo: --realm goes with --url"),
    ],
)
def test_what_cannot_begin(capsys, url, realm, complaint):
    assert demo(url, realm) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith(complaint)
    assert errors.count("\n") == 1


def test_without_crossbar(capsys, monkeypatch):
    monkeypatch.setenv("WAMPY_CROSSBAR", "/nowhere/crossbar")
    assert demo() == 2
    assert capsys.readouterr() == (
        "",
        "wampy demo: WAMPY_CROSSBAR is set to '/nowhere/crossbar', which is no executable file\n",
    )
