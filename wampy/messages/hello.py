"""HELLO."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import check_dict, check_flag, check_text, list_of
from wampy.messages.fields import ROLES, Uri, header

DETAILS = header(
    roles=ROLES,
    agent=check_text,
    authmethods=list_of(check_text),
    authid=check_text,
    authrole=check_text,
    authextra=check_dict,
    resumable=check_flag,
    resume_token=check_text,
)


@declare
class Hello(Message):
    """Open a session (WAMP, "Session Establishment").

    Args:
        realm: The realm to join.
        details: What the client is and can: roles, authentication.
    """

    WAMP_CODE = 1
    name = "hello"
    sent = True

    realm: Uri
    details: Annotated[Any, DETAILS]
