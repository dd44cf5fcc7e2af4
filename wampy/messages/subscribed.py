"""SUBSCRIBED."""

from wampy.messages.base import Message, declare
from wampy.messages.fields import Id


@declare
class Subscribed(Message):
    """Acknowledge a SUBSCRIBE (WAMP, "Subscribing and Unsubscribing").

    Args:
        request_id: The SUBSCRIBE's id.
        subscription_id: The subscription's id; the same for the same topic.
    """

    WAMP_CODE = 33
    name = "subscribed"
    replies_to = 32
    received = True

    request_id: Id
    subscription_id: Id
