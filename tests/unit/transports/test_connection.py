"""Connecting: over TCP, to a Unix socket, with a deadline; and the plain bytes of a handshake."""

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from wampy.errors import ConnectionClosed, ConnectionError, WampyTimeOutError
from wampy.transports.connection import Connection
from wampy.urls import parse_proxy, parse_url


@pytest.fixture
def make(backend):
    made = []

    def make(url, backend=backend, **options):
        made.append(Connection(parse_url(url), backend, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def soon(backend):
    return lambda seconds=5.0: backend.monotonic() + seconds


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for Unix sockets by a short path, whatever the folders of tests are called."""
    monkeypatch.chdir(tmp_path)
    return Path("/proc/self/cwd")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# TCP.


def test_small_messages_do_not_wait_for_each_other(make, router, soon):
    connection = make(router.url)
    connection.open(soon())
    assert connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    router.accept(handshake=False)


def test_nobody_there(make, soon):
    port = free_port()
    with pytest.raises(ConnectionError) as caught:
        make(f"rs://127.0.0.1:{port}").open(soon())
    assert str(caught.value) == (
        f"cannot connect to rs://127.0.0.1:{port}: 127.0.0.1 port {port}: Connection refused. "
        "Is a router running there?"
    )


def test_through_a_proxy_the_router_is_not_looked_up(make, router, soon):
    make("ws://no-such-host.invalid/").open(soon(), parse_proxy(f"http://127.0.0.1:{router.port}"))
    router.accept(handshake=False)


class Addresses:
    """A backend whose names have these addresses."""

    def __init__(self, backend, *addresses):
        self._backend, self._addresses = backend, addresses

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def resolve(self, host, port, family, deadline, turn):
        kind = socket.SOCK_STREAM
        return [(socket.AF_INET, kind, socket.IPPROTO_TCP, "", address) for address in self._addresses]


@pytest.fixture
def silent():
    """The address of a port whose kernel drops what comes: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()


def test_the_next_address_is_tried_after_one_where_nobody_listens(make, router, backend, soon):
    addresses = Addresses(backend, ("127.0.0.1", free_port()), ("127.0.0.1", router.port))
    make("ws://several.example/", addresses).open(soon())
    router.accept(handshake=False)


def test_a_silent_address_takes_its_share_of_the_time_only(make, router, backend, soon, silent):
    addresses = Addresses(backend, silent, ("127.0.0.1", router.port))
    make("ws://several.example/", addresses).open(soon(0.4))
    router.accept(handshake=False)


def test_each_address_is_told_with_what_is_wrong_with_it(make, backend, soon, silent):
    refused = ("127.0.0.1", free_port())
    with pytest.raises(ConnectionError) as caught:
        make("ws://several.example/", Addresses(backend, silent, refused)).open(soon(0.2))
    assert "127.0.0.1 port 80: Connection timed out; 127.0.0.1 port 80: Connection refused" in str(caught.value)


def test_when_the_last_address_is_silent_too_the_time_is_over(make, backend, soon, silent):
    with pytest.raises(WampyTimeOutError, match=r"no connection to ws://several\.example/"):
        make("ws://several.example/", Addresses(backend, silent, silent)).open(soon(0.2))


def test_a_look_up_that_takes_too_long(make, backend, soon):
    class Slow(Addresses):
        def resolve(self, host, port, family, deadline, turn):
            backend.sleep(max(deadline - backend.monotonic(), 0))
            raise TimeoutError

    with pytest.raises(WampyTimeOutError, match=r"no address of 'slow\.example' for ws://slow\.example/"):
        make("ws://slow.example/", Slow(backend)).open(soon(0.05))


def test_giving_up_ends_the_look_up(make, backend, green, soon):
    class Silent(Addresses):
        def resolve(self, host, port, family, deadline, turn):
            turn.wait(deadline - backend.monotonic())
            return []

    connection = make("ws://silent.example/", Silent(backend))
    opening = green.waiting(connection.open, soon(10.0))
    connection.give_up()
    error = opening.error(3.0)
    assert isinstance(error, ConnectionClosed)
    assert error.clean
    with pytest.raises(ConnectionClosed):
        connection.open(soon())


def test_giving_up_in_the_look_up(make, backend, router, green, soon):
    class Slow(Addresses):
        def resolve(self, *args):
            backend.sleep(0.05)
            return super().resolve(*args)

    connection = make("ws://slow.example/", Slow(backend, ("127.0.0.1", router.port)))
    opening = green.waiting(connection.open, soon())
    connection.give_up()
    error = opening.error(3.0)
    assert isinstance(error, ConnectionClosed)
    assert error.clean


# Unix sockets.


def test_a_unix_socket(make, unix_router, soon):
    connection = make(unix_router.rawsocket_url)
    connection.open(soon())
    peer = unix_router.accept(handshake=False)
    connection.write_all(b"there", soon())
    assert peer.read() == b"there"
    peer.raw(b"back")
    assert connection.read_raw("word from", soon()) == b"back"


@pytest.mark.parametrize("name", ["my router?#%.sock", "bücher", "a:b"])
def test_a_file_name_of_any_characters(make, backend, wamp, folder, soon, name):
    from urllib.parse import quote

    router = wamp.ScriptedRouter(backend, path=folder / name)
    try:
        make(f"rs+unix://{folder}/{quote(name)}").open(soon())
        router.accept(handshake=False)
    finally:
        router.close()


def test_a_file_name_that_is_not_utf8(make, folder, soon):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fsencode(folder) + b"/\xff")
        listener.listen()
        make(f"rs+unix://{folder}/%FF").open(soon())


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.write_text("no socket"), "Connection refused"),
        (lambda path: path.mkdir(), "Connection refused"),
    ],
    ids=["missing", "a file", "a folder"],
)
def test_a_path_without_a_socket(make, folder, soon, prepare, reason):
    path = folder / "router.sock"
    prepare(path)
    with pytest.raises(ConnectionError) as caught:
        make(f"ws+unix://{path}:/ws").open(soon())
    assert str(caught.value) == (
        f"cannot connect to ws+unix://{path}:/ws: {path}: {reason}. Is a router running there?"
    )


