"""CANCEL."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.fields import CANCEL_MODE, ROUTED_SENT, Id, header


@declare
class Cancel(Message):
    """Cancel a call (WAMP, "Call Canceling").

    Args:
        request_id: The CALL's id.
        options: Its ``mode``: skip, kill or killnowait.
    """

    WAMP_CODE = 49
    name = "cancel"
    sent = True

    request_id: Id
    options: Annotated[Any, header(mode=CANCEL_MODE, **ROUTED_SENT)]
