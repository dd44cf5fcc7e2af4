"""The seams, as abstract classes: what a transport, a backend, a serializer and an authenticator must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

READ: Literal["read"] = "read"
WRITE: Literal["write"] = "write"
Direction = Literal["read", "write"]
Addresses = Sequence[tuple[Any, ...]]

#: One whole incoming message, as the serializer's `loads` takes it: text frames arrive decoded.
Payload = bytes | bytearray | str


class Socket(Protocol):
    """The part of a non-blocking socket that a transport uses."""

    def fileno(self) -> int: ...
    def connect_ex(self, address: Any, /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: Any, flags: int = 0, /) -> int: ...
    def shutdown(self, how: int, /) -> None: ...
    def setblocking(self, flag: bool, /) -> None: ...
    def setsockopt(self, level: int, name: int, value: int, /) -> None: ...
    def getsockopt(self, level: int, name: int, /) -> int: ...
    def close(self) -> None: ...


class Serializer(ABC):
    """Turn a message's list into bytes and back.

    A session sends with `prepare` and then `encode`. Only a serializer that runs other people's code, such as hooks,
    needs to tell the two apart; `dumps` and `loads` are enough for all others, and must not block.

    Attributes:
        name: What the user calls it, ``"json"``.
        subprotocol: Its WebSocket subprotocol, ``"wamp.2.json"``.
        binary: Whether its payloads travel in binary frames.
        batched: Whether one payload may hold several messages, for `split` to take apart.
        rawsocket_id: Its number in RawSocket's handshake, from 1 to 15; ``None`` when RawSocket has none for it.
        leaves_plain_alone: Whether `prepare` returns a message as it is, and so need not be asked, when there are only
            ``None``, flags, numbers, texts and binaries in its options and payload, one level deep.
    """

    name: str
    subprotocol: str
    binary: bool
    batched: bool = False
    rawsocket_id: int | None = None
    leaves_plain_alone: bool = False

    @abstractmethod
    def dumps(self, message: list[Any]) -> bytes:
        """Serialize one message, or raise `SerializationError`."""

    @abstractmethod
    def loads(self, payload: Payload) -> list[Any]:
        """Read one message, or raise `SerializationError`."""

    def prepare(self, message: list[Any]) -> list[Any]:
        """Do the part of `dumps` that runs other people's code, which may block; the request id is not known yet.

        Args:
            message: The wire list, which is not changed.

        Returns:
            What `encode` takes.

        Raises:
            SerializationError: A value cannot travel.
        """
        return message

    def encode(self, message: list[Any]) -> bytes:
        """Do the rest of `dumps`, which neither blocks nor sends.

        Args:
            message: What `prepare` gave, with its request id.

        Raises:
            SerializationError: A value cannot travel.
        """
        return self.dumps(message)

    def split(self, payload: Payload) -> list[Payload]:
        """Take a payload apart into what `loads` reads; only asked when it is ``batched``.

        Raises:
            SerializationError: It is no batch.
        """
        return [payload]


class Authenticator(ABC):
    """Answer a router's CHALLENGE (WAMP, "Authentication").

    Attributes:
        method: The WAMP name of the method, ``"ticket"``.
        authid: Who we say we are; ``None`` lets the router choose.
    """

    method: str
    authid: str | None = None

    def hello_details(self) -> dict[str, Any]:
        """Return what HELLO.Details needs beside ``authmethods``."""
        return {} if self.authid is None else {"authid": self.authid}

    @abstractmethod
    def sign(self, method: str, extra: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Answer a challenge.

        Args:
            method: The method that the router chose.
            extra: The CHALLENGE's extra dictionary.

        Returns:
            Signature and extra of the AUTHENTICATE message.
        """

    def verify_welcome(self, details: Mapping[str, Any]) -> None:  # noqa: B027 - most methods prove nothing back
        """Raise when WELCOME does not prove what the method demands of the router."""


class Slot(ABC):
    """A one-shot value that green threads can wait for."""

    __slots__ = ()

    @abstractmethod
    def set(self, value: Any = None) -> bool:
        """Fill the slot and queue its waiters' wake-up; say whether it was still empty. Never switches."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> bool:
        """Block until the slot is filled; say whether it was before `timeout` seconds were over."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether it is filled."""

    @property
    @abstractmethod
    def value(self) -> Any:
        """What it was filled with."""


class Bench(ABC):
    """Green threads that have nothing to do, and are called to work one after another for as long as there is some."""

    __slots__ = ()

    @abstractmethod
    def wait(self) -> None:
        """Block until there is work, most likely; another may have taken it."""

    @abstractmethod
    def call(self) -> None:
        """Wake one soon, and others when that one blocks and there still is work. Never switches.

        The last may be left to whoever is woken: to `call` again when there is more than it does itself.
        """


class Task(ABC):
    """A running green thread."""

    @abstractmethod
    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end; say whether it came before `timeout` seconds were over."""

    @abstractmethod
    def throw(self, error: BaseException, still: Callable[[], bool] | None = None) -> None:
        """Raise `error` inside it at its next chance, if `still` says so then, without waiting for that."""

    @property
    @abstractmethod
    def is_current(self) -> bool:
        """Whether the caller is this task."""


class Timer(Protocol):
    """Something that will be called later."""

    def cancel(self) -> None:
        """Call it off; once it has run this does nothing."""


class Watch(ABC):
    """A socket with a parked green thread, the reader, that is switched to when there is something to read.

    Attributes:
        orphaned: Whether this is a forked child's copy; the socket is the parent's.
    """

    orphaned = False

    @abstractmethod
    def want_write(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` each time the socket can be written to; ``None`` ends that."""

    @abstractmethod
    def poke(self) -> None:
        """Give the reader a turn soon, readable or not."""

    @abstractmethod
    def close(self) -> None:
        """Stop watching and end the reader. The socket is closed after this, not before."""

    @property
    @abstractmethod
    def is_reader(self) -> bool:
        """Whether the caller runs in the reader."""


