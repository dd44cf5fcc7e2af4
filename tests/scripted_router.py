"""A router that does what a test tells it, word by word, over a real socket on the loopback interface.

The test plays the router's side as one sequence: start the client in a green thread, `accept` it, then say and
expect. Nothing is answered unless the test says so, but for what the class says about pings and close frames::

    joining = green.spawn(client.start)
    peer = router.accept()
    peer.welcome()
    joining.result()

It is built from the backend's verbs, plain sockets and the server half of the `websockets` core, and shares
nothing with the client beyond the backend.
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
        subprotocols: What it speaks; the first that the client offers too is chosen.
    """

    def __init__(self, backend, subprotocols=("wamp.2.json",)):
        self.backend = backend
        self.speak(*subprotocols)
        self.peers = []
        self._listener = backend.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/ws"

    def accept(self, handshake=True, receive_buffer=None):
        """Wait for a client.

        Args:
            handshake: Whether to shake hands for WebSocket; without that the peer has only `raw` and `read`.
            receive_buffer: Bytes that the kernel shall keep at most of what the test has not read.

        Returns:
            A `Peer`.
        """
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if not self.backend.wait(self._listener, "read", self.backend.monotonic() + PATIENCE):
            raise Gone("no client came")
        sock, _ = self._listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(self.backend, sock, self.subprotocols)
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
