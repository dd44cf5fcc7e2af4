"""Which rows there are, how much work each of them is, and who takes part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TRANSPORTS: Final = {"websocket": "ws://127.0.0.1:{port}/", "rawsocket": "rs://127.0.0.1:{port}"}
SERIALIZERS: Final = ("json", "msgpack")

#: Who may take part: the environment of its processes. Those that are measured by default come first.
PEERS: Final[dict[str, dict[str, str]]] = {
    "wampy": {"WAMPY_ASYNC_NAME": "eventlet"},
    "autobahn": {},
    "sockets": {},
    "wampy-gevent": {"WAMPY_ASYNC_NAME": "gevent"},
    "wampy-threading": {"WAMPY_ASYNC_NAME": "threading"},
    "wampy-orjson": {"WAMPY_ASYNC_NAME": "eventlet"},
}
DEFAULT_PEERS: Final = ("wampy", "autobahn", "sockets")


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: Its name.
        what: What an operation is, in words.
        operations: How many there are in a section.
        warm_up: How many before it, which do not count.
        everywhere: Whether it is measured for each transport and serializer, or only once.
        rounds: How many rounds at most.
        levels: The sizes in a row of the scaling.
        without: Who cannot do it.
        unit: ``us``, ``ms``, ``KiB`` or ``%``.
        figure: Which figure it is about.
    """

    name: str
    what: str
    operations: int
    warm_up: int = 0
    everywhere: bool = True
    rounds: int = 1000
    levels: tuple[int, ...] = (0,)
    without: tuple[str, ...] = ()
    unit: str = "us"
    figure: str = "cpu"


_NO_FLOOR: Final = ("sockets",)

ROWS: Final = {
    row.name: row
    for row in (
        Row("seq", "one call at a time, small echo", 1500, 200),
        Row("conc", "100 calls in flight: begin all, wait for all", 4000, 500),
        Row("green", "100 green threads (tasks) that call", 4000, 500, without=_NO_FLOOR),
        Row("big", "one call at a time, 200 kB echo", 400, 50),
        Row("event", "events received, published in bursts of 100", 6000, 600),
        Row("invocation", "invocations served, 100 in flight", 4000, 500),
        Row("publish", "events published, the last one acknowledged", 6000, 600),
        Row("session", "sessions opened in one process", 500, 5, everywhere=False),
        Row("import", "import of the library", 1, everywhere=False, without=_NO_FLOOR, unit="ms"),
        Row("first_answer", "a fresh process up to its first answer", 1, everywhere=False, unit="ms"),
        Row(
            "idle",
            "a client that does nothing, with heartbeats",
            32,  # seconds: two heartbeats of wampy's
            everywhere=False,
            rounds=2,
            unit="%",
        ),
        Row(
            "scaling_pending",
            "a call, while so many are pending",
            800,
            100,
            everywhere=False,
            rounds=3,
            levels=(1, 10, 100, 1000, 10_000),
            without=_NO_FLOOR,
        ),
        Row(
            "scaling_registrations",
            "an invocation, with so many registrations",
            2000,
            300,
            everywhere=False,
            rounds=3,
            levels=(1, 10, 100, 1000, 5000),
            without=_NO_FLOOR,
        ),
        Row(
            "scaling_clients",
            "a call, by so many clients in turn",
            2000,
            1000,
            everywhere=False,
            rounds=3,
            levels=(1, 10, 100, 1000),
            without=_NO_FLOOR,
        ),
    )
}

#: Lines of the tables that come from a row of another name: what takes a while is measured in one go.
TOGETHER: Final = {"session_cpu": "session", "session_kib": "session", "idle_wakeups": "idle"}
