"""The environment, and logging when asked for."""

import logging

import pytest

from wampy.config import configure_logging, settings

VARIABLES = {
    "async_name": ("WAMPY_ASYNC_NAME", "eventlet"),
    "crossbar": ("WAMPY_CROSSBAR", None),
    "secret": ("WAMPYSECRET", None),
    "url": ("WAMPY_URL", "ws://localhost:8080/"),
    "realm": ("WAMPY_REALM", "realm1"),
}


@pytest.mark.parametrize("empty", [False, True])
def test_without_variables_the_defaults_count(monkeypatch, empty):
    for variable, _ in VARIABLES.values():
        monkeypatch.setenv(variable, "") if empty else monkeypatch.delenv(variable, raising=False)
    found = settings()
    assert {name: getattr(found, name) for name in VARIABLES} == {
        name: default for name, (_, default) in VARIABLES.items()
    }


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_counts_at_the_next_look(monkeypatch, name):
    monkeypatch.setenv(VARIABLES[name][0], "something")
    assert getattr(settings(), name) == "something"
    monkeypatch.setenv(VARIABLES[name][0], "something else")
    assert getattr(settings(), name) == "something else"


@pytest.fixture
def package_logger():
    logger = logging.getLogger("wampy")
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_logging_is_configured_once(package_logger, capsys, caplog):
    before = len(package_logger.handlers)
    with caplog.at_level(logging.INFO, "wampy"):
        configure_logging()
        configure_logging(logging.DEBUG)
        assert package_logger.level == logging.DEBUG
    assert len(package_logger.handlers) == before + 1
    assert caplog.messages == ["logging configured", "logging configured"]


def test_records_go_to_standard_error(package_logger, capsys):
    configure_logging()
    logging.getLogger("wampy.anything").info("a record")
    shown = capsys.readouterr()
    assert "wampy.anything INFO: a record" in shown.err
    assert shown.out == ""


def test_the_root_logger_is_left_alone(package_logger):
    root = logging.getLogger()
    before = list(root.handlers), root.level
    configure_logging()
    assert (list(root.handlers), root.level) == before