class Backend(ABC):
    """The verbs that everything above needs of a green-thread library. It has no state."""

    name: str
    #: What `Task.throw` uses to kill, and what a worker lets through.
    kill_error: type[BaseException]
    #: Whether nothing else runs between two waits by the library's own nature, so that `inside` has nothing to do.
    switches_only_in_waits = True
    #: Whether `monkey_patch` has something to do.
    patches = True
    #: How to run a function that blocks beside the green threads, in the library's words; for texts.
    elsewhere = ""

    @abstractmethod
    def spawn(self, function: Callable[..., Any], *args: Any) -> Task:
        """Start a green thread; it runs after the caller has blocked."""

    @abstractmethod
    def slot(self) -> Slot:
        """Make an empty one-shot slot."""

    @abstractmethod
    def bench(self, wanted: Callable[[], bool]) -> Bench:
        """Make an empty bench; `wanted` says whether there is work, and neither blocks nor raises."""

    @abstractmethod
    def call_later(self, seconds: float, function: Callable[..., Any], *args: Any) -> Timer:
        """Call a function that does not block, `seconds` from now."""

    @abstractmethod
    def sleep(self, seconds: float = 0.0) -> None:
        """Block the calling green thread only."""

    @abstractmethod
    def monotonic(self) -> float:
        """The clock that deadlines are measured by, in seconds."""

    @abstractmethod
    def resolve(self, host: str, port: int, family: int, deadline: float | None, turn: Slot | None = None) -> Addresses:
        """Look a stream address up as ``socket.getaddrinfo`` does; whoever fills `turn` ends it, without addresses."""

    @abstractmethod
    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        """Make a plain non-blocking socket, also in a patched program."""

    @abstractmethod
    def wait(self, sock: Socket, direction: Direction, deadline: float | None) -> bool:
        """Block until the socket is ready; say whether it was before the deadline. For handshakes only."""

    @abstractmethod
    def watch(self, sock: Socket, on_readable: Callable[[], None]) -> Watch:
        """Park a reader on a socket; `on_readable` neither blocks nor raises."""

    @abstractmethod
    def on_signals(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call a function soon after a signal with a handler in Python, also while everybody waits; give what ends it.

        The handler is whatever ``signal.signal`` was given; it has run before. It interrupts any code and must
        not touch green threads, so that a signal would change nothing until the next event without this. The
        signals of a forked child are heard here too: let the handler note that it has run.

        Args:
            callback: Called with the signal's number, once for each, where it may neither block nor raise.

        Raises:
            ValueError: The caller is not in the process's main OS thread, the only one that hears of signals.
        """

    def inside(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of wampy's own, uninterrupted but where it waits; whatever thread the caller is in."""
        return function(*args, **kwargs)

    def outside(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the user's from within wampy, and let others go on meanwhile where that is possible."""
        return function(*args, **kwargs)

    @abstractmethod
    def mutex(self) -> AbstractContextManager[Any]:
        """What guards the section of a send that neither waits nor switches."""

    @abstractmethod
    def home(self) -> Any:
        """Note where the caller runs (process, OS thread), for `check_caller`."""

    @abstractmethod
    def check_caller(self, home: Any) -> None:
        """Raise `WampyError` in a forked child, a foreign OS thread, or where nothing may block."""

    @abstractmethod
    def monkey_patch(self) -> None:
        """Patch the standard library; only ever because the user says so."""


class Transport(ABC):
    """A socket, its framing, and all outgoing bytes.

    Attributes:
        serializer: What the router chose, after `connect`.
        url: The router's address, a `wampy.urls.RouterUrl`, if it has one.
    """

    serializer: Serializer
    url: Any = None

    @abstractmethod
    def connect(self, deadline: float | None) -> None:
        """Connect and shake hands, or raise; leaves nothing open when it raises."""

    @abstractmethod
    def start(self, on_payloads: Callable[[list[Payload]], None], on_lost: Callable[[Exception], None]) -> None:
        """Begin to push payloads. `on_lost` is called exactly once, and nothing after it."""

    @property
    def has_room(self) -> bool:
        """Whether it is open, a sender need not wait for room, and nobody is in the reader.

        A sender has no more to ask then, neither `wait_for_room` nor `in_reader`.
        """
        return False  # which is never wrong

    @abstractmethod
    def wait_for_room(self, deadline: float | None) -> bool:
        """Block until more may be sent; say whether it was before the deadline."""

    @abstractmethod
    def send(self, payload: bytes) -> None:
        """Queue one payload whole and write what can be written now. Never blocks.

        Raises:
            ConnectionClosed: The transport is closing or gone.
        """

    @abstractmethod
    def close(self, timeout: float | None) -> None:
        """Begin the close handshake and return; `on_lost` follows within `timeout` seconds."""

    @abstractmethod
    def poke(self) -> None:
        """Look at the socket once more, soon."""

    @property
    def orphaned(self) -> bool:
        """Whether this is a forked child's copy; the socket is the parent's, and not to be touched."""
        return False

    @property
    def is_pinging(self) -> bool:
        """Whether it sends heartbeats of its own."""
        return False

    @property
    def traffic(self) -> tuple[int, int, float | None]:
        """Bytes read, bytes written, and the seconds that the last ping took, if that is known."""
        return 0, 0, None

    @property
    @abstractmethod
    def in_reader(self) -> bool:
        """Whether the caller runs in the green thread that reads this transport."""
