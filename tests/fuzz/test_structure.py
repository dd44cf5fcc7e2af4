"""Whatever list a serializer reads: it gives a message or `WampProtocolError`, and a message's list gives it back."""

import dataclasses
import inspect
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wampy.errors import WampProtocolError
from wampy.messages import MESSAGE_TYPE_MAP, Message, checks, parse, positional
from wampy.messages.checks import SHOWN, elide
from wampy.messages.error import REQUEST_TYPES, check_request_type
from wampy.serializers import get_serializer

MESSAGES = sorted(MESSAGE_TYPE_MAP.values(), key=lambda cls: cls.WAMP_CODE)

#: No error and no representation is longer, whatever the input.
LONGEST_TEXT = 1000


def reproducible(max_examples):
    # The same examples every time: what CI finds, everybody finds.
    return settings(
        derandomize=True,
        deadline=None,
        max_examples=max_examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


# Values.

# What every serializer can carry, and gives back as it was. A text that begins with NUL means a binary in JSON.
plain_texts = st.text(max_size=20).filter(lambda text: not text.startswith("\0"))
plain_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | plain_texts
    | st.binary(max_size=20)
)
plain_values = st.recursive(
    plain_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain_texts, inner, max_size=4),
    max_leaves=8,
)
plain_dicts = st.dictionaries(plain_texts, plain_values, max_size=4)


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no text for this one")


# What a serializer must never make of a payload, but a hand-made message may hold, is here too.
# Made anew each time, because hypothesis shows what it samples from, and some of these have no representation.
odd_scalars = st.sampled_from(
    [
        lambda: 10**5000,  # more digits than str() gives
        lambda: 2**53,
        lambda: 2**53 + 1,
        lambda: -1,
        lambda: 1.0,
        lambda: float("nan"),
        lambda: float("inf"),
        lambda: Decimal("sNaN"),
        lambda: Decimal("1e999999"),
        lambda: "x" * 5000,
        lambda: "a." * 3000,
        lambda: "a.b c.d",
        lambda: "a..b",
        lambda: "\ud800",
        lambda: "\0AAAA",
        lambda: b"",
        lambda: b"\xff" * 5000,
        lambda: bytearray(b"x"),
        lambda: (),
        lambda: (None,),
        lambda: {1, 2},
        lambda: dict.fromkeys(range(5000), 0),
        Unshowable,
    ]
).map(lambda make: make())
keys = st.text(max_size=8) | st.integers() | st.none() | st.tuples(st.integers()) | st.binary(max_size=4)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.binary(max_size=20)
    | odd_scalars,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=12,
)

# Messages, by the kind of each field.

components = st.text(
    st.characters(codec="utf-8", exclude_categories=["Z", "Cc"], exclude_characters=".#"), min_size=1, max_size=8
)
uris = st.lists(components, min_size=1, max_size=5).map(".".join)
# A prefix may end with a dot; a wildcard pattern may have empty components anywhere.
PATTERNS = {
    "prefix": st.tuples(st.just("") | uris.map("{}.".format), components | st.just("")).map("".join),
    "wildcard": st.lists(components | st.just(""), max_size=5).map(".".join),
}
ids = st.integers(1, checks.LARGEST_ID)

BY_CHECK = {
    checks.check_id: ids,
    checks.check_fresh_id: ids,
    checks.check_id_or_zero: ids | st.just(0),
    checks.check_uri: uris,
    checks.check_text: plain_texts,
    checks.check_key: plain_texts | st.binary(max_size=20),
    checks.check_secret_text: plain_texts,
    checks.check_flag: st.booleans(),
    checks.check_count: st.integers(0, 2**63 - 1),
    checks.check_positive: st.integers(1, 2**63 - 1),
    checks.check_dict: plain_dicts,
    check_request_type: st.sampled_from(REQUEST_TYPES),
}


def strategy_for(check):
    """Find values that a check allows; a new kind of check needs a line here or in `BY_CHECK`."""
    if check in BY_CHECK:
        return BY_CHECK[check]
    maker = check.__qualname__.partition(".")[0]
    parts = inspect.getclosurevars(check).nonlocals
    if maker == "or_null":
        return st.none() | strategy_for(parts["check"])
    if maker == "one_of":
        return st.sampled_from(parts["allowed"])
    if maker == "one_of_or_custom":
        return st.sampled_from(parts["allowed"]) | st.from_regex(r"x_([a-z][a-z0-9_]{1,8})?", fullmatch=True)
    if maker == "list_of":
        return st.lists(strategy_for(parts["element"]), max_size=3)
    if maker == "dict_with":
        return known_keys(parts["known"])
    if maker == "with_keys":
        # Whatever else is drawn, these are there.
        known = inspect.getclosurevars(parts["check"]).nonlocals["known"]
        required = st.fixed_dictionaries({key: strategy_for(known[key]) for key in parts["required"]})
        return st.builds(lambda some, all_: {**some, **all_}, known_keys(known), required)
    if maker == "revocation":
        return strategy_for(parts["plain"])
    raise NotImplementedError(f"no values are known for {check.__qualname__}")


@st.composite
def known_keys(draw, known):
    # Few at a time, or no example would ever be small.
    chosen = draw(st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True)) if known else []
    others = draw(st.dictionaries(plain_texts.filter(lambda key: key not in known), plain_values, max_size=2))
    return {**{key: draw(strategy_for(known[key])) for key in chosen}, **others}


