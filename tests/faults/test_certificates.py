"""TLS as it goes wrong: certificates that must not be accepted, ports that are others, client certificates.

Each is one clear error in time, which says what was wrong and what would help; over wss and over rss.
"""

import datetime
import json
import re
import ssl
import time

import pytest
import trustme

from wampy import Client
from wampy.errors import ConnectionError, HandshakeError, WampyError, WampyTimeOutError

SOON = 4.0

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(params=["wss", "rss"])
def scheme(request):
    return request.param


@pytest.fixture(scope="module")
def authority():
    """An authority that nobody's system trusts."""
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger():
    """Another authority."""
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path):
    """The path of the authority's certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


# To HELLO and GOODBYE.
ANSWERS = {1: [2, 1, {"roles": {"broker": {}}}], 6: [6, {}, "wamp.close.normal"]}


class TlsRouter:
    """A router behind TLS, which lets everybody in whom TLS lets in.

    Attributes:
        context: What TLS is made with, for the next connection.
        refusals: Why there was no TLS, for each connection that had none.
        joined: How often somebody was let in.
    """

    def __init__(self, scheme, context):
        self.scheme, self.context = scheme, context
        self.refusals = []
        self.joined = 0
        self.url = None

    def __call__(self, peer):
        peer.sock.settimeout(10)
        try:
            with self.context.wrap_socket(peer.sock, server_side=True) as peer.sock:
                (self._websocket if self.scheme.startswith("ws") else self._rawsocket)(peer)
        except (OSError, AssertionError) as error:
            self.refusals.append(error)

    def _websocket(self, peer):
        peer.handshake()
        for message in peer:
            self.joined += message[0] == 1
            peer.send(ANSWERS[message[0]])

    def _rawsocket(self, peer):
        opening = peer.sock.recv(4)
        if not opening:
            return
        peer.sock.sendall(opening)
        with peer.sock.makefile("rwb") as stream:
            while head := stream.read(4):
                message = json.loads(stream.read(int.from_bytes(head[1:], "big")))
                payload = json.dumps(ANSWERS[message[0]]).encode()
                self.joined += message[0] == 1
                stream.write(b"\0" + len(payload).to_bytes(3, "big") + payload)
                stream.flush()


@pytest.fixture
def tls(fake_router, scheme):
    """Start a router behind TLS: ``tls(certificate or context)``."""

    def start(identity, host="127.0.0.1"):
        context = identity if isinstance(identity, ssl.SSLContext) else server_context(identity)
        router = TlsRouter(scheme, context)
        router.port = fake_router(router).port
        router.url = f"{scheme}://{host}:{router.port}"
        return router

    return start


@pytest.fixture
def joins(make_client):
    """Start a client, which must work, and stop it."""

    def joins(**parameters):
        client = make_client(**parameters)
        client.start()
        assert client.session.id is not None
        client.stop()

    return joins


@pytest.fixture
def refused(make_client):
    """Start a client, which must not work; return the error."""

    def refused(kind=HandshakeError, **parameters):
        client = make_client(**parameters)
        started = time.monotonic()
        with pytest.raises(ConnectionError) as caught:
            client.start()
        assert time.monotonic() - started < SOON
        error = caught.value
        assert isinstance(error, kind), repr(error)
        assert not isinstance(error, ssl.SSLError)
        assert parameters["url"] in str(error)
        assert len(str(error)) < 600
        assert client.session is None and client.wait(0.1), "it still runs"
        return error

    return refused


# The router's certificate.


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_for_an_address_and_a_name(tls, joins, authority, trusted, host, version):
    context = server_context(authority.issue_cert("127.0.0.1", "localhost"))
    context.maximum_version = version
    router = tls(context, host)
    joins(url=router.url, cert_path=trusted)
    assert router.joined == 1


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["elsewhere.example"], "127.0.0.1"),
        (["elsewhere.example"], "localhost"),
        (["127.0.0.2"], "127.0.0.1"),
        (["localhost"], "127.0.0.1"),
        (["127.0.0.1"], "localhost"),
        (["*.localhost"], "localhost"),
    ],
    ids=["a name, by address", "a name, by name", "another address", "by address", "by name", "a wildcard"],
)
def test_a_certificate_for_another_host(tls, refused, authority, trusted, names, host):
    router = tls(authority.issue_cert(*names), host)
    text = str(refused(url=router.url, cert_path=trusted))
    assert "certificate" in text and "mismatch" in text and host in text
    assert "Use the host name that the certificate is for" in text
    assert "cert_path" not in text, "that would not help"


def test_an_expired_certificate(tls, refused, authority, trusted):
    certificate = authority.issue_cert("127.0.0.1", not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    text = str(refused(url=tls(certificate).url, cert_path=trusted))
    assert "certificate has expired" in text
    assert "needs a new one" in text and "clock" in text
    assert "cert_path" not in text


def test_a_certificate_that_is_not_valid_yet(tls, refused, authority, trusted):
    certificate = authority.issue_cert("127.0.0.1", not_before=NOW + DAY, not_after=NOW + 9 * DAY)
    text = str(refused(url=tls(certificate).url, cert_path=trusted))
    assert "not yet valid" in text
    assert "clock" in text
    assert "cert_path" not in text


def test_a_certificate_that_is_signed_by_itself(tls, refused, authority, tmp_path):
    path = tmp_path / "server.pem"
    path.write_bytes(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    text = str(refused(url=tls(context).url))
    assert "self-signed certificate" in text or "self signed certificate" in text
    assert "cert_path=" in text


@pytest.mark.parametrize("other", [False, True], ids=["none given", "another given"])
def test_a_certificate_of_an_authority_that_is_not_trusted(tls, refused, authority, stranger, tmp_path, other):
    path = tmp_path / "stranger.pem"
    stranger.cert_pem.write_to_path(path)
    router = tls(authority.issue_cert("127.0.0.1"))
    text = str(refused(url=router.url, cert_path=path if other else None))
    assert "certificate" in text and "issuer" in text
    assert (f"Neither the system nor cert_path '{path}' has the authority" if other else "give cert_path=") in text


def test_a_router_is_told_that_its_certificate_was_refused(tls, refused, green, authority):
    router = tls(authority.issue_cert("127.0.0.1"))
    refused(url=router.url)
    green.wait_until(lambda: router.refusals)
    assert "UNKNOWN_CA" in str(router.refusals[0]).upper().replace(" ", "_")


def test_a_new_certificate_ends_the_trouble_for_the_same_client(tls, make_client, authority, trusted):
    router = tls(authority.issue_cert("127.0.0.1", not_before=NOW - 9 * DAY, not_after=NOW - DAY))
    client = make_client(url=router.url, cert_path=trusted)
    with pytest.raises(HandshakeError, match="expired"):
        client.start()
    router.context = server_context(authority.issue_cert("127.0.0.1"))
    client.start()
    assert client.session is not None


def test_there_is_no_list_of_urls_that_would_get_round_a_refusal(tls, refused, authority, make_client):
    router = tls(authority.issue_cert("127.0.0.1"))
    client = make_client(url=[router.url, router.url])
    with pytest.raises(ConnectionError) as caught:
        client.start()
    assert [type(error) for error in caught.value.errors] == [HandshakeError, HandshakeError]
    assert router.joined == 0


# Where authorities come from.


@pytest.mark.parametrize("suffix", [".pem", ".crt", ".cer"])
def test_a_folder_of_authorities(tls, joins, authority, stranger, tmp_path, suffix):
    stranger.cert_pem.write_to_path(tmp_path / "a-stranger.pem")
    authority.cert_pem.write_to_path(tmp_path / f"b-ours{suffix}")
    (tmp_path / "README.txt").write_text("no certificate")
    joins(url=tls(authority.issue_cert("127.0.0.1")).url, cert_path=tmp_path)


def test_a_file_with_several_authorities(tls, joins, authority, stranger, tmp_path):
    path = tmp_path / "all.pem"
    path.write_bytes(stranger.cert_pem.bytes() + authority.cert_pem.bytes())
    joins(url=tls(authority.issue_cert("127.0.0.1")).url, cert_path=path)


def test_an_intermediate_authority(tls, joins, authority, trusted):
    certificate = authority.create_child_ca().issue_cert("127.0.0.1")
    joins(url=tls(certificate).url, cert_path=trusted)


@pytest.mark.parametrize("content", ["no folder", "nothing", "junk"])
def test_a_cert_path_that_holds_no_authority(tls, make_client, authority, tmp_path, content):
    folder = tmp_path / "authorities"
    if content != "no folder":
        folder.mkdir()
    if content == "junk":
        (folder / "junk.pem").write_text("no certificate")
    router = tls(authority.issue_cert("127.0.0.1"))
    client = make_client(url=router.url, cert_path=folder)
    with pytest.raises(WampyError, match="cert_path") as caught:
        client.start()
    assert "authorities" in str(caught.value)
    assert client.session is None and client.wait(0.1)


def test_a_context_of_the_users_that_trusts_nobody(tls, refused, authority):
    router = tls(authority.issue_cert("127.0.0.1"))
    refused(url=router.url, ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


# Ports that are others.


def test_plain_http_on_a_tls_port(refused, fake_router, scheme):
    def script(peer):
        peer.sock.recv(65536)
        peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    url = f"{scheme}://127.0.0.1:{fake_router(script).port}"
    text = str(refused(url=url))
    assert "not in TLS" in text
    assert f"{scheme.replace('ss', 's')}:// is without TLS" in text


def test_a_port_that_closes_when_it_hears_tls(refused, fake_router, scheme):
    url = f"{scheme}://127.0.0.1:{fake_router(lambda peer: peer.sock.recv(65536)).port}"
    text = str(refused(url=url))
    assert "it closed the connection" in text
    assert f"{scheme.replace('ss', 's')}:// is without TLS" in text


def test_a_real_router_without_tls(refused, wampy_router, scheme):
    text = str(refused(url=f"{scheme}://127.0.0.1:{wampy_router.port}"))
    assert f"{scheme.replace('ss', 's')}:// is without TLS" in text


def test_a_client_without_tls_at_a_tls_port(tls, make_client, authority, scheme):
    router = tls(authority.issue_cert("127.0.0.1"))
    plain = scheme.replace("ss", "s")
    client = make_client(url=f"{plain}://127.0.0.1:{router.port}", open_timeout=0.6)
    started = time.monotonic()
    # To TLS, RawSocket's four octets are not even a header: it waits for more.
    with pytest.raises(HandshakeError if plain == "ws" else WampyTimeOutError, match=f"{scheme}://"):
        client.start()
    assert time.monotonic() - started < SOON
    assert client.session is None and client.wait(0.1)


def test_no_version_of_tls_in_common(tls, refused, authority, trusted):
    context = server_context(authority.issue_cert("127.0.0.1"))
    context.maximum_version = TLS_1_2
    ours = ssl.create_default_context(cafile=trusted)
    ours.minimum_version = TLS_1_3
    text = str(refused(url=tls(context).url, ssl_context=ours))
    assert "version" in text


# The client's certificate.


@pytest.fixture(params=[TLS_1_2, TLS_1_3], ids=["TLS 1.2", "TLS 1.3"])
def demanding(request, tls, authority):
    """A router that wants a certificate of the authority's."""
    context = server_context(authority.issue_cert("127.0.0.1"))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    context.minimum_version = context.maximum_version = request.param
    router = tls(context)
    router.version = request.param
    return router


