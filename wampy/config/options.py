"""The parameters of a client that its sessions need, checked when they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any

from wampy import __version__
from wampy.config.transport import TransportOptions, check_seconds
from wampy.constants import (
    DEFAULT_CALL_TIMEOUT,
    DEFAULT_CLOSE_TIMEOUT,
    DEFAULT_MAX_QUEUE,
    DEFAULT_MAX_WORKERS,
    DEFAULT_OPEN_TIMEOUT,
    DEFAULT_REALM,
    DEFAULT_SEND_TIMEOUT,
    DEFAULT_SERIALIZERS,
    default_roles,
)
from wampy.errors import WampyError
from wampy.interfaces import Authenticator, Serializer
from wampy.serializers import get_serializer

_TIMES = ("call_timeout", "open_timeout", "close_timeout", "send_timeout")
_COUNTS = ("max_workers", "max_queue")


@dataclass(frozen=True)
class Options(TransportOptions):
    """What a session is made with; see `Client` for the meaning of each.

    Raises:
        WampyError: A value cannot be used; the text names it.
    """

    realm: str = DEFAULT_REALM
    roles: Mapping[str, Any] | None = None
    auth: Authenticator | Sequence[Authenticator] | None = None
    serializers: str | Serializer | Sequence[str | Serializer] = DEFAULT_SERIALIZERS
    call_timeout: float | None = DEFAULT_CALL_TIMEOUT
    open_timeout: float | None = DEFAULT_OPEN_TIMEOUT
    close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT
    send_timeout: float | None = DEFAULT_SEND_TIMEOUT
    max_workers: int = DEFAULT_MAX_WORKERS
    max_queue: int = DEFAULT_MAX_QUEUE
    #: The serializers themselves, most wanted first.
    offered: tuple[Serializer, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.realm, str) or not self.realm:
            raise WampyError(f"realm is a non-empty str, not {self.realm!r}")
        if self.roles is not None and not (
            isinstance(self.roles, Mapping) and isinstance(self.roles.get("roles"), Mapping)
        ):
            raise WampyError('roles is a HELLO.Details dictionary: {"roles": {"caller": {}, …}, "authid": …}')
        for authenticator in self.authenticators:
            if not isinstance(authenticator, Authenticator):
                raise WampyError(f"auth is an authenticator of wampy.auth, or several, not {authenticator!r}")
        object.__setattr__(self, "offered", _offer(self.serializers))  # frozen for everybody else
        for name in _TIMES:
            check_seconds(name, getattr(self, name))
        for name in _COUNTS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise WampyError(f"{name} is a whole number from 1, not {value!r}")

    @property
    def authenticators(self) -> tuple[Authenticator, ...]:
        """What can answer a challenge."""
        if self.auth is None:
            return ()
        return tuple(self.auth) if isinstance(self.auth, Sequence) else (self.auth,)

    def hello_details(self) -> dict[str, Any]:
        """Make a HELLO.Details, a fresh one each time."""
        details: dict[str, Any] = default_roles() if self.roles is None else deepcopy(dict(self.roles))
        details.setdefault("agent", f"wampy-{__version__}")
        if self.authenticators:
            details["authmethods"] = [authenticator.method for authenticator in self.authenticators]
        for authenticator in self.authenticators:
            details.update(authenticator.hello_details())
        return details

    @property
    def transport_options(self) -> dict[str, Any]:
        """The ones that are the transport's."""
        return {each.name: getattr(self, each.name) for each in fields(TransportOptions)}


_JSON = get_serializer("json")


def _offer(serializers: Any) -> tuple[Serializer, ...]:
    wanted: Any = [serializers] if isinstance(serializers, (str, Serializer)) else serializers
    if not isinstance(wanted, Sequence) or isinstance(wanted, (bytes, bytearray)) or not wanted:
        raise WampyError(
            f"serializers is one or several names or serializer objects, most wanted first, as in "
            f'("msgpack", "json"); not {serializers!r}'
        )
    offered: dict[str, Serializer] = {}
    for each in wanted:
        if isinstance(each, type) and issubclass(each, Serializer):
            raise WampyError(f"serializers has the class {each.__name__}; make an object of it: {each.__name__}()")
        # The usual one for all clients: it keeps nothing of a message, and takes kilobytes.
        named = _JSON if each == _JSON.name else each
        serializer = named if isinstance(named, Serializer) else get_serializer(named)
        subprotocol = getattr(serializer, "subprotocol", None)
        if not isinstance(subprotocol, str) or not isinstance(getattr(serializer, "binary", None), bool):
            raise WampyError(f"serializers has {serializer!r}, which lacks `subprotocol`, a text, or `binary`, a bool")
        if subprotocol in offered:
            raise WampyError(f"serializers names {serializer.name!r} twice")
        offered[subprotocol] = serializer
    return tuple(offered.values())
