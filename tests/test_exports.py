"""The names that users import, old and new: every path in the documentation leads to the right thing."""

import importlib
import inspect
import itertools
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import wampy
    from wampy.messages import MESSAGE_TYPE_MAP

# path -> what kind of thing it is; "same as" another path where both must be one object.
PATHS = {
    "wampy.Client": "class",
    "wampy.peers.Client": "same as wampy.Client",
    "wampy.peers.clients.Client": "same as wampy.Client",
    "wampy.Crossbar": "class",
    "wampy.peers.routers.Crossbar": "same as wampy.Crossbar",
    "wampy.peers.Crossbar": "same as wampy.Crossbar",
    "wampy.callee": "function",
    "wampy.roles.callee": "same as wampy.callee",
    "wampy.roles.callee.callee": "same as wampy.callee",
    "wampy.subscribe": "function",
    "wampy.roles.subscribe": "same as wampy.subscribe",
    "wampy.roles.subscriber.subscribe": "same as wampy.subscribe",
    "wampy.session.Session": "class",
    "wampy.message_handler.MessageHandler": "class",
    "wampy.messages.MESSAGE_TYPE_MAP": "dict",
    "wampy.messages.parse": "function",
    "wampy.transports.WebSocket": "class",
    "wampy.transports.SecureWebSocket": "class",
    "wampy.backends.get_async_adapter": "function",
    "wampy.backends.async_adapter": "object",
    "wampy.auth.compute_wcs": "function",
    "wampy.serializers.json_serialize": "function",
    "wampy.serializers.get_serializer": "function",
    "wampy.errors.WampyError": "class",
    "wampy.errors.WampyTimeOutError": "class",
    "wampy.errors.WampProtocolError": "class",
    "wampy.errors.ConnectionError": "class",
    "wampy.constants.DEFAULT_REALM": "str",
    "wampy.constants.DEFAULT_URL": "str",
    "wampy.testing.wait_for_session": "function",
    "wampy.testing.wait_for_registrations": "function",
    "wampy.testing.wait_for_subscriptions": "function",
    "wampy.testing.helpers.assert_stops_raising": "function",
    "wampy.testing.helpers.wait_for_messages": "function",
    "wampy.testing.helpers.CollectingMessageHandler": "class",
    "wampy.testing.pytest_plugin": "module",
    "wampy.cli.main.main": "function",
    "wampy.cli.run.run": "function",
    "wampy.WampyError": "same as wampy.errors.WampyError",
    "wampy.WampyTimeOutError": "same as wampy.errors.WampyTimeOutError",
    "wampy.RemoteError": "same as wampy.errors.RemoteError",
    "wampy.errors.RemoteError": "class",
    "wampy.Result": "same as wampy.roles.caller.Result",
    "wampy.roles.caller.Result": "class",
    "wampy.PendingCall": "same as wampy.roles.caller.PendingCall",
    "wampy.roles.caller.PendingCall": "class",
    "wampy.Reconnect": "same as wampy.config.reconnect.Reconnect",
    "wampy.config.reconnect.Reconnect": "class",
    "wampy.Stats": "same as wampy.stats.Stats",
    "wampy.stats.Stats": "class",
    "wampy.configure_async": "same as wampy.backends.configure_async",
    "wampy.backends.configure_async": "function",
    "wampy.configure_backend": "same as wampy.backends.configure_backend",
    "wampy.backends.configure_backend": "function",
    "wampy.configure_logging": "same as wampy.config.configure_logging",
    "wampy.config.configure_logging": "function",
}

KINDS = {
    "class": inspect.isclass,
    "function": inspect.isfunction,
    "module": inspect.ismodule,
    "dict": lambda thing: isinstance(thing, dict),
    "str": lambda thing: isinstance(thing, str),
    "object": lambda thing: thing is not None,
}


def find(path):
    """Do as ``from a.b import c`` does, and fall back to attributes as ``a.b.c`` does."""
    module, _, name = path.rpartition(".")
    try:
        found = importlib.import_module(module)
    except ImportError:
        found = find(module)
    try:
        return getattr(found, name)
    except AttributeError:
        return importlib.import_module(path)


