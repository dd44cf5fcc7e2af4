"""EVENT."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_count, check_flag, check_text, check_uri, or_null
from wampy.messages.fields import PAYLOAD, ROUTED, Args, Id, Kwargs, header, peer

DETAILS = header(
    topic=or_null(check_uri),
    retained=or_null(check_flag),
    trustlevel=or_null(check_count),
    x_acknowledged_delivery=or_null(check_flag),
    transaction_hash=or_null(check_text),
    **peer("publisher"),
    **ROUTED,
    **PAYLOAD,
)


@declare
class Event(Message):
    """Deliver an event (WAMP, "Publishing and Events").

    Args:
        subscription_id: The subscription it matched.
        publication_id: The publication's id.
        details: About the publication.
        args: Positional payload, a list; the one binary of the transparent form.
        kwargs: Keyword payload.
    """

    WAMP_CODE = 36
    name = "event"
    received = True

    subscription_id: Id
    publication_id: Id
    details: Annotated[Any, DETAILS]
    args: Args = None
    kwargs: Kwargs = None
