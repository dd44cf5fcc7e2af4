"""PUBLISH."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import Check, check_flag, check_id, check_text, list_of
from wampy.messages.fields import PAYLOAD_SENT, ROUTED_SENT, Args, FreshId, Kwargs, Uri, header, peer_sent

_AUDIENCE: dict[str, Check] = {
    f"{way}{by}": list_of(check_text if by else check_id)
    for way in ("exclude", "eligible")
    for by in ("", "_authid", "_authrole")
}

OPTIONS = header(
    acknowledge=check_flag,
    exclude_me=check_flag,
    disclose_me=check_flag,
    retain=check_flag,
    transaction_hash=check_text,
    **_AUDIENCE,
    **peer_sent("publisher"),
    **ROUTED_SENT,
    **PAYLOAD_SENT,
)


@declare
class Publish(Message):
    """Publish an event (WAMP, "Publishing and Events").

    Args:
        request_id: The request's id; ``None`` until the session gives one out.
        options: Who shall get it, and how.
        topic: Where.
        args: Positional payload, a list; the one binary of the transparent form.
        kwargs: Keyword payload.
    """

    WAMP_CODE = 16
    name = "publish"
    sent = True

    request_id: FreshId
    options: Annotated[Any, OPTIONS]
    topic: Uri
    args: Args = None
    kwargs: Kwargs = None
