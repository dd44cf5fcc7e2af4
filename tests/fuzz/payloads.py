"""Payloads to fuzz with: valid ones of all message types, what is done to them, and what must come of it.

`test_payloads.py` and the atheris target share this.
"""

from wampy.errors import SerializationError, WampProtocolError
from wampy.messages import parse, positional

SERIALIZERS = (
    "json",
    "msgpack",
    "cbor",
    "ubjson",
    "json.batched",
    "msgpack.batched",
    "cbor.batched",
    "ubjson.batched",
)

#: No error and no representation is longer, whatever the input.
LONGEST_TEXT = 1000

_FEATURES = {"features": {"call_canceling": True, "progressive_call_results": True}}
_PPT = {"ppt_scheme": "x_mine", "ppt_serializer": "cbor"}

#: Valid wire lists, at least one of each message type.
EXAMPLES = (
    [1, "realm1", {"roles": {"caller": _FEATURES, "callee": _FEATURES}, "authmethods": ["ticket"], "authid": "joe"}],
    [2, 9129137332, {"roles": {"broker": _FEATURES, "dealer": {}}, "authextra": {"x": 1}, "authid": None}],
    [3, {"message": "there is no such realm"}, "wamp.error.no_such_realm"],
    [4, "wampcra", {"challenge": '{"nonce":"x"}', "salt": "s", "iterations": 1000, "keylen": 32}],
    [5, "gir1mSx+deCDUV7wRM5SGIn/+R/ClqLZuH4m7FJeBVI=", {}],
    [6, {}, "wamp.close.normal"],
    [6, {"message": "going down", "resumable": False}, "wamp.close.system_shutdown"],
    [8, 48, 7814135, {}, "com.example.error", ["no", 1.5], {"left": 0, "why": None}],
    [8, 68, 2**53, {"callee": 12}, "wamp.error.runtime_error"],
    [16, 239714735, {"acknowledge": True, "exclude": [1, 2], "eligible_authid": ["joe"]}, "com.example.topic", [1]],
    [16, 1, {"enc_algo": "cryptobox", "enc_serializer": "json", **_PPT}, "com.example.topic", b"\x00\xff\x80"],
    [17, 239714735, 4429313566],
    [32, 713845233, {"match": "prefix"}, "com.example."],
    [32, 1, {"match": "wildcard", "get_retained": True}, "com..topic"],
    [33, 713845233, 5512315355],
    [34, 85346237, 5512315355],
    [35, 85346237],
    [35, 0, {"subscription": 5512315355, "reason": "wamp.authentication.lost"}],
    [36, 5512315355, 4429313566, {"topic": "com.example.topic", "publisher": 3, "retained": True}, [], {"k": [1, {}]}],
    [36, 1, 2, {"forward_for": [{"session": 1, "authid": "x"}], **_PPT}, ["\u00e9\u4e16\U0001f600", -1, 2**63 - 1]],
    [48, 7814135, {"timeout": 1000, "receive_progress": True}, "com.example.add", [23, 7]],
    [48, 1, {}, "a", [b"", b"\x00binary\xff", [[], [[]]], 0.1, -1e300], {"": "", "nested": {"k": {"k": None}}}],
    [49, 7814135, {"mode": "killnowait"}],
    [50, 7814135, {"progress": True}, [list(range(40))], {"text": "x" * 300}],
    [50, 7814135, {}, [True, False, None]],
    [64, 25349185, {"match": "wildcard", "invoke": "roundrobin", "concurrency": 4}, "com.example..get"],
    [65, 25349185, 2103333224],
    [66, 788923562, 2103333224],
    [67, 788923562],
    [67, 0, {"registration": 2103333224}],
    [68, 6131533, 9823526, {"procedure": "com.example.add", "caller": None, "timeout": 0}, [255, 256, -129, 65536]],
    [69, 6131533, {"mode": "kill", "reason": "wamp.error.canceled"}],
    [70, 6131533, {}, [30]],
    [70, 6131533, {"progress": True, "callee_authid": "joe"}, [], {"values": [0.5] * 20}],
    [337, 4429313566],
)

