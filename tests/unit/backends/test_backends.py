"""Choosing a backend."""

import pytest

from wampy import backends
from wampy.errors import WampyError
from wampy.interfaces import Backend


def test_the_default_is_eventlet(monkeypatch):
    monkeypatch.delenv("WAMPY_ASYNC_NAME", raising=False)
    assert backends.get_backend().name == "eventlet"
    assert isinstance(backends.get_async_adapter(), Backend)
    assert isinstance(backends.async_adapter, Backend)


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("WAMPY_ASYNC_NAME", "twisted")
    with pytest.raises(WampyError, match=r"twisted.*WAMPY_ASYNC_NAME.*eventlet"):
        backends.get_backend()
    assert backends.get_backend("eventlet").name == "eventlet"


def test_a_backend_has_no_state():
    first, second = backends.get_backend("eventlet"), backends.get_backend("eventlet")
    assert vars(first) == vars(second) == {}
