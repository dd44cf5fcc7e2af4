"""GOODBYE."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_flag, check_text, or_null
from wampy.messages.fields import Uri, header


@declare
class Goodbye(Message):
    """End a session, or agree to its end (WAMP, "Session Closing").

    Args:
        details: Its ``message`` explains.
        reason: Why.
    """

    WAMP_CODE = 6
    name = "goodbye"
    sent = True
    received = True

    details: Annotated[Any, header(message=or_null(check_text), resumable=or_null(check_flag))]
    reason: Uri
