"""What only MessagePack, CBOR or UBJSON can say, mostly by way of bytes that want to do harm."""

import subprocess
import sys
from decimal import Decimal

import pytest

from wampy.errors import SerializationError, WampyError
from wampy.serializers import get_serializer

MSGPACK, CBOR, UBJSON = map(get_serializer, ("msgpack", "cbor", "ubjson"))


# MessagePack.


def test_messagepack_types_of_its_own_arrive_and_are_not_sent():
    import msgpack

    for value in (msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 2)):
        assert MSGPACK.loads(msgpack.packb([value])) == [value]
    with pytest.raises(SerializationError, match="MessagePack has no form for Timestamp"):
        MSGPACK.dumps([1, msgpack.Timestamp(1, 2)])
    # It is a named tuple.
    assert MSGPACK.loads(MSGPACK.dumps([msgpack.ExtType(5, b"x")])) == [[5, b"x"]]


def test_a_key_that_is_no_text_does_not_cost_the_session():
    # It comes from another peer, by way of a router that lets it pass. Lists as keys are beyond Python.
    assert MSGPACK.loads(bytes.fromhex("8101c3")) == {1: True}
    with pytest.raises(SerializationError, match="this is no MessagePack"):
        MSGPACK.loads(bytes.fromhex("819101c3"))


def test_timestamps_as_keys_are_refused_because_they_can_be_made_to_collide():
    import msgpack

    assert hash(msgpack.Timestamp(-1, 0)) == hash(msgpack.Timestamp(-2, 0))
    for key in (msgpack.Timestamp(1), msgpack.Timestamp(1, 1), msgpack.Timestamp(-1, 0)):
        assert MSGPACK.loads(msgpack.packb([key, {"k": key}])) == [key, {"k": key}]
        with pytest.raises(SerializationError, match="a timestamp is a key"):
            MSGPACK.loads(msgpack.packb([{key: 1}]))


# CBOR.


@pytest.mark.parametrize(
    ("payload", "tag", "value"),
    [
        ("c074323031332d30332d32315432303a30343a30305a", 0, "2013-03-21T20:04:00Z"),
        ("c063616263", 0, "abc"),  # no date: not our business
        ("c11a514b67b0", 1, 1363896240),
        ("c5821a05ffffff01", 5, [100663295, 1]),  # 2**100663295
        ("d81c81d81d00", 28, None),  # a list that holds itself
        ("d823622829", 35, "()"),
        ("d8255000000000000000000000000000000001", 37, bytes(15) + b"\1"),
        ("d9010283010203", 258, [1, 2, 3]),
        ("d99999f6", 0x9999, None),
    ],
)
def test_tags_arrive_as_they_are_and_are_not_sent(payload, tag, value):
    import cbor2

    loaded = CBOR.loads(bytes.fromhex(payload))
    assert isinstance(loaded, cbor2.CBORTag) and loaded.tag == tag
    if tag == 28:
        assert loaded.value == [cbor2.CBORTag(29, 0)]
    else:
        assert loaded.value == value
    # A router that makes objects of them closes the connection when it cannot.
    with pytest.raises(SerializationError, match="CBOR has no form for CBORTag"):
        CBOR.dumps([loaded])


def test_the_tag_that_means_nothing_is_dropped():
    assert CBOR.loads(bytes.fromhex("d9d9f78101")) == [1]


def test_keys_that_are_no_text_do_not_cost_the_session():
    import cbor2

    value = [{1: 2, -1.5: 3, None: 4, (1, 2): 5, b"x": 6}]
    assert CBOR.loads(cbor2.dumps(value)) == value


def test_but_in_a_large_message_they_are_refused_because_they_can_be_made_to_collide():
    import cbor2

    # All tuples of -1 and -2 have one hash: twenty thousand of them as keys took five seconds.
    assert hash((-1, -2)) == hash((-2, -1))
    for key in ((-1, -2), 1):
        with pytest.raises(SerializationError, match="map key must be a text"):
            CBOR.loads(cbor2.dumps([{key: 1}, "x" * 70_000]))
    assert CBOR.loads(cbor2.dumps([{"k": 1}, "x" * 70_000])) == [{"k": 1}, "x" * 70_000]


@pytest.mark.parametrize("serializer", [CBOR, UBJSON], ids=lambda serializer: serializer.name)
def test_numbers_have_as_many_digits_as_python_reads(serializer):
    for value in (Decimal(10**4000 - 1).scaleb(-7), 10**4000, -(10**4000)):
        assert serializer.loads(serializer.dumps([value])) == [value]
    for value in (Decimal("9" * 5000), Decimal("0." + "9" * 5000), 10**5000, -(10**5000)):
        with pytest.raises(SerializationError, match=r"args\[0\]\['n'\] \(\w+\): a number with too many digits"):
            serializer.dumps([48, 1, {}, "a.b", [{"n": value}]])


def test_what_is_no_decimal_stays_a_tag():
    import cbor2

    for payload in ("c401", "c48101", "c482616101", "c482f93e0001", "c4823b7fffffffffffffff01"):
        loaded = CBOR.loads(bytes.fromhex(payload))
        assert isinstance(loaded, cbor2.CBORTag) and loaded.tag == 4
    loaded = CBOR.loads(cbor2.dumps(Decimal("9" * 5000)))
    assert loaded == cbor2.CBORTag(4, [0, 10**5000 - 1])


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_ubjson_has_no_decimals_that_are_not_finite(value):
    with pytest.raises(SerializationError, match=r"message\[0\]\['d'\] \(Decimal\): UBJSON has no decimal"):
        UBJSON.dumps([{"d": Decimal(value)}, 1.5])


