"""UNSUBSCRIBE."""

from wampy.messages.base import Message, declare
from wampy.messages.fields import FreshId, Id


@declare
class Unsubscribe(Message):
    """Give a subscription up (WAMP, "Subscribing and Unsubscribing").

    Args:
        request_id: The request's id; ``None`` until the session gives one out.
        subscription_id: The subscription.
    """

    WAMP_CODE = 34
    name = "unsubscribe"
    sent = True

    request_id: FreshId
    subscription_id: Id
