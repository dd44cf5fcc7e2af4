"""UNREGISTERED."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.fields import IdOrZero, revocation


@declare
class Unregistered(Message):
    """Acknowledge an UNREGISTER, or revoke a registration (WAMP, "Registration Revocation").

    Args:
        request_id: The UNREGISTER's id; 0 for a revocation.
        details: What was revoked, and the reason.
    """

    WAMP_CODE = 67
    name = "unregistered"
    replies_to = 66
    received = True

    request_id: IdOrZero
    details: Annotated[Any, revocation("registration")] = None
