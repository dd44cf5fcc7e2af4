"""PUBLISHED."""

from wampy.messages.base import Message, declare
from wampy.messages.fields import Id


@declare
class Published(Message):
    """Acknowledge a PUBLISH (WAMP, "Publishing and Events").

    Args:
        request_id: The PUBLISH's id.
        publication_id: The publication's id.
    """

    WAMP_CODE = 17
    name = "published"
    replies_to = 16
    received = True

    request_id: Id
    publication_id: Id
