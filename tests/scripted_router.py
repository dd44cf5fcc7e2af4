"""A router that does what a test tells it, word by word, over a real socket on the loopback interface.

The test plays the router's side as one sequence: start the client in a green thread, `accept` it, then say and
expect. Nothing is answered unless the test says so, but for what the class says about pings and close frames::

    joining = green.spawn(client.start)
    peer = router.accept()
    peer.welcome()
    joining.result()

It speaks WebSocket, or RawSocket to a client that is taken with ``router.accept(rawsocket=True)``. It is built from
the backend's verbs, plain sockets and the server half of the `websockets` core, and shares nothing with the client
beyond the backend.
"""

import json
import logging
import socket
from contextlib import suppress

import msgpack
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE, ERROR = 1, 2, 3, 4, 5, 6, 8
PUBLISH, PUBLISHED, SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, EVENT = 16, 17, 32, 33, 34, 35, 36
CALL, CANCEL, RESULT, REGISTER, REGISTERED, UNREGISTER, UNREGISTERED = 48, 49, 50, 64, 65, 66, 67
INVOCATION, INTERRUPT, YIELD = 68, 69, 70

ROLES = {"broker": {"features": {}}, "dealer": {"features": {"call_canceling": True}}}

# What the library would log here is the test's own doing.
_quiet = logging.getLogger(f"{__name__}.frames")
_quiet.setLevel(logging.CRITICAL)

#: Seconds that a test waits for the client at most.
PATIENCE = 5.0


class Gone(AssertionError):
    """The client has closed the connection, or does not say what was expected."""


class ScriptedRouter:
    """A listening socket.

    Args:
        backend: The verbs to wait with.
        subprotocols: What it speaks over WebSocket; the first that the client offers too is chosen.
        path: Of a Unix socket to listen on, instead of TCP.
        port: To listen at, where another one has listened before; 0 for a free one.

    Attributes:
        url: For a client that shall speak WebSocket.
        rawsocket_url: For one that shall speak RawSocket.
    """

    def __init__(self, backend, subprotocols=("wamp.2.json",), path=None, port=0):
        self.backend = backend
        self.speak(*subprotocols)
        self.peers = []
        self._listener = backend.socket(socket.AF_INET if path is None else socket.AF_UNIX, socket.SOCK_STREAM)
        if port:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port) if path is None else str(path))
        self._listener.listen(16)
        if path is None:
            self.port = self._listener.getsockname()[1]
            self.url = f"ws://127.0.0.1:{self.port}/ws"
            self.rawsocket_url = f"rs://127.0.0.1:{self.port}"
        else:
            self.url = f"ws+unix://{path}:/ws"
            self.rawsocket_url = f"rs+unix://{path}"

    def has_a_caller(self, seconds):
        """Say whether a client comes that `accept` would take, within so long."""
        return self.backend.wait(self._listener, "read", self.backend.monotonic() + seconds)

    def accept(self, handshake=True, receive_buffer=None, rawsocket=False):
        """Wait for a client.

        Args:
            handshake: Whether to shake hands; without that the peer has only `raw` and `read`.
            receive_buffer: Bytes that the kernel shall keep at most of what the test has not read.
            rawsocket: Whether the client speaks RawSocket instead of WebSocket.

        Returns:
            A `Peer`, or a `RawPeer`.
        """
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if not self.has_a_caller(PATIENCE):
            raise Gone("no client came")
        sock, _ = self._listener.accept()
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = (RawPeer if rawsocket else Peer)(self.backend, sock, self.subprotocols)
        self.peers.append(peer)
        if handshake:
            peer.shake_hands()
        return peer

    def speak(self, *subprotocols):
        """Speak these subprotocols from now on."""
        self.subprotocols = [Subprotocol(name) for name in subprotocols]

    def drop_all(self):
        """Close all connections, without a word."""
        for peer in self.peers:
            peer.drop()
        self.peers.clear()

    def close(self):
        """Close everything, without a word."""
        self.drop_all()
        self._listener.close()


