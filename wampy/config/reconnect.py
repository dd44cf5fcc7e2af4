"""When and how often a lost session is followed by another one."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from wampy.config.transport import check_seconds
from wampy.constants import CANNOT_AUTHENTICATE
from wampy.errors import (
    AbortError,
    ConnectionError,
    InvalidArgument,
    InvalidUri,
    NotAuthorized,
    OptionNotAllowed,
    RemoteError,
    WampProtocolError,
    WampyError,
    WampyTimeOutError,
)

# Reasons of ABORT that come again for as long as the client and the router are configured as they are.
INCURABLE: Final = frozenset({
    "wamp.error.no_such_realm",
    "wamp.error.no_such_role",
    "wamp.error.no_such_principal",
    "wamp.error.not_authorized",
    "wamp.error.no_auth_method",
    "wamp.error.no_matching_auth_method",
    "wamp.error.authentication_denied",
    "wamp.error.authentication_failed",
    CANNOT_AUTHENTICATE,
})
_REFUSED: Final = (NotAuthorized, InvalidUri, InvalidArgument, OptionNotAllowed)


@dataclass(frozen=True)
class Reconnect:
    """How a client comes back after it has lost its session: ``Client(reconnect=Reconnect(longest_delay=60.0))``.

    Before each attempt the client waits: `first_delay` the first time, `growth` times as long each time after, never
    longer than `longest_delay`, and less a random part, so that the many clients of a router that is back do not all
    come at once. A session that has lasted for `longest_delay` begins all that anew.

    Args:
        first_delay: Seconds before the first attempt.
        longest_delay: Seconds before any attempt, at most.
        growth: The factor from one delay to the next, 1 or more.
        jitter: How much of a delay chance may take away, from 0 for nothing to 1 for all of it.
        attempts: How many attempts in a row may fail before the client gives up; ``None`` for no limit. An attempt
            tries every URL of the client once, and one whose session does not last for `longest_delay` counts too.
        first_connection: Whether `Client.start` keeps trying as well when the very first attempt fails.
        force_reregister: Whether to take a procedure from its holder (Crossbar's ``force_reregister``) when the router
            says that somebody has registered it meanwhile. That is mostly our own lost session, of which the router has
            not heard yet; without this, the client asks again until it is gone.

    Raises:
        WampyError: A value cannot be used; the text names it.
    """

    first_delay: float = 0.25
    longest_delay: float = 5.0
    growth: float = 2.0
    jitter: float = 0.5
    attempts: int | None = None
    first_connection: bool = False
    force_reregister: bool = False

    def __post_init__(self) -> None:
        for name in ("first_delay", "longest_delay"):
            if getattr(self, name) is None:
                raise WampyError(f"{name} is a number of seconds above 0, not None")
            check_seconds(name, getattr(self, name))
        if self.longest_delay < self.first_delay:
            raise WampyError(f"longest_delay, {self.longest_delay!r}, is below first_delay, {self.first_delay!r}")
        if not _is_number(self.growth) or not 1 <= self.growth < float("inf"):
            raise WampyError(f"growth is a number from 1, not {self.growth!r}")
        if not _is_number(self.jitter) or not 0 <= self.jitter <= 1:
            raise WampyError(f"jitter is a number from 0 to 1, not {self.jitter!r}")
        if self.attempts is not None and (type(self.attempts) is not int or self.attempts < 1):
            raise WampyError(f"attempts is a whole number from 1, or None for no limit; not {self.attempts!r}")
        for name in ("first_connection", "force_reregister"):
            if not isinstance(getattr(self, name), bool):
                raise WampyError(f"{name} is True or False, not {getattr(self, name)!r}")

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait before an attempt, by chance as `jitter` says.

        Args:
            attempt: Which one in a row, from 1.
        """
        try:
            delay = min(self.first_delay * self.growth ** (attempt - 1), self.longest_delay)
        except OverflowError:
            delay = self.longest_delay
        return delay * (1 - self.jitter * random.random())


def policy_of(reconnect: object) -> Reconnect | None:
    """Read what a client was given as ``reconnect``.

    Args:
        reconnect: ``True`` for the defaults, ``False`` or ``None`` for never, or a policy.

    Raises:
        WampyError: It is none of these.
    """
    if reconnect is True:
        return Reconnect()
    if reconnect is None or reconnect is False:
        return None
    if isinstance(reconnect, Reconnect):
        return reconnect
    raise WampyError(f"reconnect is True, False or a wampy.Reconnect, not {reconnect!r}")


def may_heal(error: BaseException) -> bool:
    """Say whether another attempt may succeed where one has failed with this error.

    Args:
        error: Why a session was lost, or could not be joined.
    """
    if isinstance(error, AbortError):
        return error.uri not in INCURABLE
    if isinstance(error, RemoteError):
        return not isinstance(error, _REFUSED)
    if isinstance(error, ConnectionError) and error.errors:
        return any(may_heal(each) for each in error.errors)  # one for each URL
    if isinstance(error, (ConnectionError, WampyTimeOutError, WampProtocolError, OSError)):
        return True
    # An authenticator of the user's may have asked a server for its secret, which is as unreachable as the router.
    return isinstance(error.__cause__, OSError)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
