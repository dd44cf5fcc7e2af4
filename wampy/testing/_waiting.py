"""Wait for what a client has. Imports the standard library only; the package's docstring says why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wampy.peers.clients import Client
    from wampy.session import Session

#: Seconds that every helper waits unless told otherwise.
TIMEOUT: Final = 10.0
# Seconds between two looks.
_INTERVAL: Final = 0.01


def wait_for_session(client: Client, timeout: float = TIMEOUT) -> Session:
    """Wait until a client has joined.

    Args:
        client: The client, for example one that another green thread starts.
        timeout: Seconds to wait at most.

    Returns:
        Its session.

    Raises:
        WampyTimeOutError: It has not joined in time; the text says where it stands.
    """
    what = f"session of {client.name}"
    wait_until(client, lambda: client.session is not None, what, timeout, lambda: standing_of(client))
    return client._session


def wait_for_registrations(client: Client, number_of_registrations: int, timeout: float = TIMEOUT) -> None:
    """Wait until the router has acknowledged at least that many procedures of a client.

    Args:
        client: The client.
        number_of_registrations: How many.
        timeout: Seconds to wait at most.

    Raises:
        WampyTimeOutError: There are fewer; the text names them.
    """

    def there() -> list[str]:
        return [role.procedure for role in client.registration_map.values() if role.active]

    _wait_for_roles(client, number_of_registrations, "registrations", there, timeout)


def wait_for_subscriptions(client: Client, number_of_subscriptions: int, timeout: float = TIMEOUT) -> None:
    """Wait until the router has acknowledged at least that many subscriptions of a client.

    Args:
        client: The client.
        number_of_subscriptions: How many handlers; two that listen to one topic count twice, although the
            router gives them one subscription id.
        timeout: Seconds to wait at most.

    Raises:
        WampyTimeOutError: There are fewer; the text names their topics.
    """

    def there() -> list[str]:
        return [role.topic for sharing in client.subscription_map.values() for role in sharing if role.active]

    _wait_for_roles(client, number_of_subscriptions, "subscriptions", there, timeout)


def _wait_for_roles(
    client: Client, number: int, kind: str, there: Callable[[], list[str]], timeout: float
) -> None:
    def found() -> str:
        names = there()
        listed = f"{len(names)}: {', '.join(sorted(names))}" if names else "none"
        return f"there are {listed}; {standing_of(client)}"

    wait_until(client, lambda: len(there()) >= number, f"{number} {kind} of {client.name}", timeout, found)


def wait_until(
    client: Client, condition: Callable[[], bool], what: str, timeout: float, found: Callable[[], str]
) -> None:
    """Wait until something is so; green threads run meanwhile, patched or not.

    Args:
        client: Whose backend waits.
        condition: Says whether it is so.
        what: What is waited for, for the error.
        timeout: Seconds to wait at most.
        found: Says what is there instead, for the error.

    Raises:
        WampyTimeOutError: It is not so in time.
    """
    sleep = client._session.backend.sleep
    deadline = time.monotonic() + timeout
    # Looked at once more after the last wait: a machine that is busy may have slept through the deadline.
    while not condition():
        if time.monotonic() > deadline:
            from wampy.errors import WampyTimeOutError

            raise WampyTimeOutError(f"{what} ({found()})", timeout)
        sleep(_INTERVAL)


def standing_of(client: Client) -> str:
    """Say in a few words where a client stands.

    Args:
        client: The client.

    Returns:
        For example "the client has joined", or why it has no session.
    """
    if client.session is not None:
        return "the client has joined"
    keeper = client._keeper
    reason = client._session.reason or keeper.last_reason
    if not keeper.running:
        return (
            f"the client is not started{'' if reason is None else f', its last session has ended: {reason}'}"
        )
    return f"the client has not joined yet{'' if reason is None else f', after: {reason}'}"