#: What the formats are made of, to be put where it is not expected.
TOKENS = {
    "json": (
        *(b"[", b"]", b"{", b"}", b'{"":', b'"', b"\\", b",", b":", b"null", b"true", b"NaN", b"-Infinity", b"1e999"),
        *(b'"\\u0000AA=="', b'"\\u0000\xc3\xa9"', b'"\\ud800"', b'"\\udc00\\ud800"', b"-0", b"0.1e-5", b"\xef\xbb\xbf"),
        *(b"\x18", b"\x1e", b"9" * 40, b"9" * 4400, b"1." + b"0" * 400, b"[" * 300, b'{"a":' * 300, b"\x00", b"/**/"),
    ),
    "msgpack": (
        *(b"\xc1", b"\xc0", b"\x80", b"\x81", b"\x8f", b"\x90", b"\x91", b"\x9f", b"\xa0", b"\xa1\xff", b"\xbf"),
        *(b"\xc4\xff", b"\xc5\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xd9\xff", b"\xda\x7f\xff", b"\xdb\x7f\xff\xff\xff"),
        *(b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xde\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xc7\x00\x01"),
        *(b"\xc7\x0c\xff" + b"\xff" * 12, b"\xd6\xff" + b"\xff" * 4, b"\xd7\xff" + b"\xff" * 8, b"\xd4\x05\x00"),
        *(b"\xca\x7f\xc0\x00\x00", b"\xcb\x7f\xf8" + b"\x00" * 6, b"\xcf" + b"\xff" * 8),
        *(b"\x91" * 600, b"\x81\xa1a" * 600),
    ),
    "cbor": (
        *(b"\x9f", b"\xbf", b"\x5f", b"\x7f", b"\xff", b"\x5f\x41a\xff", b"\x7f\x61a\xff", b"\x7f\x41a\xff", b"\xf6"),
        *(b"\xf7", b"\xf8\x10", b"\xf8\xff", b"\xf9\x7e\x00", b"\xf9\x7c\x00", b"\xfb\x7f\xf0" + b"\x00" * 6, b"\x3b"),
        *(b"\x9b" + b"\xff" * 8, b"\xbb\x7f" + b"\xff" * 7, b"\x5b" + b"\xff" * 8, b"\x7b\x00\x00\x00\xff" * 2),
        *(b"\x1c", b"\xc0\x60", b"\xc0\x74", b"\xc1\xfb\x7f\xf8" + b"\x00" * 6, b"\xc1\x1b" + b"\xff" * 8, b"\xc2\x40"),
        *(b"\xc3\x42\xff\xff", b"\xc4\x82\x1a\x7f\xff\xff\xff\x01", b"\xc5\x82\x1b" + b"\xff" * 8 + b"\x01"),
        *(b"\xc2\x49", b"\xd8\x1e\x82", b"\xd8\x1c", b"\xd8\x1d\x00", b"\xd8\x1c\x81\xd8\x1d\x00", b"\xd9\x01\x00"),
        *(b"\xd9\x01\x02", b"\xd8\x23\x61(", b"\xd8\x25\x41a", b"\xd8\x24\x60", b"\xd9\xd9\xf7"),
        b"\xd9\x01\x04\x44\x01\x02\x03\x04",
        *(b"\xd9\x04\xd2\x60", b"\xd8\x2b\x60", b"\xd8\x64\x1b" + b"\xff" * 8, b"\xd9\x03\xec\x60"),
        *(b"\x81" * 600, b"\xc1" * 600, b"\xd8\x1c" * 300),
    ),
    "ubjson": (
        *(b"[", b"]", b"{", b"}", b"[$", b"[#", b"{$", b"{#", b"#", b"$", b"N", b"Z", b"T", b"F", b"U\xff", b"i\x80"),
        *(b"I\x00\x80", b"l\xff\xff\xff\x7f", b"L" + b"\xff" * 7 + b"\x7f", b"M" + b"\xff" * 8, b"m\xff\xff\xff\xff"),
        *(b"u\xff\xff", b"h\x00\x7c", b"d\x00\x00\xc0\x7f", b"D" + b"\x00" * 6 + b"\xf8\x7f", b"HU\x03abc", b"HU\x011"),
        *(b"SU\xff", b"SL" + b"\xff" * 7 + b"\x7f", b"SU\x01\xff", b"Ca", b"BA", b"[$U#", b"[$U#l\xff\xff\xff\x7f"),
        *(b"[$Z#l\xff\xff\xff\x7f", b"[$T#U\xff", b"[$U#[U\x02U\x03]", b"[$U#[$U#U\x02\xff\xff", b"[$B#U\x03abc"),
        *(b"{$U#U\x01U\x01a\x05", b"{$Z#L" + b"\xff" * 7 + b"\x7f", b"[${U\x01aU]#U\x02\x01\x02", b"[$[#U\x02", b"E"),
        *(b"[#L\xff\xff\xff\xff\xff\xff\xff\xff", b"[#i\xff", b"SI\xff\xff", b"HM" + b"\xff" * 8),
        *(b"[" * 600, b"{U\x01a" * 600),
    ),
}

#: Lengths that stand where a length is read, in either byte order.
_LENGTHS = [
    number.to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for number in (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1, 2 ** (8 * size) - 2, 24)
    for order in ("big", "little")
]


class Mutator:
    """Spoil payloads of one format.

    Args:
        random: A seeded `random.Random`.
        seeds: Valid payloads.
        refusable: Payloads that hold no message; a part of what is made comes of them.
        tokens: Pieces to put in.
    """

    def __init__(self, random, seeds, refusable, tokens):
        self._random = random
        self._seeds = seeds
        self._refusable = refusable
        self._tokens = tokens
        self._ways = (
            *(self._flip_a_bit, self._set_a_byte, self._nudge_a_byte, self._truncate, self._cut_out, self._repeat),
            *(self._splice, self._insert_a_token, self._overwrite_with_a_token, self._set_a_length, self._insert_bytes),
        )

    def payload(self):
        """Make the next payload."""
        random = self._random
        if random.random() < 0.03:
            return random.randbytes(random.randrange(60))
        refusable = random.random() < 0.3
        data = bytearray(random.choice(self._refusable if refusable else self._seeds))
        # Mostly one change: after many, nothing gets past the first bytes.
        for _ in range(random.choice((0, 0, 1, 2) if refusable else (1, 1, 1, 2, 2, 3, 6))):
            if data:
                random.choice(self._ways)(data)
        return bytes(data)

    def _flip_a_bit(self, data):
        data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)

    def _set_a_byte(self, data):
        data[self._random.randrange(len(data))] = self._random.randrange(256)

    def _nudge_a_byte(self, data):
        # Lengths and types are off by one.
        at = self._random.randrange(len(data))
        data[at] = (data[at] + self._random.choice((-1, 1))) % 256

    def _truncate(self, data):
        del data[self._random.randrange(len(data)) :]

    def _cut_out(self, data):
        start, end = self._range(data)
        del data[start:end]

    def _repeat(self, data):
        start, end = self._range(data)
        data[start:start] = data[start:end] * self._random.choice((1, 1, 2, 30))

    def _splice(self, data):
        other = self._random.choice(self._seeds)
        start, end = self._range(other)
        at = self._random.randrange(len(data))
        data[at : at + self._random.choice((0, end - start))] = other[start:end]

    def _insert_a_token(self, data):
        at = self._random.randrange(len(data) + 1)
        data[at:at] = self._random.choice(self._tokens)

    def _overwrite_with_a_token(self, data):
        token = self._random.choice(self._tokens)
        at = self._random.randrange(len(data))
        data[at : at + len(token)] = token

    def _set_a_length(self, data):
        length = self._random.choice(_LENGTHS)
        at = self._random.randrange(len(data))
        data[at : at + len(length)] = length

    def _insert_bytes(self, data):
        at = self._random.randrange(len(data) + 1)
        data[at:at] = self._random.randbytes(self._random.randrange(1, 5))

    def _range(self, data):
        start = self._random.randrange(len(data))
        return start, start + self._random.randrange(1, min(len(data) - start, 60) + 1)


