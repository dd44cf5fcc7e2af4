"""INTERRUPT."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_uri, or_null
from wampy.messages.fields import CANCEL_MODE, ROUTED, Id, header


@declare
class Interrupt(Message):
    """Ask a callee to stop an invocation (WAMP, "Call Canceling").

    Args:
        request_id: The INVOCATION's id.
        options: Its ``mode``, and perhaps the ``reason``.
    """

    WAMP_CODE = 69
    name = "interrupt"
    received = True

    request_id: Id
    options: Annotated[Any, header(mode=CANCEL_MODE, reason=or_null(check_uri), **ROUTED)]
