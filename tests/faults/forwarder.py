"""Forward TCP connections to a port of this machine; a program of its own, so that it can be stopped.

Stopped by SIGSTOP it is what a dead network is to both ends: nothing comes through, and nobody says so. It ends with
its standard input, and does what that says, line by line:

- ``cut``: end all connections, and refuse new ones until ``mend``;
- ``reset``: end all connections, with a reset; new ones get through;
- ``mend``: let new ones through again.

Usage: forwarder.py PORT [BYTES_PER_SECOND]
"""

import os
import select
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

# Small, so that it is the sender who has what a slow link has not taken.
BUFFER = 32_768

# Seconds between two looks whether a connection is still there.
GLANCE = 0.02


def pump(source, target, rate):
    """Pass on what comes, to the end of the stream; in small pieces when it shall take its time."""
    try:
        while True:
            # Not in recv() for long: a socket on which somebody waits is not really closed.
            if not select.select([source], [], [], GLANCE)[0]:
                continue
            data = source.recv(8192)
            if not data:
                break
            if rate:
                time.sleep(len(data) / rate)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except (OSError, ValueError):  # the second of one that was closed here
        # One end is gone, and so the other has to go, as with any middleman.
        for sock in (source, target):
            with suppress(OSError):  # that one is gone already
                sock.shutdown(socket.SHUT_RDWR)


def end(sock, reset=False):
    """End a connection, in good order or with a reset."""
    with suppress(OSError):  # that one is gone already
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        sock.shutdown(socket.SHUT_RDWR)


class Forwarder:
    def __init__(self, port, rate):
        self.port, self.rate = port, rate
        self.open = []
        self.listener = None
        self.address = ("127.0.0.1", 0)
        self.listen()

    def listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.address)
        self.listener.listen()
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        with suppress(OSError):  # it was cut
            while True:
                self.connect(listener.accept()[0])

    def connect(self, client):
        try:
            router = socket.create_connection(("127.0.0.1", self.port))
        except OSError:  # there is no router now
            client.close()
            return
        self.open = [sock for sock in self.open if sock.fileno() >= 0] + [client, router]
        for sock in (client, router):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for ends in ((client, router), (router, client)):
            threading.Thread(target=pump, args=(*ends, self.rate), daemon=True).start()

    def cut(self, reset=False):
        if not reset:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        for sock in self.open:
            end(sock, reset)
        self.open = []


def main():
    port, rate = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    forwarder = Forwarder(port, rate)
    print(forwarder.address[1], flush=True)
    for line in sys.stdin:
        order = line.strip()
        if order == "mend":
            forwarder.listen()
        else:
            forwarder.cut(reset=order == "reset")
        print("done", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
