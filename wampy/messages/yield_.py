"""YIELD."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_flag
from wampy.messages.fields import PAYLOAD_SENT, ROUTED_SENT, Args, Id, Kwargs, header, peer_sent


@declare
class Yield(Message):
    """Answer an INVOCATION (WAMP, "Calling and Invocations").

    Args:
        request_id: The INVOCATION's id.
        options: About the result; ``progress`` when more will come.
        args: Positional payload, a list; the one binary of the transparent form.
        kwargs: Keyword payload.
    """

    WAMP_CODE = 70
    name = "yield"
    sent = True

    request_id: Id
    options: Annotated[Any, header(progress=check_flag, **peer_sent("callee"), **ROUTED_SENT, **PAYLOAD_SENT)]
    args: Args = None
    kwargs: Kwargs = None
