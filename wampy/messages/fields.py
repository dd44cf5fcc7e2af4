"""What a field of a message can be.

A message class annotates its fields with the aliases of this module; `wampy.messages.base` reads the `Field`
in each annotation and derives constructor, parsing and checks from it.
"""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from wampy.messages.checks import (
    Check,
    check_args,
    check_dict,
    check_flag,
    check_fresh_id,
    check_id,
    check_id_or_zero,
    check_key,
    check_secret_text,
    check_text,
    check_uri,
    check_uri_or_pattern,
    dict_with,
    list_of,
    one_of,
    one_of_or_custom,
    or_null,
)

MATCH = one_of("exact", "prefix", "wildcard")
CANCEL_MODE = one_of("skip", "kill", "killnowait")
#: Keys that every message with a payload may have: payload passthru mode, and its older form on Crossbar.
PAYLOAD: dict[str, Check] = {
    **dict.fromkeys(("ppt_scheme", "ppt_serializer", "ppt_cipher", "ppt_keyid"), check_text),
    "enc_algo": one_of_or_custom("cryptobox", "mqtt", "xbr", "null"),
    "enc_key": check_key,
    "enc_serializer": one_of_or_custom("json", "msgpack", "cbor", "ubjson", "flatbuffers", "opaque", "null"),
}
#: What routers that are linked with each other write about the way a message came.
ROUTED: dict[str, Check] = {
    "forward_for": list_of(
        dict_with(session=or_null(check_id), authid=or_null(check_text), authrole=or_null(check_text))
    )
}

_FEATURES = (
    "call_canceling call_reroute call_timeout call_trustlevels caller_identification event_history "
    "event_retention pattern_based_registration pattern_based_subscription payload_passthru_mode "
    "progressive_call_invocations progressive_call_results publication_trustlevels publisher_exclusion "
    "publisher_identification registration_meta_api registration_revocation session_meta_api "
    "sharded_registration sharded_subscription shared_registration subscriber_blackwhite_listing "
    "subscription_meta_api subscription_revocation testament_meta_api"
)
_ROLE = dict_with(features=dict_with(**dict.fromkeys(_FEATURES.split(), check_flag)))
#: What HELLO and WELCOME say about the roles of their sender.
ROLES = dict_with(**dict.fromkeys(("caller", "callee", "publisher", "subscriber", "broker", "dealer"), _ROLE))


class Field(NamedTuple):
    """One kind of field.

    Args:
        check: Says what is wrong with a value.
        empty: Makes what ``None`` stands for in a constructor.
        secret: Whether the value must never be shown.
    """

    check: Check
    empty: Callable[[], Any] | None = None
    secret: bool = False


def header(**known: Check) -> Field:
    """Declare an Options or Details field.

    Args:
        **known: The check of each key that the specification names.

    Returns:
        The field; ``None`` stands for ``{}`` in a constructor.
    """
    return Field(dict_with(**known), empty=dict)


def peer(role: str) -> dict[str, Check]:
    """List the keys by which a router discloses another peer, such as ``caller`` and ``caller_authid``."""
    text = or_null(check_text)
    return {role: or_null(check_id), f"{role}_authid": text, f"{role}_authrole": text}


def revocation(key: str) -> Field:
    """Declare the details of an UNSUBSCRIBED or UNREGISTERED, which name what the router takes away unasked.

    Args:
        key: What must be there when the request id is 0.

    Returns:
        The field.
    """
    plain = dict_with(reason=or_null(check_text), **{key: check_id})

    def check(value: Any, message: Any) -> str | None:
        problem = plain(value, message)
        if problem is None and message.request_id == 0 and key not in value:
            return f" must have {key!r} when request_id is 0"
        return problem

    return Field(check, empty=dict)


Id = Annotated[int, Field(check_id)]
#: ``None`` until the session gives it out, hence not ``int``.
FreshId = Annotated[Any, Field(check_fresh_id)]
IdOrZero = Annotated[int, Field(check_id_or_zero)]
Uri = Annotated[str, Field(check_uri)]
UriOrPattern = Annotated[str, Field(check_uri_or_pattern)]
Text = Annotated[str, Field(check_text)]
SecretText = Annotated[str, Field(check_secret_text, secret=True)]
# Typed `Any` because ``None`` may be passed and a list or dictionary is what one reads.
Dict = Annotated[Any, Field(check_dict, empty=dict)]
Args = Annotated[Any, Field(check_args, empty=list)]
Kwargs = Annotated[Any, Field(check_dict, empty=dict)]
