"""REGISTERED."""

from wampy.messages.base import Message, declare
from wampy.messages.fields import Id


@declare
class Registered(Message):
    """Acknowledge a REGISTER (WAMP, "Registering and Unregistering").

    Args:
        request_id: The REGISTER's id.
        registration_id: The registration's id.
    """

    WAMP_CODE = 65
    name = "registered"
    replies_to = 64
    received = True

    request_id: Id
    registration_id: Id