def seeds_for(serializer):
    """Serialize the examples; where there are batches, with some of several messages."""
    return _with_batches(serializer, [serializer.dumps(wire) for wire in EXAMPLES])


def refusable_seeds_for(serializer):
    """Serialize what is no message, but nearly: mutated bytes rarely get as far as `parse` with it."""
    return _with_batches(serializer, [serializer.dumps(wire) for wire in _refusable()])


def _with_batches(serializer, single):
    if not serializer.batched:
        return single
    return single + [b"".join(single[start : start + 3]) for start in range(0, len(single), 3)]


def _refusable():
    odd = (None, True, -1, 0, 1.0, 2**53 + 1, "", "a b", "a..b", "x" * 300, b"", b"\xff", [], [None], {}, {"": {}})
    for example in EXAMPLES:
        yield example[:-1]
        yield [*example, {}]
        for at, value in enumerate(example):
            for spoilt in odd:
                yield [*example[:at], spoilt, *example[at + 1 :]]
            for key in value if isinstance(value, dict) else ():
                for spoilt in odd[:8]:
                    yield [*example[:at], {**value, key: spoilt}, *example[at + 1 :]]


def tokens_for(serializer):
    """Give the pieces that the serializer's format is made of."""
    return TOKENS[serializer.name.removesuffix(".batched")]


def mutator_for(serializer, random):
    """Make a `Mutator` for the payloads of a serializer."""
    return Mutator(random, seeds_for(serializer), refusable_seeds_for(serializer), tokens_for(serializer))


def consume(serializer, payload):
    """Do with a payload what a session does.

    Args:
        serializer: What reads it.
        payload: What came in.

    Returns:
        For each message in it, the message, or the documented error that it gave.

    Raises:
        Exception: Anything else, which is a finding.
    """
    try:
        parts = serializer.split(payload) if serializer.batched else [payload]
    except SerializationError as error:
        return [_short(error)]
    found = []
    for part in parts:
        found.append(_consume_one(serializer, part, looked_at=len(found) < 100))
        if isinstance(found[-1], Exception):
            break  # as the session does
    return found


def _consume_one(serializer, payload, looked_at):
    try:
        message = parse(serializer.loads(payload))
    except (SerializationError, WampProtocolError) as error:
        return _short(error)
    if not looked_at:
        return message  # in a batch of 100,000 this would take longer than the rest
    assert len(repr(message)) < LONGEST_TEXT, "the message's representation is too long"
    assert isinstance(message.message, list)
    assert isinstance(message.header, dict)
    assert isinstance(positional(getattr(message, "args", ())), tuple)
    return message


def _short(error):
    assert len(str(error)) < LONGEST_TEXT, f"the error's text is too long: {str(error)[:200]}"
    return error
