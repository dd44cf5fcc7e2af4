"""Helpers for tests of services and clients."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from wampy.backends import get_backend
from wampy.errors import WampyError
from wampy.message_handler import MessageHandler
from wampy.messages import Message
from wampy.testing._waiting import TIMEOUT, standing_of, wait_until

if TYPE_CHECKING:
    from wampy.peers.clients import Client

__all__ = ["CollectingMessageHandler", "assert_stops_raising", "wait_for_messages"]

T = TypeVar("T")


class CollectingMessageHandler(MessageHandler):
    """Keep a copy of everything that comes in, and handle it as ever.

    ::

        client = Client(message_handler_cls=CollectingMessageHandler)

    Args:
        client: The client that it works for.

    Attributes:
        messages_received: The messages as they came over the wire, as lists, oldest first, WELCOME included.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.messages_received: list[list[Any]] = []

    def handle_message(self, message: Message) -> None:
        """Keep a message and handle it.

        Args:
            message: One that is legal now.
        """
        # A copy, as the payload goes to user code, which may change it.
        self.messages_received.append(copy.deepcopy(message.message))
        super().handle_message(message)


def wait_for_messages(client: Client, number_of_messages: int, timeout: float = TIMEOUT) -> list[list[Any]]:
    """Wait until at least that many messages came in.

    Args:
        client: A client with a `CollectingMessageHandler`.
        number_of_messages: How many, WELCOME included.
        timeout: Seconds to wait at most.

    Returns:
        The handler's ``messages_received``.

    Raises:
        WampyTimeOutError: There are fewer; the text lists them.
        WampyError: The client's handler does not collect messages.
    """
    handler = client.message_handler
    if not hasattr(handler, "messages_received"):
        raise WampyError(
            f"{client.name} has a {type(handler).__name__}, which collects no messages: "
            "make the client with message_handler_cls=CollectingMessageHandler"
        )
    received: list[list[Any]] = handler.messages_received

    def found() -> str:
        lines = "".join(f"\n    {message!r:.200}" for message in received)
        return f"there are {len(received)}; {standing_of(client)}{lines}"

    what = f"{number_of_messages} messages to {client.name}"
    wait_until(client, lambda: len(received) >= number_of_messages, what, timeout, found)
    return received


def assert_stops_raising(
    fn: Callable[[], T],
    exception_type: type[BaseException] | tuple[type[BaseException], ...] = Exception,
    timeout: float = 5,
    interval: float = 0.1,
) -> T:
    """Call a function again and again until it does not raise; green threads run meanwhile.

    Args:
        fn: What to call, for example a function with an ``assert``.
        exception_type: What it may raise meanwhile; everything else goes through at once.
        timeout: Seconds to try at most.
        interval: Seconds between two calls.

    Returns:
        What the function returned.

    Raises:
        BaseException: The function's last one, when the time is over.
    """
    sleep = get_backend().sleep
    deadline = time.monotonic() + timeout
    while True:
        begun = time.monotonic()
        try:
            return fn()
        except exception_type as error:
            # The last call begins when the time is over, not before.
            if begun >= deadline:
                error.add_note(f"It still raised after {timeout:g} seconds.")
                raise
        sleep(max(0.0, min(interval, deadline - time.monotonic())))
