"""UNSUBSCRIBED."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.fields import IdOrZero, revocation


@declare
class Unsubscribed(Message):
    """Acknowledge an UNSUBSCRIBE, or revoke a subscription (WAMP, "Subscription Revocation").

    Args:
        request_id: The UNSUBSCRIBE's id; 0 for a revocation.
        details: What was revoked, and the reason.
    """

    WAMP_CODE = 35
    name = "unsubscribed"
    replies_to = 34
    received = True

    request_id: IdOrZero
    details: Annotated[Any, revocation("subscription")] = None
