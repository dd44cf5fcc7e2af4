"""A network of its own for one program, in which a name server of ours is the only one, and answers as it is told.

Linux lets a process make itself a network and a view of the files, in which it is root and the rest of the machine is
not touched: there port 53 can be had, and ``/etc/resolv.conf`` is another file. Sockets stay in the network in which
they were made, whoever uses them. So the program makes the name server's, and one that leads to the router, and hands
them out: name server and router are where the test is.

Usage: island.py CHANNEL FOLDER PROGRAM ARGUMENT …

CHANNEL is the number of an inherited descriptor, to which both sockets go. FOLDER has the files that are to be in
``/etc``. In the arguments, ``{port}`` is the port that leads to the router.

`Island` is all that as seen by the test.
"""

import ctypes
import fcntl
import os
import queue
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

UNSHARE = ["unshare", "--map-root-user", "--mount", "--net"]

FILES = {
    # What the C library takes by itself, said so that a test can count on it: it asks twice, for five seconds each.
    "resolv.conf": "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n",
    "nsswitch.conf": "hosts: files dns\n",
    "hosts": "127.0.0.1 localhost\n",
}

ANSWER, SERVFAIL, NXDOMAIN, SILENCE = "answer", "SERVFAIL", "NXDOMAIN", "silence"
_CODES = {ANSWER: 0, SERVFAIL: 2, NXDOMAIN: 3}
_TYPE_A, _CLASS_IN = 1, 1
_HEADER = struct.Struct("!6H")


def refusal():
    """Return why this machine lets nobody make an island, ``None`` if it does."""
    if shutil.which("unshare") is None:
        return "there is no `unshare`, of util-linux, to make a network of its own with"
    done = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    return None if done.returncode == 0 else f"namespaces are not permitted here: {done.stderr.strip()}"


class NameServer:
    """Answers each question in the way that it is told to; every name has the address 127.0.0.1 then.

    Args:
        sock: A UDP socket that is bound, closed in the end.
        way: How it answers at first.

    Attributes:
        way: How it answers, from now on.
        asked: The names that it was asked for.
    """

    def __init__(self, sock, way=ANSWER):
        self.way = way
        self.asked = []
        # Who has asked for an IPv4 address of a name, and will ask for one of IPv6: one look-up is answered in one way.
        self._halfway = {}
        self._socket = sock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._ended.is_set():
            if select.select([self._socket], [], [], 0.05)[0]:
                question, sender = self._socket.recvfrom(4096)
                answer = self._answer(question, sender)
                if answer is not None:
                    self._socket.sendto(answer, sender)

    def _answer(self, message, sender):
        """Return the answer to a question (RFC 1035, section 4); ``None`` for none."""
        number, flags, *_ = _HEADER.unpack_from(message)
        labels, at = [], _HEADER.size
        while length := message[at]:
            labels.append(message[at + 1 : at + 1 + length].decode())
            at += 1 + length
        end = at + 5  # the empty label, type and class
        self.asked.append(".".join(labels))
        (kind,) = struct.unpack_from("!H", message, at + 1)
        way = self._halfway.pop(sender, self.way)
        if kind == _TYPE_A:
            self._halfway[sender] = way
        if way == SILENCE:
            return None
        found = b""
        if way == ANSWER and kind == _TYPE_A:
            # The name is that of the question, 12 bytes from the beginning. It may not be kept for any time.
            found = struct.pack("!HHHIH", 0xC000 | _HEADER.size, kind, _CLASS_IN, 0, 4) + socket.inet_aton("127.0.0.1")
        # It is an answer, recursion is as it was asked for, and can be had.
        header = _HEADER.pack(number, 0x8080 | flags & 0x0100 | _CODES[way], 1, bool(found), 0, 0)
        return header + message[_HEADER.size : end] + found

    def close(self):
        """End it."""
        self._ended.set()
        self._thread.join(10)
        self._socket.close()


class Island:
    """A program on an island, and what is around it.

    Args:
        folder: For what it needs to be told in files.
        forward: Makes a forwarder to the router, for a socket that listens.
        way: How the name server answers at first.
        program: The program's file.
        *arguments: Its arguments; ``{port}`` in one of them is where the router is.

    Attributes:
        names: The name server.
        forwarder: The way to the router.
    """

    def __init__(self, folder, forward, way, program, *arguments):
        etc = folder / "etc"
        etc.mkdir()
        for name, text in FILES.items():
            (etc / name).write_text(text)
        channel, theirs = socket.socketpair()
        with channel, theirs:
            command = [*UNSHARE, sys.executable, "-W", "ignore", __file__, str(theirs.fileno()), str(etc), str(program)]
            self._process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=[theirs.fileno()],
            )
            theirs.close()
            channel.settimeout(20)
            _, descriptors, _, _ = socket.recv_fds(channel, 1, 2)
        udp, tcp = (socket.socket(fileno=number) for number in descriptors)
        self.names = NameServer(udp, way)
        self.forwarder = forward(tcp)
        self._lines = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put((time.monotonic(), line.rstrip("\n")))
        self._lines.put((time.monotonic(), None))

    def next_line(self, seconds=20.0):
        """Return when the program has printed its next line, and that; ``None`` is its end."""
        return self._lines.get(timeout=seconds)

    def hear(self, expected, seconds=20.0):
        """Wait for a line that begins so; return when it came, the line, and all before it."""
        before = []
        while True:
            at, line = self.next_line(seconds)
            if line is not None and line.startswith(expected):
                return at, line, before
            assert line is not None, f"it has ended without {expected!r}: {before}"
            before.append(line)

    def rest(self):
        """Wait for the program's end; return when that was, and what it has printed until then."""
        lines = []
        while True:
            at, line = self.next_line()
            if line is None:
                assert self._process.wait(10) == 0, lines
                return at, lines
            lines.append(line)

    def interrupt(self):
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def close(self):
        """End all of it."""
        self._process.kill()
        self._process.wait()
        self._reader.join(10)
        self._process.stdout.close()
        self.names.close()


def _bring_up(interface):
    """Let an interface take and give, as ``ip link set … up`` does."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", interface, 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(sock, get_flags, request), 16)
        fcntl.ioctl(sock, set_flags, struct.pack("16sh14x", interface, flags | up))


def _bind_mount(source, target):
    """Have one file in the place of another, for this process and its children."""
    libc = ctypes.CDLL(None, use_errno=True)
    bind = 0x1000
    if libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(bind), None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))


def main():
    channel, folder, program, *arguments = sys.argv[1:]
    _bring_up(b"lo")
    for path in Path(folder).iterdir():
        _bind_mount(path, Path("/etc") / path.name)
    with socket.socket(fileno=int(channel)) as out, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 53))
        with socket.create_server(("127.0.0.1", 0)) as tcp:
            port = tcp.getsockname()[1]
            socket.send_fds(out, [b"x"], [udp.fileno(), tcp.fileno()])
    arguments = [argument.replace("{port}", str(port)) for argument in arguments]
    os.execv(sys.executable, [sys.executable, "-W", "ignore", program, *arguments])


if __name__ == "__main__":
    main()
