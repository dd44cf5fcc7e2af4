"""What backends of green threads have in common, whichever library they speak for.

It is handed the real things, because in a patched program the standard modules' own are green.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from wampy.errors import WampyError
from wampy.interfaces import Addresses, Backend, Slot, Socket


def look_up(
    backend: Backend,
    place: tuple[str, int, int],
    deadline: float | None,
    turn: Slot | None,
    *,
    ask: Callable[..., Addresses],
    make_pair: Callable[[], tuple[Socket, Socket]],
    start_thread: Callable[[Callable[[], None]], Any],
) -> Addresses:
    """Look a name up by the system's resolver, on an OS thread of its own.

    The libraries' green resolvers ignore part of the system's name resolution, and the plain call would stop every
    green thread for as long as a name server takes.

    Args:
        backend: The verbs.
        place: Host, port and family, as for ``getaddrinfo``. An address, which is no name, needs no thread.
        deadline: When to give up.
        turn: What to wait at; whoever else fills it ends the look-up.
        ask: The real ``getaddrinfo``.
        make_pair: The real ``socketpair``.
        start_thread: Runs a function on an OS thread.

    Raises:
        TimeoutError: The deadline has come.
        OSError: The name cannot be looked up.
    """
    host, port, family = place
    kind = socket.SOCK_STREAM
    try:
        return ask(host, port, family, kind, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # a name: ask the system
    except UnicodeError as exc:
        raise socket.gaierror(socket.EAI_NONAME, f"not a host name ({exc})") from exc
    turn = turn or backend.slot()
    ours, theirs = make_pair()
    outcome: list[Any] = []

    def look() -> None:
        try:
            outcome.append(ask(host, port, family, kind))
        except Exception as exc:  # the waiter raises it
            outcome.append(exc)
        finally:
            theirs.close()  # there is the end of the stream to read then

    def ended() -> None:
        turn.set()

    try:
        try:
            start_thread(look)
        except BaseException:
            theirs.close()
            raise
        watch = backend.watch(ours, ended)
        try:
            in_time = turn.wait(None if deadline is None else deadline - backend.monotonic())
        finally:
            watch.close()
    finally:
        ours.close()
    if not in_time:
        raise TimeoutError(f"looking up {host!r} took too long")
    found = outcome[0] if outcome else ()
    if isinstance(found, Exception):
        raise found
    addresses: Addresses = found
    return addresses


def hear_signals(
    pair: tuple[Socket, Socket],
    callback: Callable[[int], None],
    listen: Callable[[Socket, Callable[[], None]], Callable[[], None]],
) -> Callable[[], None]:
    """Call a function in the hub for each signal that has come.

    Args:
        pair: Two connected sockets, which are closed at the end.
        callback: Called with the signal's number.
        listen: Has the hub call a function when a socket can be read, and returns what ends that.

    Returns:
        What ends it all.

    Raises:
        ValueError: The caller is not in the main OS thread.
    """
    # Python writes each signal's number into one end as it comes, which wakes a hub that polls the other.
    ours, theirs = pair
    ours.setblocking(False)
    theirs.setblocking(False)
    try:
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    except ValueError:
        ours.close()
        theirs.close()
        raise

    def arrived() -> None:
        try:
            signums = ours.recv(4096)
        except OSError:
            return  # ended in this very batch
        for signum in signums:
            callback(signum)

    unlisten = listen(ours, arrived)

    def restore() -> None:
        signal.set_wakeup_fd(before)
        unlisten()
        ours.close()
        theirs.close()

    return restore


def this_home(local: Any) -> tuple[int, object]:
    """Return the process, and what stands for the calling OS thread: the system gives an identifier out again.

    It is the same object each time, until the process forks, so that whoever sends looks it up at little cost.

    Args:
        local: The real ``threading.local()``, one a backend.
    """
    try:
        home: tuple[int, object] = local.home
    except AttributeError:
        home = local.home = os.getpid(), object()
    return home


def leave_home(local: Any) -> None:
    """Forget that; in a forked child, whose only thread is the one that forked."""
    local.__dict__.pop("home", None)


def check_home(home: tuple[int, object], here: tuple[int, object], library: str) -> None:
    """Raise when a client's home, its process and OS thread, is not where the caller is."""
    if home == here:
        return
    if home[0] != here[0]:
        raise WampyError("this client was started before os.fork(); a forked child must start a client of its own")
    raise WampyError(
        f"this client belongs to another OS thread, and {library}'s green threads cannot wait across OS threads. "
        'wampy.configure_backend("threading") before the first client is made, or WAMPY_ASYNC_NAME=threading, lets '
        "all threads share one; else start one in each thread"
    )


def in_the_hub(library: str) -> WampyError:
    """Make the error of what would wait where nothing may."""
    return WampyError(
        f"a blocking request was made inside {library}'s hub (a timer's callback), where nothing may block; make it "
        f"in a green thread: {library}.spawn(…)"
    )
