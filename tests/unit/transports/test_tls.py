"""The pure TLS layer: two memory buffers on either side, and no socket anywhere."""

import contextlib
import ssl
from pathlib import Path

import pytest

from wampy.errors import WampyError
from wampy.transports.tls import TlsLayer, client_context

KEYS = Path(__file__).resolve().parents[3] / "wampy" / "testing" / "keys"


class Server:
    """The other side, of the standard library."""

    def __init__(self, certificate="server", version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(KEYS / f"{certificate}.pem", KEYS / f"{certificate}.key")
        if version is not None:
            context.maximum_version = version
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def take(self, data):
        """Take the client's bytes in the handshake; give the answer."""
        self.incoming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.object.do_handshake()
        return self.outgoing.read()

    def encrypt(self, data):
        self.object.write(data)
        return self.outgoing.read()

    def decrypt(self, data):
        self.incoming.write(data)
        pieces = []
        while True:
            try:
                pieces.append(self.object.read(65536))
            except ssl.SSLWantReadError:
                return b"".join(pieces)


def shake_hands(layer, server, piece=None):
    data, rounds = None, 0
    while not layer.handshake(data):
        answer = server.take(layer.take())
        data = answer if piece is None else b""
        if piece is not None:
            for start in range(0, len(answer) - piece, piece):
                assert not layer.handshake(answer[start : start + piece])
            data = answer[(len(answer) - 1) // piece * piece :]
        rounds += 1
        assert rounds < 10
    tickets = server.take(layer.take())
    layer.decrypt(tickets or None)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def connected(request):
    layer, server = TlsLayer(client_context(KEYS / "ca.pem"), "localhost"), Server(version=request.param)
    shake_hands(layer, server)
    return layer, server


def test_bytes_go_both_ways(connected):
    layer, server = connected
    layer.encrypt(b"to the router")
    assert server.decrypt(layer.take()) == b"to the router"
    assert layer.take() == b""
    assert layer.decrypt(server.encrypt(b"to the client")) == (b"to the client", False)
    assert layer.decrypt(None) == (b"", False)


def test_large_amounts_leave_nothing_behind(connected):
    layer, server = connected
    data = bytes(range(256)) * 4096
    layer.encrypt(data)
    assert server.decrypt(layer.take()) == data
    assert layer.decrypt(b"".join(server.encrypt(data[n : n + 16384]) for n in range(0, len(data), 16384))) == (
        data,
        False,
    )
    assert layer.decrypt(None) == (b"", False)


def test_byte_by_byte_is_the_same_as_whole(connected):
    layer, server = connected
    sealed = server.encrypt(b"one") + server.encrypt(b"two")
    plain = b"".join(layer.decrypt(sealed[n : n + 1])[0] for n in range(len(sealed)))
    assert plain == b"onetwo"


def test_a_handshake_byte_by_byte():
    shake_hands(TlsLayer(client_context(KEYS / "ca.pem"), "localhost"), Server(), piece=1)


def test_the_end_comes_after_the_bytes_before_it(connected):
    layer, server = connected
    sealed = server.encrypt(b"last words")
    with contextlib.suppress(ssl.SSLWantReadError):
        server.object.unwrap()
    assert layer.decrypt(sealed + server.outgoing.read()) == (b"last words", True)
    assert layer.decrypt(None) == (b"", True)


def test_an_end_without_a_word_is_an_end(connected):
    layer, server = connected
    assert layer.decrypt(server.encrypt(b"half")) == (b"half", False)
    assert layer.decrypt(b"") == (b"", True)


def test_a_broken_stream_raises(connected):
    layer, _ = connected
    with pytest.raises(ssl.SSLError):
        layer.decrypt(b"\x17\x03\x03\x00\x10" + b"not what a key would give")


@pytest.mark.parametrize(("certificate", "host"), [("elsewhere", "localhost"), ("server", "example.com")])
def test_the_host_name_is_verified(certificate, host):
    layer = TlsLayer(client_context(KEYS / "ca.pem"), host)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(layer, Server(certificate))


def test_the_certificate_is_verified():
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(TlsLayer(client_context(), "localhost"), Server())


def test_a_users_own_context_counts():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    shake_hands(TlsLayer(context, "anything"), Server("elsewhere"))


def test_the_default_context_verifies():
    context = client_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("content", [None, "no certificate in here"])
def test_a_file_that_holds_no_certificate_is_named(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WampyError, match=r"ca\.pem.*PEM"):
        client_context(str(path))
