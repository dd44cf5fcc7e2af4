"""ERROR."""

from typing import Annotated, Any

from wampy.messages.base import Message, declare
from wampy.messages.checks import wrong
from wampy.messages.fields import PAYLOAD, ROUTED, Args, Field, Id, Kwargs, Uri, header, peer

REQUEST_TYPES = (16, 32, 34, 48, 64, 66, 68)


def check_request_type(value: Any, message: Any = None) -> str | None:
    """Allow the code of a message that can fail."""
    return None if type(value) is int and value in REQUEST_TYPES else wrong("a request's code", value)


RequestType = Annotated[int, Field(check_request_type)]


@declare
class Error(Message):
    """Refuse a request, or report its failure (WAMP, "Error").

    Args:
        request_type: The code of the failed request.
        request_id: Its id.
        details: About the error.
        error: Which error.
        args: Positional payload, a list; the one binary of the transparent form.
        kwargs: Keyword payload.
    """

    WAMP_CODE = 8
    name = "error"
    sent = True
    received = True

    request_type: RequestType
    request_id: Id
    details: Annotated[Any, header(**peer("callee"), **ROUTED, **PAYLOAD)]
    error: Uri
    args: Args = None
    kwargs: Kwargs = None

    @property
    def reply_key(self) -> tuple[int, int]:
        """Code and id of the request that failed."""
        return self.request_type, self.request_id
