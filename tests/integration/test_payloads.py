"""Payloads of all sizes, there and back."""

import hashlib

import pytest

from wampy import Client, callee, subscribe
from wampy.errors import ConnectionClosed, RemoteError, WampyError

MIB = 1 << 20
SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, MIB, 8 * MIB]


class Echo(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []

    @callee(procedure="com.example.echo")
    def echo(self, value):
        return value

    @callee(procedure="com.example.digest")
    def digest(self, value):
        return hashlib.sha256(value).hexdigest()

    @callee(procedure="com.example.make")
    def make(self, size):
        return "m" * size

    @subscribe(topic="com.example.topic")
    def on_topic(self, value):
        self.heard.append(value)


@pytest.fixture
def echo(join):
    return join(Echo, call_timeout=30.0)


@pytest.fixture
def client(echo, join):
    return join(call_timeout=30.0)


@pytest.mark.parametrize("size", SIZES)
def test_ascii(client, size):
    value = "x" * size
    assert client.call("com.example.echo", value) == value


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("filler", ["\u00e4", "\u65e5", "\U0001f600"], ids=["two bytes", "three bytes", "four bytes"])
def test_not_ascii(client, size, filler):
    """As many bytes as the size says, or nearly."""
    value = filler * (size // len(filler.encode())) + "x" * (size % len(filler.encode()))
    assert len(value.encode()) == size
    assert client.call("com.example.echo", value) == value


@pytest.mark.parametrize("size", SIZES)
def test_binary(client, size):
    value = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert client.call("com.example.echo", value) == value


def test_all_frame_lengths_round_the_borders(client):
    """The envelope adds some bytes, so every length near 125, 126, 65,535 and 65,536 is there with some payload."""
    for border in (126, 65_536):
        for size in range(border - 70, border + 3):
            value = "x" * size
            assert client.call("com.example.echo", value) == value


def test_a_large_structure(client):
    value = {f"key {n}": [n, str(n), None, True, {"deep": [n / 7]}] for n in range(20_000)}
    assert client.call("com.example.echo", value) == value


def test_many_small_keys_and_strange_texts(client):
    value = {chr(n): chr(n) for n in range(1, 3000) if not 0xD800 <= n < 0xE000}
    assert client.call("com.example.echo", value) == value


@pytest.mark.parametrize("size", [65_536, 8 * MIB])
def test_events(client, echo, green, size):
    client.publish(topic="com.example.topic", value="e" * size)
    client.publish(topic="com.example.topic", value="behind it")
    green.wait_until(lambda: len(echo.heard) == 2)
    assert echo.heard == ["e" * size, "behind it"]


def test_big_and_small_together(client, green):
    """Small calls are answered while big ones are under way, and nobody gets another's answer."""
    big = [green.spawn(client.call, "com.example.echo", f"{n}" * (2 * MIB)) for n in range(4)]
    small = [green.spawn(client.call, "com.example.echo", f"small {n}") for n in range(200)]
    assert [call.result() for call in small] == [f"small {n}" for n in range(200)]
    assert [call.result() for call in big] == [f"{n}" * (2 * MIB) for n in range(4)]


def test_a_big_payload_in_a_thousand_pieces(client):
    value = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(30_000))
    assert client.call("com.example.digest", value) == hashlib.sha256(value).hexdigest()


def test_a_message_over_max_message_size_ends_the_session_and_says_why(echo, join, green):
    small = join(max_message_size=10_000, reconnect=False)
    assert small.call("com.example.make", 5_000) == "m" * 5_000
    with pytest.raises(ConnectionClosed, match="max_message_size"):
        small.call("com.example.make", 20_000)
    with pytest.raises(ConnectionClosed, match="max_message_size"):
        small.wait(5)
    assert echo.session is not None


def test_without_a_limit(echo, join):
    unlimited = join(max_message_size=None, call_timeout=60.0)
    assert unlimited.call("com.example.make", 17 * MIB) == "m" * (17 * MIB)


def test_more_than_the_router_takes_does_not_hang(client, green):
    """Crossbar's limit in the packaged configuration is 64 MiB; it closes the connection."""
    call = green.spawn(client.call, "com.example.digest", b"\0" * (60 * MIB))
    error = call.error(30)
    assert isinstance(error, (ConnectionClosed, RemoteError, WampyError)), error
