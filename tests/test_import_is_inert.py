"""Importing wampy has no effect: nothing imported, patched, started, opened or configured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Runs in a fresh interpreter. Everything that it needs is imported before the first look.
LOOK = """
import json, logging, os, signal, socket, sys, threading, time, warnings
import _thread, builtins, importlib, queue, select, ssl, subprocess, typing

def look():
    root = logging.getLogger()
    own = logging.getLogger("wampy")
    return {
        "threads": threading.active_count(),
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "root handlers": [repr(handler) for handler in root.handlers],
        "root level": root.level,
        "own handlers": [type(handler).__name__ for handler in own.handlers],
        "own level": own.level,
        "logger class": logging.getLoggerClass().__name__,
        "patched": sorted(
            f"{module.__name__}.{name}"
            for module, names in WATCHED.items()
            for name, before in names.items()
            if getattr(module, name, None) is not before
        ),
        "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "wakeup": signal.set_wakeup_fd(-1),
        "filters": len(warnings.filters),
        "hooks": [sys.excepthook.__module__, threading.excepthook is threading.__excepthook__],
        "environment": dict(os.environ),
    }

WATCHED = {
    module: {name: value for name, value in vars(module).items() if callable(value)}
    for module in (_thread, builtins, os, queue, select, signal, socket, ssl, subprocess, threading, time)
}
before = look()
modules = set(sys.modules)
IMPORT
after = look()
del before["own handlers"]
handlers = after.pop("own handlers")
new = sorted({name.split(".")[0] for name in set(sys.modules) - modules})
print(json.dumps({"changed": [key for key in before if before[key] != after[key]], "handlers": handlers, "new": new,
                  "after": {key: after[key] for key in before if before[key] != after[key]}}))
"""


def imported(statement, *options):
    done = subprocess.run(
        [sys.executable, *options, "-c", LOOK.replace("IMPORT", statement)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "an import says nothing"
    return json.loads(done.stdout)


@pytest.mark.parametrize("options", [(), ("-W", "error")], ids=["plain", "warnings are errors"])
def test_importing_wampy_does_nothing(options):
    seen = imported("import wampy", *options)
    assert seen["changed"] == [], seen["after"]
    assert seen["handlers"] == ["NullHandler"]
    assert set(seen["new"]) - set(sys.stdlib_module_names) == {"wampy"}


@pytest.mark.parametrize("options", [(), ("-W", "error")], ids=["plain", "warnings are errors"])
def test_importing_the_client_patches_and_configures_nothing(options):
    # The backend and the transport are imported by the first client, so they are asked for too.
    modules = "wampy.peers.clients, wampy.backends.eventlet_, wampy.transports.websocket"
    seen = imported(f"from wampy import Client; import {modules}", *options)
    assert seen["changed"] == [], seen["after"]
    assert seen["handlers"] == ["NullHandler"]
    assert {"eventlet", "wampy", "websockets"} <= set(seen["new"])
    assert "opentelemetry" not in seen["new"]


def test_importing_the_telemetry_starts_nothing():
    pytest.importorskip("opentelemetry", reason="it needs wampy[otel], which `test` has")
    seen = imported("import wampy.otel", "-W", "error")
    assert seen["changed"] == [], seen["after"]
    assert "opentelemetry" in seen["new"]


def test_constructing_a_client_patches_and_configures_nothing():
    seen = imported("from wampy import Client; client = Client()", "-W", "error")
    assert set(seen["changed"]) <= {"descriptors"}, seen["after"]  # the hub's own, and no socket
    assert seen["handlers"] == ["NullHandler"]


def test_the_pytest_plugin_imports_nothing_beyond_wampy_and_pytest():
    seen = imported("import pytest\nmodules = set(sys.modules)\nbefore = look()\nimport wampy.testing.pytest_plugin")
    assert set(seen["new"]) - set(sys.stdlib_module_names) <= {"wampy"}
    assert seen["handlers"] == ["NullHandler"]


def test_eventlet_is_silenced_round_our_own_import_only():
    program = """
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    import wampy.peers.clients, wampy.backends.eventlet_
    assert not seen, [str(each.message) for each in seen]
    warnings.warn("the user's own")
    assert len(seen) == 1
"""
    subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def test_the_look_sees_what_an_import_should_not_do(tmp_path):
    # Or all of the above would prove nothing.
    (tmp_path / "mischief.py").write_text(
        "import logging, os, threading, time, eventlet\n"
        "logging.basicConfig()\n"
        "os.open('/dev/null', os.O_RDONLY)\n"
        "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "time.sleep = lambda seconds: None\n"
    )
    seen = imported(f"sys.path.insert(0, {str(tmp_path)!r})\nimport mischief", "-W", "ignore")
    assert {"threads", "descriptors", "root handlers", "patched"} <= set(seen["changed"])
    assert "eventlet" in seen["new"]
