"""Forward TCP connections to a port of this machine; a program of its own, so that it can be stopped.

Stopped by SIGSTOP it is what a dead network is to both ends: nothing comes through, and nobody says so. It ends with
its standard input.

Usage: forwarder.py PORT [BYTES_PER_SECOND]
"""

import os
import socket
import sys
import threading
import time
from contextlib import suppress

# Small, so that it is the sender who has what a slow link has not taken.
BUFFER = 32_768


def pump(source, target, rate):
    """Pass on what comes, to the end of the stream; in small pieces when it shall take its time."""
    try:
        while data := source.recv(8192):
            if rate:
                time.sleep(len(data) / rate)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One end is gone, and so the other has to go, as with any middleman.
        for sock in (source, target):
            with suppress(OSError):  # that one is gone already
                sock.shutdown(socket.SHUT_RDWR)


def connect(client, port, rate):
    router = socket.create_connection(("127.0.0.1", port))
    for sock in (client, router):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for ends in ((client, router), (router, client)):
        threading.Thread(target=pump, args=(*ends, rate), daemon=True).start()


def listen(listener, port, rate):
    while True:
        connect(listener.accept()[0], port, rate)


def main():
    port, rate = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=listen, args=(listener, port, rate), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
