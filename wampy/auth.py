"""Authenticators: pure answers to a router's CHALLENGE.

Give one to a client (``Client(auth=WampCRA("joe", "secret"))``), or let `for_method` make one from the method
that the router chose and the secret in ``WAMPYSECRET``.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import six

from wampy.constants import SECRET_VARIABLE
from wampy.errors import WampyError
from wampy.interfaces import Authenticator
from wampy.texts import shown

#: The most HMAC rounds that a router may ask of us; this many take some seconds.
MOST_ROUNDS = 10_000_000
#: The longest derived key, in octets, that makes any sense.
LONGEST_KEY = 1024

_HASH_SIZE = hashlib.sha256().digest_size


def compute_wcs(key: str | bytes, challenge: str | bytes) -> str:
    """Compute the signature of a WAMP-CRA challenge (WAMP, "Challenge-Response Authentication").

    Args:
        key: The secret, or what `derive_key` made of it.
        challenge: The text to sign.

    Returns:
        The signature for AUTHENTICATE: base64 of HMAC-SHA256.
    """
    digest = hmac.digest(six.ensure_binary(key), six.ensure_binary(challenge), "sha256")
    return b64encode(digest).decode("ascii")


def derive_key(secret: str | bytes, salt: str | bytes, iterations: int = 1000, keylen: int = 32) -> str:
    """Derive the key of a salted WAMP-CRA secret (WAMP, "Salted Passwords").

    Args:
        secret: The secret.
        salt: The user's salt.
        iterations: Rounds of PBKDF2.
        keylen: Length of the key in octets, before base64.

    Returns:
        The key: base64 of PBKDF2-HMAC-SHA256. The text itself is what signs.

    Raises:
        WampyError: A number is not positive, or so large that computing the key would block for many seconds.
    """
    _check_cost("iterations", iterations, MOST_ROUNDS)
    _check_cost("keylen", keylen, LONGEST_KEY)
    blocks = -(-keylen // _HASH_SIZE)
    if iterations * blocks > MOST_ROUNDS:
        raise WampyError(f"a key of {keylen} octets with {iterations} iterations is more work than we do")
    key = hashlib.pbkdf2_hmac(
        "sha256", six.ensure_binary(secret), six.ensure_binary(salt), iterations, keylen
    )
    return b64encode(key).decode("ascii")


class Ticket(Authenticator):
    """Authenticate with a ticket, which the router sees as it is (WAMP, "Ticket-based Authentication").

    Args:
        authid: Who we are.
        ticket: The ticket.
    """

    method = "ticket"

    def __init__(self, authid: str | None, ticket: str | bytes) -> None:
        self.authid = authid
        self._ticket = six.ensure_str(ticket)

    def __repr__(self) -> str:
        return f"Ticket(authid={self.authid!r})"

    def sign(self, method: str, extra: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Answer a challenge with the ticket.

        Args:
            method: The method that the router chose.
            extra: The CHALLENGE's extra dictionary.

        Returns:
            The ticket, and no extra.

        Raises:
            WampyError: The router chose another method.
        """
        _check_method(self, method)
        return self._ticket, {}


class WampCRA(Authenticator):
    """Authenticate with a shared secret that never travels (WAMP, "Challenge-Response Authentication").

    Args:
        authid: Who we are.
        secret: The secret; the salt, if the router keeps one for us, comes with the challenge.
    """

    method = "wampcra"

    def __init__(self, authid: str | None, secret: str | bytes) -> None:
        self.authid = authid
        self._secret = six.ensure_binary(secret)

    def __repr__(self) -> str:
        return f"WampCRA(authid={self.authid!r})"

    def sign(self, method: str, extra: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Answer a challenge with its signature.

        Args:
            method: The method that the router chose.
            extra: The CHALLENGE's extra dictionary: ``challenge``, and for a salted secret also ``salt``,
                ``iterations`` and ``keylen``.

        Returns:
            The signature, and no extra.

        Raises:
            WampyError: The router chose another method, or its challenge lacks something or asks too much.
        """
        _check_method(self, method)
        challenge = _entry(extra, "challenge", str)
        key: str | bytes = self._secret
        if extra.get("salt") is not None:
            salt = _entry(extra, "salt", str)
            key = derive_key(key, salt, _entry(extra, "iterations", int), _entry(extra, "keylen", int))
        return compute_wcs(key, challenge), {}


_BY_METHOD: dict[str, Callable[[str | None, str | bytes], Authenticator]] = {
    "ticket": Ticket,
    "wampcra": WampCRA,
}


def for_method(method: str, authid: str | None, secret: str | bytes) -> Authenticator:
    """Make the authenticator of a WAMP method that needs nothing but a secret.

    Args:
        method: The method's WAMP name.
        authid: Who we are.
        secret: The secret or ticket.

    Returns:
        The authenticator.

    Raises:
        WampyError: The method is not known.
    """
    make = _BY_METHOD.get(method)
    if make is None:
        known = ", ".join(map(repr, sorted(_BY_METHOD)))
        raise WampyError(f"authentication method {shown(method)!r} is not known; known: {known}")
    return make(authid, secret)


def _check_method(authenticator: Authenticator, method: str) -> None:
    if method != authenticator.method:
        raise WampyError(f"the router chose {shown(method)!r}, but only {authenticator.method!r} was prepared")


def _entry(extra: dict[str, Any], key: str, kind: type) -> Any:
    value = extra.get(key)
    if value is None:
        raise WampyError(f"the router's challenge has no {key!r}")
    if type(value) is not kind:  # a boolean is no integer here
        raise WampyError(f"the {key!r} of the router's challenge is of type {type(value).__name__}")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as exc:  # JSON can write half a surrogate pair
            raise WampyError(f"the {key!r} of the router's challenge is no text that can be signed") from exc
    return value


def _check_cost(name: str, value: int, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise WampyError(f"{name} must be an integer from 1 to {most}, not {value!r}")


def answer_challenge(
    authenticators: Sequence[Authenticator],
    secret: str | None,
    hello_details: Mapping[str, Any],
    method: str,
    extra: dict[str, Any],
) -> tuple[str, dict[str, Any]]:
    """Answer a challenge with what is at hand.

    Args:
        authenticators: What the user gave; when there are any, nothing else is used.
        secret: The environment's secret.
        hello_details: What HELLO said; its ``authid`` goes with the secret.
        method: The method that the router chose.
        extra: The CHALLENGE's extra.

    Returns:
        Signature and extra of AUTHENTICATE.

    Raises:
        WampyError: There is nothing to answer with; the text says what would do.
    """
    for authenticator in authenticators:
        if authenticator.method == method:
            return authenticator.sign(method, extra)
    if authenticators:
        known = ", ".join(authenticator.method for authenticator in authenticators)
        raise WampyError(f"the router asks for {shown(method)!r}, but auth= can answer {known} only")
    if secret is None:
        raise WampyError(
            f"the router asks for {shown(method)!r} and there is no secret: set the environment variable "
            f"{SECRET_VARIABLE}, or give auth="
        )
    return for_method(method, hello_details.get("authid"), secret).sign(method, extra)
