"""What eventlet's hubs need of us after Ctrl-C. It is handed the hub; eventlet itself is not imported here."""

from __future__ import annotations

from typing import Any

# What eventlet's hub runs as a task of the loop; ``tests/integration/test_asyncio_hub.py`` notices when that changes.
_RUN = "Hub.run.<locals>.async_run"


def revive(hub: Any) -> None:
    """End what Ctrl-C has left of a hub's run, so that the next wait can start it anew.

    It says that it is running, and so would refuse to run again for as long as the process lives. On an asyncio loop,
    an exception that comes up between two steps of its task stops the loop and leaves the task suspended. On the other
    hubs it takes one that comes in the very line in which the run begins, as it may from Python 3.13 on.

    Args:
        hub: Its green thread has ended, and it says that it is running.
    """
    loop = getattr(hub, "loop", None)
    if loop is None:
        hub.running = False
        return
    import asyncio  # that hub has long loaded it; no other needs it

    for task in asyncio.all_tasks(loop):
        run: Any = task.get_coro()
        if getattr(run, "__qualname__", None) == _RUN:
            # Not cancelled only: that would take effect when the next run is under way, and note that it had ended.
            run.close()
            task.cancel()
            task.add_done_callback(_hear)


def _hear(task: Any) -> None:
    """Take what a task ended with, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
