"""Forward TCP connections to a port of this machine; a program of its own, so that it can be stopped.

Stopped by SIGSTOP it is what a dead network is to both ends: nothing comes through, and nobody says so. Else it does
what its standard input says, a command a line, answers each with the number of connections that it met, and ends with
its standard input.

Usage: forwarder.py PORT BYTES_PER_SECOND [LISTENER]

No figure, 0, is as fast as it goes. LISTENER is the number of an inherited descriptor, a socket that listens.

Commands; WHICH is ``all``, which includes connections to come, or a number, the place of one among those there are:

    cut WHICH             end them in good order
    reset WHICH           end them by RST
    refuse all            end those to come at once
    hold WHICH            let nothing through, and say nothing of it
    delay WHICH SECONDS   let everything through later
    heal                  let everything through again

`Forwarder` is that process as seen by the program that uses it.
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress

# Small, so that it is the sender who has what a slow link has not taken.
BUFFER = 32_768
PIECE = 8192

# Closing sends RST then.
AT_ONCE = struct.pack("ii", 1, 0)


class Connection:
    """Two sockets, and what the network between them is like."""

    def __init__(self, client, router, rate, delay, held):
        self.ends = client, router
        self.rate = rate
        self.delay = delay
        self.flowing = threading.Event()
        if not held:
            self.flowing.set()
        self.is_reset = False
        self._mutex = threading.Lock()
        self._pumping = 2
        for sock in self.ends:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for ends in (self.ends, self.ends[::-1]):
            threading.Thread(target=self._pump, args=ends, daemon=True).start()

    @property
    def is_over(self):
        return not self._pumping

    def _pump(self, source, target):
        """Pass on what comes, to the end of the stream; in small pieces when it shall take its time."""
        try:
            while data := source.recv(PIECE):
                if self.rate:
                    time.sleep(len(data) / self.rate)
                if self.delay:
                    time.sleep(self.delay)
                self.flowing.wait()
                target.sendall(data)
            self.flowing.wait()
            if not self.is_reset:
                target.shutdown(socket.SHUT_WR)
        except OSError:
            # One end is gone, and so the other has to go, as with any middleman.
            self.cut()
        finally:
            with self._mutex:
                self._pumping -= 1
            if not self._pumping:
                for sock in self.ends:
                    sock.close()

    def cut(self):
        for sock in self.ends:
            with suppress(OSError):  # that one is gone already
                sock.shutdown(socket.SHUT_RDWR)
        self.flowing.set()

    def reset(self):
        self.is_reset = True
        for sock in self.ends:
            with suppress(OSError):  # that one is gone already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                # The pump wakes, and the other end hears nothing until the last of the two closes.
                sock.shutdown(socket.SHUT_RD)
        self.flowing.set()

    def hold(self):
        self.flowing.clear()

    def heal(self):
        self.delay = 0.0
        self.flowing.set()


class Network:
    """All connections, and what those to come will be like."""

    def __init__(self, port, rate):
        self._port = port
        self._rate = rate
        self._mutex = threading.Lock()
        self._connections = []
        self._delay = 0.0
        self._held = False
        self._refuses = False

    def listen(self, listener):
        while True:
            client = listener.accept()[0]
            if self._refuses:
                client.close()
                continue
            try:
                router = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()  # as whoever listens at a port that nobody listens at behind it
                continue
            with self._mutex:
                connection = Connection(client, router, self._rate, self._delay, self._held)
                self._connections = [each for each in self._connections if not each.is_over] + [connection]

    def obey(self, command, which="all", seconds="0"):
        """Carry out a command; return the number of connections that it met."""
        with self._mutex:
            self._connections = met = [each for each in self._connections if not each.is_over]
            if which == "all":
                if command == "refuse":
                    self._refuses = True
                    return 0
                if command == "heal":
                    self._held, self._delay, self._refuses = False, 0.0, False
                elif command == "hold":
                    self._held = True
                elif command == "delay":
                    self._delay = float(seconds)
            else:
                met = met and [met[int(which) % len(met)]]
            for connection in met:
                if command == "delay":
                    connection.delay = float(seconds)
                else:
                    getattr(connection, command)()
            return len(met)


class Forwarder:
    """A process that forwards TCP to a port.

    Args:
        port: Where to.
        rate: How many bytes a second, without limit if left out.
        listener: A socket that listens, instead of one of its own. It is closed here.

    Attributes:
        port: For the client.
        pid: The process.
    """

    def __init__(self, port, rate=None, listener=None):
        inherited = [] if listener is None else [listener.fileno()]
        # In a session of its own: Ctrl-C is not for it, and it ends with us anyway.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *map(str, (port, rate or 0, *inherited))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=inherited,
        )
        if listener is not None:
            listener.close()
        self.port = int(self._process.stdout.readline())
        self.pid = self._process.pid

    def freeze(self):
        """Neither read nor write any more, from now on."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # it has really stopped then

    def thaw(self):
        """Go on."""
        self._process.send_signal(signal.SIGCONT)

    def tell(self, *words):
        """Give it a command, such as ``tell("delay", "all", 0.2)``; return the number of connections that it met."""
        print(*words, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self):
        self._process.kill()
        self._process.communicate()


def main():
    port, rate, *inherited = map(int, sys.argv[1:])
    listener = socket.socket(fileno=inherited[0]) if inherited else socket.socket()
    if not inherited:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
    print(listener.getsockname()[1], flush=True)
    network = Network(port, rate)
    threading.Thread(target=network.listen, args=(listener,), daemon=True).start()
    for line in sys.stdin:
        print(network.obey(*line.split()), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
