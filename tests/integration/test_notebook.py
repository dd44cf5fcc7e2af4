"""A notebook: a real kernel of IPython, whose main thread runs an asyncio loop, and a client on OS threads in it."""

import importlib.util
import os
import re
import textwrap
import time
from pathlib import Path

import pytest

from wampy.errors import NoSuchProcedure

ROOT = Path(__file__).resolve().parents[2]
HOWTO = ROOT / "docs" / "howto" / "threads.rst"
PATIENCE = 60.0  # seconds

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ipykernel") is None or importlib.util.find_spec("jupyter_client") is None,
    reason="no kernel for notebooks is installed: ipykernel and jupyter-client bring 24 packages, so they are no "
    "part of the extra `test`",
)


class Notebook:
    def __init__(self, manager):
        self.manager = manager
        self._client = None

    def connect(self):
        self.close()
        self._client = self.manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)

    def run(self, cell):
        """Run a cell; return what it has printed, and its value or error."""
        shown = []

        def show(message):
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    shown.append(content["text"])
                case "execute_result":
                    shown.append(content["data"]["text/plain"])
                case "error":
                    shown.append(f"{content['ename']}: {content['evalue']}")

        self._client.execute_interactive(
            textwrap.dedent(cell), timeout=PATIENCE, output_hook=show, allow_stdin=False, store_history=True
        )
        return "".join(shown)

    def begin(self, cell):
        self._client.execute(cell)

    def finish(self):
        self._client.get_shell_msg(timeout=PATIENCE)

    def close(self):
        if self._client is not None:
            self._client.stop_channels()
            self._client = None


@pytest.fixture
def notebook(wampy_router, tmp_path):
    import jupyter_client
    import zmq
    from jupyter_core.utils import ensure_event_loop

    folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    environment = {name: value for name, value in os.environ.items() if name != "WAMPY_ASYNC_NAME"}
    environment |= {name: str(tmp_path / name) for name in folders}
    environment |= {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "WAMPY_URL": wampy_router.url,
    }
    with zmq.Context() as context:
        manager = jupyter_client.KernelManager(
            context=context, connection_file=str(tmp_path / "kernel.json"), transport="ipc", ip=str(tmp_path / "kernel")
        )
        manager.start_kernel(env=environment, cwd=str(tmp_path))
        made = Notebook(manager)
        try:
            made.connect()
            yield made
        finally:
            made.close()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources(restart=False)
            ensure_event_loop().close()  # the one that jupyter_client has made here


@pytest.fixture(scope="module")
def starts():
    """The cell of the page, with a router of its own."""
    text = HOWTO.read_text().partition("each in a cell of its own::\n")[2]
    cell = textwrap.dedent(re.match(r"(?:\n| {4}.*\n)+", text)[0])
    assert cell.count("Lab()") == 1
    return cell.replace("Lab()", "Lab(os.environ['WAMPY_URL'])")


def test_a_client_in_a_notebook(notebook, starts, join, green, tmp_path):
    other = join()
    assert notebook.run("import asyncio, os; asyncio.get_running_loop().is_running()") == "True"
    assert notebook.run(starts) == ""
    # The kernel is idle, and a callee answers.
    assert [other.call("com.example.lab.measure", number) for number in range(20)] == [2 * n for n in range(20)]
    # While a cell blocks, and while one awaits.
    for number, cell in enumerate(("import time; time.sleep(1)", "await asyncio.sleep(1)")):
        notebook.begin(f"open('{number}', 'w').close(); {cell}; open('{number}', 'w').write('over')")
        green.wait_until((tmp_path / f"{number}").exists)
        assert other.call("com.example.lab.measure", 4) == 8
        assert (tmp_path / f"{number}").read_text() == ""
        notebook.finish()
        assert (tmp_path / f"{number}").read_text() == "over"
    # Cells call, in the main thread and in another.
    assert notebook.run("lab.call('com.example.lab.measure', 5)") == "10"
    assert notebook.run("await asyncio.to_thread(lab.call, 'com.example.lab.measure', 6)") == "12"
    # A cell that is run again.
    assert notebook.run("lab.start()").startswith("WampyError: the client is started already; stop() it first")
    assert "ProcedureAlreadyExists" in notebook.run(starts)

    assert notebook.run("lab.stop()") == ""


def test_stop_and_restart(notebook, starts, join, green):
    other = join()
    before = set(other.call("wamp.session.list"))
    threads = "import threading; [each.name for each in threading.enumerate() if each.name.startswith('wampy')]"

    notebook.run("import os")
    assert notebook.run(starts) == ""
    assert "reader" in notebook.run(threads)
    assert notebook.run("lab.stop()") == ""
    with pytest.raises(NoSuchProcedure):
        other.call("com.example.lab.measure", 1)
    notebook.run("import time; time.sleep(0.5)")  # the thread of the timers stays for a moment
    assert notebook.run(threads) == "[]"
    assert notebook.run("lab.start()") == ""
    assert other.call("com.example.lab.measure", 1) == 2

    # The kernel is restarted with the client in it: it is asked first, and ends.
    asked = time.monotonic()
    notebook.manager.restart_kernel(now=False)
    notebook.connect()
    assert time.monotonic() - asked < 20
    green.wait_until(lambda: set(other.call("wamp.session.list")) <= before)
    assert notebook.run("'lab' in globals()") == "False"
    notebook.run("import os")
    assert notebook.run(starts) == ""
    assert other.call("com.example.lab.measure", 2) == 4
