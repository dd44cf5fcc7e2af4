"""CHALLENGE."""

from wampy.messages.base import Message, declare
from wampy.messages.fields import Dict, Text


@declare
class Challenge(Message):
    """Ask who the client is (WAMP, "Authentication").

    Args:
        auth_method: The method that the router chose.
        extra: What the method needs.
    """

    WAMP_CODE = 4
    name = "challenge"
    received = True

    auth_method: Text
    extra: Dict
