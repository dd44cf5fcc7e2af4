"""INVOCATION."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_count, check_flag, check_text, check_uri, or_null
from wampy.messages.fields import PAYLOAD, ROUTED, Args, Id, Kwargs, header, peer

DETAILS = header(
    procedure=or_null(check_uri),
    timeout=or_null(check_count),
    progress=or_null(check_flag),
    receive_progress=or_null(check_flag),
    trustlevel=or_null(check_count),
    transaction_hash=or_null(check_text),
    **peer("caller"),
    **ROUTED,
    **PAYLOAD,
)


@declare
class Invocation(Message):
    """Ask a callee to run a procedure (WAMP, "Calling and Invocations").

    Args:
        request_id: The invocation's id, numbered by the router.
        registration_id: What was registered.
        details: About the call.
        args: Positional payload, a list; the one binary of the transparent form.
        kwargs: Keyword payload.
    """

    WAMP_CODE = 68
    name = "invocation"
    received = True

    request_id: Id
    registration_id: Id
    details: Annotated[Any, DETAILS]
    args: Args = None
    kwargs: Kwargs = None
