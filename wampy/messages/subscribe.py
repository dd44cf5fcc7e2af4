"""SUBSCRIBE."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_flag
from wampy.messages.fields import MATCH, ROUTED_SENT, FreshId, UriOrPattern, header


@declare
class Subscribe(Message):
    """Subscribe to a topic (WAMP, "Subscribing and Unsubscribing").

    Args:
        request_id: The request's id; ``None`` until the session gives one out.
        options: How the topic is matched.
        topic: A topic, or a pattern when ``match`` says so.
    """

    WAMP_CODE = 32
    name = "subscribe"
    sent = True

    request_id: FreshId
    options: Annotated[Any, header(match=MATCH, get_retained=check_flag, **ROUTED_SENT)]
    topic: UriOrPattern
