"""RESULT."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_flag, or_null
from wampy.messages.fields import PAYLOAD, ROUTED, Args, Id, Kwargs, header, peer


@declare
class Result(Message):
    """Deliver the result of a call (WAMP, "Calling and Invocations").

    Args:
        request_id: The CALL's id.
        details: About the result; ``progress`` when more will come.
        args: Positional payload, a list; the one binary of the transparent form.
        kwargs: Keyword payload.
    """

    WAMP_CODE = 50
    name = "result"
    replies_to = 48
    received = True

    request_id: Id
    details: Annotated[Any, header(progress=or_null(check_flag), **peer("callee"), **ROUTED, **PAYLOAD)]
    args: Args = None
    kwargs: Kwargs = None
