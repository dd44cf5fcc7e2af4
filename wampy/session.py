"""A session: a conversation with a router, and what the four roles can do in it. The full-control API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wampy.auth import answer_challenge
from wampy.config import settings
from wampy.constants import CANCEL_MODES, CANCEL_PATIENCE, CANCELED, RUNTIME_ERROR
from wampy.deadlines import DEFAULT, Timeout
from wampy.errors import RemoteError, WampProtocolError, WampyError
from wampy.guard import guarded, observed
from wampy.jobs import Job
from wampy.messages import Call, Error, Invocation, Message, Publish, Unregister, Unsubscribe, positional
from wampy.messages.checks import elide
from wampy.protocol.pending import PendingRequest
from wampy.registry import Registry
from wampy.roles.caller import PendingCall, unwrap
from wampy.roles.handles import Registration, Subscription
from wampy.stats import Stats
from wampy.urls import RouterUrl

logger = logging.getLogger(__name__)


class Session(Registry):
    """One conversation and its roles; it is never used twice.

    Attributes:
        invocations: Request id to the job that works on it.
        unanswered: Request ids of invocations that neither YIELD nor ERROR has answered.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.invocations: dict[int, Job] = {}
        self.unanswered: set[int] = set()
        self._calls = self._invocations = self._events = 0

    @property
    def router(self) -> RouterUrl | None:
        """The router's address, if the transport has one."""
        url: RouterUrl | None = self._transport.url
        return url

    @property
    def stats(self) -> Stats:
        """What this session has done so far, and what it has to do now."""
        workers = self.workers
        bytes_in, bytes_out, last_ping = self._transport.traffic
        return Stats(
            messages_in=self._inbox.received,
            messages_out=self._outbox.sent,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            calls=self._calls,
            errors=self._errors,
            invocations=self._invocations,
            invocations_refused=workers.refusals.total,
            events=self._events,
            events_dropped=workers.events_dropped,
            pending=len(self.pending),
            workers_busy=workers.busy,
            queue=workers.queue,
            last_ping=last_ping,
        )

    def deliver(self, message: Message) -> None:
        name = message.name
        if name == "invocation":
            self._invocations += 1
            self.unanswered.add(message.request_id)  # type: ignore[attr-defined]
        elif name == "event":
            self._events += 1
        self.handler.handle_message(message)

    def settle_anyway(self, message: Message, exc: BaseException) -> None:
        if message.name != "invocation":
            super().settle_anyway(message, exc)
            return
        request_id: int = message.request_id  # type: ignore[attr-defined]
        if request_id in self.unanswered and request_id not in self.invocations and self.established:
            text = f"the handler of INVOCATION raised {type(exc).__name__}"
            self.answer(Error(Invocation.WAMP_CODE, request_id, {}, RUNTIME_ERROR, [text]))

    def _sent(self, message: Message) -> None:
        if message.name == "yield" or (message.name == "error" and message.request_type == Invocation.WAMP_CODE):  # type: ignore[attr-defined]
            self.unanswered.discard(message.request_id)  # type: ignore[attr-defined]

    # Caller.

    @observed
    def call_async(
        self,
        procedure: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: Timeout = DEFAULT,
    ) -> PendingCall:
        """Call a procedure without waiting for its answer (WAMP, "Calling and Invocations").

        Args:
            procedure: The URI.
            args: Positional payload.
            kwargs: Keyword payload.
            options: The options of CALL.
            timeout: Seconds until the call is given up and cancelled; ``None`` for never.

        Returns:
            The pending call.

        Raises:
            WampProtocolError: The URI or an option is not right.
            SerializationError: The payload cannot travel.
            ConnectionClosed: The session is over.
        """
        return PendingCall(self, self._begin_call(procedure, args, kwargs, options, timeout))

    def _begin_call(
        self,
        procedure: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any] | None,
        timeout: Timeout,
    ) -> PendingRequest:
        seconds = self.options.call_timeout if timeout is DEFAULT else self._seconds(timeout)
        if type(args) not in (tuple, list):
            args = _payload(args)
        # Hot, and what `isinstance` asks of an abstract class is not cheap.
        options = options.copy() if type(options) is dict else _own(options)
        kwargs = kwargs.copy() if type(kwargs) is dict else _own(kwargs)
        message = Call(None, options, procedure, args, kwargs)
        if seconds is not None and self._takes_timeouts and isinstance(message.options, dict):
            message.options.setdefault("timeout", int(seconds * 1000) or 1)
        pending = self._request(message, procedure, seconds)
        self._calls += 1
        return pending

    @observed
    def call(
        self,
        procedure: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: Timeout = DEFAULT,
    ) -> Any:
        """Call a procedure; waits for its answer.

        Args:
            procedure, args, kwargs, options, timeout: As for `call_async`.

        Returns:
            One positional value as itself, anything richer as a `Result`.

        Raises:
            RemoteError: The answer was an ERROR.
            WampyTimeOutError: There was no answer in time.
            ConnectionClosed: The session ended before the answer.
        """
        self._check_not_in_reader()
        reply = self._reply(self._begin_call(procedure, args, kwargs, options, timeout), checked=True)
        return _unwrapped(reply)

    @guarded
    def result_of(self, pending: PendingRequest, timeout: float | None) -> Any:
        """Wait for a call's result; for `PendingCall`."""
        reply = self._reply(pending, timeout, shared=True)
        return _unwrapped(reply)

    @guarded
    def cancel(self, pending: PendingRequest, mode: str) -> None:
        """Cancel a call; for `PendingCall`."""
        if mode not in CANCEL_MODES:
            raise ValueError(f"mode is one of {', '.join(CANCEL_MODES)}, not {mode!r}")
        self.backend.check_caller(self._home)
        if pending.slot.done:
            return
        if mode != "kill" or not self.router_has("dealer", "call_canceling"):
            # No ERROR may ever come for these (Crossbar sends none), and the caller does not care for one.
            self.pending.discard(pending)
            error = RemoteError.from_reply(CANCELED, ["cancelled by the caller"])
            error.procedure, error.request_id = pending.about, pending.request_id
            pending.fail(error)
        else:
            # Nor does one for a callee that cannot be interrupted (Crossbar again): wait, but not for ever.
            patience = self.backend.monotonic() + CANCEL_PATIENCE
            pending.cancelled = True
            pending.deadline = patience if pending.deadline is None else min(pending.deadline, patience)
            self._deadlines.watch(pending.deadline)
        self._send_cancel(pending.request_id, mode)

    @guarded
    def when_done(self, call: PendingCall, function: Callable[[PendingRequest], None]) -> None:
        """Have a function called when a call has its outcome, or at once; for observers.

        Args:
            call: What `call_async` gave.
            function: Called with the request, in the reader too: it neither blocks nor raises.
        """
        pending = call.pending
        if pending.slot.done:
            function(pending)
        else:
            pending.on_done = function

    # Its identity.

    def sign(self, method: str, extra: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Answer a challenge with the client's authenticator, or with the secret of the environment.

        Args:
            method: The method that the router chose.
            extra: The CHALLENGE's extra.

        Returns:
            Signature and extra of AUTHENTICATE.

        Raises:
            WampyError: There is nothing to answer with; the text says what would do.
        """
        options = self.options
        return answer_challenge(options.authenticators, settings().secret, options.hello_details(), method, extra)

    # Publisher.

    @observed
    def publish(
        self,
        topic: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: Timeout = DEFAULT,
    ) -> int | None:
        """Publish an event (WAMP, "Publishing"); waits for the router's word only with ``acknowledge``.

        Args:
            topic: The URI.
            args: Positional payload.
            kwargs: Keyword payload.
            options: The options of PUBLISH.
            timeout: Seconds to wait for the acknowledgement; ``None`` for no limit.

        Returns:
            The publication id when ``options`` say ``acknowledge``, else ``None``.

        Raises:
            RemoteError: The router refused it, as ``acknowledge`` lets it.
            WampProtocolError: The URI or an option is not right.
            SerializationError: The payload cannot travel.
            ConnectionClosed: The session is over.
        """
        if type(args) not in (tuple, list):
            args = _payload(args)
        options = options.copy() if type(options) is dict else _own(options)  # as in `_begin_call`
        kwargs = kwargs.copy() if type(kwargs) is dict else _own(kwargs)
        message = Publish(None, options, topic, args, kwargs)
        if not options or not (isinstance(options, dict) and options.get("acknowledge")):
            if not self._transport.in_reader:
                self._wait_for_room(None)
            self._outbox.emit(message)
            return None
        publication_id: int = self._ask(message, topic, timeout).publication_id
        return publication_id

    # Callee.

    @guarded
    def register(
        self, procedure: str, function: Callable[..., Any], options: Mapping[str, Any] | None = None
    ) -> Registration:
        """Register a function as a procedure (WAMP, "Registering and Unregistering"); waits.

        Args:
            procedure: The URI, or a pattern when the options say ``match``.
            function: Called in a worker with the payload of each invocation.
            options: The options of REGISTER.

        Returns:
            The registration.

        Raises:
            ProcedureAlreadyExists: Someone has registered it.
            RemoteError: The router refused it for another reason.
        """
        self._check_may_block()
        registration: Registration = self.complete(self.begin(Registration(procedure, function, options=options)))
        return registration

    @guarded
    def unregister(self, registration: Registration) -> None:
        """Take a procedure back; waits.

        Args:
            registration: What `register` gave.

        Raises:
            NoSuchRegistration: The router does not know it.
        """
        self._check_may_block()
        if registration.id is None or self.registration_map.get(registration.id) is not registration:
            raise WampyError(f"{registration!r} is not registered in this session")
        request = Unregister(None, registration.id)
        self._ask(request, registration.procedure, subject=registration)

    # Subscriber.

    @guarded
    def subscribe(
        self, topic: str, handler: Callable[..., Any], options: Mapping[str, Any] | None = None
    ) -> Subscription:
        """Subscribe a function to a topic (WAMP, "Subscribing and Unsubscribing"); waits.

        Args:
            topic: The URI, or a pattern when the options say ``match``.
            handler: Called in a worker with the payload of each event, one at a time and in order.
            options: The options of SUBSCRIBE.

        Returns:
            The subscription.

        Raises:
            RemoteError: The router refused it.
        """
        self._check_may_block()
        subscription: Subscription = self.complete(self.begin(Subscription(topic, handler, options=options)))
        return subscription

    @guarded
    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; waits, if it was the last of its topic.

        Args:
            subscription: What `subscribe` gave.

        Raises:
            NoSuchSubscription: The router does not know it.
        """
        self._check_may_block()
        subscription_id = subscription.id
        sharing = self.subscription_map.get(subscription_id, []) if subscription_id is not None else []
        if subscription_id is None or subscription not in sharing:
            raise WampyError(f"{subscription!r} is not subscribed in this session")
        if len(sharing) > 1 or self._being_subscribed(subscription):
            # The router knows one subscription, which others here still want.
            sharing.remove(subscription)
            subscription.id = None
            return
        request = Unsubscribe(None, subscription_id)
        self._ask(request, subscription.topic, subject=subscription)

    # The names of wampy 1.

    @guarded
    def _register_procedure(self, name: str, invocation_policy: str = "single") -> Registration:
        options = {} if invocation_policy == "single" else {"invoke": invocation_policy}
        return self.complete(self.begin(Registration(name, name, options=options)))  # type: ignore[no-any-return]

    def _subscribe_to_topic(self, handler: Callable[..., Any], topic: str) -> Subscription:
        return self.subscribe(topic, handler)


def _own(mapping: Any) -> Any:
    """Copy a dictionary; what is none is for the message's own checks to refuse."""
    if mapping is None:
        return None
    return dict(mapping) if isinstance(mapping, Mapping) else mapping


def _unwrapped(reply: Any) -> Any:
    args = reply.args
    if not reply.kwargs and type(args) is list and len(args) == 1:  # hot
        return args[0]
    return unwrap(positional(args), reply.kwargs)


def _payload(args: Any) -> Any:
    if isinstance(args, str):  # a message may hold one, as some peers write binaries so; routers close on it
        raise WampProtocolError(f"args must be a list or tuple, not {elide(args)}")
    return args
