"""A real Crossbar as a child process, for tests, demonstrations and development."""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from wampy.config import CROSSBAR_VARIABLE, settings
from wampy.errors import WampyError
from wampy.peers._configuration import CONFIGS, KEYS, PACKAGED, Configuration, is_taken
from wampy.peers._guarded import GuardedProcess
from wampy.peers._guardian import remove_pid_file
from wampy.peers._probe import why_not_joinable
from wampy.urls import parse_url

__all__ = ["Crossbar", "find_crossbar"]

logger = logging.getLogger(__name__)

# Seconds for one look whether a session can be joined, and between two.
_PROBE: Final = 1.0
_PAUSE: Final = 0.05
# How often to try another free port when somebody was faster, and how much of the log an error shows.
_TRIES: Final = 3
_LOG_LINES: Final = 25

_OPTIONS: Final = ("--color", "false", "--logformat", "standard", "--loglevel", "info")


class _PortTakenError(WampyError):
    """Say that somebody else was faster at the port that Crossbar was to listen at."""


def find_crossbar() -> str:
    """Find Crossbar's executable.

    Returns:
        What ``WAMPY_CROSSBAR`` names, else ``crossbar`` beside the running Python, else on ``PATH``.

    Raises:
        WampyError: There is none, or ``WAMPY_CROSSBAR`` names something that cannot be run.
    """
    named = settings().crossbar
    if named is not None:
        found = shutil.which(os.path.expanduser(named))
        if found is None:
            raise WampyError(f"{CROSSBAR_VARIABLE} is set to {named!r}, which is no executable file")
        return os.path.abspath(found)
    found = shutil.which("crossbar", path=os.path.dirname(sys.executable)) or shutil.which("crossbar")
    if found is None:
        raise WampyError(
            "Crossbar is not installed: pip install 'wampy[testing]', or, to keep it in an environment of "
            f"its own, set {CROSSBAR_VARIABLE} to the path of its 'crossbar' command"
        )
    return os.path.abspath(found)