class Peer:
    """One client, as the router sees it.

    Attributes:
        heard: Every wire list that the client sent, oldest first.
        answers: Whether pings and close frames are answered; set it to False for a router that hangs.
        frames: Other frames that came in: pongs and closes.
    """

    def __init__(self, backend, sock, subprotocols):
        self.backend = backend
        self.sock = sock
        self.protocol = ServerProtocol(subprotocols=subprotocols, max_size=None, logger=_quiet)
        self.answers = True
        self.heard = []
        self.frames = []
        self.ended = False
        self._unread = []
        self._pieces = []

    # Bytes.

    def raw(self, data):
        """Write these bytes, whatever they are."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view) :]
            except BlockingIOError:
                if not self.backend.wait(self.sock, "write", self.backend.monotonic() + PATIENCE):
                    raise Gone("the client does not read") from None

    def read(self, timeout=PATIENCE):
        """Read what there is, ``b""`` at the end of the stream."""
        if not self.backend.wait(self.sock, "read", self.backend.monotonic() + timeout):
            raise Gone(f"the client says nothing for {timeout} seconds")
        try:
            return self.sock.recv(65536)
        except ConnectionError:
            return b""

    def _pump(self, timeout):
        data = self.read(timeout)
        if data:
            self.protocol.receive_data(data)
        else:
            self.ended = True
            self.protocol.receive_eof()
        for event in self.protocol.events_received():
            self._sort(event)
        if self.answers:
            with suppress(ConnectionError):  # whoever hangs up does not wait for an answer
                self._flush()

    def _sort(self, event):
        if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self.frames.append(event)
            return
        self._pieces.append(bytes(event.data))
        if event.fin:
            message = self._loads(b"".join(self._pieces))
            self._pieces.clear()
            self.heard.append(message)
            self._unread.append(message)

    def _flush(self):
        self.raw(b"".join(self.protocol.data_to_send()))

    def handshake(self, change=None):
        """Read the opening handshake, and return the bytes of the answer.

        Args:
            change: Called with the answer's headers, to falsify them.
        """
        while not self.frames:
            self._pump(PATIENCE)
        request = self.frames.pop(0)
        assert isinstance(request, Request)
        self.request = request
        response = self.protocol.accept(request)
        if change is not None:
            change(response.headers)
        self.protocol.send_response(response)
        return b"".join(self.protocol.data_to_send())

    def shake_hands(self, change=None):
        """Answer the opening handshake; see `handshake`."""
        self.raw(self.handshake(change))

    # Messages.

    @property
    def packed(self):
        """Whether the client has agreed to MessagePack instead of JSON."""
        return self.protocol.subprotocol == "wamp.2.msgpack"

    def _loads(self, payload):
        return msgpack.unpackb(payload) if self.packed else json.loads(payload)

    def frame(self, *messages):
        """Give the bytes of messages, a frame each; str and bytes are taken as they are."""
        for message in messages:
            payload = message
            if not isinstance(message, (str, bytes)):
                payload = msgpack.packb(message) if self.packed else json.dumps(message)
            payload = payload.encode() if isinstance(payload, str) else payload
            (self.protocol.send_binary if self.packed else self.protocol.send_text)(payload)
        return b"".join(self.protocol.data_to_send())

    def say(self, *messages):
        """Send messages, all in one write."""
        self.raw(self.frame(*messages))

    def hear(self, timeout=PATIENCE):
        """Return the client's next message."""
        while not self._unread:
            if self.ended:
                raise Gone("the client closed the connection")
            self._pump(timeout)
        return self._unread.pop(0)

    def expect(self, *beginning):
        """Return the client's next message, which must begin like this."""
        message = self.hear()
        assert message[: len(beginning)] == list(beginning), message
        return message

    def hears_nothing(self, seconds=0.05):
        """Say whether the client says nothing for so long."""
        try:
            unexpected = self.hear(seconds)
        except Gone:
            return not self.ended
        self._unread.insert(0, unexpected)
        return False

    def welcome(self, session_id=1, **details):
        """Take the HELLO and let the client in; give the HELLO back."""
        hello = self.expect(HELLO)
        self.say([WELCOME, session_id, {"roles": ROLES, **details}])
        return hello

    def acknowledge(self, count, first_id=100):
        """Acknowledge so many REGISTER and SUBSCRIBE messages with ids from `first_id` on, in one write."""
        requests = [self.hear() for _ in range(count)]
        assert all(request[0] in (REGISTER, SUBSCRIBE) for request in requests), requests
        self.say(*([request[0] + 1, request[1], first_id + n] for n, request in enumerate(requests)))
        return requests

    # The end.

    def farewell(self, timeout=PATIENCE):
        """Answer the client's GOODBYE and its close frame; other messages pass."""
        while self.hear(timeout)[0] != GOODBYE:
            pass
        self.say([GOODBYE, {}, "wamp.close.normal"])
        self.until_closed(timeout)

    def until_closed(self, timeout=PATIENCE):
        """Wait until the client closes the connection; give the code of its close frame, if there was one."""
        while not self.ended:
            self._pump(timeout)
            if self.protocol.close_rcvd is not None and self.answers:
                self.drop()
        received = self.protocol.close_rcvd
        return None if received is None else received.code

    def close_websocket(self, code=CloseCode.NORMAL_CLOSURE, reason=""):
        """Begin the close handshake."""
        if self.protocol.state is OPEN:
            self.protocol.send_close(code, reason)
        self._flush()

    def drop(self, reset=False):
        """Close the socket without a word, or with a reset."""
        self.ended = True
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