def client_context(trusted, certificate=None):
    context = ssl.create_default_context(cafile=trusted)
    if certificate is not None:
        certificate.configure_cert(context)
    return context


def refuses_client(demanding, refused, green, **parameters):
    """Assert that nobody comes in, and that the client is told why, as far as anybody told it."""
    error = refused(kind=ConnectionError, url=demanding.url, **parameters)
    text = str(error)
    green.wait_until(lambda: demanding.refusals)
    assert demanding.joined == 0
    if demanding.version == TLS_1_2:
        assert isinstance(error, HandshakeError)
        told = "client certificate"
    else:
        # The client is through with the handshake when it is refused, and what it says then makes the kernel at the
        # other end reset the connection, which may overtake the alert.
        told = "client certificate|closed the connection|broke the connection off"
    assert re.search(told, text), text
    if "client certificate" in text:
        assert "load_cert_chain" in text
    return error


def test_a_client_certificate(demanding, joins, authority, trusted):
    context = client_context(trusted, authority.issue_cert("client@example.com"))
    for _ in range(2):
        joins(url=demanding.url, ssl_context=context)
    assert demanding.joined == 2


def test_no_client_certificate_where_one_is_wanted(demanding, refused, green, trusted):
    refuses_client(demanding, refused, green, cert_path=trusted)


def test_a_client_certificate_of_a_stranger(demanding, refused, green, trusted, stranger):
    certificate = stranger.issue_cert("client@example.com")
    refuses_client(demanding, refused, green, ssl_context=client_context(trusted, certificate))


def test_a_client_certificate_that_has_expired(demanding, refused, green, trusted, authority):
    certificate = authority.issue_cert("client@example.com", not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    refuses_client(demanding, refused, green, ssl_context=client_context(trusted, certificate))


def test_a_client_certificate_that_nobody_wants_does_no_harm(tls, joins, authority, trusted):
    router = tls(authority.issue_cert("127.0.0.1"))
    joins(url=router.url, ssl_context=client_context(trusted, authority.issue_cert("client@example.com")))


def test_the_constructor_reads_no_certificate(tmp_path):
    # It does no I/O; what is wrong is told by start().
    assert Client(url="wss://localhost/", cert_path=tmp_path / "missing.pem").session is None
