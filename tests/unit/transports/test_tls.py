"""The pure TLS layer: two memory buffers on either side, and no socket anywhere."""

import contextlib
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from wampy.errors import WampyError
from wampy.transports.tls import TlsLayer, client_context, cut_off, refusal

# expired.pem, not_yet_valid.pem and client.pem are for localhost, signed by themselves, and have their keys in them.
HERE = Path(__file__).resolve().parent
KEYS = HERE.parents[2] / "wampy" / "testing" / "keys"


class Server:
    """The other side, of the standard library."""

    def __init__(self, certificate="server", version=None, wants_a_certificate=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pem = HERE / f"{certificate}.pem"
        if pem.exists():
            context.load_cert_chain(pem)
        else:
            context.load_cert_chain(KEYS / f"{certificate}.pem", KEYS / f"{certificate}.key")
        if version is not None:
            context.maximum_version = version
        if wants_a_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(HERE / "client.pem")
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
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("content", [None, "no certificate in here"])
def test_a_file_that_holds_no_certificate_is_named(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WampyError, match=r"ca\.pem.*PEM"):
        client_context(str(path))


# Whom to trust.


def is_trusted(context, certificate="server"):
    try:
        shake_hands(TlsLayer(context, "localhost"), Server(certificate))
    except ssl.SSLCertVerificationError:
        return False
    return True


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_of_authorities(kind):
    assert is_trusted(client_context(kind(KEYS / "ca.pem")))
    assert not is_trusted(client_context(kind(KEYS / "elsewhere.pem")))


@pytest.mark.parametrize("name", ["ca.pem", "ca.crt", "ca.cer"])
def test_a_folder_of_authorities(tmp_path, name):
    (tmp_path / name).write_bytes((KEYS / "ca.pem").read_bytes())
    (tmp_path / "another.pem").write_bytes((KEYS / "elsewhere.pem").read_bytes())
    (tmp_path / "README").write_text("no certificate")
    (tmp_path / "more").mkdir()
    assert is_trusted(client_context(tmp_path))
    (tmp_path / name).unlink()
    assert not is_trusted(client_context(tmp_path))


def test_an_empty_folder_is_told(tmp_path):
    (tmp_path / "ca.txt").write_bytes((KEYS / "ca.pem").read_bytes())
    with pytest.raises(WampyError, match=r"is a folder without \*\.pem, \*\.crt, \*\.cer"):
        client_context(tmp_path)


def test_a_file_in_the_folder_that_holds_no_certificate_is_named(tmp_path):
    (tmp_path / "good.pem").write_bytes((KEYS / "ca.pem").read_bytes())
    (tmp_path / "rotten.crt").write_text("no certificate")
    with pytest.raises(WampyError, match=r"rotten\.crt' cannot be used as a PEM file"):
        client_context(tmp_path)


def test_they_are_trusted_beside_the_systems(monkeypatch):
    # What OpenSSL takes the system's authorities from.
    monkeypatch.setenv("SSL_CERT_FILE", str(KEYS / "ca.pem"))
    assert is_trusted(client_context())
    assert is_trusted(client_context(KEYS / "elsewhere.pem"))


# What a refusal says.

WHERE = "wss://router.example.com/ws"


def failure(layer, server):
    """Shake hands in vain, also when it is the server that finds fault; give what OpenSSL raised here."""
    data, done = None, False
    with pytest.raises(ssl.SSLError) as caught:
        for _ in range(6):
            if done:
                layer.decrypt(data)
            else:
                done = layer.handshake(data)
            try:
                data = server.take(layer.take())
            except ssl.SSLError:
                data = server.outgoing.read()  # its alert
    return caught.value


@pytest.mark.parametrize(
    ("certificate", "cert_path", "reason", "remedy"),
    [
        ("server", None, "unable to get local issuer certificate", "give cert_path=<the authority's PEM file>"),
        ("expired", None, "self-signed certificate", "give cert_path="),
        ("expired", HERE / "expired.pem", "certificate has expired", "The router needs a new one"),
        ("not_yet_valid", HERE / "not_yet_valid.pem", "certificate is not yet valid", "clock may be wrong"),
        ("elsewhere", KEYS / "ca.pem", "Hostname mismatch", "Use the host name that the certificate is for"),
    ],
)
def test_what_is_wrong_with_a_certificate(certificate, cert_path, reason, remedy):
    error = failure(TlsLayer(client_context(cert_path), "localhost"), Server(certificate))
    text = refusal(error, WHERE)
    assert text.startswith(f"the certificate of {WHERE} is not accepted: {reason}")
    assert remedy in text
    assert "verify" not in text.lower(), "nobody is led to turn it off"


def test_an_address_that_is_not_in_the_certificate():
    error = failure(TlsLayer(client_context(KEYS / "ca.pem"), "127.0.0.2"), Server())
    assert "IP address mismatch" in refusal(error, WHERE)
    assert "Use the host name that the certificate is for" in refusal(error, WHERE)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x7f\xf1\0\0\0\0\0\0"]
)
def test_something_that_is_not_tls(answer):
    layer = TlsLayer(client_context(), "localhost")
    layer.handshake()
    with pytest.raises(ssl.SSLError) as caught:
        layer.handshake(answer)
    assert refusal(caught.value, WHERE) == (
        f"no TLS with {WHERE}: it answers, but not in TLS. Is it a TLS port? ws:// is without TLS"
    )
    assert refusal(caught.value, "rss://h:1").endswith("rs:// is without TLS")


