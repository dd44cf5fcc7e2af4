"""A conversation with a router: its beginning and end, what comes in, the workers.

Who may touch what: `Inbox`, and what it calls here, run in the reader, which never blocks. Only what says
"waits" in its docstring blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from wampy.channel import Channel
from wampy.config.options import Options
from wampy.constants import CANCELED, CLOSE_REALM, DEFAULT_CLOSE_TIMEOUT
from wampy.deadlines import DEFAULT, Default, Timeout
from wampy.errors import AbortError, ConnectionClosed, WampProtocolError, WampyError, WampyTimeOutError
from wampy.guard import guarded
from wampy.inbox import HandlesMessages, Inbox
from wampy.interfaces import Backend, Transport
from wampy.jobs import Job
from wampy.messages import Abort, Goodbye, Hello, Message
from wampy.protocol.pending import fresh
from wampy.protocol.states import State
from wampy.texts import text_of

logger = logging.getLogger(__name__)

# Seconds that the close handshake may take when the session is over anyway: a router that has just lied, or said
# GOODBYE, must not keep it for as long as a stop() in good order would wait.
LAST_WORDS = 0.5


class Conversation(Channel):
    """What a session is before it asks and serves; it is never used twice.

    Attributes:
        handler: Its `handle_message` says what each message means; called in the reader.
        message_size: The bytes of the message that is being handled.
        wants_no_more: Whether what comes now is of no interest: it is over, or the router has answered our GOODBYE. It
            may say more behind that, such as ERROR for a call of ours that it ends.
        gone: Filled when nothing is left of it.

    Args:
        transport: An unconnected transport.
        options: See `Options`.
        backend: The verbs.
        handler: See above.
        on_end: Called once, with the session and the reason, when nothing is left of it.
    """

    def __init__(
        self,
        transport: Transport,
        options: Options,
        backend: Backend,
        handler: HandlesMessages,
        on_end: Callable[[Any, Exception], None],
    ) -> None:
        super().__init__(transport, options, backend)
        self.handler = handler
        self._on_end = on_end
        self._inbox = Inbox(self, transport, self._machine)
        self.message_size = 0
        self.wants_no_more = False
        self._joined = backend.slot()
        self._goodbye = backend.slot()
        self.gone = backend.slot()
        self._connected = False
        self._stopping = False

    # Its beginning and its end.

    @guarded
    def join(self, seconds: Timeout = DEFAULT) -> None:
        """Connect and join the realm; waits. Nothing is left behind when it raises.

        Args:
            seconds: How long all of that may take; left out, ``open_timeout``.

        Raises:
            ConnectionError: The router cannot be reached, or is none.
            AbortError: The router refused the session.
            WampyTimeOutError: The time was up; the text names the phase.
        """
        if isinstance(seconds, Default):
            seconds = self.options.open_timeout
        deadline = self._deadline(seconds)
        self._home = self.backend.home()
        try:
            self._transport.connect(deadline)
            inbox = self._inbox
            take = inbox.take_batches if self._transport.serializer.batched else inbox.take
            self._transport.start(take, self._on_lost)
            self._connected = True
            with suppress(ConnectionClosed):  # something came with the handshake: the reader will say what
                self._outbox.emit(Hello(self.realm, self.options.hello_details()))
            if not self._joined.wait(self._remaining(deadline)):
                raise WampyTimeOutError(f"WELCOME from the router for realm {self.realm!r}")
            if self.reason is not None:
                raise fresh(self.reason)
        except BaseException as exc:
            if isinstance(exc, WampyTimeOutError):
                exc.seconds = seconds
            self._joined.set()
            given_up = ConnectionClosed("the start was given up", clean=True)  # by Ctrl-C, or a kill
            self.finish(exc if isinstance(exc, Exception) else given_up, within=0.0)
            if self._connected and isinstance(exc, Exception):
                self.gone.wait(DEFAULT_CLOSE_TIMEOUT)
            raise

    def welcome(self, session_id: int, details: Mapping[str, Any]) -> None:
        """Note that the router let us in."""
        self.id, self.details = session_id, details
        self._joined.set()

    @guarded
    def finish(self, error: Exception, *, abort: Abort | None = None, within: float | None = LAST_WORDS) -> None:
        """End the session: settle everything that waits, then close the transport. Never blocks.

        Args:
            error: What the waiters raise.
            abort: What to tell the router first.
            within: Seconds that the close handshake may take, 0 to skip it, ``None`` for no limit.
        """
        if self.reason is None:
            self.reason = error
            self.wants_no_more = True
            if abort is not None:
                try:
                    self._outbox.emit(abort)
                except WampyError:
                    logger.debug("the ABORT could not be sent", exc_info=True)
            self._machine.end()
            self._settle_all(error)
            self._joined.set()
            self._goodbye.set()
            self._transport.close(within)
            self.workers.close(kill=False)  # last: it tells the log, whose handlers are the user's
        else:
            self._transport.close(within)

    def _settle_all(self, error: Exception) -> None:
        """Let everybody who waits for a reply raise; for children."""

    @guarded
    def stop(self) -> None:
        """Leave the realm and free everything; waits, except in the reader. Any state, any number of times."""
        if not self._connected:
            self.finish(ConnectionClosed("it was stopped before it was started", clean=True))
            return
        if self._transport.orphaned or (self.gone.done and not self.workers.busy):
            return
        if self._transport.in_reader:
            self.backend.spawn(self.stop)
            return
        self.backend.check_caller(self._home)
        self._stopping = True
        deadline = self._deadline(self.options.close_timeout)
        if self.established:
            try:
                self._outbox.emit(Goodbye({}, CLOSE_REALM))
            except WampyError:
                logger.debug("the GOODBYE could not be sent", exc_info=True)
        if self._machine.state is State.CLOSING:
            self._goodbye.wait(self._remaining(deadline))
        self.finish(_stopped(), within=self._remaining(deadline))
        killed = self.workers.close(kill=True)
        # The transport has a timer of its own; this one only guards against a reader that a hook blocks.
        self.gone.wait(None if deadline is None else (self._remaining(deadline) or 0.0) + 1.0)
        for task in killed:
            task.join(1.0 if deadline is None else self._remaining(deadline))

    def left(self) -> None:
        """Note that the router answered our GOODBYE; one that the user sent by hand ends the session as well."""
        self.wants_no_more = True
        self._goodbye.set()
        if not self._stopping:
            self.finish(_stopped())

    def _on_lost(self, error: Exception) -> None:
        if self._machine.state is State.CLOSING or (self._stopping and self._goodbye.done):
            # Some routers answer our GOODBYE by closing, without a word; others close behind their answer, before
            # stop() has gone on.
            error = _stopped()
        elif isinstance(error, ConnectionClosed) and self.established:
            error.clean = False  # the WebSocket's end may be in good order, the session's is not without GOODBYE
        self.finish(error)
        assert self.reason is not None
        try:
            self._on_end(self, self.reason)
        finally:
            self.gone.set()

    # In: see `Inbox`.

    def invoked(self, message: Any) -> None:
        """Keep account of an invocation, before the handler gets it; for children."""

    def violated(self, error: WampyError) -> None:
        """End the session, because the router broke a rule."""
        # Not logged here: whoever hears of the session's end does that, once.
        reason = error if isinstance(error, WampProtocolError) else WampProtocolError(str(error))
        self.finish(reason, abort=Abort({"message": str(error)}, reason.uri))

    def settle_anyway(self, message: Message, exc: BaseException) -> None:
        """Settle what a message was about after a handler's hook has failed on it."""
        error = WampyError(f"the handler of {message.name.upper()} raised {type(exc).__name__}: {text_of(exc)}")
        error.__cause__ = exc
        if message.reply_key is not None:
            pending = self.pending.pop(*message.reply_key)
            if pending is not None:
                pending.fail(error)
        elif message.name == "abort":
            self.finish(AbortError(message.reason, message.details))  # type: ignore[attr-defined]
        elif message.name in ("welcome", "challenge", "goodbye"):
            self.finish(error, abort=Abort({"message": str(error)}, CANCELED))

    @guarded
    def spawn_worker(
        self, function: Callable[..., Any], *args: Any, refuse: Callable[[], Any] | None = None, size: int = 0
    ) -> Job | None:
        """Run a function in a worker.

        Args:
            function: What to run; what it raises is logged.
            *args: Its arguments.
            refuse: Called instead when no worker can be had.
            size: How many bytes wait with it, for the limit of these.

        Returns:
            The job, or ``None`` when the queue is full; `refuse` has been called then.
        """
        if self.backend.switches_only_in_waits:
            job = Job(function, args, refuse, size)
        else:
            job = Job(self.backend.outside, (function, *args), refuse, size)
        if self.workers.submit(job):
            return None if job.refused else job
        if refuse is not None:
            refuse()
        return None


def _stopped() -> ConnectionClosed:
    return ConnectionClosed("the client was stopped", clean=True)
