"""Watched sockets on eventlet, and the green threads that read them."""

from __future__ import annotations

import os
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import eventlet.hubs
from eventlet.support import greenlets as greenlet

from wampy.backends._eventlet_slots import switch_and_wake
from wampy.interfaces import Socket, Watch

_get_hub = eventlet.hubs.get_hub
_getcurrent = greenlet.getcurrent


class _Readers:
    """The readers of one hub: green threads that call `on_readable`, which may block in what is the user's.

    A parked green thread keeps a stack, so there are not as many of them as watches, but one that goes from watch to
    watch; others only while it blocks. See the table "who runs where" in docs/architecture.
    """

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self.parked: Any = None
        #: Whose turn it is when the one that is parked, or a new one, goes on.
        self.next: EventletWatch | None = None
        self.watches = 0

    @classmethod
    def of(cls, hub: Any) -> _Readers:
        """Return those of a hub."""
        found = _readers.get(hub)
        if found is None:
            found = _readers[hub] = cls(hub)
        return found

    def run(self) -> None:
        """What each of them does."""
        this = _getcurrent()
        while True:
            watch, self.next = self.next, None
            if watch is not None:
                try:
                    watch.reader = this
                    watch.on_readable()
                    if watch.read_listener is None:
                        watch.begin_to_listen()
                except (KeyboardInterrupt, SystemExit):
                    # They are the main program's; the socket needs a reader for the goodbye all the same.
                    watch.start_anew()
                    raise
                except BaseException:
                    # on_readable does not raise; if it ever does (an eventlet.Timeout in a hook), say so and go on. The
                    # hub must not see it: it would drop the descriptor.
                    traceback.print_exc()
                    watch.start_anew()
                finally:
                    watch.reader = None
            if not self.watches or self.parked not in (None, this):
                return
            self.parked = this
            try:
                loop = self._hub.greenlet
                if loop.dead or this.parent is not loop:
                    self._hub.switch()
                else:  # hot: as in `EventletSlot.wait`
                    loop.switch()
            except greenlet.GreenletExit:
                return  # Ctrl-C came when it was to be served, and it was forgotten
            except BaseException as exc:
                # Only what was meant for somebody else comes here, as a timeout that a handler forgot.
                if isinstance(exc, (KeyboardInterrupt, SystemExit)):
                    self.parked = None
                    raise
                traceback.print_exc()

    def let_go(self) -> None:
        """End the one that is parked, if there is nothing left to read; called by the hub."""
        if not self.watches:
            _readers.pop(self._hub, None)
            if self.parked is not None:
                self.parked.switch()


_readers: dict[Any, _Readers] = {}


class EventletWatch(Watch):
    """One socket that a reader is called for."""

    def __init__(self, sock: Socket, on_readable: Callable[[], None]) -> None:
        self._hub = _get_hub()
        self._readers = _Readers.of(self._hub)
        self._fileno = sock.fileno()
        self.on_readable = on_readable
        #: The reader that is at work for it.
        self.reader: Any = None
        self._closed = False
        self._write_listener: Any = None
        self.read_listener: Any = None
        self._readers.watches += 1
        _watches.add(self)
        self._hub.schedule_call_global(0, self.begin_to_listen)

    def begin_to_listen(self) -> None:
        """Have the hub call the reader, if it does not do so already."""
        if self.read_listener is not None or self._closed:
            return
        try:
            self.read_listener = self._listen(self._hub.READ, self._wake)
        except (KeyboardInterrupt, SystemExit):
            self.start_anew()
            raise

    def start_anew(self) -> None:
        """Do so when nobody knows whether it does."""
        if not self._closed:
            self.read_listener = None
            forget(self._hub, self._fileno, self._hub.READ)
            self._hub.schedule_call_global(0, self.begin_to_listen)

    def _listen(self, kind: str, callback: Callable[..., None]) -> Any:
        return self._hub.add(kind, self._fileno, callback, self._gone, lambda: None)

    def _gone(self, _error: Any) -> None:
        # The hub says that the descriptor was closed behind our back.
        self.read_listener = self._write_listener = None
        self.close()

    def _unlisten(self, listener: Any) -> None:
        if listener is not None and not listener.spent:
            with suppress(KeyError):  # the hub may have dropped the descriptor itself
                self._hub.remove(listener)

    def _wake(self, _fileno: int | None = None) -> None:
        # Called by the hub. A listener that was removed in the same batch is still called once, hence the
        # first line. The third: an overridden handle_* may block the reader on something of its own, and a
        # listener that stays would spin until it comes back, which listens anew.
        if self._closed:
            return
        if self.reader is not None:
            listener, self.read_listener = self.read_listener, None
            self._unlisten(listener)
            return
        readers = self._readers
        reader, readers.parked = readers.parked, None
        if reader is None:
            reader = greenlet.greenlet(readers.run, self._hub.greenlet)
        readers.next = self
        switch_and_wake(self._hub, reader)

    def want_write(self, callback: Callable[[], None] | None) -> None:
        listener, self._write_listener = self._write_listener, None
        self._unlisten(listener)
        if callback is not None and not self._closed:
            self._write_listener = self._listen(self._hub.WRITE, lambda _fileno: callback())

    def poke(self) -> None:
        self._hub.schedule_call_global(0, self._wake)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            for listener in (self.read_listener, self._write_listener):
                self._unlisten(listener)
        finally:
            self.read_listener = self._write_listener = None
            try:
                forget(self._hub, self._fileno)
            finally:
                self._readers.watches -= 1
                if not self._readers.watches:
                    self._hub.schedule_call_global(0, self._readers.let_go)

    @property
    def is_reader(self) -> bool:
        return self.reader is not None and _getcurrent() is self.reader

    def disown(self) -> None:
        """In a forked child: leave the socket to the parent."""
        # Not hub.remove: parent and child share what the kernel watches, and the parent would go deaf.
        self.orphaned = self._closed = True
        for kind in (self._hub.READ, self._hub.WRITE):
            self._hub.listeners[kind].pop(self._fileno, None)


def forget(hub: Any, fileno: int, *kinds: str) -> None:
    """Remove what Ctrl-C, between two steps of the hub's own, has left in it of a descriptor that is ours.

    Whoever opens the next socket may get the same number, and would be refused, or woken by strangers.
    """
    for kind in kinds or (hub.READ, hub.WRITE):
        listener = hub.listeners[kind].get(fileno)
        if listener is not None:
            with suppress(KeyError):
                hub.remove(listener)


def _disown_all() -> None:
    for watch in list(_watches):
        watch.disown()


# A forked child inherits the hub with its listeners; without this it would read its parent's messages away.
_watches: weakref.WeakSet[EventletWatch] = weakref.WeakSet()
os.register_at_fork(after_in_child=_disown_all)
