"""What a field of a message can be.

A message class annotates its fields with the aliases of this module; `wampy.messages.base` reads the `Field`
in each annotation and derives constructor, parsing and checks from it.
"""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from wampy.messages.checks import (
    CACHED_URI,
    LARGEST_ID,
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
    with_keys,
)

MATCH = one_of("exact", "prefix", "wildcard")
CANCEL_MODE = one_of("skip", "kill", "killnowait")
_ALGORITHMS = ("cryptobox", "mqtt", "xbr")
_SERIALIZERS = ("json", "msgpack", "cbor", "ubjson", "flatbuffers")
_PPT: dict[str, Check] = dict.fromkeys(("ppt_scheme", "ppt_serializer", "ppt_cipher", "ppt_keyid"), check_text)
#: Keys that every message with a payload may have: payload passthru mode, and its older form on Crossbar. What is
#: received may say a little more than what routers take.
PAYLOAD: dict[str, Check] = {
    **_PPT,
    "enc_algo": or_null(one_of_or_custom(*_ALGORITHMS, "null")),
    "enc_key": or_null(check_key),
    "enc_serializer": or_null(one_of_or_custom(*_SERIALIZERS, "opaque", "null")),
}
PAYLOAD_SENT: dict[str, Check] = {
    **_PPT,
    "enc_algo": one_of_or_custom(*_ALGORITHMS),
    "enc_key": check_text,
    "enc_serializer": one_of_or_custom(*_SERIALIZERS),
}
#: What routers that are linked with each other write about the way a message came.
ROUTED: dict[str, Check] = {
    "forward_for": or_null(
        list_of(dict_with(session=or_null(check_id), authid=or_null(check_text), authrole=or_null(check_text)))
    )
}
ROUTED_SENT: dict[str, Check] = {
    "forward_for": list_of(
        with_keys(
            dict_with(session=check_id, authid=or_null(check_text), authrole=check_text),
            "session",
            "authid",
            "authrole",
        )
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
_NAMES = ("caller", "callee", "publisher", "subscriber", "broker", "dealer")
_ROLE = dict_with(features=dict_with(**dict.fromkeys(_FEATURES.split(), check_flag)))
_ROLE_OR_NULL = or_null(dict_with(features=or_null(dict_with(**dict.fromkeys(_FEATURES.split(), or_null(check_flag))))))
#: What HELLO says about the roles of the client, and WELCOME about those of the router.
ROLES = dict_with(**dict.fromkeys(_NAMES, _ROLE))
ROUTER_ROLES = dict_with(**dict.fromkeys(_NAMES, _ROLE_OR_NULL))


_IS_ID = f"type(v) is int and 0 < v <= {LARGEST_ID}"
_IS_URI = f"type(v) is str and len(v) <= {CACHED_URI} and is_short_uri(v)"
_EMPTY_DICT = "type(v) is dict and not v"


class Field(NamedTuple):
    """One kind of field.

    Args:
        check: Says what is wrong with a value.
        empty: Makes what ``None`` stands for in a constructor.
        secret: Whether the value must never be shown.
        usual: An expression about the value ``v`` that is true of nothing that the check refuses, and quicker, as
            each message that comes or goes is checked; it may use ``is_short_uri``.
    """

    check: Check
    empty: Callable[[], Any] | None = None
    secret: bool = False
    usual: str = "False"


def header(usual: str = "False", /, **known: Check) -> Field:
    """Declare an Options or Details field.

    Args:
        usual: As for `Field`, beside the empty dictionary.
        **known: The check of each key that the specification names.

    Returns:
        The field; ``None`` stands for ``{}`` in a constructor.
    """
    return Field(dict_with(**known), empty=dict, usual=f"type(v) is dict and (not v or ({usual}))")


def peer(role: str) -> dict[str, Check]:
    """List the keys by which a router discloses another peer, such as ``caller`` and ``caller_authid``."""
    text = or_null(check_text)
    return {role: or_null(check_id), f"{role}_authid": text, f"{role}_authrole": text}


def peer_sent(role: str) -> dict[str, Check]:
    """List the same keys as a client may send them, where routers refuse ``null``."""
    return {role: check_id, f"{role}_authid": check_text, f"{role}_authrole": check_text}


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


Id = Annotated[int, Field(check_id, usual=_IS_ID)]
#: ``None`` until the session gives it out, hence not ``int``.
FreshId = Annotated[Any, Field(check_fresh_id, usual=f"v is None or {_IS_ID}")]
IdOrZero = Annotated[int, Field(check_id_or_zero)]
Uri = Annotated[str, Field(check_uri, usual=_IS_URI)]
UriOrPattern = Annotated[str, Field(check_uri_or_pattern)]
Text = Annotated[str, Field(check_text)]
SecretText = Annotated[str, Field(check_secret_text, secret=True)]
# Typed `Any` because ``None`` may be passed and a list or dictionary is what one reads.
Dict = Annotated[Any, Field(check_dict, empty=dict)]
SecretDict = Annotated[Any, Field(check_dict, empty=dict, secret=True)]
Args = Annotated[Any, Field(check_args, empty=list, usual="type(v) is list or type(v) is tuple")]
Kwargs = Annotated[Any, Field(check_dict, empty=dict, usual=_EMPTY_DICT)]