MAGIC = 0x7F
MESSAGE, PING, PONG = 0, 1, 2

# RawSocket's numbers for serializers.
JSON, MSGPACK = 1, 2


class RawPeer(Peer):
    """One client that speaks RawSocket, as the router sees it; pings are answered as `answers` says.

    Attributes:
        opening: The four octets that the client began with, after `handshake`.
        frames: Other frames that came in: type and payload of pings and pongs.
    """

    def __init__(self, backend, sock, subprotocols):
        super().__init__(backend, sock, subprotocols)
        self.opening = b""
        self._buffer = bytearray()

    def handshake(self, answer=None, limit=15):
        """Read the opening handshake, and return the bytes of the answer.

        Args:
            answer: What to answer; without it, that everything is taken as asked for.
            limit: The router takes messages of 2 ** (9 + limit) bytes.
        """
        while len(self._buffer) < 4:
            data = self.read()
            if not data:
                raise Gone("the client closed the connection in the handshake")
            self._buffer += data
        self.opening = bytes(self._buffer[:4])
        del self._buffer[:4]
        assert self.opening[0] == MAGIC, self.opening
        assert self.opening[2:] == b"\0\0", self.opening
        return bytes((MAGIC, limit << 4 | self.opening[1] & 0x0F, 0, 0)) if answer is None else answer

    def shake_hands(self, answer=None, limit=15):
        """Answer the opening handshake; see `handshake`."""
        self.raw(self.handshake(answer, limit))

    @property
    def packed(self):
        """Whether the client has asked for MessagePack instead of JSON."""
        return self.opening[1:2] != b"" and self.opening[1] & 0x0F == MSGPACK

    def _pump(self, timeout):
        data = self.read(timeout)
        if not data:
            self.ended = True
        self._buffer += data
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[1:4], "big")
            if len(self._buffer) < end:
                break
            kind, payload = self._buffer[0], bytes(self._buffer[4:end])
            del self._buffer[:end]
            self._take(kind, payload)

    def _take(self, kind, payload):
        if kind == MESSAGE:
            message = self._loads(payload)
            self.heard.append(message)
            self._unread.append(message)
            return
        self.frames.append((kind, payload))
        if kind == PING and self.answers:
            with suppress(ConnectionError):  # whoever hangs up does not wait for an answer
                self.raw(self.frame_of(PONG, payload))

    @staticmethod
    def frame_of(kind, payload=b""):
        """Give the bytes of a frame of any type."""
        return bytes((kind,)) + len(payload).to_bytes(3, "big") + payload

    def frame(self, *messages):
        """Give the bytes of messages, a frame each; str and bytes are taken as they are."""
        payloads = []
        for message in messages:
            payload = message
            if not isinstance(message, (str, bytes)):
                payload = msgpack.packb(message) if self.packed else json.dumps(message)
            payloads.append(payload.encode() if isinstance(payload, str) else payload)
        return b"".join(self.frame_of(MESSAGE, payload) for payload in payloads)

    def ping(self, data=b"are you there"):
        """Send a PING."""
        self.raw(self.frame_of(PING, data))

    def until_closed(self, timeout=PATIENCE):
        """Wait until the client ends its half of the stream, and close the rest; there are no codes here."""
        while not self.ended:
            self._pump(timeout)
        if self.answers:
            self.drop()

    def close_websocket(self, code=None, reason=""):
        """Refuse: RawSocket has no close frames."""
        raise AssertionError("this client speaks RawSocket; drop it instead")
