"""The process between us and Crossbar: it ends Crossbar when we ask for it, and when we die.

It runs as a script, with nothing but the standard library: ``python _guardian.py JOB``, where JOB is a JSON
object of

- ``command``: what to run, a list; its output goes to where ours goes, the log;
- ``parent``: the process id of the one who started us;
- ``grace``: the seconds that Crossbar has to end in good order;
- ``folder``: the temporary folder to remove in the end;
- ``files``: the files to remove in the end, the keys that Crossbar writes into its node folder;
- ``pid_file``: the note of its process id that Crossbar leaves there.

The guardian's standard input is a pipe that only the parent can write to. Crossbar runs as long as the pipe
is open. When it is closed, by ``Crossbar.stop()`` or by the kernel because the parent is gone, in whatever
way, Crossbar is asked to end, and killed if it does not. A byte in the pipe means: kill it now.

The guardian has a session of its own, so that Ctrl-C in a terminal reaches the parent alone, and Crossbar a
process group of its own, so that its workers end with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any, Final

# Seconds: between two looks whether Crossbar or the parent has ended unasked; between two looks at something
# that is ending; for a killed process group to vanish.
GLANCE: Final = 0.25
POLL: Final = 0.01
VANISH: Final = 5.0

# From <sys/prctl.h>.
_PR_SET_CHILD_SUBREAPER: Final = 36


def main(job: dict[str, Any]) -> int:
    """Run Crossbar until it ends, the parent says so, or the parent is gone.

    Args:
        job: What the head of this file describes.

    Returns:
        Crossbar's exit code, or 128 plus the number of the signal that ended it.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    adopt_orphans()
    try:
        child = subprocess.Popen(
            job["command"], stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0
        )
    except OSError as error:
        report(error=str(error))
        clean_up(job["folder"], job["files"])
        return 127
    report(pid=child.pid)
    at_once = watch(child, job["parent"])
    status = end(child, 0.0 if at_once else job["grace"])
    remove_pid_file(job["pid_file"], child.pid)
    clean_up(job["folder"], job["files"])
    return status if status >= 0 else 128 - status


def adopt_orphans() -> None:
    """Become the parent of Crossbar's workers when Crossbar is gone, where the system can do that (Linux)."""
    # Else they are init's to reap, which takes it a second at times, and in many containers nobody does it.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def report(**fields: Any) -> None:
    """Tell the parent how it went, in one line on the standard output."""
    # The parent may be gone already; the closed pipe will say so.
    with suppress(OSError):
        os.write(1, json.dumps(fields).encode() + b"\n")


def has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Tell whether the child has ended, without reaping it: until then nobody else can get its group's id."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def watch(child: subprocess.Popen[bytes], parent: int) -> bool:
    """Wait until the child has ended, the pipe says something or the parent is gone.

    Args:
        child: Crossbar.
        parent: The process id of the one who started us.

    Returns:
        Whether to kill at once.
    """
    while not has_ended(child):
        if select.select([0], [], [], GLANCE)[0]:
            return os.read(0, 1) != b""
        # A fork of the parent may hold the pipe open; Crossbar is not there for it.
        if os.getppid() != parent:
            return False
    return False


def end(child: subprocess.Popen[bytes], grace: float) -> int:
    """End the child and everything in its group.

    Args:
        child: Crossbar.
        grace: The seconds it has to end in good order; 0 kills at once.

    Returns:
        The child's return code as `subprocess` has it.
    """
    group = child.pid
    if grace:
        # To the controller alone, which ends its workers itself. Not child.terminate(), which may reap it.
        os.kill(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while not has_ended(child) and time.monotonic() < deadline:
            time.sleep(POLL)
    signal_group(group, signal.SIGKILL)
    status = child.wait()
    deadline = time.monotonic() + VANISH
    while signal_group(group, 0) and time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(-group, os.WNOHANG)
        time.sleep(POLL)
    return status


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; tell whether anybody is in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says the second of a group of zombies
        return False
    return True


def remove_pid_file(path: str, pid: int) -> None:
    """Remove Crossbar's note of its process id, unless it is another Crossbar's."""
    with suppress(OSError, ValueError, KeyError, TypeError), open(path) as file:
        if json.load(file)["pid"] == pid:
            os.remove(path)


def clean_up(folder: str, files: list[str]) -> None:
    """Remove the temporary folder, and the files that Crossbar left elsewhere."""
    for path in files:
        with suppress(OSError):
            os.remove(path)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
