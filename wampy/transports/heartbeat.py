"""Heartbeats: notice a connection that has died without a word.

A ping goes out every `interval` seconds, whatever else is said. Anything that comes in is a sign of life. When nothing
has come for `timeout` seconds since the ping left, the connection is lost.
"""

from __future__ import annotations

import math
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from wampy.interfaces import Backend, Socket, Timer

if sys.platform == "linux":
    import fcntl
    import termios

# How many probes of the kernel's go out within the timeout, and the most seconds that Linux waits between two.
_PROBES = 3
_LONGEST_PAUSE = 32_767

# How often within the timeout to look how far a ping has come that waits behind other bytes.
_LOOKS = 8

# How many pings may be waited for.
_UNDER_WAY = 16


class Traffic(Protocol):
    """What a heartbeat must know of a connection.

    Attributes:
        reads: How often bytes came in.
        written: How many bytes the kernel has taken.
        unwritten: How many it has not taken yet.
        is_reading: Whether a turn of the reader is under way, which only a handler that blocks can make last.
    """

    @property
    def reads(self) -> int: ...
    @property
    def written(self) -> int: ...
    @property
    def unwritten(self) -> int: ...
    @property
    def is_reading(self) -> bool: ...


class Delivered:
    """The traffic of a connection, without what the kernel has taken and the other end's has not acknowledged.

    A kernel takes megabytes at once, and a slow link needs its time for them; a ping waits behind them all.

    Args:
        traffic: The traffic as the transport sees it.
        sock: The socket.
    """

    def __init__(self, traffic: Traffic, sock: Socket) -> None:
        self._traffic = traffic
        self._socket = sock

    @property
    def reads(self) -> int:
        """How often bytes came in."""
        return self._traffic.reads

    @property
    def written(self) -> int:
        """How many bytes have arrived, as far as this system can tell."""
        return self._traffic.written - self._on_the_way()

    @property
    def unwritten(self) -> int:
        """How many bytes have not arrived."""
        return self._traffic.unwritten + self._on_the_way()

    @property
    def is_reading(self) -> bool:
        """Whether a turn of the reader is under way."""
        return self._traffic.is_reading

    def _on_the_way(self) -> int:
        if sys.platform != "linux":
            return 0
        answer = bytearray(4)
        with suppress(OSError):  # what is broken is for the reader to find out
            fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, answer)
        return int.from_bytes(answer, sys.byteorder)


class RoundTrips:
    """How long pings take to the router and back.

    Attributes:
        last: Seconds that the last one took which has come back; ``None`` before that.

    Args:
        backend: The verbs.
    """

    def __init__(self, backend: Backend) -> None:
        self.last: float | None = None
        self._backend = backend
        self._number = 0
        # Those under way: payload, and when it left. Of a router that answers none, the newest are enough.
        self._under_way: list[tuple[bytes, float]] = []

    def ping(self) -> bytes:
        """Return the payload of a ping that leaves now."""
        self._number += 1
        payload = b"wampy %d" % self._number
        self._under_way.append((payload, self._backend.monotonic()))
        del self._under_way[:-_UNDER_WAY]
        return payload

    def pong(self, payload: bytes) -> None:
        """Take note of a pong; one that answers no ping of ours says nothing."""
        for number, (sent, at) in enumerate(self._under_way, 1):
            if sent == payload:
                self.last = self._backend.monotonic() - at
                del self._under_way[:number]  # those before it need not be answered any more (RFC 6455, section 5.5.3)
                return