def kinds_of(cls):
    """List names and kinds of a message's fields, as it declares them."""
    return [(field.name, field.type.__metadata__[0]) for field in dataclasses.fields(cls)]


@st.composite
def messages_of(draw, cls):
    found = {}
    for name, kind in kinds_of(cls):
        header = found.get("options") or found.get("details") or {}
        if kind.check is checks.check_args:
            found[name] = draw(st.lists(plain_values, max_size=4) | st.tuples(plain_values))
            if header.get("enc_algo") is not None and draw(st.booleans()):
                found[name] = draw(st.binary(max_size=20) | plain_texts)
        elif name == "kwargs":
            found[name] = {} if isinstance(found["args"], (bytes, str)) else draw(plain_dicts)
        elif kind.check is checks.check_uri_or_pattern:
            found[name] = draw(PATTERNS.get(header.get("match"), uris))
        else:
            found[name] = draw(strategy_for(kind.check))
            if kind.check.__qualname__.startswith("revocation.") and found["request_id"] == 0:
                key = inspect.getclosurevars(kind.check).nonlocals["key"]
                found[name] = {**found[name], key: draw(ids)}
    return cls(**found)


any_message = st.sampled_from(MESSAGES).flatmap(messages_of)


@st.composite
def spoilt_lists(draw):
    """A valid wire list of some message, with a few changes anywhere in it."""
    wire = draw(any_message.map(lambda message: copied(message.message)))
    for _ in range(draw(st.integers(1, 3))):
        spoil(draw, wire)
    return wire


def copied(value):
    if isinstance(value, list):
        return [copied(item) for item in value]
    return {key: copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def spoil(draw, wire):
    container = wire
    # Down into a payload or a header now and then.
    while inner := [item for item in children(container) if isinstance(item, (list, dict)) and item]:
        if not draw(st.booleans()):
            break
        container = draw(st.sampled_from(inner))
    steps = list(container) if isinstance(container, dict) else list(range(len(container)))
    how = draw(st.sampled_from(["replace", "drop", "add", "code", "null", "double"]))
    if how == "code":
        wire[:1] = [draw(st.sampled_from(list(MESSAGE_TYPE_MAP)) | values)]
    elif how == "add" or not steps:
        if isinstance(container, dict):
            known = st.sampled_from(["match", "enc_algo", "roles", "forward_for", "caller", "message", "registration"])
            container[draw(known | keys)] = draw(values)
        else:
            container.insert(draw(st.integers(0, len(container))), draw(values))
    else:
        step = draw(st.sampled_from(steps))
        if how == "drop":
            del container[step]
        elif how == "double":
            container[step] = [container[step], container[step]]
        else:
            container[step] = None if how == "null" else draw(values)


def children(container):
    return container.values() if isinstance(container, dict) else container


# Properties.


def check_outcome(wire):
    """Parse it: a message that holds what it should, or an error with a text of reasonable length."""
    try:
        message = parse(wire)
    except WampProtocolError as error:
        assert len(str(error)) < LONGEST_TEXT
        assert str(error).isprintable()
        return error
    assert isinstance(message, Message)
    assert type(message) is MESSAGE_TYPE_MAP[wire[0]]
    assert len(repr(message)) < LONGEST_TEXT
    assert parse(message.message) == message
    assert isinstance(message.header, dict)
    assert message.reply_key is None or len(message.reply_key) == 2
    assert isinstance(positional(getattr(message, "args", ())), tuple)
    return message


@given(values)
@reproducible(300)
def test_any_value_is_a_message_or_a_protocol_error(value):
    check_outcome(value)


@given(st.sampled_from(list(MESSAGE_TYPE_MAP)), st.lists(values, max_size=7))
@reproducible(300)
def test_any_list_that_begins_with_a_code_is_a_message_or_a_protocol_error(code, rest):
    check_outcome([code, *rest])


@given(spoilt_lists())
@reproducible(600)
def test_a_spoilt_message_is_a_message_or_a_protocol_error(wire):
    check_outcome(wire)


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.name)
def test_a_message_comes_back_from_its_list(cls):
    @given(messages_of(cls))
    @reproducible(40)
    def check(message):
        message.validate()
        again = parse(message.message)
        assert again == message
        assert type(again) is cls
        assert again.message == message.message
        assert len(repr(message)) < LONGEST_TEXT

    check()


@given(message=any_message)
@reproducible(300)
def test_a_message_comes_back_from_every_serializer(message, payloads):
    for name in payloads.SERIALIZERS:
        serializer = get_serializer(name)
        payload = serializer.dumps(message.message)
        parts = serializer.split(payload) if serializer.batched else [payload]
        assert [parse(serializer.loads(part)) for part in parts] == [message], name


@given(values)
@reproducible(300)
def test_eliding_never_fails_and_is_short(value):
    assert len(elide(value)) <= SHOWN


@given(st.sampled_from(MESSAGES), st.data())
@reproducible(200)
def test_a_message_that_was_never_checked_has_a_representation_too(cls, data):
    message = cls(*(data.draw(values) for _ in cls.FIELDS))
    assert len(repr(message)) < LONGEST_TEXT
    try:
        message.validate()
    except WampProtocolError as error:
        assert len(str(error)) < LONGEST_TEXT


def test_every_field_of_every_message_has_a_strategy():
    # Otherwise `messages_of` would fail in the middle of an example, and the failure would be harder to read.
    for cls in MESSAGES:
        for _, kind in kinds_of(cls):
            if kind.check not in (checks.check_args, checks.check_uri_or_pattern):
                strategy_for(kind.check)
