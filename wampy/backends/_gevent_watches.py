"""Watched sockets on gevent, and the green threads that read them."""

from __future__ import annotations

import os
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import gevent
import greenlet

from wampy.interfaces import Socket, Watch

_get_hub = gevent.get_hub
_getcurrent = greenlet.getcurrent

# What the loop calls "can be read" and "can be written to".
LOOP_READ, LOOP_WRITE = 1, 2


class GeventWatch(Watch):
    """One socket, one parked reader. See the table "who runs where" in docs/architecture."""

    def __init__(self, sock: Socket, on_readable: Callable[[], None]) -> None:
        self._hub = _get_hub()
        self._loop = self._hub.loop
        self._fileno = sock.fileno()
        self._on_readable = on_readable
        self._on_writable: Callable[[], None] | None = None
        self._parked = False
        self._closed = False
        self._read_watcher = self._loop.io(self._fileno, LOOP_READ)
        self._write_watcher: Any = None
        _watches.add(self)
        self._start_reader()

    def _start_reader(self) -> None:
        self._reader = greenlet.greenlet(self._run, self._hub)
        self._loop.run_callback(self._reader.switch)

    def _run(self) -> None:
        try:
            while not self._closed:
                if not self._read_watcher.active or self._on_writable is not None:
                    self._keep_watching()
                self._parked = True
                self._hub.switch()
                self._parked = False
                if not self._closed:
                    self._on_readable()
        except (KeyboardInterrupt, SystemExit):
            # They are the main program's; the socket needs a reader for the goodbye all the same.
            self._restart()
            raise
        except BaseException:
            # on_readable does not raise; if it ever does (a gevent.Timeout in a hook), say so and go on.
            traceback.print_exc()
            self._restart()

    def _keep_watching(self) -> None:
        # The writing too: a second Ctrl-C, while gevent still reports the first one, may have stopped either.
        if not self._read_watcher.active:
            self._read_watcher.start(self._loop.run_callback, self._wake)
        if self._on_writable is not None and not self._write_watcher.active:
            self._write_watcher.start(self._loop.run_callback, self._writable)

    def _restart(self) -> None:
        self._parked = False
        if not self._closed:
            self._start_reader()

    def _wake(self) -> None:
        # Queued by the loop, hence the first line. The third: an overridden handle_* may block the reader on
        # something of its own, and a watcher that stays would spin until it comes back, which starts it anew.
        if self._closed:
            return
        if not self._parked:
            self._read_watcher.stop()
            return
        self._reader.switch()

    def want_write(self, callback: Callable[[], None] | None) -> None:
        if self._closed:
            return
        self._on_writable = callback
        if callback is None:
            if self._write_watcher is not None:
                self._write_watcher.stop()
            return
        if self._write_watcher is None:
            self._write_watcher = self._loop.io(self._fileno, LOOP_WRITE)
        if not self._write_watcher.active:
            self._write_watcher.start(self._loop.run_callback, self._writable)

    def _writable(self) -> None:
        if self._on_writable is not None:
            self._on_writable()

    def poke(self) -> None:
        self._loop.run_callback(self._wake)

    def close(self) -> None:
        if self._closed:
            return
        self._close_watchers()
        if self._parked:
            self._loop.run_callback(self._let_go)

    def _close_watchers(self) -> None:
        self._closed = True
        self._on_writable = None
        self._read_watcher.close()
        if self._write_watcher is not None:
            self._write_watcher.close()

    def _let_go(self) -> None:
        if self._parked:
            self._reader.switch()  # it sees that it is closed, and ends

    @property
    def is_reader(self) -> bool:
        return _getcurrent() is self._reader

    def disown(self) -> None:
        """In a forked child: leave the socket to the parent."""
        self.orphaned = True
        if not self._closed and self._hub.loop is not None:
            # First a new view of the kernel's: the one that was inherited is the parent's too, who would go deaf.
            self._loop.reinit()
            self._close_watchers()


def _disown_all() -> None:
    for watch in list(_watches):
        watch.disown()


# A forked child inherits the hub with its watchers; without this it would read its parent's messages away.
_watches: weakref.WeakSet[GeventWatch] = weakref.WeakSet()
os.register_at_fork(after_in_child=_disown_all)
