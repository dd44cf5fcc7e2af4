"""What each process notes, as it happens, in a file of its own: a JSON list a line, ``[seconds, what, ...]``.

Written without a buffer, so that nothing is lost with a process. The seconds are of one clock for all processes, and
count from the beginning of the run.

============================================  =======================================================
``joined``; ``lost``, why; ``left``           a client's session
``ready``                                     begins to play its role
``call``, number, kind                        about to call
``answered``, number, answer
``raised``, number, class, text, of wampy's   the call raised; whether it was one of wampy's errors
``publish``, number, acknowledged             about to publish
``published``, number                         the publication returned; the router has it if acknowledged
``unpublished``, number, class, text, …       it raised
``event``, publisher, number, content         an event came
``threads``, count                            how many threads, green or not, beside the session's workers
``fault``, number, kind, text                 the network or the router begins to fail
``healed``, number                            that is over
============================================  =======================================================
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: What is in the journal of a process that has begun to play its role.
READY = '"ready"'

#: A process' name, the seconds, and the rest of the line.
Record = tuple[str, float, list[Any]]


class Journal:
    """Notes what happens in one process.

    Args:
        folder: The run's folder.
        name: The process' name.
        epoch: What ``time.monotonic()`` said when the run began.
    """

    def __init__(self, folder: Path, name: str, epoch: float) -> None:
        self._epoch = epoch
        self._file = os.open(folder / f"{name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __call__(self, *what: Any) -> None:
        line = json.dumps([round(time.monotonic() - self._epoch, 4), *what])
        os.write(self._file, line.encode() + b"\n")  # one write, so that threads do not mix their lines


class Tail:
    """Reads a journal that is still being written.

    Args:
        path: The file, which may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path = path
        self._place = 0

    def read(self) -> Iterator[Record]:
        """Give what is new, whole lines only."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new.rfind(b"\n") + 1
        self._place += whole
        for line in new[:whole].splitlines():
            seconds, *rest = json.loads(line)
            yield self.name, seconds, rest
