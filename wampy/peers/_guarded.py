"""A child process that cannot outlive us, seen from our side. `_guardian` is the other side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from wampy.errors import WampyError
from wampy.peers import _guardian

# Seconds that the process has to end in good order before it is killed, and its guardian beyond that.
GRACE: Final = 5.0
GUARDIAN_GRACE: Final = _guardian.VANISH + 5.0


class GuardedProcess:
    """Run a command that ends when we say so, or when we are gone, in whatever way.

    Making one does nothing but make its temporary folder; `start` runs the command.

    Attributes:
        folder: Its temporary folder, removed when it has ended.
        pid: Its process id, which is that of its process group too; 0 before `start`.
        owner: The process that made it. A forked child has a copy of this object, but not of the process.
    """

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.pid = 0
        self.folder = Path(tempfile.mkdtemp(prefix="wampy-crossbar-"))
        # Kept open: it can be read even when the guardian has removed it.
        self._log = os.open(self.folder / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._guardian: subprocess.Popen[bytes] | None = None
        self._pipe = -1

    def start(self, command: list[str], pid_file: Path, files: list[Path]) -> None:
        """Run a command.

        Args:
            command: The executable's path and its arguments.
            pid_file: Where it notes its process id, removed in the end if it is this one's.
            files: Other files to remove in the end.

        Raises:
            WampyError: It cannot be run.
        """
        job = {
            "command": command,
            "parent": self.owner,
            "grace": GRACE,
            "folder": str(self.folder),
            "files": [str(file) for file in files],
            "pid_file": str(pid_file),
        }
        # Our program's filters for warnings are not meant for Crossbar, which does not start under "error".
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
        theirs, self._pipe = os.pipe()
        answer, report = os.pipe()
        try:
            self._guardian = subprocess.Popen(
                [sys.executable, "-I", "-S", _guardian.__file__, json.dumps(job)],
                stdin=theirs,
                stdout=report,
                stderr=self._log,
                start_new_session=True,
                env=environment,
            )
            os.close(report)  # so that the end of a guardian that says nothing is seen
            report = -1
            outcome = json.loads(os.read(answer, 4096) or b'{"error": "the guardian process did not start"}')
        finally:
            for descriptor in (theirs, answer, report):
                if descriptor >= 0:
                    os.close(descriptor)
        if "error" in outcome:
            raise WampyError(f"{command[0]} cannot be run: {outcome['error']}")
        self.pid = outcome["pid"]

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._guardian is not None and self._guardian.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; ``None`` while it runs."""
        return None if self._guardian is None else self._guardian.poll()

    @property
    def log(self) -> str:
        """What it has printed; empty after `end`."""
        if self._log < 0:
            return ""
        return os.pread(self._log, os.fstat(self._log).st_size, 0).decode(errors="replace")

    def end(self, at_once: bool = False) -> None:
        """End it and everything it started, and remove its files.

        Args:
            at_once: Whether to kill it. Else it is asked, and killed after `GRACE` seconds.
        """
        if self.owner != os.getpid():
            return
        if self._pipe >= 0:
            if at_once:
                with suppress(OSError):  # the guardian has ended already
                    os.write(self._pipe, b"k")
            os.close(self._pipe)
            self._pipe = -1
        if self._guardian is not None:
            self._wait_for(self._guardian)
        # The guardian has done that, unless it was killed or never ran.
        _guardian.clean_up(str(self.folder), [])
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    def _wait_for(self, guardian: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + GRACE + GUARDIAN_GRACE
        while guardian.poll() is None:
            if time.monotonic() > deadline:  # stopped, or out of memory: what it guards must not outlive it
                guardian.kill()
                guardian.wait()
            else:
                time.sleep(_guardian.POLL)
        if guardian.returncode == -signal.SIGKILL and self.pid:
            _guardian.signal_group(self.pid, signal.SIGKILL)
