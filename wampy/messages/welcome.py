"""WELCOME."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_dict, check_flag, check_text, or_null
from wampy.messages.fields import ROUTER_ROLES, Id, header

_TEXT = or_null(check_text)

DETAILS = header(
    roles=ROUTER_ROLES,
    agent=_TEXT,
    realm=_TEXT,
    authid=_TEXT,
    authrole=_TEXT,
    authmethod=_TEXT,
    authprovider=_TEXT,
    authextra=or_null(check_dict),
    resumed=or_null(check_flag),
    resumable=or_null(check_flag),
    resume_token=_TEXT,
)


@declare
class Welcome(Message):
    """Accept a session (WAMP, "Session Establishment").

    Args:
        session_id: The session's id.
        details: What the router is and can, and who the client is now.
    """

    WAMP_CODE = 2
    name = "welcome"
    received = True

    session_id: Id
    details: Annotated[Any, DETAILS]
