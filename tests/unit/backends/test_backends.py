"""Choosing a backend."""

import importlib.util
from itertools import permutations

import pytest

from wampy import backends
from wampy.errors import WampyError
from wampy.interfaces import Backend


@pytest.fixture
def fresh(monkeypatch):
    """Forget what this process has chosen, and that it has clients, until the end of the test."""
    monkeypatch.setattr(backends, "_chosen", None)
    monkeypatch.setattr(backends, "_settled", None)


@pytest.fixture
def installed():
    """Skip the test when the library of one of these backends is not here: a run is for one, and needs no other."""

    def installed(*names):
        for name in names:
            if importlib.util.find_spec(name) is None:
                pytest.skip(f"{name} is not installed")

    return installed


def test_the_default_is_eventlet(run_python, installed):
    installed("eventlet")
    done = run_python("from wampy import backends; print(backends.get_async_adapter().name)", WAMPY_ASYNC_NAME="")
    assert done.stdout == "eventlet\n", done.stderr


def test_the_environment_chooses(monkeypatch, fresh, green):
    assert isinstance(backends.get_async_adapter(), Backend)
    assert isinstance(backends.async_adapter, Backend)
    monkeypatch.setenv("WAMPY_ASYNC_NAME", "twisted")
    with pytest.raises(WampyError, match=r"twisted.*WAMPY_ASYNC_NAME.*eventlet, gevent"):
        backends.get_backend()
    name = green.backend.name
    assert backends.get_backend(name).name == name


def test_the_program_s_choice_counts_for_more_than_the_environment(monkeypatch, fresh, green):
    monkeypatch.setenv("WAMPY_ASYNC_NAME", "twisted")
    backends.configure_backend(green.backend.name)
    assert backends.get_async_adapter().name == green.backend.name


def test_an_unknown_choice_names_the_known_ones_and_changes_nothing(fresh, green):
    with pytest.raises(WampyError, match=r"unknown backend 'twisted'; known: eventlet, gevent, threading$"):
        backends.configure_backend("twisted")
    assert backends.get_backend().name == green.backend.name


CHOICE = """
    import sys
    import wampy
    name, other = sys.argv[1:]
    wampy.configure_backend(other)
    wampy.configure_backend(name)  # there is no client yet
    client = wampy.Client()
    print(client._session.backend.name)
    wampy.configure_backend(name)
    try:
        wampy.configure_backend(other)
    except wampy.WampyError as error:
        print(error)
    print(wampy.Client()._session.backend.name)
"""


@pytest.mark.parametrize("pair", list(permutations(backends.BACKENDS, 2)), ids="-".join)
def test_once_there_is_a_client_the_choice_is_made(run_python, installed, pair):
    installed(*pair)
    name, other = pair
    lines = run_python(CHOICE, *pair).stdout.splitlines()
    assert (lines[0], lines[2]) == (name, name)
    assert f"a client on {name} already" in lines[1]
    assert f"{other} cannot run beside it" in lines[1]


def test_a_client_after_the_environment_has_changed_is_refused(monkeypatch, fresh, green):
    monkeypatch.setattr(backends, "_settled", "another one")
    with pytest.raises(WampyError, match="another one already"):
        backends.settle_backend()


@pytest.mark.parametrize(
    ("name", "imported"),
    [("eventlet", ["eventlet", "greenlet"]), ("gevent", ["gevent", "greenlet"]), ("threading", [])],
)
def test_only_the_chosen_library_is_imported(run_python, installed, name, imported):
    installed(name)
    done = run_python(
        """
        import sys
        import wampy
        wampy.Client()
        print(wampy.backends.get_backend().name, sorted({"eventlet", "gevent", "greenlet"} & set(sys.modules)))
        """,
        WAMPY_ASYNC_NAME=name,
    )
    assert done.stdout == f"{name} {imported}\n", done.stderr


def test_a_missing_library_names_the_extra(run_python):
    done = run_python(
        """
        import sys
        import wampy
        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name == "gevent":
                    raise ModuleNotFoundError("No module named 'gevent'", name="gevent")
        sys.meta_path.insert(0, Missing())
        try:
            wampy.configure_backend("gevent")
        except wampy.WampyError as error:
            print(error)
        """
    )
    assert done.stdout == "the backend 'gevent' needs the package gevent: pip install 'wampy[gevent]'\n", done.stderr


def test_a_backend_has_no_state(green):
    first, second = backends.get_backend(green.backend.name), backends.get_backend(green.backend.name)
    assert vars(first) == vars(second) == {}
