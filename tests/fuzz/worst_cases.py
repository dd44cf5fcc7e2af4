"""Payloads of one mebibyte that are meant to cost much: time, memory or the C stack.

Each is made by a function, so that only the one at hand is in memory: ``CASES["json"]["deep lists"]()``.
"""

import struct
from functools import partial

MIB = 1 << 20

#: What Python's hash of a number is the remainder of.
_MODULUS = 2**61 - 1


def filled(before, piece, after=b""):
    """Repeat a piece as often as a mebibyte has room for."""
    return before + piece * ((MIB - len(before) - len(after)) // len(piece)) + after


# Integers and timestamps whose hashes are equal: each of them is compared with all others in a dictionary. Texts and
# binaries cannot be made like that, because their hashes are salted.


def colliding_pairs(count):
    """Give pairs of integers ``(a, b)`` whose tuples have one hash, by going backwards through CPython's."""
    p1, p2, p5 = 11400714785074694791, 14029467366897019727, 2870177450012600261
    mask = 2**64 - 1

    def rotated(value, by):
        return ((value << by) | (value >> (64 - by))) & mask

    inverse1, inverse2 = pow(p1, -1, 2**64), pow(p2, -1, 2**64)
    wanted = rotated((12345 * inverse1) & mask, 33)
    found, second = [], 0
    while len(found) < count:
        second += 1
        between = (wanted - second * p2) & mask
        first = ((rotated((between * inverse1) & mask, 33) - p5) * inverse2) & mask
        if first < _MODULUS:
            found.append((first, second))
    return found


def floats_that_collide():
    """Give floats of which each 34 or so have one hash."""
    return (number * 2.0**power for number in range(1, MIB, 2) for power in range(-976, 900, 61))


def with_keys(head, keys, value, after=b""):
    """Make a map of as many of these keys as there is room for; `head` makes its beginning from their number."""
    chosen, size = [], 16 + len(after)
    for key in keys:
        size += len(key) + len(value)
        if size > MIB:
            break
        chosen.append(key)
    return head(len(chosen)) + b"".join(key + value for key in chosen) + after


def texts_that_differ(encode):
    return (encode(f"{number:x}") for number in range(MIB))


# JSON.

_URI_SHAPES = {
    "dots": "." * MIB,
    "components": "a." * (MIB // 2),
    "components with a space at the end": "a." * (MIB // 2 - 1) + "a ",
    "long components with a space at the end": ("a" * 1000 + ".") * 1000 + "a ",
    "one component": "a" * MIB,
    "one component with a hash at the end": "a" * (MIB - 1) + "#",
    "two dots in the middle": "a" * (MIB // 2) + ".." + "a" * (MIB // 2 - 2),
    "spaces": " " * MIB,
    "a dot at the end": "ab." * (MIB // 3),
    "not ASCII": "\u00e9." * (MIB // 3),
    "astral": "\U0001f600" * (MIB // 4),
}


def _json_uri(text):
    # SUBSCRIBE has the check with the most regular expressions, and PREFIX those that allow empty components.
    head = b'[32,1,{"match":"prefix"},"'
    return head + text.encode()[: MIB - len(head) - 2] + b'"]'


def _json_exact_uri(text):
    return b'[32,1,{},"' + text.encode()[: MIB - 12] + b'"]'


def _json_map(values=b"0"):
    return with_keys(
        lambda _: b"[50,1,{},[],{", texts_that_differ(lambda text: f'"{text}":'.encode()), values + b",", b'"":0}]'
    )


JSON = {
    **{f"URI pattern: {name}": partial(_json_uri, text) for name, text in _URI_SHAPES.items()},
    **{f"URI: {name}": partial(_json_exact_uri, text) for name, text in _URI_SHAPES.items()},
    "deep lists": lambda: b"[" * MIB,
    "deep lists, closed": lambda: b"[" * (MIB // 2) + b"]" * (MIB // 2),
    "deep objects": lambda: filled(b"", b'{"":'),
    "not so deep lists in the arguments": lambda: filled(b"[50,1,{},[0", b"," + b"[" * 200 + b"]" * 200, b"]]"),
    "a million digits": lambda: b"[50," + b"9" * (MIB - 5) + b"]",
    "a million digits behind the point": lambda: b"[50,1,{},[0." + b"9" * (MIB - 14) + b"]]",
    "a million zeros before an exponent": lambda: b"[50,1,{},[1" + b"0" * (MIB - 20) + b"e-99999]]",
    "a huge exponent": lambda: b"[50,1,{},[1e" + b"9" * (MIB - 14) + b"]]",
    "numbers of 4,300 digits": lambda: filled(b"[50,1,{},[0", b"," + b"9" * 4300, b"]]"),
    "floats of 4,300 digits": lambda: filled(b"[50,1,{},[0", b"," + b"9" * 4300 + b".1", b"]]"),
    "floats hard to round": lambda: filled(b"[50,1,{},[0", b",2.2250738585072011e-308", b"]]"),
    "empty texts": lambda: filled(b"[50,1,{},[0", b',""', b"]]"),
    "empty lists": lambda: filled(b"[50,1,{},[0", b",[]", b"]]"),
    "empty objects": lambda: filled(b"[50,1,{},[0", b",{}", b"]]"),
    "objects of one key": lambda: filled(b"[50,1,{},[0", b',{"":0}', b"]]"),
    "an object of different keys": _json_map,
    "an object of different keys in place of an id": lambda: (
        _json_map().replace(b"[50,1,{},[],", b"[50,")[:-1] + b",{}]"
    ),
    "an object of one key, again and again": lambda: filled(b"[50,1,{},[],{", b'"a":0,', b'"a":0}]'),
    "nulls": lambda: filled(b"[50,1,{},[0", b",null", b"]]"),
    "nulls for fields": lambda: filled(b"[50", b",null", b"]"),
    "white space": lambda: b"[" + b" " * (MIB - 2) + b"]",
    "escapes": lambda: filled(b'["', b"\\n", b'"]'),
    "unicode escapes": lambda: filled(b'["', b"\\u00e9", b'"]'),
    "NULs": lambda: filled(b'["', b"\\u0000", b'"]'),
    "surrogates": lambda: filled(b'["', b"\\ud83d\\ude00", b'"]'),
    "halves of surrogates": lambda: filled(b'[50,1,{},["', b"\\ud800", b'"]]'),
    "an open text": lambda: b'["' + b"a" * (MIB - 2),
    "backslashes": lambda: b'["' + b"\\" * (MIB - 2),
    "quotes": lambda: b'"' * MIB,
    "a binary": lambda: b'[50,1,{},["\\u0000' + b"AAAA" * (MIB // 4 - 8) + b'"]]',
    "a binary that is none": lambda: b'[50,1,{},["\\u0000' + b"AAAA" * (MIB // 4 - 8) + b'!"]]',
    "empty binaries": lambda: filled(b"[50,1,{},[0", b',"\\u0000"', b"]]"),
    "a binary under deep lists": lambda: filled(b'[50,1,{},["\\u0000AAAA"', b"," + b"[" * 200 + b"]" * 200, b"]]"),
    "not UTF-8": lambda: b"\xff" * MIB,
    "not UTF-8 at the end": lambda: b'["' + b"\xc3\xa9" * (MIB // 2 - 2) + b"\xff",
    "secrets": lambda: filled(b'[5,"', b"x", b'",{}]'),
    "a list in place of a code": lambda: filled(b"[[0", b",0", b"]]"),
    "deeply different details": lambda: filled(b'[1,"r",{"authmethods":[""', b',"x"', b',0]}]'),
    "many who are excluded": lambda: filled(b'[16,1,{"exclude":[1', b",1", b']},"a.b"]'),
    "many routers on the way": lambda: filled(b'[50,1,{"forward_for":[{}', b",{}", b"]}]"),
}

# MessagePack.


def _packed_text(text):
    data = text.encode()
    return bytes([0xD9, len(data)]) + data


def _packed_map(keys, value=b"\xc0", after=b""):
    return with_keys(lambda count: b"\x95\x32\x01\x80\x90\xdf" + count.to_bytes(4, "big"), keys, value, after)


def _packed_timestamps():
    # Twelve bytes: 32 bits of nanoseconds, 64 bits of seconds.
    return (b"\xc7\x0c\xff" + struct.pack(">Iq", second, first) for first, second in colliding_pairs(MIB // 16))


def _packed_list(piece, each=1):
    count = (MIB - 16) // len(piece)
    return b"\x94\x32\x01\x80\xdd" + (count * each).to_bytes(4, "big") + piece * count


MSGPACK = {
    "deep lists": lambda: b"\x91" * MIB,
    "deep maps": lambda: filled(b"", b"\x81\xa0"),
    "deep maps in keys": lambda: filled(b"", b"\x81"),
    "not so deep lists": lambda: _packed_list(b"\x91" * 200 + b"\xc0"),
    "a list said to be huge": lambda: b"\xdd\xff\xff\xff\xff" + b"\xc0" * 100,
    "lists said to be huge": lambda: filled(b"", b"\xdd\x7f\xff\xff\xff"),
    "lists said to be as long as the message": lambda: b"\xdd\x00\x10\x00\x00" * 500 + b"\xc0" * (MIB - 2500),
    "maps said to be huge": lambda: filled(b"", b"\xdf\x7f\xff\xff\xff\xa0"),
    "a text said to be huge": lambda: b"\x91\xdb\xff\xff\xff\xff" + b"a" * 100,
    "a binary said to be huge": lambda: b"\x91\xc6\xff\xff\xff\xff" + b"a" * 100,
    "an extension said to be huge": lambda: b"\x91\xc9\xff\xff\xff\xff\x05" + b"a" * 100,
    "empty texts": lambda: _packed_list(b"\xa0"),
    "empty binaries": lambda: _packed_list(b"\xc4\x00"),
    "empty lists": lambda: _packed_list(b"\x90"),
    "lists of one": lambda: _packed_list(b"\x91\x90"),
    "empty maps": lambda: _packed_list(b"\x80"),
    "maps of one": lambda: _packed_list(b"\x81\xa0\xc0"),
    "nulls": lambda: _packed_list(b"\xc0"),
    "nulls for fields": lambda: b"\xdd" + (MIB - 5).to_bytes(4, "big") + b"\x32" + b"\xc0" * (MIB - 6),
    "empty extensions": lambda: _packed_list(b"\xc7\x00\x05"),
    "a large extension": lambda: b"\x94\x32\x01\x80\xc9" + (MIB - 16).to_bytes(4, "big") + b"\x05" + b"a" * (MIB - 16),
    "timestamps": lambda: _packed_list(b"\xd6\xff\xff\xff\xff\xff"),
    "floats": lambda: _packed_list(b"\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a"),
    "a map of different keys": lambda: _packed_map(texts_that_differ(_packed_text)),
    "a map of one key": lambda: _packed_map(iter(lambda: b"\xa1a", None)),
    "a map of integers": lambda: _packed_map(
        b"\xcf" + (number << 32).to_bytes(8, "big") for number in range(2**32)
    ),
    "a map of integers, ones at the top": lambda: _packed_map(
        b"\xcf" + ((number << 44) % 2**64).to_bytes(8, "big") for number in range(MIB)
    ),
    "a map of floats": lambda: _packed_map(b"\xcb" + struct.pack(">d", number) for number in floats_that_collide()),
    "a map of timestamps that collide": lambda: _packed_map(_packed_timestamps()),
    "a map of timestamps that collide in place of an id": lambda: with_keys(
        lambda count: b"\x93\x32\xdf" + count.to_bytes(4, "big"), _packed_timestamps(), b"\xc0", b"\x80"
    ),
    "maps beside a timestamp": lambda: _packed_list(b"\x80").replace(b"\x80" * 6, b"\xd6\xff\xff\xff\xff\xff", 1),
    "a map of extensions": lambda: _packed_map(
        b"\xd6\x05" + number.to_bytes(4, "big") for number in range(MIB)
    ),
    "a large text that is not UTF-8": lambda: b"\x91\xdb" + (MIB - 6).to_bytes(4, "big") + b"a" * (MIB - 7) + b"\xff",
    "a large binary": lambda: b"\x94\x32\x01\x80\x91\xc6" + (MIB - 16).to_bytes(4, "big") + b"\xff" * (MIB - 16),
    "a large binary in place of an id": lambda: (
        b"\x93\x32\xc6" + (MIB - 16).to_bytes(4, "big") + b"\xff" * (MIB - 16) + b"\x80"
    ),
    "more behind the message": lambda: b"\x93\x32\x01\x80" + b"\xc0" * (MIB - 4),
}

# CBOR.


def _cbor_head(major, number):
    return bytes([major << 5 | 27]) + number.to_bytes(8, "big")


def _cbor_text(text):
    data = text.encode()
    return bytes([0x60 | len(data)]) + data


def _cbor_map(keys, value=b"\xf6"):
    return with_keys(lambda count: b"\x85\x18\x32\x01\xa0\x80" + _cbor_head(5, count), keys, value)


def _cbor_list(piece):
    count = (MIB - 16) // len(piece)
    return b"\x84\x18\x32\x01\xa0" + _cbor_head(4, count) + piece * count


def _cbor_result(value):
    """A RESULT with this one value."""
    return b"\x84\x18\x32\x01\xa0\x81" + value


def _cbor_big(size=MIB - 32):
    return b"\xc2\x5a" + size.to_bytes(4, "big") + b"\xff" * size


def _cbor_long_text(data):
    return b"\x7a" + len(data).to_bytes(4, "big") + data


def _cbor_bignum(number, size):
    return b"\xc2" + bytes([0x40 | size]) + number.to_bytes(size, "big")


CBOR = {
    "deep lists": lambda: b"\x81" * MIB,
    "deep open lists": lambda: b"\x9f" * MIB,
    "deep maps": lambda: filled(b"", b"\xa1\x60"),
    "deep maps in keys": lambda: filled(b"", b"\xa1"),
    "deep tags": lambda: b"\xc1" * MIB,
    "deep unknown tags": lambda: filled(b"", b"\xd9\x04\xd2"),
    "deep shared references": lambda: filled(b"", b"\xd8\x1c\x81"),
    "deep texts in pieces": lambda: b"\x7f" * MIB,
    "not so deep lists": lambda: _cbor_list(b"\x81" * 200 + b"\xf6"),
    "not so deep tags": lambda: _cbor_list(b"\xd9\x04\xd2" * 200 + b"\xf6"),
    "tags": lambda: _cbor_list(b"\xd9\x04\xd2\xf6"),
    "a list said to be huge": lambda: b"\x9b" + b"\xff" * 8 + b"\xf6" * 100,
    "a list said to be rather large": lambda: b"\x9a\x7f\xff\xff\xff" + b"\xf6" * 100,
    "lists said to be as long as the message": lambda: b"\x9a\x00\x10\x00\x00" * 190 + b"\xf6" * (MIB - 950),
    "lists said to be large": lambda: b"\x9a\x7f\xff\xff\xff" * 190 + b"\xf6" * (MIB - 950),
    "maps said to be huge": lambda: filled(b"", b"\xba\x7f\xff\xff\xff\x60"),
    "a text said to be huge": lambda: b"\x81\x7b\x7f" + b"\xff" * 7 + b"a" * 100,
    "a text said to be rather large": lambda: b"\x81\x7a\x7f\xff\xff\xff" + b"a" * (MIB - 6),
    "a binary said to be huge": lambda: b"\x81\x5b\x7f" + b"\xff" * 7 + b"a" * 100,
    "a binary said to be rather large": lambda: b"\x81\x5a\x7f\xff\xff\xff" + b"a" * (MIB - 6),
    "empty texts": lambda: _cbor_list(b"\x60"),
    "empty lists": lambda: _cbor_list(b"\x80"),
    "lists of one": lambda: _cbor_list(b"\x81\x80"),
    "open lists": lambda: _cbor_list(b"\x9f\xff"),
    "empty maps": lambda: _cbor_list(b"\xa0"),
    "maps of one": lambda: _cbor_list(b"\xa1\x60\xf6"),
    "nulls": lambda: _cbor_list(b"\xf6"),
    "undefined values": lambda: _cbor_list(b"\xf7"),
    "simple values": lambda: _cbor_list(b"\xf8\x40"),
    "half floats": lambda: _cbor_list(b"\xf9\x3c\x00"),
    "an open list of nulls": lambda: b"\x9f" + b"\xf6" * (MIB - 2) + b"\xff",
    "a text in pieces": lambda: filled(b"\x81\x7f", b"\x61a", b"\xff"),
    "a text in empty pieces": lambda: filled(b"\x81\x7f", b"\x60", b"\xff"),
    "a binary in pieces": lambda: filled(b"\x84\x18\x32\x01\xa0\x81\x5f", b"\x41a", b"\xff"),
    "texts in pieces": lambda: _cbor_list(b"\x7f\x61a\xff"),
    "a bignum": lambda: _cbor_result(_cbor_big()),
    "a bignum in place of an id": lambda: b"\x83\x18\x32" + _cbor_big() + b"\xa0",
    "a negative bignum": lambda: _cbor_result(b"\xc3" + _cbor_big()[1:]),
    "a bignum in pieces": lambda: filled(b"\x81\xc2\x5f", b"\x41\xff", b"\xff"),
    "bignums": lambda: _cbor_list(b"\xc2\x58\xff" + b"\xff" * 255),
    "a decimal of a huge exponent": lambda: _cbor_result(b"\xc4\x82\x1b\x7f" + b"\xff" * 7 + b"\x01"),
    "a decimal of an exponent just allowed": lambda: _cbor_result(b"\xc4\x82" + _cbor_head(0, 10**18 - 30) + b"\x01"),
    "a decimal in place of an id": lambda: b"\x83\x18\x32\xc4\x82\x1a\x3b\x9a\xc9\xff\x01\xa0",
    "decimals of huge exponents": lambda: _cbor_list(b"\xc4\x82\x1b\x0d\xe0\xb6\xb3\xa7\x63\xff\xff\x01"),
    "decimals": lambda: _cbor_list(b"\xc4\x82\x20\x01"),
    "a decimal of a bignum": lambda: _cbor_result(b"\xc4\x82\x01" + _cbor_big()),
    "a decimal of a bignum below": lambda: _cbor_result(b"\xc4\x82\x20" + _cbor_big()),
    "decimals of small bignums": lambda: _cbor_list(b"\xc4\x82\x20\xc2\x59\x06\xf0" + b"\xff" * 1776),
    "a decimal whose exponent is a bignum": lambda: _cbor_result(b"\xc4\x82" + _cbor_big() + b"\x01"),
    "a big float of a huge exponent": lambda: _cbor_result(b"\xc5\x82\x1a\x3b\x9a\xc9\xff\x01"),
    "a big float of a rather large exponent": lambda: _cbor_result(b"\xc5\x82\x1a\x00\xff\xff\xff\x01"),
    "a big float of a bignum": lambda: _cbor_result(b"\xc5\x82\x01" + _cbor_big()),
    "a rational of bignums": lambda: _cbor_result(b"\xd8\x1e\x82" + _cbor_big(MIB // 2 - 32) * 2),
    "rationals": lambda: _cbor_list(b"\xd8\x1e\x82" + (b"\xc2\x58\xff" + b"\xfb" * 255) * 2),
    "a rational of a huge decimal": lambda: _cbor_result(b"\xd8\x1e\x82\xc4\x82\x1a\x3b\x9a\xc9\xff\x01\x01"),
    "a complex number of a huge decimal": lambda: _cbor_result(b"\xd9\xa7\xf8\x82\xc4\x82\x1a\x3b\x9a\xc9\xff\x01\x01"),
    "a date of a huge decimal": lambda: _cbor_result(b"\xc1\xc4\x82\x1a\x3b\x9a\xc9\xff\x01"),
    "a day of a bignum": lambda: _cbor_result(b"\xd8\x64" + _cbor_big()),
    "dates": lambda: _cbor_list(b"\xc0\x742013-03-21T20:04:00Z"),
    "a date of a million digits": lambda: _cbor_result(
        b"\xc0" + _cbor_long_text(b"2013-03-21T20:04:00." + b"0" * (MIB - 64))
    ),
    "a regular expression": lambda: _cbor_result(b"\xd8\x23" + _cbor_long_text(b"(" * (MIB - 64))),
    "a regular expression of choices": lambda: _cbor_result(b"\xd8\x23" + _cbor_long_text(b"a|" * (MIB // 2 - 64))),
    "a mail": lambda: _cbor_result(b"\xd8\x24" + _cbor_long_text(b"a: b\n" * (MIB // 5 - 64))),
    "networks": lambda: _cbor_list(b"\xd9\x01\x05\xa1\x44\x01\x02\x03\x00\x18\x18"),
    "shared values": lambda: _cbor_list(b"\xd8\x1c\x80"),
    "references": lambda: b"\x84\x18\x32\x01\xa0\x81\x9f\xd8\x1c\x80" + b"\xd8\x1d\x00" * (MIB // 3 - 16) + b"\xff",
    "a list that contains itself": lambda: b"\x84\x18\x32\x01\xa0\xd8\x1c\x81\xd8\x1d\x00",
    "lists that double": lambda: b"\x84\x18\x32\x01\xa0\x98\x65\xd8\x1c\x80" + b"".join(
        b"\xd8\x1c\x82" + (b"\xd8\x1d" + _cbor_head(0, number)) * 2 for number in range(100)
    ),
    "texts by reference": lambda: _cbor_result(
        b"\xd9\x01\x00\x9f\x64aaaa" + b"\xd8\x19\x00" * (MIB // 3 - 16) + b"\xff"
    ),
    "texts by reference, large": lambda: _cbor_result(
        b"\xd9\x01\x00\x9f\x79\xff\xff" + b"a" * 65535 + b"\xd8\x19\x00" * (MIB // 4 - 16) + b"\xff"
    ),
    "spaces for texts": lambda: filled(b"", b"\xd9\x01\x00"),
    "a set": lambda: _cbor_result(
        b"\xd9\x01\x02"
        + _cbor_head(4, MIB // 16)
        + b"".join(_cbor_bignum(_MODULUS * number, 12) for number in range(MIB // 16))
    ),
    "a map of different keys": lambda: _cbor_map(texts_that_differ(_cbor_text)),
    "a map of one key": lambda: _cbor_map(iter(lambda: b"\x61a", None)),
    "a map of integers": lambda: _cbor_map(_cbor_head(0, number << 32) for number in range(2**32)),
    "a map of bignums that collide": lambda: _cbor_map(_cbor_bignum(_MODULUS * number, 12) for number in range(1, MIB)),
    "a map of lists that collide": lambda: _cbor_map(
        b"\x82" + _cbor_head(0, first) + _cbor_head(0, second) for first, second in colliding_pairs(MIB // 20)
    ),
    "a map of tags that collide": lambda: _cbor_map(
        b"\xdb" + first.to_bytes(8, "big") + _cbor_head(0, second) for first, second in colliding_pairs(MIB // 19)
    ),
    "a map of decimals that collide": lambda: _cbor_map(
        b"\xc4\x82\x00" + _cbor_bignum(_MODULUS * number, 12) for number in range(1, MIB)
    ),
    "a map of decimals of huge exponents": lambda: _cbor_map(
        b"\xc4\x82\x1b" + (10**18 - 30 - number).to_bytes(8, "big") + b"\x01" for number in range(1, MIB)
    ),
    "a map of floats": lambda: _cbor_map(b"\xfb" + struct.pack(">d", number) for number in floats_that_collide()),
    "a map of undefined values": lambda: _cbor_map(iter(lambda: b"\xf7", None)),
    "a map of deep lists": lambda: _cbor_map(iter(lambda: b"\x81" * 200 + b"\xf6", None)),
    "a large text that is not UTF-8": lambda: b"\x81\x7a" + (MIB - 6).to_bytes(4, "big") + b"a" * (MIB - 7) + b"\xff",
    "a large binary in place of an id": lambda: b"\x83\x18\x32" + _cbor_big()[1:] + b"\xa0",
    "more behind the message": lambda: b"\x83\x18\x32\x01\xa0" + b"\xf6" * (MIB - 5),
}

# BJData.


def _bj_int(number):
    return b"l" + number.to_bytes(4, "little")


def _bj_result(value):
    """A RESULT with this one value."""
    return b"[U\x32U\x01{}[" + value + b"]]"


def _bj_list(piece):
    return filled(b"[U\x32U\x01{}[", piece, b"]]")


def _bj_text(text):
    data = text.encode()
    return b"U" + bytes([len(data)]) + data


UBJSON = {
    "deep lists": lambda: b"[" * MIB,
    "deep maps": lambda: filled(b"", b"{U\x00"),
    "deep counted lists": lambda: filled(b"", b"[#U\x01"),
    "not so deep lists": lambda: _bj_list(b"[" * 20 + b"]" * 20),
    "a list said to be huge": lambda: b"[#L" + b"\xff" * 7 + b"\x7f" + b"Z" * 100,
    "a list said to be rather large": lambda: b"[#l\xff\xff\xff\x7f" + b"Z" * (MIB - 8),
    "lists said to be large": lambda: b"[#l\xff\xff\xff\x7f" * 30 + b"Z" * (MIB - 240),
    "nulls that take no room": lambda: b"[$Z#l\xff\xff\xff\x7f",
    "truths that take no room": lambda: b"[$T#l\xff\xff\xff\x0f",
    "no-ops that take no room": lambda: b"[$N#l\xff\xff\xff\x0f",
    "a map of nulls that takes no room": lambda: b"{$Z#l\xff\xff\xff\x7fU\x01a",
    "lists of bytes said to be huge": lambda: filled(b"[", b"[$U#l\xff\xff\xff\x7f"),
    "floats said to be huge": lambda: b"[$D#l\xff\xff\xff\x7f" + b"\x00" * (MIB - 16),
    "a text said to be huge": lambda: b"[SL" + b"\xff" * 7 + b"\x7f" + b"a" * 100,
    "a text said to be rather large": lambda: b"[Sl\xff\xff\xff\x7f" + b"a" * (MIB - 16),
    "a number said to be huge": lambda: b"[Hl\xff\xff\xff\x7f" + b"1" * (MIB - 16),
    "a million digits": lambda: _bj_result(b"H" + _bj_int(MIB - 32) + b"9" * (MIB - 32)),
    "a million digits in place of an id": lambda: b"[U\x32H" + _bj_int(MIB - 32) + b"9" * (MIB - 32) + b"{}]",
    "a million digits behind the point": lambda: _bj_result(b"H" + _bj_int(MIB - 32) + b"1." + b"9" * (MIB - 34)),
    "numbers of 4,300 digits": lambda: _bj_list(b"HI\xcc\x10" + b"9" * 4300),
    "a number of a huge exponent": lambda: _bj_result(b"HU\x151e999999999999999999"),
    "a number of an exponent just allowed": lambda: b"[U\x32HU\x141e99999999999999999" + b"9{}]",
    "numbers of huge exponents": lambda: _bj_list(b"HU\x0b1e999999999"),
    "empty texts": lambda: _bj_list(b"SU\x00"),
    "empty lists": lambda: _bj_list(b"[]"),
    "empty maps": lambda: _bj_list(b"{}"),
    "maps of one": lambda: _bj_list(b"{U\x00Z}"),
    "nulls": lambda: _bj_list(b"Z"),
    "no-ops": lambda: _bj_list(b"N"),
    "characters": lambda: _bj_list(b"Ca"),
    "half floats": lambda: _bj_list(b"h\x00\x3c"),
    "typed bytes": lambda: _bj_result(b"[$U#" + _bj_int(MIB - 32) + b"a" * (MIB - 32)),
    "typed binary bytes": lambda: _bj_result(b"[$B#" + _bj_int(MIB - 32) + b"a" * (MIB - 32)),
    "typed signed bytes": lambda: _bj_result(b"[$i#" + _bj_int(MIB - 32) + b"a" * (MIB - 32)),
    "typed characters": lambda: _bj_result(b"[$C#" + _bj_int(MIB - 32) + b"a" * (MIB - 32)),
    "typed doubles": lambda: _bj_result(b"[$D#" + _bj_int(MIB // 8 - 32) + b"abcdefgh" * (MIB // 8 - 32)),
    "empty typed lists": lambda: _bj_list(b"[$U#U\x00"),
    "bytes in two dimensions": lambda: _bj_result(
        b"[$U#[l\x00\x02\x00\x00l\x00\x04\x00\x00]" + b"a" * (MIB // 2)
    ),
    "bytes in one column": lambda: _bj_result(b"[$U#[" + _bj_int(MIB - 64) + b"U\x01]" + b"a" * (MIB - 64)),
    "bytes in dimensions of one": lambda: b"[U\x32U\x01{}[[$U#[" + b"U\x01" * (MIB // 2 - 64) + b"]a]]",
    "dimensions of zero": lambda: _bj_result(b"[$U#[l\xff\xff\xff\x7fU\x00]"),
    "dimensions of zero within dimensions": lambda: _bj_result(b"[$U#[[l\xff\xff\xff\x7fU\x00]]"),
    "dimensions of zero, turned": lambda: _bj_result(b"[$U#[U\x00l\xff\xff\xff\x7f]"),
    "many dimensions of zero": lambda: _bj_list(b"[$U#[U\xffU\xffU\x00]"),
    "many dimensions of zero that just fit": lambda: _bj_list(b"[$U#[l\x00\x00\x08\x00U\x00]"),
    "many dimensions that just fit": lambda: _bj_list(b"[$Z#[l\x00\x00\x08\x00U\x01]"),
    "dimensions as a typed list": lambda: b"[$U#[$U#U\x03\xff\xff\xff" + b"a" * (MIB - 16),
    "dimensions as a huge typed list": lambda: b"[$U#[$U#l\xff\xff\xff\x7f" + b"\x01" * (MIB - 16),
    "dimensions as a typed list of ones": lambda: b"[$U#[$U#" + _bj_int(MIB - 64) + b"\x01" * (MIB - 64) + b"a",
    "dimensions that overflow": lambda: b"[$U#[M\x00\x00\x00\x00\x00\x00\x00\x80U\x02]" + b"a" * 100,
    "dimensions whose product is huge": lambda: filled(b"[$U#[", b"l\xff\xff\xff\x7f", b"]"),
    "nulls in dimensions": lambda: b"[$Z#[U\xffU\xffU\xffU\xff]",
    "untyped dimensions": lambda: b"[#[U\xffU\xffU\xffU\xff]" + b"Z" * 100,
    "a table of rows": lambda: b"[${U\x01aU]#l\xff\xff\xff\x7f" + b"a" * (MIB - 32),
    "a table that fits": lambda: _bj_result(b"[${U\x01aU}#" + _bj_int(MIB - 64) + b"a" * (MIB - 64)),
    "a table of nothing": lambda: _bj_result(b"[${U\x01aZ}#l\xff\xff\xff\x0f"),
    "a table of no columns": lambda: _bj_result(b"[${}#l\xff\xff\xff\x0f"),
    "a table by columns": lambda: _bj_result(b"{${U\x01aU}#" + _bj_int(MIB - 64) + b"a" * (MIB - 64)),
    "a table by columns of nothing": lambda: _bj_result(b"{${U\x01aZ}#l\xff\xff\xff\x0f"),
    "a table of many columns": lambda: (
        b"[${" + b"".join(_bj_text(f"{number:x}") + b"U" for number in range(MIB // 10)) + b"}#U\x01"
    ),
    "a table of a table": lambda: filled(b"", b"[${U\x01a"),
    "a map of different keys": lambda: with_keys(
        lambda _: b"[U\x32U\x01{}[]{", texts_that_differ(_bj_text), b"Z", b"}]"
    ),
    "a map of one key": lambda: filled(b"[U\x32U\x01{}[]{", b"U\x01aZ", b"}]"),
    "a typed map": lambda: b"[U\x32U\x01{}[]{$U#" + _bj_int((MIB - 64) // 4) + b"U\x01aa" * ((MIB - 64) // 4) + b"]",
    "keys said to be huge": lambda: b"{l\xff\xff\xff\x7f" + b"a" * (MIB - 16),
    "a negative length": lambda: b"[Sl\xff\xff\xff\xff" + b"a" * 100,
    "a large text that is not UTF-8": lambda: b"[S" + _bj_int(MIB - 16) + b"a" * (MIB - 17) + b"\xff]",
    "more behind the message": lambda: b"[U\x32U\x01{}]" + b"Z" * (MIB - 8),
}

CASES = {"json": JSON, "msgpack": MSGPACK, "cbor": CBOR, "ubjson": UBJSON}


def _uri_in(text, head, length):
    data = text.encode()[: MIB - 64]
    return head + length(len(data)) + data


def _msgpack_uri(text):
    return _uri_in(text, b"\x94\x20\x01\x81\xa5match\xa6prefix\xdb", lambda size: size.to_bytes(4, "big"))


def _cbor_uri(text):
    return _uri_in(text, b"\x84\x18\x20\x01\xa1\x65match\x66prefix\x7a", lambda size: size.to_bytes(4, "big"))


# The same regular expressions wait behind the other formats: one is enough.
MSGPACK["a URI of many components"] = lambda: _msgpack_uri("a." * (MIB // 2))
CBOR["a URI of many components"] = lambda: _cbor_uri("a." * (MIB // 2))

# Batches.


def _prefixed(message):
    return len(message).to_bytes(4, "big") + message


BATCHES = {
    "json.batched": {
        "delimiters": lambda: b"\x18" * MIB,
        "other delimiters": lambda: b"\x1e" * MIB,
        "small messages": lambda: filled(b"", b"[67,1]\x18"),
        "no delimiter": lambda: b"1" * MIB,
        "empty lists": lambda: filled(b"", b"[]\x1e"),
    },
    "msgpack.batched": {
        "empty messages": lambda: b"\x00" * MIB,
        "messages of one byte": lambda: filled(b"", _prefixed(b"\xc0")),
        "small messages": lambda: filled(b"", _prefixed(b"\x92\x43\x01")),
        "a message said to be huge": lambda: b"\xff\xff\xff\xff" + b"\xc0" * (MIB - 4),
    },
    "cbor.batched": {
        "empty messages": lambda: b"\x00" * MIB,
        "small messages": lambda: filled(b"", _prefixed(b"\x82\x18\x43\x01")),
    },
    "ubjson.batched": {
        "empty messages": lambda: b"\x00" * MIB,
        "small messages": lambda: filled(b"", _prefixed(b"[U\x43U\x01]")),
    },
}
CASES.update(BATCHES)

