"""CALL."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_count, check_flag, check_text
from wampy.messages.fields import PAYLOAD_SENT, ROUTED_SENT, Args, FreshId, Kwargs, Uri, header, peer_sent

OPTIONS = header(
    "len(v) == 1 and type(v.get('timeout')) is int and v['timeout'] >= 0",  # what the session itself puts in
    timeout=check_count,
    progress=check_flag,
    receive_progress=check_flag,
    disclose_me=check_flag,
    runmode=check_text,
    rkey=check_text,
    transaction_hash=check_text,
    **peer_sent("caller"),
    **ROUTED_SENT,
    **PAYLOAD_SENT,
)


@declare
class Call(Message):
    """Call a procedure (WAMP, "Calling and Invocations").

    Args:
        request_id: The request's id; ``None`` until the session gives one out.
        options: How to call.
        procedure: What to call.
        args: Positional payload, a list; the one binary of the transparent form.
        kwargs: Keyword payload.
    """

    WAMP_CODE = 48
    name = "call"
    sent = True

    request_id: FreshId
    options: Annotated[Any, OPTIONS]
    procedure: Uri
    args: Args = None
    kwargs: Kwargs = None
