"""UNREGISTER."""

from wampy.messages.base import Message, declare
from wampy.messages.fields import FreshId, Id


@declare
class Unregister(Message):
    """Give a registration up (WAMP, "Registering and Unregistering").

    Args:
        request_id: The request's id; ``None`` until the session gives one out.
        registration_id: The registration.
    """

    WAMP_CODE = 66
    name = "unregister"
    sent = True

    request_id: FreshId
    registration_id: Id