class Crossbar:
    """Run a real Crossbar as a child process.

    ``Crossbar()`` alone takes the configuration that comes with wampy: one realm, "realm1", in which
    everybody may do everything, on a free port, in a temporary folder. With `config_path` the configuration
    is yours and stays as it is; only a TCP port of 0, which Crossbar itself refuses, is replaced by a free
    one. A router that is started again comes back on the port that it had.

    The process ends with `stop`, at the end of the program, and also when the program is killed: a small
    guardian process sees to that. Waiting is done with ``time.sleep``, so other green threads run meanwhile
    only if the program is patched.

    Args:
        url: The router's URL, of any scheme that `Client` knows; a session must be joinable there. Without it, it
            is derived from the configuration's first WebSocket transport with a TCP port.
        config_path: A Crossbar configuration, JSON.
        crossbar_directory: Crossbar's node folder, to which paths in the configuration are relative. Without
            it, it is the folder of your configuration, and a temporary one for those that come with wampy.
        start_timeout: Seconds until a session must be joinable.

    Attributes:
        config_path: The configuration's absolute path.
        crossbar_directory: The node folder's absolute path; ``None`` for a temporary one.
        start_timeout: As given.
    """

    def __init__(
        self,
        url: str | None = None,
        config_path: str | os.PathLike[str] | None = None,
        crossbar_directory: str | os.PathLike[str] | None = None,
        *,
        start_timeout: float = 60.0,
    ) -> None:
        self.config_path = Path(PACKAGED if config_path is None else os.path.abspath(config_path))
        self.crossbar_directory: Path | None = None
        if crossbar_directory is not None:
            self.crossbar_directory = Path(os.path.abspath(crossbar_directory))
        elif self.config_path.parent != CONFIGS:
            self.crossbar_directory = self.config_path.parent
        self.start_timeout = start_timeout
        self._given_url = url
        self._configuration: Configuration | None = None
        self._process: GuardedProcess | None = None

    @property
    def url(self) -> str:
        """The URL for clients, for example ``ws://127.0.0.1:43210/``.

        Raises:
            WampyError: It will only be known after `start`, or the configuration says nothing of it.
        """
        if self._given_url is not None:
            return self._given_url
        configuration = self._read()
        if configuration.needs_port:
            raise WampyError("this Crossbar takes a free port when it starts: ask for its url after start()")
        return configuration.url()

    @property
    def port(self) -> int:
        """The port in `url`.

        Raises:
            WampyError: It has none, as it is that of a Unix socket, or it will only be known after `start`.
        """
        port = parse_url(self.url).port
        if not port:
            raise WampyError(f"{self.url} is the URL of a Unix socket, which has no port")
        return port

    @property
    def realm(self) -> str:
        """The name of the configuration's first realm."""
        return self._read().realm

    @property
    def pid(self) -> int | None:
        """Crossbar's process id, its process group's too; ``None`` while it does not run."""
        return self._process.pid if self._process is not None and self._process.is_running else None

    @property
    def log(self) -> str:
        """What Crossbar has printed since its start; empty when it was stopped."""
        return "" if self._process is None else self._process.log

    def start(self) -> Self:
        """Start Crossbar and wait until a session can be joined.

        Returns:
            The router itself.

        Raises:
            WampyError: It runs already, is not installed, or does not start, in which case the text has the
                end of its log. Nothing is left running, and no file.
        """
        if self.pid is not None:
            raise WampyError(f"this Crossbar was started already and runs at {self.url} (process {self.pid})")
        self.stop()  # what is left of one that ended by itself
        self._check_url()
        executable = find_crossbar()
        for attempt in range(1, _TRIES + 1):
            found_ports = self._choose_ports()
            try:
                self._run(executable)
                break
            except BaseException as error:
                self.stop()
                if not (found_ports and isinstance(error, _PortTakenError) and attempt < _TRIES):
                    raise
                self._configuration = None
        logger.info("Crossbar runs at %s (process %s)", self.url, self.pid)
        return self

    def stop(self) -> None:
        """Ask Crossbar to end, kill it when it does not within 5 seconds, and remove its files.

        It may be called at any time, any number of times.
        """
        self._end(at_once=False)

    def kill(self) -> None:
        """Kill Crossbar and its workers with SIGKILL, which is what a crash looks like to its clients."""
        self._end(at_once=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "not running" if self.pid is None else f"process {self.pid}"
        return f"<Crossbar {self.config_path}, {state}>"

    def _read(self) -> Configuration:
        # Not in the constructor, which does no I/O.
        if self._configuration is None:
            self._configuration = Configuration(self.config_path)
        return self._configuration

    def _check_url(self) -> None:
        """Refuse a URL at which the configuration that comes with wampy does not listen."""
        if self._given_url is None or self.config_path != PACKAGED:
            return
        address = parse_url(self._given_url)
        if address.secure or address.socket_path is not None:
            raise WampyError(
                f"Crossbar cannot start at {address.redacted}: the configuration that comes with wampy listens on TCP "
                "without TLS; give config_path=<a Crossbar configuration that has this transport>"
            )

    def _choose_ports(self) -> bool:
        """Give the configuration the ports that it leaves open; tell whether a free one was looked for."""
        configuration = self._read()
        looked = configuration.fill_ports(self._given_url)
        # Whoever listens there already would let us join, and be taken for ours; a Unix socket would even be taken
        # away from its owner.
        for place in configuration.places(self.crossbar_directory or self.config_path.parent):
            if is_taken(place):
                where = place if isinstance(place, str) else f"port {place[1]} of {place[0]}"
                raise WampyError(f"Crossbar cannot start: somebody listens at {where} already")
        return looked

    def _run(self, executable: str) -> None:
        process = self._process = GuardedProcess()
        # A program that ends in good order has its router gone before it ends, not a moment after.
        atexit.register(self.stop)
        directory = self.crossbar_directory
        if directory is None:
            directory = process.folder / "node"
            directory.mkdir()
            (directory / "keys").symlink_to(KEYS)
        elif not directory.is_dir():
            raise WampyError(f"Crossbar's node folder {directory} does not exist")
        config = self.config_path
        if self._read().has_filled_ports:
            config = process.folder / "config.json"
            config.write_text(json.dumps(self._read().content, indent=4), encoding="utf-8")
        pid_file = directory / "node.pid"
        keys = [file for file in (directory / "key.priv", directory / "key.pub") if not file.exists()]
        command = [executable, "start", "--cbdir", str(directory), "--config", str(config), *_OPTIONS]
        process.start(command, pid_file, keys)
        self._wait_until_joinable(process)
        # It would keep a second Crossbar, with another configuration, from running in this node folder.
        remove_pid_file(str(pid_file), process.pid)

    def _wait_until_joinable(self, process: GuardedProcess) -> None:
        url, realm = self.url, self.realm
        deadline = time.monotonic() + self.start_timeout
        while process.is_running:
            obstacle = why_not_joinable(url, realm, _PROBE)
            if obstacle is None and process.is_running:
                return
            if time.monotonic() > deadline:
                raise WampyError(
                    f"Crossbar did not start: after {self.start_timeout:g} seconds no session can be joined "
                    f"at {url} in realm {realm!r} ({obstacle}). {_end_of(process.log)}"
                )
            time.sleep(_PAUSE)
        error = _PortTakenError if "cannot_listen" in process.log else WampyError
        raise error(
            f"Crossbar did not start: it ended with exit code {process.exit_code}. {_end_of(process.log)}"
        )

    def _end(self, at_once: bool) -> None:
        # A forked child has a copy of this object, but the router is its parent's.
        if self._process is None or self._process.owner != os.getpid():
            return
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        process.end(at_once)


def _end_of(log: str) -> str:
    lines = log.rstrip().splitlines()[-_LOG_LINES:]
    return "\n".join(["The end of its log:", *(f"    {line}" for line in lines)])
