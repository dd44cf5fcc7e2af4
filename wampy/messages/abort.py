"""ABORT."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_text, or_null
from wampy.messages.fields import Uri, header


@declare
class Abort(Message):
    """Refuse a session, or end it at once (WAMP, "Abort").

    Args:
        details: Its ``message`` explains.
        reason: Why.
    """

    WAMP_CODE = 3
    name = "abort"
    sent = True
    received = True

    details: Annotated[Any, header(message=or_null(check_text))]
    reason: Uri