@pytest.mark.parametrize("path", PATHS)
def test_the_path_leads_to_the_right_thing(path):
    kind = PATHS[path]
    if kind.startswith("same as "):
        assert find(path) is find(kind.removeprefix("same as "))
    else:
        assert KINDS[kind](find(path))


@pytest.mark.parametrize("cls", MESSAGE_TYPE_MAP.values(), ids=lambda cls: cls.__name__)
def test_a_message_class_is_at_its_two_paths(cls):
    package = importlib.import_module("wampy.messages")
    module = importlib.import_module(f"wampy.messages.{'yield_' if cls.name == 'yield' else cls.name}")
    assert getattr(package, cls.__name__) is getattr(module, cls.__name__) is cls
    assert cls.__name__ in package.__all__


def test_there_are_25_message_classes():
    assert len(set(MESSAGE_TYPE_MAP.values())) == 25


def test_all_is_complete_and_every_name_in_it_is_there():
    assert len(wampy.__all__) == len(set(wampy.__all__))
    for name in wampy.__all__:
        assert getattr(wampy, name) is not None
    documented = {path.split(".")[1] for path in PATHS if path.count(".") == 1}
    assert documented | {"__version__"} == set(wampy.__all__)


def test_dir_lists_the_lazy_names_too():
    assert set(wampy.__all__) <= set(dir(wampy))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        wampy.nonsense  # noqa: B018
    with pytest.raises(ImportError):
        from wampy import nonsense  # noqa: F401
    with pytest.raises(AttributeError, match="nonsense"):
        importlib.import_module("wampy.backends").nonsense  # noqa: B018


def test_the_errors_of_the_tree_are_all_there():
    errors = importlib.import_module("wampy.errors")
    for name in errors.__doc__.split("::")[1].replace("└──", "├──").split("├──")[1:]:
        assert issubclass(getattr(errors, name.split()[0], errors.WampyError), errors.WampyError)
    assert all(
        issubclass(value, errors.WampyError)
        for value in vars(errors).values()
        if inspect.isclass(value) and value.__module__ == "wampy.errors"
    )


# Everything that touches `wampy.roles.callee`, the name of both a module and what it defines.
STATEMENTS = [
    "import wampy.roles.callee",
    "from wampy.roles.callee import callee as _",
    "import wampy.roles",
    "import wampy.roles.discovery",
    "import wampy.peers.clients",
    "from wampy import callee as _",
    "importlib.import_module('wampy.roles.callee')",
]

ORDERS = """
import importlib, json, sys
def forget():
    for name in [name for name in sys.modules if name.split(".")[0] == "wampy"]:
        del sys.modules[name]
for order in json.loads(sys.argv[1]):
    forget()
    for statement in order:
        exec(statement)
    from wampy.roles import callee, subscribe
    import wampy.roles.callee
    @callee
    def function(): pass
    @wampy.roles.callee.callee
    def other(): pass
    @wampy.roles.callee(procedure="x")
    def third(): pass
    assert function.__wampy_roles__ and other.__wampy_roles__ and third.__wampy_roles__, order
    from wampy.roles.callee import callee as again
    assert again is callee is wampy.callee, order
    from wampy.roles.subscriber import subscribe as subscribe_again
    assert subscribe_again is subscribe is wampy.subscribe, order
    import wampy.roles.subscriber
    assert wampy.roles.subscriber.subscribe is subscribe
print("fine")
"""


def test_callee_is_a_decorator_in_every_import_order():
    orders = [[]] + [list(order) for length in (1, 2) for order in itertools.permutations(STATEMENTS, length)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ORDERS, json.dumps(orders)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "fine\n", done.stderr


def test_the_cheap_names_do_not_bring_eventlet_in():
    program = (
        "import sys; from wampy import callee, subscribe, WampyError, RemoteError, configure_logging; "
        "import wampy.roles, wampy.backends, wampy.config; print('eventlet' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "False\n", done.stderr
