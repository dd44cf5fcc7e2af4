"""The forwarding process does to connections what it is told, and to no others."""

import socket
import time

import pytest


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture
def forwarder(forward, listener):
    return forward(listener.getsockname()[1])


@pytest.fixture
def connect(forwarder, listener):
    """Make connections through it: ``connect()`` gives both ends."""
    sockets = []

    def connect():
        ends = socket.create_connection(("127.0.0.1", forwarder.port)), listener.accept()[0]
        for sock in ends:
            sock.settimeout(10)
            sockets.append(sock)
        ends[0].sendall(b"hello")
        assert ends[1].recv(5) == b"hello"
        return ends

    yield connect
    for sock in sockets:
        sock.close()


def is_silent(sock):
    sock.settimeout(0.2)
    try:
        return not sock.recv(100)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(10)


def test_cut_ends_both_in_good_order(forwarder, connect):
    client, server = connect()
    assert forwarder.tell("cut", "all") == 1
    assert client.recv(100) == server.recv(100) == b""


def test_reset_tells_both_by_rst(forwarder, connect):
    client, server = connect()
    assert forwarder.tell("reset", "all") == 1
    for end in (client, server):
        with pytest.raises(ConnectionResetError):
            end.recv(100)


def test_one_of_several_can_be_met(forwarder, connect):
    pairs = [connect() for _ in range(3)]
    assert forwarder.tell("cut", 4) == 1
    assert pairs[1][0].recv(100) == b""
    for client, server in (pairs[0], pairs[2]):
        client.sendall(b"still here")
        assert server.recv(100) == b"still here"


def test_hold_keeps_everything_until_heal(forwarder, connect):
    client, server = connect()
    assert forwarder.tell("hold", "all") == 1
    client.sendall(b"late")
    assert is_silent(server)
    assert forwarder.tell("heal", "all") == 1
    assert server.recv(100) == b"late"


def test_hold_is_for_connections_to_come_as_well_and_keeps_their_end_too(forwarder, listener):
    assert forwarder.tell("hold", "all") == 0
    with socket.create_connection(("127.0.0.1", forwarder.port)) as client, listener.accept()[0] as server:
        client.sendall(b"late")
        client.shutdown(socket.SHUT_WR)
        assert is_silent(server)
        forwarder.tell("heal", "all")
        assert server.recv(100) == b"late"
        assert server.recv(100) == b""


def test_a_connection_that_is_held_can_be_reset(forwarder, connect):
    client, _ = connect()
    forwarder.tell("hold", 0)
    forwarder.tell("reset", 0)
    with pytest.raises(ConnectionResetError):
        client.recv(100)


def test_delay_makes_everything_later(forwarder, connect):
    client, server = connect()
    assert forwarder.tell("delay", "all", 0.3) == 1
    begin = time.monotonic()
    client.sendall(b"x")
    assert server.recv(100) == b"x"
    assert time.monotonic() - begin >= 0.3
    forwarder.tell("heal", "all")


def test_what_is_over_is_not_met_any_more(forwarder, connect):
    client, server = connect()
    client.close()
    server.close()
    deadline = time.monotonic() + 10
    while forwarder.tell("heal", "all"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_goes_on_when_nobody_listens_behind_it_for_a_while(forward, closed_port):
    forwarder = forward(closed_port)
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", forwarder.port)) as client:
            client.settimeout(10)
            assert client.recv(100) == b""