def test_a_socket_whose_router_is_dead(make, folder, soon):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "router.sock"))
        listener.listen()
    with pytest.raises(ConnectionError, match="Connection refused"):
        make(f"rs+unix://{folder}/router.sock").open(soon())


def test_a_missing_file_whose_name_is_not_utf8_can_be_told(make, folder, soon):
    with pytest.raises(ConnectionError) as caught:
        make(f"rs+unix://{folder}/%FF").open(soon())
    assert "No such file" in str(caught.value).encode().decode()


@pytest.fixture
def full(folder):
    """A Unix socket that listens, and whose queue of new connections is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(folder / "router.sock"))
        listener.listen(0)
        listener.setblocking(False)
        for _ in range(10):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.setblocking(False)
            if sock.connect_ex(str(folder / "router.sock")):
                break
        else:
            pytest.fail("the queue is not full after ten connections")
        yield listener


def test_a_full_queue_ends_at_the_deadline(make, full, folder, soon):
    with pytest.raises(WampyTimeOutError, match=r"router\.sock, whose queue of new connections is full"):
        make(f"rs+unix://{folder}/router.sock").open(soon(0.1))


def test_a_full_queue_is_waited_for(make, full, folder, soon, green):
    opening = green.waiting(make(f"rs+unix://{folder}/router.sock").open, soon())
    green.sleep(0.05)
    assert not opening.done
    full.accept()[0].close()
    opening.result()


def test_a_router_that_dies_with_its_queue_full(make, full, folder, soon, green):
    opening = green.waiting(make(f"rs+unix://{folder}/router.sock").open, soon())
    green.sleep(0.05)
    full.close()
    error = opening.error()
    assert type(error) is ConnectionError
    assert "Connection refused" in str(error)


def test_giving_up_while_the_queue_is_full(make, full, folder, green):
    connection = make(f"rs+unix://{folder}/router.sock")
    opening = green.waiting(connection.open, None)
    green.sleep(0.05)
    assert not opening.done
    connection.give_up()
    assert isinstance(opening.error(3.0), ConnectionClosed)


# Plain bytes.


def test_giving_up_twice_and_before_there_is_a_socket(make):
    connection = make("ws://localhost/")
    connection.give_up()
    connection.give_up()


def test_what_came_in_time_is_read_after_the_deadline(make, router, soon, green, backend):
    connection = make(router.url)
    connection.open(soon())
    router.accept(handshake=False).raw(b"in time")
    green.sleep(0.02)
    past = backend.monotonic() - 1
    assert connection.read_raw("word from", past) == b"in time"
    with pytest.raises(WampyTimeOutError):
        connection.read_raw("word from", past)


def test_a_write_that_nobody_takes_ends_at_the_deadline(make, router, soon):
    connection = make(router.url)
    connection.open(soon())
    router.accept(handshake=False, receive_buffer=4096)
    with pytest.raises(WampyTimeOutError, match="no question to ws://"):
        connection.write_all(bytes(50_000_000), soon(0.1), "question to")