def test_an_end_in_the_handshake():
    layer = TlsLayer(client_context(), "localhost")
    layer.handshake()
    with pytest.raises(ssl.SSLError) as caught:
        layer.handshake(b"")
    assert refusal(caught.value, WHERE) == cut_off(WHERE)
    assert "closed the connection. Is it a TLS port? ws:// is without TLS" in cut_off(WHERE)


def test_no_version_in_common():
    context = client_context(KEYS / "ca.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    error = failure(TlsLayer(context, "localhost"), Server(version=ssl.TLSVersion.TLSv1_2))
    assert "no version of TLS that the client's context allows" in refusal(error, WHERE)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_router_that_wants_a_certificate_of_the_clients(version):
    # In TLS 1.3 the client's side of the handshake is complete before the server finds that one is missing.
    layer = TlsLayer(client_context(KEYS / "ca.pem"), "localhost")
    error = failure(layer, Server(version=version, wants_a_certificate=True))
    text = refusal(error, WHERE)
    assert text.startswith(f"{WHERE} refused TLS: ")
    assert "may want a client certificate" in text
    assert "load_cert_chain" in text


def test_a_certificate_of_the_clients_is_given_by_a_context():
    context = client_context(KEYS / "ca.pem")
    context.load_cert_chain(HERE / "client.pem")
    shake_hands(TlsLayer(context, "localhost"), Server(wants_a_certificate=True))


@pytest.mark.parametrize(
    ("chain", "alert"),
    [
        ((HERE / "expired.pem",), "alert"),
        ((KEYS / "server.pem", KEYS / "server.key"), "alert"),
    ],
    ids=["one that nobody has signed", "a server's"],
)
def test_a_certificate_of_the_clients_that_is_not_accepted(chain, alert):
    context = client_context(KEYS / "ca.pem")
    context.load_cert_chain(*chain)
    text = refusal(failure(TlsLayer(context, "localhost"), Server(wants_a_certificate=True)), WHERE)
    assert alert in text
    assert "may want a client certificate, or another one" in text


@pytest.mark.parametrize(
    "alert",
    [
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
    ],
)
def test_every_alert_about_a_certificate_is_about_the_clients(alert):
    error = ssl.SSLError(1, f"[SSL: {alert}]")
    error.reason = alert
    assert "client certificate" in refusal(error, WHERE)


def test_what_openssl_may_say_that_nobody_knows():
    error = ssl.SSLError(1, "something new")
    error.reason = None
    text = refusal(error, WHERE)
    assert text.startswith(f"no TLS with {WHERE}: ")
    assert "something new" in text, text


# A renegotiation, in which nothing of ours can be sealed until the peer has said its part.


class Renegotiating:
    """A TLS object that writes nothing more for so many times.

    Attributes:
        refusals: How often yet.
    """

    def __init__(self, inner, refusals):
        self._inner = inner
        self.refusals = refusals

    def read(self, size):
        return self._inner.read(size)

    def write(self, data):
        if self.refusals:
            self.refusals -= 1
            raise ssl.SSLWantReadError
        return self._inner.write(data)


def test_what_cannot_be_sealed_is_held_back_until_something_comes_in(connected):
    layer, server = connected
    layer._object = Renegotiating(layer._object, 3)
    layer.encrypt(b"one ")
    layer.encrypt(b"two ")
    assert layer.take() == b""
    assert layer.decrypt(server.encrypt(b"not yet")) == (b"not yet", False)
    assert layer.take() == b"", "sealed while it was refused"
    assert layer.decrypt(server.encrypt(b"now")) == (b"now", False)
    layer.encrypt(b"three")
    assert server.decrypt(layer.take()) == b"one two three"
    assert layer._object.refusals == 0
    layer.decrypt(server.encrypt(b"x"))
    assert layer.take() == b"", "said twice"


def test_what_is_held_back_at_the_end_is_let_go(connected):
    layer, server = connected
    layer._object = Renegotiating(layer._object, 1)
    layer.encrypt(b"too late")
    with contextlib.suppress(ssl.SSLWantReadError):
        server.object.unwrap()
    assert layer.decrypt(server.outgoing.read()) == (b"", True)


@pytest.fixture
def openssl_server():
    """Run OpenSSL's own server, which does what Python's cannot: renegotiate. Gives its process and its port."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command here, and Python's server cannot renegotiate")
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-cert", KEYS / "server.pem", "-key",
         KEYS / "server.key"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        line = b""
        while not line.startswith(b"ACCEPT"):
            line = server.stdout.readline()
            assert line, "openssl s_server did not start"
        yield server, int(line.rsplit(b":", 1)[1])
    finally:
        server.kill()
        server.communicate()


def connect_to(server, port, context):
    """Shake hands, then have the server ask for a renegotiation, and take that in."""
    layer, sock = TlsLayer(context, "localhost"), socket.create_connection(("127.0.0.1", port), timeout=5)
    data = None
    while not layer.handshake(data):
        sock.sendall(layer.take())
        data = sock.recv(65536)
    sock.sendall(layer.take())
    server.stdin.write(b"r\n")
    server.stdin.flush()
    layer.decrypt(sock.recv(65536))
    return layer, sock


def test_a_renegotiation_that_a_users_context_allows_loses_nothing(openssl_server):
    server, port = openssl_server
    context = ssl.create_default_context(cafile=KEYS / "ca.pem")
    context.options &= ~ssl.OP_NO_RENEGOTIATION
    layer, sock = connect_to(server, port, context)
    with sock:
        layer.encrypt(b"said in the midst of it\n")
        assert layer._held_back
        while layer._held_back:
            sock.sendall(layer.take())
            layer.decrypt(sock.recv(65536))
        sock.sendall(layer.take())
        line = b""
        while b"said in the midst of it" not in line:
            line = server.stdout.readline()
            assert line, "it did not arrive"


def test_a_renegotiation_is_refused_by_default(openssl_server):
    server, port = openssl_server
    layer, sock = connect_to(server, port, client_context(KEYS / "ca.pem"))
    with sock:
        layer.encrypt(b"said in the midst of it\n")
        assert not layer._held_back
        sock.sendall(layer.take())
