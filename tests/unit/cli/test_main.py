"""The command line is read right, and complaints about it are one line."""

import subprocess
import sys
from pathlib import Path

import pytest

import wampy
from wampy.cli import demo, run
from wampy.cli.main import main, make_parser

ROOT = Path(__file__).resolve().parents[3]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"wampy {wampy.__version__}\n"


def test_without_a_command_there_is_help(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "run applications until Ctrl-C" in out
    assert "see wampy at work" in out


@pytest.mark.parametrize("command", ["run", "demo"])
def test_help_of_a_command(capsys, command):
    assert main([command, "--help"]) == 0
    assert "Exit code 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fly"], "wampy: argument COMMAND: invalid choice: 'fly'"),
        (["run"], "wampy run: the following arguments are required: MODULE:CLASS"),
        (
            ["run", "shop:Shop", "--log-level", "loud"],
            "wampy run: argument --log-level: invalid choice: 'LOUD'",
        ),
        (["run", "shop:Shop", "--ur", "ws://x/"], "unrecognized arguments: --ur ws://x/"),
        (["demo", "--realm"], "wampy demo: argument --realm: expected one argument"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(capsys, arguments, complaint):
    assert main(arguments) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert complaint in errors
    assert errors.count("\n") == 1


def test_what_run_is_called_with(monkeypatch):
    called = {}
    monkeypatch.setattr(
        run, "run", lambda applications, **rest: called.update(rest, applications=applications) or 7
    )
    assert main(["run", "shop:Shop", "shop:Till"]) == 7
    assert called == {
        "applications": ["shop:Shop", "shop:Till"],
        "url": None,
        "realm": None,
        "config": None,
        "patch": True,
        "log_level": "INFO",
        "drain": 5.0,
    }
    line = "run shop:Shop --url ws://x/ --realm r --config c.json --no-patch --log-level debug --drain 0"
    assert main(line.split()) == 7
    assert called == {
        "applications": ["shop:Shop"],
        "url": "ws://x/",
        "realm": "r",
        "config": "c.json",
        "patch": False,
        "log_level": "DEBUG",
        "drain": 0.0,
    }


def test_what_demo_is_called_with(monkeypatch):
    called = []
    monkeypatch.setattr(demo, "demo", lambda *args: called.append(args) or 0)
    assert main(["demo"]) == 0
    assert main(["demo", "--url", "ws://x/", "--realm", "r"]) == 0
    assert called == [(None, None), ("ws://x/", "r")]


def test_ctrl_c_before_a_command_can_end_by_itself(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "demo", interrupted)
    assert main(["demo"]) == 130


def test_each_command_has_a_parser():
    for arguments in (["run", "a:B"], ["demo"]):
        assert callable(make_parser().parse_args(arguments).execute)


def test_reading_the_command_line_imports_no_green_threads():
    code = "import sys; from wampy.cli.main import main; main(['run', '--help'])"
    code += "; assert 'eventlet' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_as_a_module():
    command = [sys.executable, "-m", "wampy", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"wampy {wampy.__version__}\n", "")
