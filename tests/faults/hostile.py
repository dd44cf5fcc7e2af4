"""What must hold whatever a router does: the one harness for all lies.

An `Ordeal` has a client, a scripted router, and everything that can wait for the router. A test lets the router
misbehave; `is_over` and `recovers` then assert all there is to assert. See `scripted_router` for the router.
"""

import logging
import time

from wampy import Client
from wampy.errors import WampProtocolError, WampyError

VIOLATION = "wamp.error.protocol_violation"

#: Seconds within which a session must be over after a misbehaviour.
BOUND = 1.0
#: Seconds that all else may take.
PATIENCE = 10.0

KINDS = ("call", "publish", "subscribe", "register")
#: The request ids of what waits: three calls of `call_async`, and one green thread for each of `KINDS`.
CALLS, CALL_ID, PUBLISH_ID, SUBSCRIBE_ID, REGISTER_ID = (1, 2, 3), 4, 5, 6, 7


class Witness(Client):
    """A client that notes what its hooks are told."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.told = []

    def on_join(self, details):
        self.told.append(("join", None))

    def on_leave(self, reason):
        self.told.append(("leave", reason))

    def on_disconnect(self, error):
        self.told.append(("disconnect", error))


class Ordeal:
    """A client among liars.

    Args:
        green, wamp, router, caplog: The fixtures, the router being a scripted one.
        rawsocket: Whether to speak RawSocket instead of WebSocket.

    Attributes:
        url: Of the router.
        client: The client, whose timeouts are all longer than a test may take.
        peer: The router's end of the current connection.
        waits: The green threads that wait for the router.
    """

    def __init__(self, green, wamp, router, caplog, rawsocket=False):
        self.green, self.wamp, self.router, self.caplog = green, wamp, router, caplog
        self.rawsocket = rawsocket
        self.url = router.rawsocket_url if rawsocket else router.url
        self.client = self.peer = None
        self.waits = []
        self._began = 0.0
        self._listening = None

    def make(self, cls=Witness, **parameters):
        """Make the client."""
        defaults = {"open_timeout": 20.0, "call_timeout": 20.0, "close_timeout": 20.0, "reconnect": False}
        self.client = cls(self.url, **defaults | parameters)
        return self.client

    def begin(self, change=None):
        """Let the client start; return the `Running` start and the router's end, the handshake done.

        Args:
            change: Falsifies the answer's headers; over RawSocket, what to answer.
        """
        starting = self.green.spawn(self.client.start)
        self.peer = self.router.accept(handshake=False, rawsocket=self.rawsocket)
        self.peer.shake_hands(change)
        return starting, self.peer

    def join(self, session_id=1, *, cls=Witness, **parameters):
        """Make the client, if need be, and let it in."""
        if self.client is None:
            self.make(cls, **parameters)
        starting, peer = self.begin()
        peer.welcome(session_id)
        starting.result()
        return peer

    def suspend(self, *, waiting=KINDS, **parameters):
        """Join, and let everything wait that can; return the router's end."""
        peer = self.join(**parameters)
        self.waits = []
        session = self.client.session
        pending = [session.call_async(f"com.example.async{number}", timeout=None) for number in CALLS]
        waits = {
            "call": lambda: self.client.call("com.example.call"),
            "publish": lambda: session.publish("com.example.publish", options={"acknowledge": True}),
            "subscribe": lambda: session.subscribe("com.example.subscribe", print),
            "register": lambda: session.register("com.example.register", print),
        }
        for kind in waiting:
            self.waits.append(self.green.has_sent(self.client, waits[kind]))
        for _ in range(len(pending) + len(waiting)):
            peer.hear()
        # Two are awaited before it happens, one only afterwards.
        self.waits += [self.green.spawn(each.result) for each in pending[:2]]
        self.unawaited = pending[2]
        self.waiting = self.green.spawn(self.client.wait)
        self.green.sleep(0)
        self.caplog.clear()
        return peer

    def suffer(self, misbehave):
        """Let the router misbehave; from now on the time counts."""
        self._began = time.monotonic()
        misbehave(self.peer)

    def _left(self):
        return max(self._began + BOUND - time.monotonic(), 0.0)

    def records(self):
        """Return the log records of wampy that somebody who runs it should see."""
        return [
            record
            for record in self.caplog.records
            if record.levelno >= logging.WARNING and record.name.partition(".")[0] == "wampy"
        ]

    def is_over(self, cause, kind=WampProtocolError, *, abort=None, code=1000):
        """Assert that the session has ended as it should: for everybody, in time, and with the reason.

        Args:
            cause: What every error and the log record must say.
            kind: The class of the errors.
            abort: Whether the router must have got an ABORT; by default when `kind` is a `WampProtocolError`.
            code: The code of the client's close frame, ``None`` when none can have come, as over RawSocket.
        """
        client, peer = self.client, self.peer
        listening = self._listening = self.green.spawn(peer.until_closed)
        errors = [wait.error(self._left()) for wait in self.waits]
        errors.append(self.green.spawn(self.unawaited.result).error(self._left()))
        errors.append(self.waiting.error(self._left()))
        assert time.monotonic() - self._began < BOUND
        assert client.session is None
        for error in errors:
            assert type(error) is kind, repr(error)
            assert cause in str(error)
            assert len(str(error)) < 1000
        assert len({id(error) for error in errors}) == len(errors), "an instance is shared"

        assert listening.result() == (None if self.rawsocket else code)
        aborts = [message for message in peer.heard if message[0] == self.wamp.ABORT]
        if kind is WampProtocolError if abort is None else abort:
            assert len(aborts) == 1
            _, details, reason = peer.heard[-1]
            assert reason == VIOLATION
            assert cause in details["message"]
        else:
            assert not aborts

        error = self.told()
        assert type(error) is kind
        assert cause in str(error)
        self.has_logged(cause)

    def told(self):
        """Wait for `on_disconnect`; return what it was told."""
        self.green.wait_until(lambda: [kind for kind, _ in self.client.told[-1:]] == ["disconnect"], PATIENCE)
        return self.client.told[-1][1]

    def has_left(self):
        """Assert that the client's hooks were told of an end in good order."""
        assert self.told() is None
        assert self.client.told[-2] == ("leave", "wamp.close.normal")
        assert self.client.session is None
        assert self.client.wait(0.0) is True

    def has_logged(self, cause):
        """Assert that there is one log record, and that it says all."""
        (record,) = self.records()
        text = record.getMessage()
        assert cause in text
        assert self.url in text
        assert "session 1 " in text

    def recovers(self, records=1):
        """Assert that the same client can start again as if nothing had been, and leave in good order."""
        client, wamp = self.client, self.wamp
        peer = self.join(session_id=2)
        assert client.session.id == 2
        calling = self.green.spawn(client.call, "com.example.again")
        assert peer.hear() == [wamp.CALL, 1, {}, "com.example.again"]
        peer.say([wamp.RESULT, 1, {}, ["fine"]])
        assert calling.result() == "fine"
        self.leaves()
        assert len(self.records()) == records, self.caplog.text

    def leaves(self):
        """Assert that stop() is clean."""
        stopping = self.green.spawn(self.client.stop)
        self.peer.farewell()
        stopping.result()
        self.has_left()

    def cannot_start(self, starting, cause, kind=WampyError, within=BOUND):
        """Assert that start() raises, in time and with the reason, and leaves nothing; at most one record."""
        error = starting.error(within)
        assert isinstance(error, kind), repr(error)
        assert cause in str(error), str(error)
        assert self.client.session is None
        assert self.client.wait(BOUND) is True
        assert len(self.records()) <= 1, self.caplog.text
        return error

    def tries_again(self):
        """Assert that a client that could not start can do so now."""
        self.recovers(records=len(self.records()))

    def close(self):
        """Free everything."""
        if self._listening is not None:
            self._listening.kill()
            self.green.sleep(0)
        if self.client is not None:
            self.router.drop_all()
            self.client.stop()