def test_indefinite_lengths_are_read():
    payload = bytes.fromhex("9f01 bf 6161 02 7f61626163ff 03 ff 5f41004101ff ff")
    assert CBOR.loads(payload) == [1, {"a": 2, "bc": 3}, b"\0\1"]


def test_a_cbor2_that_is_too_old_is_named(monkeypatch):
    import cbor2

    def decoder(fp, *, tag_hook=None, object_hook=None, str_errors="strict"):  # the parameters of version 5
        raise AssertionError

    monkeypatch.setattr(cbor2, "CBORDecoder", decoder)
    with pytest.raises(WampyError, match=r"needs cbor2 6\.2: pip install --upgrade 'wampy\[cbor\]'"):
        get_serializer("cbor")


# UBJSON.


def test_floats_are_written_in_eight_bytes():
    # In two, which is enough for this one, Crossbar's library would read an integer.
    assert UBJSON.dumps([-1.5]) == b"[D\0\0\0\0\0\0\xf8\xbf]"
    message = ["h", {"h": [1.5, 300, {}], "i": [], "ä": None}, [2**70, b"", b"h", 0.1, [[True]]], "", -0.0]
    payload = UBJSON.dumps(message)
    assert UBJSON.loads(payload) == message
    assert payload.startswith(b"[SU\x01h{U\x01h[D\0\0\0\0\0\0\xf8\x3fu\x2c\x01{}]U\x01i[]U\x02")
    assert payload.endswith(b"[[T]]]SU\0D\0\0\0\0\0\0\0\x80]")


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"[$U#U\x03abc", [97, 98, 99]),
        (b"[$B#U\x03abc", b"abc"),
        (b"[#U\x02TF", [True, False]),
        (b"[$U#[U\x02U\x02]abcd", [[97, 98], [99, 100]]),
        (b"[$U#[$U#U\x02\x02\x02abcd", [[97, 98], [99, 100]]),
        (b"{U\x01a[$U#[U\x01U\x01]zU\x02#[SU\x02#[}", {"a": [[122]], "#[": "#["}),
        (b"{$U#U\x02U\x01aAU\x02#[B", {"a": 65, "#[": 66}),
        (b"[#U\x02[$U#[U\x01U\x01]z{#U\x01U\x01kT", [[[122]], {"k": True}]),
        (b"[NN[$U#[U\x00U\x00]N]", [[]]),
    ],
)
def test_containers_with_types_counts_and_dimensions(payload, value):
    assert UBJSON.loads(payload) == value


def test_a_text_that_looks_like_dimensions_is_a_text():
    value = ["#[", "[$U#[UzUzUzUzUzUzU\0]", {"[$l#[": "#[#["}, [1, 2, b"#[", 2.5, -5, 2**70, None]]
    assert UBJSON.loads(UBJSON.dumps(value)) == value


@pytest.mark.parametrize(
    "payload",
    [
        b"[$U#[l\0\0\0\x01U\x00]",
        b"[$U#[$l#U\x02\0\0\0\x01\0\0\0\0",
        b"{U\x01a[#U\x01[$U#[l\0\0\0\x01U\x00]}",
        b"[SU\x03abcHU\x0212[$B#U\x02#[Z[$d#[U\x00l\0\0\0\x01]]",
    ],
)
def test_dimensions_that_exceed_the_message_are_refused(payload):
    with pytest.raises(SerializationError, match="dimensions of an array exceed the message"):
        UBJSON.loads(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"[$U#[[l\0\0\0\x01U\0]]",
        b"[$U#[Nl\0\0\0\x01U\0]",
        b"[#[[l\0\0\0\x01][U\0]]",
        b"[$U#[$l#[U\x02]\0\0\0\x01\0\0\0\0",
        b"{$U#[[l\0\0\0\x01U\0]]",
    ],
)
def test_dimensions_that_are_no_numbers_are_refused_before_the_package_sees_them(payload):
    for end in (b"", b"]", b"]]"):
        with pytest.raises(SerializationError, match="the length of an array or object is no number"):
            UBJSON.loads(b"[" + payload + end)


def test_a_table_beside_what_may_be_dimensions_is_refused():
    with pytest.raises(SerializationError, match="it holds a table"):
        UBJSON.loads(b"[[${U\x01aT}#U\x02TFSU\x02#[]")


@pytest.mark.parametrize("payload", [b"[$", b"[$U#[", b"[$U#[U", b"[$U#[Z]", b"[$Q#[U\1U\1]", b"[#[U\xff", b"SU#["])
def test_broken_dimensions_are_refused(payload):
    with pytest.raises(SerializationError, match="this is no UBJSON"):
        UBJSON.loads(payload)


# All of them: a length that is declared costs nothing until its bytes are there.

LIARS = {
    "msgpack": ["ddffffffff", "dfffffffff", "dbffffffff", "c6ffffffff", "c9ffffffff05", "91" * 3000],
    "cbor": ["9b7fffffffffffffff", "bb7fffffffffffffff", "7b7fffffffffffffff", "5b7fffffffffffffff", "81" * 3000],
    "ubjson": ["5b234cffffffffffffff7f", "534cffffffffffffff7f", "5b2455234cffffffffffffff7f",
               "5b245a236cffffff7f", "5b2455235b6cffffff7f55005d", "5b" * 3000],
}  # fmt: skip


@pytest.mark.parametrize("name", LIARS)
def test_a_declared_length_is_not_believed(name):
    program = f"""
import resource
from wampy.errors import SerializationError
from wampy.serializers import get_serializer
serializer = get_serializer({name!r})
limit = 512 << 20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for payload in {LIARS[name]!r}:
    try:
        print(payload, serializer.loads(bytes.fromhex(payload)))
    except SerializationError as error:
        assert "memory" not in str(error).lower(), (payload, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")
