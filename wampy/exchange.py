"""Requests and their replies, calls and publications first: what a conversation adds to messages that come and go."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from wampy.config.transport import check_seconds
from wampy.constants import CANCELED
from wampy.conversation import Conversation
from wampy.deadlines import DEFAULT, Deadlines, Default, Timeout
from wampy.errors import ConnectionClosed, RemoteError, WampProtocolError, WampyError, WampyTimeOutError
from wampy.messages import Call, Cancel, Error, Message, Publish, positional
from wampy.messages.checks import elide
from wampy.protocol.pending import PendingRequest
from wampy.roles.caller import unwrap
from wampy.worker import current_worker, worker_of_context

logger = logging.getLogger(__name__)


class Exchange(Conversation):
    """A conversation in which requests wait for their replies.

    Args:
        *args: As for `Conversation`.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._calls = self._errors = 0
        #: Whether the router hands a call's timeout on to the callee's side.
        self._takes_timeouts = False
        self._deadlines = Deadlines(self.backend, self.pending, self._transport.poke, self._expired)

    def welcome(self, session_id: int, details: Mapping[str, Any]) -> None:
        super().welcome(session_id, details)
        self._takes_timeouts = self.router_has("dealer", "call_timeout")

    # Calls and publications, without a guard round them; see `Session`. Their `kwargs` are the message's own.

    def _call(
        self,
        procedure: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any] | None,
        timeout: Timeout,
    ) -> Any:
        pending = self._begin_call(procedure, args, kwargs, options, timeout, waits=True)
        reply = self._reply(pending, checked=True)
        values = reply.args
        if not reply.kwargs and type(values) is list and len(values) == 1:
            return values[0]  # hot: as `unwrapped`, without another step
        return unwrapped(reply)

    def _begin_call(
        self,
        procedure: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any] | None,
        timeout: Timeout,
        waits: bool = False,
    ) -> PendingRequest:
        seconds = self.options.call_timeout if timeout is DEFAULT else self._seconds(timeout)
        if type(args) not in (tuple, list):
            args = _payload(args)
        options = options.copy() if type(options) is dict else own(options)  # hot: as `own`, without another step
        message = Call(None, options, procedure, args, kwargs)
        if seconds is not None and self._takes_timeouts and isinstance(message.options, dict):
            message.options.setdefault("timeout", int(seconds * 1000) or 1)
        pending = self._request(message, procedure, seconds, waits=waits)
        self._calls += 1
        return pending

    def _publish(
        self,
        topic: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any] | None,
        timeout: Timeout,
    ) -> int | None:
        if type(args) not in (tuple, list):
            args = _payload(args)
        options = options.copy() if type(options) is dict else own(options)  # as in `_begin_call`
        message = Publish(None, options, topic, args, kwargs)
        if not options or not (isinstance(options, dict) and options.get("acknowledge")):
            transport = self._transport
            if transport.has_room:  # hot: as `_wait_for_room`, without another step
                self.backend.check_caller(self._home)
            elif not transport.in_reader:
                self._wait_for_room(None)
            self._outbox.emit(message)
            return None
        publication_id: int = self._ask(message, topic, timeout).publication_id
        return publication_id

    # Requests of all kinds.

    def _ask(self, message: Message, about: str, timeout: Timeout = DEFAULT, subject: Any = None) -> Any:
        """Make a request and wait for its reply."""
        return self._reply(self._request(message, about, self._seconds(timeout), subject, waits=True), checked=True)

    def _request(
        self, message: Message, about: str, seconds: float | None, subject: Any = None, waits: bool = False
    ) -> PendingRequest:
        """Make a request.

        Args:
            message: The request.
            about: The procedure or topic.
            seconds: Until it is given up.
            subject: See `PendingRequest`.
            waits: Whether the caller is going to wait for the reply, which nobody may do in the reader.
        """
        backend = self.backend
        deadline = None if seconds is None else backend.monotonic() + seconds
        if self._transport.has_room:  # hot: then nobody is in the reader, and `_wait_for_room` would do the same
            backend.check_caller(self._home)
        else:
            if waits:
                self._check_not_in_reader()
            self._wait_for_room(seconds)
        pending = PendingRequest(message.WAMP_CODE, 0, about, backend.slot(), deadline, seconds, subject)
        self._outbox.emit(message, pending)
        if deadline is not None and deadline < self._deadlines.next_look:
            self._deadlines.watch(deadline)
        return pending

    def _check_may_block(self) -> None:
        self._check_not_in_reader()
        self.backend.check_caller(self._home)

    def _check_not_in_reader(self) -> None:
        if self._transport.in_reader:
            raise WampyError(
                "a blocking request was made inside a message handler, that is in the green thread that would "
                "have to read the answer; hand it to a worker: self.session.spawn_worker(function, …)"
            )

    def _reply(
        self, pending: PendingRequest, timeout: float | None = None, shared: bool = False, checked: bool = False
    ) -> Any:
        """Wait for a reply; an ERROR is raised.

        Args:
            pending: The request.
            timeout: Seconds to wait here; its own deadline counts as well.
            shared: Whether others may wait for it, now or later: then it goes on when this waiter is killed.
            checked: Whether it is known that the caller may wait, as that it has just made the request.
        """
        if checked or not pending.slot.done:
            if not checked:
                self._check_may_block()
            worker = None if worker_of_context() is None else current_worker()
            if worker is not None:
                worker.pool.lend()
            try:
                arrived = pending.slot.wait(timeout)
            except BaseException:
                if not shared:
                    self._abandon(pending)  # the waiter was killed, or Ctrl-C
                raise
            finally:
                if worker is not None:
                    worker.pool.reclaim()
            if not arrived:
                raise WampyTimeOutError(f"answer to the call of {pending.about}", timeout, pending.about)
        reply = pending.reply if pending.error is None else pending.outcome()
        if isinstance(reply, Error):
            raise RemoteError.from_reply(
                reply.error, positional(reply.args), reply.kwargs, reply.details, pending.about, pending.request_id
            )
        return reply

    def _abandon(self, pending: PendingRequest) -> None:
        if self.pending.discard(pending):
            self._give_up(pending)

    def _seconds(self, timeout: Timeout) -> float | None:
        if isinstance(timeout, Default):
            return self.options.call_timeout
        check_seconds("timeout", timeout)
        return timeout

    def take(self, message: Message) -> PendingRequest | None:
        """Pop the request that a reply answers.

        Args:
            message: The reply.

        Returns:
            The request; ``None`` when it has been given up meanwhile.

        Raises:
            WampProtocolError: No such request was ever made.
        """
        code: Any = message.replies_to
        request_id: int = message.request_id  # type: ignore[attr-defined]
        if code is None:
            code = message.request_type  # type: ignore[attr-defined]  # an ERROR's
        requests = self.pending.by_id
        pending = requests.get(request_id)  # hot: as `PendingRequests.pop`, without another step
        if pending is None or pending.code != code:
            if not self.request_ids.issued(request_id):
                raise WampProtocolError(f"{message.name.upper()} for request {request_id}, which was never made")
            logger.debug("dropped a late %s for request %s", message.name.upper(), request_id)
            return None
        del requests[request_id]
        if message.name == "error" and not pending.given_up:
            self._errors += 1
        return pending

    def _tell(self, message: Message, about: str, subject: Any) -> None:
        """Make a request whose reply nobody waits for; in the reader too."""
        pending = PendingRequest(message.WAMP_CODE, 0, about, self.backend.slot(), subject=subject)
        with suppress(ConnectionClosed):
            self._outbox.emit(message, pending)

    def router_has(self, role: str, feature: str) -> bool:
        """Say whether WELCOME announced a feature.

        Args:
            role: ``dealer`` or ``broker``.
            feature: The feature's key.
        """
        announced = self.details.get("roles", {}).get(role)
        return bool(isinstance(announced, dict) and (announced.get("features") or {}).get(feature))

    # When there is no reply.

    def _expired(self, pending: PendingRequest) -> None:
        if pending.cancelled:
            pending.fail(RemoteError.from_reply(CANCELED, ["the callee did not answer"], procedure=pending.about))
            return
        self._errors += 1
        is_call = pending.code == Call.WAMP_CODE
        what = f"answer to the call of {pending.about}" if is_call else f"reply of the router about {pending.about}"
        pending.fail(WampyTimeOutError(what, pending.seconds, pending.about if is_call else None))
        self._give_up(pending)

    def _give_up(self, pending: PendingRequest) -> None:
        if pending.code == Call.WAMP_CODE:
            self._send_cancel(pending.request_id, "killnowait")
        elif pending.subject is not None:
            # The router's word still counts: it says whether there is a role to give back, or one to forget.
            pending.given_up, pending.deadline = True, None
            self.pending.put(pending)

    def _send_cancel(self, request_id: int, mode: str) -> None:
        if self.established and self.router_has("dealer", "call_canceling"):
            with suppress(ConnectionClosed):  # then the call has ended with the session
                self._outbox.emit(Cancel(request_id, {"mode": mode}))

    def _settle_all(self, error: Exception) -> None:
        for pending in self.pending.pop_all():
            pending.fail(error)
        self._deadlines.cancel()


def own(mapping: Any) -> Any:
    """Copy a dictionary; what is none is for the message's own checks to refuse."""
    if mapping is None:
        return None
    if type(mapping) is dict:  # what `isinstance` asks of an abstract class is not cheap
        return mapping.copy()
    return dict(mapping) if isinstance(mapping, Mapping) else mapping


def unwrapped(reply: Any) -> Any:
    """Turn a RESULT into what `call` returns; see `wampy.roles.caller.unwrap`."""
    args = reply.args
    if not reply.kwargs and type(args) is list and len(args) == 1:  # hot
        return args[0]
    return unwrap(positional(args), reply.kwargs)


def _payload(args: Any) -> Any:
    if isinstance(args, str):  # a message may hold one, as some peers write binaries so; routers close on it
        raise WampProtocolError(f"args must be a list or tuple, not {elide(args)}")
    return args
