"""Two connected sockets, and what a watch calls."""

import socket

import pytest


@pytest.fixture
def pair(backend):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


class Reader:
    """What a watch calls: reads, and does whatever else the test wants done in the reader."""

    def __init__(self, backend, sock, then=None):
        self.sock, self.then = sock, then
        self.turns = []
        self.watch = backend.watch(sock, self.turn)

    def turn(self):
        try:
            data = self.sock.recv(1000)
        except BlockingIOError:
            data = None
        self.turns.append(data)
        if self.then is not None:
            self.then(data)

    @property
    def heard(self):
        return b"".join(filter(None, self.turns))


@pytest.fixture
def read(backend, pair):
    readers = []

    def read(then=None):
        readers.append(Reader(backend, pair[0], then))
        return readers[-1]

    yield read
    for reader in readers:
        reader.watch.close()
