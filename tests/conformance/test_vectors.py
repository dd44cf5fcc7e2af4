"""The published test vectors of the WAMP specification, both ways and byte for byte.

`make test` fetches them; see .ci/fetch-vectors. A sample is either a message, with its attributes and its bytes in
each format, or a raw list to accept or refuse.
"""

import json
from pathlib import Path

import pytest

from wampy.errors import WampProtocolError
from wampy.messages import MESSAGE_TYPE_MAP, parse
from wampy.serializers import get_serializer

FOLDER = Path(__file__).resolve().parents[2] / ".vectors"
SAMPLES = [
    (path.stem, number, sample)
    for path in sorted(FOLDER.glob("*.json"))
    for number, sample in enumerate(json.loads(path.read_text())["samples"])
]
MESSAGES = [pytest.param(s, id=f"{name}-{n}") for name, n, s in SAMPLES if "serializers" in s]
LISTS = [pytest.param(s, id=f"{name}-{n}") for name, n, s in SAMPLES if "wmsg" in s]
FORMATS = ("json", "msgpack", "cbor", "ubjson")

# What the vectors call by another name than the specification's text and our messages do.
OUR_NAMES = {
    "subscription": "subscription_id",
    "publication": "publication_id",
    "registration": "registration_id",
    "authmethod": "auth_method",
    "method": "auth_method",
    "session": "session_id",
}

pytestmark = pytest.mark.skipif(not SAMPLES, reason="the vectors are not here; `make test` fetches them")


def test_they_are_all_there():
    assert (len(MESSAGES), len(LISTS)) == (35, 67)
    codes = {sample.values[0]["expected_attributes"]["message_type"] for sample in MESSAGES}
    assert codes == set(MESSAGE_TYPE_MAP)


def variants(sample, name):
    """Give the byte strings that stand for a message; the first UBJSON of each is of the dialect before BJData."""
    return [
        bytes.fromhex(each["bytes_hex"])
        for each in sample["serializers"][name]
        if name != "ubjson" or "BJData" in each["note"]
    ]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sample", MESSAGES)
def test_bytes_to_message_and_back(sample, name):
    serializer = get_serializer(name)
    wanted = variants(sample, name)
    assert wanted
    for payload in wanted:
        message = parse(serializer.loads(payload))
        assert serializer.dumps(message.message) in wanted
        check_attributes(message, sample["expected_attributes"])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sample", MESSAGES)
def test_attributes_to_message_to_bytes(sample, name):
    attributes = dict(sample["expected_attributes"])
    cls = MESSAGE_TYPE_MAP[attributes.pop("message_type")]
    fields = {field: value for field, value in map_names(cls, attributes).items() if value is not None}
    message = cls(**{"args": None, **fields} if "args" in cls.FIELDS else fields)
    message.validate()
    serializer = get_serializer(name)
    payload = serializer.dumps(message.message)
    # One sample lists its attributes in another order than its bytes; the order is kept, so nothing else differs.
    assert sorted(payload) in [sorted(wanted) for wanted in variants(sample, name)]
    assert serializer.loads(payload) in [serializer.loads(wanted) for wanted in variants(sample, name)]


def check_attributes(message, attributes):
    attributes = dict(attributes)
    assert attributes.pop("message_type") == message.WAMP_CODE
    for field, value in map_names(type(message), attributes).items():
        found = getattr(message, field)
        assert found == value or (value is None and not found), (field, found, value)


def map_names(cls, attributes):
    """Turn the vectors' attributes into our fields: what is no field is a key of Options or Details."""
    payload = attributes.pop("payload", None)
    fields = {}
    roles = attributes.pop("roles", None)
    if roles is not None:
        fields["details"] = {"roles": roles}
    for name, value in attributes.items():
        field = name if name in cls.FIELDS else OUR_NAMES.get(name, name)
        assert field in cls.FIELDS, f"{cls.name} has no {name}"
        fields[field] = value
    if payload is not None:
        fields["args"] = bytes.fromhex(payload)
    return fields


@pytest.mark.parametrize("sample", LISTS)
def test_a_raw_list_is_accepted_or_refused(sample):
    expected = sample.get("expected_error")
    if expected is None:
        assert parse(sample["wmsg"]).message == sample["wmsg"]
        return
    with pytest.raises(WampProtocolError, match=expected["contains"]) as caught:
        parse(sample["wmsg"])
    assert caught.value.uri.endswith(expected["type"])
