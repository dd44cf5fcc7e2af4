"""REGISTER."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_flag, check_positive, one_of
from wampy.messages.fields import MATCH, ROUTED_SENT, FreshId, UriOrPattern, header

OPTIONS = header(
    match=MATCH,
    invoke=one_of("single", "roundrobin", "random", "first", "last"),
    concurrency=check_positive,
    force_reregister=check_flag,
    disclose_caller=check_flag,
    forward_timeout=check_flag,
    **ROUTED_SENT,
)


@declare
class Register(Message):
    """Register a procedure (WAMP, "Registering and Unregistering").

    Args:
        request_id: The request's id; ``None`` until the session gives one out.
        options: How calls are matched and shared.
        procedure: A procedure, or a pattern when ``match`` says so.
    """

    WAMP_CODE = 64
    name = "register"
    sent = True

    request_id: FreshId
    options: Annotated[Any, OPTIONS]
    procedure: UriOrPattern
