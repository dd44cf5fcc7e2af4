"""URIs and defaults. Nothing here is mutable."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

DEFAULT_URL: Final = "ws://localhost:8080/"
DEFAULT_REALM: Final = "realm1"
DEFAULT_SERIALIZERS: Final = ("json",)

DEFAULT_CALL_TIMEOUT: Final = 10.0
DEFAULT_OPEN_TIMEOUT: Final = 10.0
DEFAULT_CLOSE_TIMEOUT: Final = 5.0
DEFAULT_SEND_TIMEOUT: Final = 30.0
DEFAULT_HEARTBEAT: Final = 15.0
DEFAULT_HEARTBEAT_TIMEOUT: Final = 15.0
DEFAULT_MAX_WORKERS: Final = 64
DEFAULT_MAX_QUEUE: Final = 10_000
DEFAULT_MAX_MESSAGE_SIZE: Final = 16_777_216
# Bytes of what may wait for a worker beside `max_queue`, as they came in: of all invocations together, and of the
# events of each handler.
MAX_QUEUE_BYTES: Final = 67_108_864

MAX_ID: Final = 2**53

#: The types that every format holds, beside lists and dictionaries. Not their subclasses: those are looked at closely.
SCALARS: Final[frozenset[type]] = frozenset({type(None), bool, int, float, str, bytes, bytearray})
# From this length on the types of a list are collected first, which costs less than a loop over it.
LONG_LIST: Final = 16

CANCEL_MODES: Final = ("skip", "kill", "killnowait")
# Seconds that a callee has to answer once its call was cancelled.
CANCEL_PATIENCE: Final = 5.0
# How many removed registrations and subscriptions a session remembers: enough for what is still under way.
REMEMBERED_ROLES: Final = 1000

CLOSE_REALM: Final = "wamp.close.close_realm"
CLOSE_NORMAL: Final = "wamp.close.normal"
GOODBYE_AND_OUT: Final = "wamp.close.goodbye_and_out"

PROTOCOL_VIOLATION: Final = "wamp.error.protocol_violation"
RUNTIME_ERROR: Final = "wamp.error.runtime_error"
INVALID_ARGUMENT: Final = "wamp.error.invalid_argument"
CANCELED: Final = "wamp.error.canceled"
UNAVAILABLE: Final = "wamp.error.unavailable"
NO_SUCH_REGISTRATION: Final = "wamp.error.no_such_registration"
NO_SUCH_SUBSCRIPTION: Final = "wamp.error.no_such_subscription"
CANNOT_AUTHENTICATE: Final = "wamp.error.cannot_authenticate"

SECRET_VARIABLE: Final = "WAMPYSECRET"

# What HELLO announces: only what works (WAMP, "Role and Feature Announcement").
DEFAULT_ROLES: Final = MappingProxyType({
    "caller": ("call_canceling", "caller_identification"),
    "callee": (
        "call_canceling",
        "caller_identification",
        "pattern_based_registration",
        "registration_revocation",
        "shared_registration",
    ),
    "publisher": ("publisher_exclusion", "publisher_identification", "subscriber_blackwhite_listing"),
    "subscriber": ("pattern_based_subscription", "publisher_identification", "subscription_revocation"),
})


def default_roles() -> dict[str, Any]:
    """Return a fresh ``HELLO.Details`` that announces what wampy can do.

    Returns:
        ``{"roles": {role: {"features": {feature: True}}}}``, the caller's own to change.
    """
    return {
        "roles": {
            role: {"features": dict.fromkeys(features, True)} for role, features in DEFAULT_ROLES.items()
        }
    }
