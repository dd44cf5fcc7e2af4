"""EVENT_RECEIVED."""

from wampy.messages.base import Message, declare
from wampy.messages.fields import Id


@declare
class EventReceived(Message):
    """Confirm that an event arrived (an extension of Crossbar).

    Args:
        publication_id: The EVENT's publication id.
    """

    WAMP_CODE = 337
    name = "event_received"
    sent = True
    received = True

    publication_id: Id
