"""What all tests share: the pytest plugin, the leak check, and a way to wait that lets green threads run."""

import contextlib
import gc
import importlib
import importlib.util
import os
import re
import sys
import threading
import time
import warnings
from pathlib import Path

import psutil
import pytest

PLUGIN = "wampy.testing.pytest_plugin"

# Fixtures whose processes and descriptors outlive a test.
SHARED_ROUTERS = ("wampy_router", "auth_router", "tls_router", "mortal_router", "transports_router")

# What a hub opens, once for each OS thread.
OF_THE_HUB = ("/epoll", "eventpoll", "[eventfd]")

# Seconds that what a test left behind may take to go away by itself.
GRACE = 3.0


def pytest_configure(config):
    # An installed wampy has registered it through its entry point; from a bare checkout it is ours to load.
    names = [getattr(plugin, "__name__", "") for plugin in config.pluginmanager.get_plugins()]
    if PLUGIN not in names and importlib.util.find_spec(PLUGIN) is not None:
        config.pluginmanager.import_plugin(PLUGIN)
    config.addinivalue_line("markers", "outside: a unit test that is not the engine's caller, on OS threads")


@pytest.fixture(scope="session")
def wamp():
    """The module `scripted_router`: the codes of the messages, `ScriptedRouter`, `Gone`."""
    # There are no packages in tests/, so a module beside this file cannot be imported by name.
    name = "wampy_tests_scripted_router"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("scripted_router.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


# Waiting.


class Running:
    """A function that runs in a green thread of its own."""

    def __init__(self, backend, call, function, args, kwargs):
        self._slot = backend.slot()
        self._begun = backend.slot()
        self._outcome = None
        self._error = None
        self._task = backend.spawn(self._run, call, function, args, kwargs)
        self._kill_error = backend.kill_error

    def _run(self, call, function, args, kwargs):
        self._begun.set()
        try:
            self._outcome = call(function, *args, **kwargs)
        except BaseException as error:
            self._error = error
        finally:
            self._slot.set()

    @property
    def begun(self):
        """Whether it has begun. Of what is inside nobody sees that before it waits, or is done."""
        return self._begun.done

    @property
    def done(self):
        return self._slot.done

    def kill(self):
        self._begun.wait(10.0)  # what never begins cannot say that it was killed
        self._task.throw(self._kill_error())

    def result(self, timeout=20.0):
        if not self._slot.wait(timeout):
            pytest.fail(f"a green thread is not done after {timeout} seconds")
        if self._error is not None:
            raise self._error
        return self._outcome

    def error(self, timeout=20.0):
        """Wait for it, and return what it raised, ``None`` if nothing."""
        if not self._slot.wait(timeout):
            pytest.fail(f"a green thread is not done after {timeout} seconds")
        return self._error


class Green:
    """Green threads for tests, in the words of wampy's own seam, whichever library is behind it.

    A run of the tests is for one library, which ``WAMPY_ASYNC_NAME`` names.

    Args:
        backend: The seam.
        inside: Whether what is spawned is the engine's own code, not the user's.
    """

    def __init__(self, backend, inside=False):
        self.backend = backend
        self._call = backend.inside if inside else backend.outside
        #: Whether they are threads of the system, which may run at any time and use one client together.
        self.os_threads = backend.name == "threading"

    @property
    def library(self):
        """The library itself, for what its users do with it: ``library.Timeout``, ``library.sleep``."""
        return importlib.import_module(self.backend.name)

    def spawn(self, function, *args, **kwargs):
        return Running(self.backend, self._call, function, args, kwargs)

    def waiting(self, function, *args, **kwargs):
        """Spawn what waits, and return it when it does; of what is outside only that it has begun is certain."""
        running = self.spawn(function, *args, **kwargs)
        self.wait_until(lambda: running.begun)
        return running

    def sleep(self, seconds=0.0):
        self.backend.sleep(seconds)

    def wait_until(self, condition, seconds=10.0, what=None):
        """Wait until the condition holds; fail when it does not within `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} seconds: {what or condition}")
            self.backend.sleep(0.005)

    def has_sent(self, client, function, *args):
        """Spawn what sends a request, and return it when that is under way and the answer can hardly have come."""
        before = client.request_ids.peek()
        running = self.spawn(function, *args)
        deadline = time.monotonic() + 10.0
        while client.request_ids.peek() == before:
            assert time.monotonic() < deadline, "no request was sent"
            self.backend.sleep(0)
        return running

    def slot(self):
        return self.backend.slot()


@pytest.fixture(scope="session")
def green():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from wampy.backends import get_backend
    return Green(get_backend())


@pytest.fixture
def make_client():
    """Make clients that are stopped when the test is over: ``make_client(Class, url=…, …)``."""
    from wampy import Client

    clients = []

    def make(cls=Client, /, **parameters):
        client = cls(**parameters)
        clients.append(client)
        return client

    yield make
    for client in reversed(clients):
        client.stop()


@pytest.fixture
def join(wampy_router, make_client):
    """Make clients that have joined the shared router: ``join(Class, …)``."""

    def join(*cls, **parameters):
        client = make_client(*cls, **{"url": wampy_router.url} | parameters)
        client.start()
        return client

    return join


@pytest.fixture
def run_python(tmp_path):
    """Run a program of its own with wampy importable; give back the finished process."""
    import subprocess
    import textwrap

    root = Path(__file__).resolve().parent.parent

    def run(code, *args, timeout=60, **environment):
        program = tmp_path / "program.py"
        program.write_text(textwrap.dedent(code))
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, "-W", "ignore", str(program), *map(str, args)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": path, **environment},
        )

    return run


@pytest.fixture
def without_ctrl_c(green):
    """Take out of a program's standard error what the library says there of every Ctrl-C that comes up in its hub."""

    def without_ctrl_c(errors):
        return GEVENT_ON_CTRL_C.sub("", errors) if green.backend.name == "gevent" else errors

    return without_ctrl_c


GEVENT_ON_CTRL_C = re.compile(
    r"(Traceback \(most recent call last\):\n(  .*\n)+)?KeyboardInterrupt\n"
    r"[-0-9T:]+Z(\n| .* failed with KeyboardInterrupt\n\n)"
)

# Leaks.


def _descriptors():
    found = {}
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed them
            found[number] = os.readlink(f"/proc/self/fd/{number}").removesuffix(" (deleted)")
    return found


def _green_threads():
    module = sys.modules.get("greenlet")
    if module is None:
        return {}
    return {
        id(each): each
        for each in gc.get_objects()
        # Not isinstance: there are weak proxies among them, and what they stood for may be gone.
        if issubclass(type(each), module.greenlet) and each and each.parent is not None and not _is_hub(each)
    }


def _is_hub(each):
    """Whether it is a hub, which belongs to an OS thread and stays; maybe one whose thread has ended."""
    gevent = sys.modules.get("gevent.hub")
    if gevent is not None and issubclass(type(each), gevent.Hub):
        return True
    eventlet = sys.modules.get("eventlet.hubs")
    if eventlet is not None and each is eventlet.get_hub().greenlet:
        return True
    frame = each.gr_frame
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "run" and "hubs" in frame.f_code.co_filename


def _os_threads():
    # Those that a backend of OS threads has started. It keeps the one that calls timers for a moment.
    return {each.ident: each for each in threading.enumerate() if each.name.startswith("wampy ")}


def _children():
    # Most tests have none, which the kernel says at once; psutil looks at every process of the machine.
    try:
        if not any(path.read_text() for path in Path("/proc/self/task").glob("*/children")):
            return {}
    except OSError:
        pass  # an OS thread has just ended, or this kernel keeps no such list
    return {process.pid: process for process in psutil.Process().children(recursive=True)}


def _describe_green(each):
    frame = each.gr_frame
    places = []
    while frame is not None and len(places) < 8:
        places.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return f"green thread {' < '.join(places)}"


def _describe_child(process):
    try:
        return f"process {process.pid} {process.cmdline()}"
    except psutil.Error:
        return f"process {process.pid}"


def _left_behind(before):
    descriptors, green_threads, os_threads, children = before
    left = [
        f"descriptor {number} {name}"
        for number, name in _descriptors().items()
        if descriptors.get(number) != name and not any(kind in name for kind in OF_THE_HUB)
    ]
    left += [_describe_green(each) for key, each in _green_threads().items() if key not in green_threads]
    left += [f"thread {each.name}" for key, each in _os_threads().items() if key not in os_threads]
    left += [_describe_child(each) for key, each in _children().items() if key not in children]
    return left


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request):
    """Fail a test after which a thread, green or not, a descriptor or a process is left that was not there before."""
    # Shared routers are started by the first test that needs them, and outlive it.
    for name in SHARED_ROUTERS:
        if name in request.fixturenames:
            request.getfixturevalue(name)
    before = _descriptors(), _green_threads(), _os_threads(), _children()
    yield
    backends = sys.modules.get("wampy.backends")
    sleep = time.sleep if backends is None else backends.get_backend().sleep
    deadline = time.monotonic() + GRACE
    left = _left_behind(before)
    while left and time.monotonic() < deadline:
        gc.collect()
        sleep(0.02)
        left = _left_behind(before)
    assert not left, "\n".join(["left behind:", *left])


@pytest.fixture(scope="session")
def quick_leak_check():
    """Make the leak check quick: it looks at every object, and those of the modules are most of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wampy.backends
        import wampy.peers

        wampy.backends.get_backend()
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


# Routers under other configurations.

CONFIGS = Path(__file__).resolve().parent.parent / "wampy" / "testing" / "configs"


@pytest.fixture(scope="session")
def auth_router(wampy_routers):
    return wampy_routers.get(CONFIGS / "crossbar.auth.json")


@pytest.fixture(scope="session")
def tls_router(wampy_routers):
    return wampy_routers.get(CONFIGS / "crossbar.tls.json")