class Heartbeat:
    """Pings, and judges the silence after them. Its timers run in the hub and neither block nor log.

    Args:
        backend: The verbs.
        interval: Seconds from one ping to the next.
        timeout: Seconds that a sign of life may take; ``None`` for no limit.
        traffic: What goes over the connection.
        ping: Sends a ping; never blocks.
        look: Looks at the socket once more, soon.
        dead: Called once, when the connection is given up; never blocks.
    """

    def __init__(
        self,
        backend: Backend,
        interval: float,
        timeout: float | None,
        traffic: Traffic,
        ping: Callable[[], None],
        look: Callable[[], None],
        dead: Callable[[], None],
    ) -> None:
        self._backend = backend
        self._interval = interval
        self._timeout = math.inf if timeout is None else timeout
        self._traffic = traffic
        self._ping = ping
        self._look = look
        self._dead = dead
        self._timer: Timer | None = None
        self._stopped = False
        self._pinged_at = 0.0
        # When the last ping left, or the router was last seen to have taken something of what is in front of it.
        self._asked_at = 0.0
        self._reads_then = -1
        # How many bytes must be written for the ping to be under way; None when it is.
        self._leaves_at: int | None = None
        self._written_then = 0
        self._looked = False

    def start(self) -> None:
        """Begin; the first ping goes out after one interval."""
        self._pinged_at = self._backend.monotonic()
        self._schedule(self._interval)

    def stop(self) -> None:
        """End it."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, seconds: float) -> None:
        if not self._stopped:
            self._timer = self._backend.call_later(max(seconds, 0.0), self._due)

    def _due(self) -> None:
        self._timer = None
        now = self._backend.monotonic()
        if self._timeout == math.inf or self._traffic.reads != self._reads_then:
            due = self._pinged_at + self._interval
            if now >= due:
                self._send_ping(now)
                due = now + self._patience
        elif self._is_under_way(now) or now < self._asked_at + self._timeout:
            due = min(self._asked_at + self._timeout, now + self._patience)
        elif not self._looked:
            # Hubs fire timers before they look at sockets: the answer may lie in the kernel.
            self._looked = True
            self._look()
            self._schedule(0.0)
            return
        else:
            self.stop()
            self._dead()
            return
        self._looked = False
        self._schedule(due - now)

    @property
    def _patience(self) -> float:
        """Seconds to the next look; not later than the next ping, before which this one may be answered."""
        return min(self._interval, self._timeout if self._leaves_at is None else self._timeout / _LOOKS)

    def _send_ping(self, now: float) -> None:
        traffic = self._traffic
        is_behind = traffic.unwritten > 0
        self._reads_then = traffic.reads
        self._asked_at = self._pinged_at = now
        self._ping()
        self._written_then = traffic.written
        self._leaves_at = traffic.written + traffic.unwritten if is_behind else None

    def _is_under_way(self, now: float) -> bool:
        """Tell whether the ping still waits behind other bytes, some of which the router has taken meanwhile.

        Nobody can answer a ping that has not arrived; a slow router with a large message before it is not dead. And
        while the reader is kept from reading, its silence is no sign of anything.
        """
        if self._traffic.is_reading:
            self._asked_at = now
            return True
        if self._leaves_at is None:
            return False
        written = self._traffic.written
        if written >= self._leaves_at:
            self._leaves_at = None
        elif written <= self._written_then:
            return False
        self._written_then = written
        self._asked_at = now
        return True


def keep_alive(sock: Socket, interval: float, timeout: float) -> None:
    """Let the kernel probe an idle TCP connection, and give up one on which nothing is acknowledged.

    It notices within `interval` plus `timeout` when the other machine or the way to it is gone, but not when only the
    program at the other end has stopped: its kernel goes on acknowledging.

    Args:
        sock: A TCP socket.
        interval: Seconds of silence before the first probe.
        timeout: Seconds after it.
    """
    settings = [
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _whole(interval, _LONGEST_PAUSE)),
        (socket.IPPROTO_TCP, "TCP_KEEPALIVE", _whole(interval, _LONGEST_PAUSE)),  # what others call it
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", _whole(timeout / _PROBES, _LONGEST_PAUSE)),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", _PROBES),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", _whole((interval + timeout) * 1000, 2**31 - 1)),
    ]
    for level, name, value in settings:
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            with suppress(OSError):
                sock.setsockopt(level, option, value)


def _whole(number: float, most: int) -> int:
    return round(min(max(number, 1), most))
