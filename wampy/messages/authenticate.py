"""AUTHENTICATE."""

from wampy.messages.base import Message, declare
from wampy.messages.fields import SecretDict, SecretText


@declare
class Authenticate(Message):
    """Answer a CHALLENGE (WAMP, "Authentication").

    Args:
        signature: The proof; it may be the secret itself and is never shown.
        extra: What the method adds.
    """

    WAMP_CODE = 5
    name = "authenticate"
    sent = True

    signature: SecretText
    extra: SecretDict
