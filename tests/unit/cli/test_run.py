"""Which router ``wampy run`` goes to, and what it says when it cannot."""

import json

import pytest

from wampy.cli import run as run_module
from wampy.cli.run import run
from wampy.errors import WampyError


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("WAMPY_URL", raising=False)
    monkeypatch.delenv("WAMPY_REALM", raising=False)
    # The commands configure the process, which is the tests' here.
    monkeypatch.setattr("wampy.config.configure_logging", lambda level: None)


def write_config(folder, port=8088, **more):
    path = folder / "crossbar.json"
    transport = {"type": "websocket", "endpoint": {"type": "tcp", "port": port}}
    worker = {"type": "router", "realms": [{"name": "theirs"}], "transports": [transport], **more}
    path.write_text(json.dumps({"version": 2, "workers": [worker]}))
    return str(path)


def test_wampys_own_defaults():
    assert run_module._find_router(None, None, None) == ("ws://localhost:8080/", "realm1")


def test_the_environment_before_the_defaults(monkeypatch):
    monkeypatch.setenv("WAMPY_URL", "ws://env/")
    monkeypatch.setenv("WAMPY_REALM", "env")
    assert run_module._find_router(None, None, None) == ("ws://env/", "env")
    assert run_module._find_router("ws://given/", None, None) == ("ws://given/", "env")
    assert run_module._find_router(None, "given", None) == ("ws://env/", "given")


def test_what_was_given_empty_was_given(monkeypatch):
    monkeypatch.setenv("WAMPY_URL", "ws://env/")
    assert run_module._find_router("", "", None) == ("", "")


def test_the_configuration_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WAMPY_URL", "ws://env/")
    monkeypatch.setenv("WAMPY_REALM", "env")
    config = write_config(tmp_path)
    assert run_module._find_router(None, None, config) == ("ws://localhost:8088/", "theirs")
    assert run_module._find_router("ws://given/", None, config) == ("ws://given/", "theirs")
    assert run_module._find_router(None, "given", config) == ("ws://localhost:8088/", "given")


@pytest.mark.parametrize("change", [{"port": 0}, {"transports": []}])
def test_a_configuration_without_a_url_needs_one(tmp_path, change):
    config = write_config(tmp_path, **change)
    with pytest.raises(WampyError, match="give --url as well"):
        run_module._find_router(None, None, config)
    assert run_module._find_router("ws://given/", None, config) == ("ws://given/", "theirs")


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_configuration_that_cannot_be_read(tmp_path, capsys, content):
    path = tmp_path / "crossbar.json"
    if content is not None:
        path.write_text(content)
    assert run(["json:JSONDecoder"], config=str(path), patch=False) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"wampy run: Crossbar's configuration {path} ")
    assert errors.count("\n") == 1


def test_an_unknown_library_of_green_threads(monkeypatch, capsys):
    monkeypatch.setenv("WAMPY_ASYNC_NAME", "tasklets")
    assert run(["json:JSONDecoder"]) == 2
    assert capsys.readouterr().err.startswith("wampy run: unknown backend 'tasklets'")
