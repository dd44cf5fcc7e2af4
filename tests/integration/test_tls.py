"""wss and rss: certificate and host name are verified, big payloads come through."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from wampy import Client, callee
from wampy.errors import ConnectionError, HandshakeError, WampyError, WampyTimeOutError

KEYS = Path(__file__).resolve().parents[2] / "wampy" / "testing" / "keys"
CA = str(KEYS / "ca.pem")
MIB = 1 << 20


class Echo(Client):
    @callee(procedure="com.example.echo", invocation_policy="roundrobin")
    def echo(self, value):
        return value


@pytest.fixture(params=["wss", "rss"])
def tls_url(request, tls_router):
    """WebSocket and RawSocket over TLS, at one port."""
    return tls_router.url if request.param == "wss" else f"rss://localhost:{tls_router.port}"


@pytest.fixture
def secure(tls_url, make_client):
    """Make clients that have joined over TLS."""

    def secure(cls=Client, **parameters):
        client = make_client(cls, **{"url": tls_url, "cert_path": CA, "call_timeout": 30.0} | parameters)
        client.start()
        return client

    return secure


def refused(make_client, **parameters):
    client = make_client(**parameters)
    with pytest.raises(ConnectionError) as caught:
        client.start()
    assert client.session is None and client.wait(0.1)
    assert not isinstance(caught.value, ssl.SSLError)
    return caught.value


def test_cert_path(secure, tls_url):
    secure(Echo)
    client = secure()
    assert client.url == tls_url
    assert client.call("com.example.echo", "größer") == "größer"


def test_a_url_list_with_a_tls_url_in_it(secure, tls_url):
    client = secure(url=["wss://127.0.0.1:1/", "rss://127.0.0.1:1", tls_url])
    assert client.url == tls_url


def test_an_authority_that_is_not_trusted(make_client, tls_url):
    error = refused(make_client, url=tls_url)
    assert isinstance(error, HandshakeError)
    assert "certificate" in str(error) and "cert_path" in str(error)


def test_another_authority(make_client, tls_url):
    error = refused(make_client, url=tls_url, cert_path=str(KEYS / "elsewhere.pem"))
    assert "certificate" in str(error)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("scheme", ["wss", "rss"])
def test_a_wrong_host_name(make_client, wrong_name_server, scheme, host):
    error = refused(make_client, url=f"{scheme}://{host}:{wrong_name_server}", cert_path=CA)
    assert isinstance(error, HandshakeError)
    text = str(error)
    assert "certificate" in text and f"'{host}'" in text
    assert "Use the host name that the certificate is for" in text and "cert_path" not in text


@pytest.fixture
def wrong_name_server():
    """A TLS server whose certificate is by our authority, for another host."""
    import select
    import socket
    import threading

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(KEYS / "elsewhere.pem", KEYS / "elsewhere.key")
    stopping = threading.Event()

    def serve(server):
        while not stopping.is_set():
            if select.select([server], [], [], 0.05)[0]:
                sock, _ = server.accept()
                sock.settimeout(5)
                try:
                    with context.wrap_socket(sock, server_side=True) as secure:
                        secure.recv(65536)
                        secure.sendall(b"HTTP/1.1 500 You should not be here\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    pass
                finally:
                    sock.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        stopping.set()
        thread.join(10)


@pytest.mark.parametrize("scheme", ["wss", "rss"])
def test_tls_where_there_is_none(make_client, router, scheme):
    error = refused(make_client, url=f"{scheme}://localhost:{router.port}", cert_path=CA, open_timeout=5.0)
    assert isinstance(error, HandshakeError)
    assert "TLS" in str(error)


def test_no_tls_where_there_is_some(make_client, tls_router):
    error = refused(make_client, url=tls_router.url.replace("wss:", "ws:"))
    assert "TLS" in str(error) and "wss://" in str(error)


def test_rawsocket_without_tls_where_there_is_some(make_client, tls_router):
    # TLS waits for more than RawSocket's four octets, so that only time tells.
    client = make_client(url=f"rs://localhost:{tls_router.port}", open_timeout=0.3)
    with pytest.raises(WampyTimeOutError, match=r"TLS.*rss://"):
        client.start()
    assert client.session is None and client.wait(0.1)


def test_a_cert_path_that_is_none(make_client, tls_url, tmp_path):
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for path in (str(junk), str(tmp_path / "missing.pem")):
        client = make_client(url=tls_url, cert_path=path)
        with pytest.raises(WampyError, match="cert_path"):
            client.start()
        assert client.wait(0.1)


def test_ssl_context(secure):
    context = ssl.create_default_context(cafile=CA)
    client = secure(Echo, cert_path=None, ssl_context=context)
    assert client.call("com.example.echo", 1) == 1


def test_an_ssl_context_of_the_users_that_does_not_check(secure):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = secure(Echo, cert_path=None, ssl_context=context)
    assert client.call("com.example.echo", 1) == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3])
def test_versions(secure, version):
    context = ssl.create_default_context(cafile=CA)
    context.minimum_version = context.maximum_version = version
    client = secure(cert_path=None, ssl_context=context)
    assert client.call("wamp.session.count") >= 1


@pytest.mark.parametrize("size", [0, 16_383, 16_384, 16_385, 65_536, MIB, 8 * MIB])
def test_sizes(secure, size):
    secure(Echo)
    client = secure()
    value = "x" * size
    assert client.call("com.example.echo", value) == value
    binary = bytes(size)
    assert client.call("com.example.echo", binary) == binary


def test_many_calls_at_once(secure, green):
    secure(Echo)
    client = secure()
    calls = [green.spawn(client.call, "com.example.echo", f"{n}" * (n * 10)) for n in range(300)]
    assert [call.result() for call in calls] == [f"{n}" * (n * 10) for n in range(300)]


def test_it_can_be_started_again(secure):
    client = secure(Echo)
    for _ in range(5):
        client.stop()
        client.start()
        assert client.call("com.example.echo", 1) == 1


def test_another_router_s_loss_is_noticed(make_client, green):
    from wampy.errors import ConnectionClosed
    from wampy.peers.routers import Crossbar

    configs = KEYS.parent / "configs"
    with Crossbar(config_path=configs / "crossbar.tls.json") as router:
        client = make_client(Echo, url=router.url, cert_path=CA, reconnect=False)
        client.start()
        client.session.register("com.example.never", lambda: green.sleep(60))
        calls = [green.spawn(client.call, "com.example.never") for _ in range(10)]
        green.wait_until(lambda: len(client.session.invocations) == 10)
        router.kill()
        assert {type(call.error(5)) for call in calls} == {ConnectionClosed}
        with pytest.raises(ConnectionClosed):
            client.wait(5)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command to read the certificates with")
def test_the_keys_in_the_package_are_what_they_say():
    def text(name):
        command = ["openssl", "x509", "-in", KEYS / name, "-noout", "-text"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "elsewhere" in text("elsewhere.pem")
    assert "localhost" in text("server.pem")
    assert "CA:TRUE" in text("ca.pem")
