"""A session: a conversation with a router, and what the four roles can do in it. The full-control API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wampy import telemetry
from wampy.auth import answer_challenge
from wampy.config import settings
from wampy.constants import CANCEL_MODES, CANCEL_PATIENCE, CANCELED, RUNTIME_ERROR
from wampy.deadlines import DEFAULT, Timeout
from wampy.errors import RemoteError, WampyError
from wampy.exchange import own, unwrapped
from wampy.guard import guarded, observed
from wampy.jobs import Job
from wampy.messages import Error, Invocation, Message, Unregister, Unsubscribe
from wampy.protocol.pending import PendingRequest
from wampy.registry import Registry
from wampy.roles.caller import PendingCall
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
        self._invocations = 0

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
            events=self._inbox.events,
            events_dropped=workers.events_dropped,
            pending=len(self.pending),
            workers_busy=workers.busy,
            queue=workers.queue,
            last_ping=last_ping,
        )

    def invoked(self, message: Any) -> None:
        self._invocations += 1
        self.unanswered.add(message.request_id)

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
        kwargs = own(kwargs)
        if telemetry.observer is None and self.backend.switches_only_in_waits:
            return self._call_async(procedure, args, kwargs, options, timeout)
        call: PendingCall = observed(self, "call_async", Session._call_async, procedure, args, kwargs, options, timeout)
        return call

    def _call_async(
        self,
        procedure: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any] | None,
        timeout: Timeout,
    ) -> PendingCall:
        return PendingCall(self, self._begin_call(procedure, args, kwargs, options, timeout))

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
        kwargs = own(kwargs)
        if telemetry.observer is None and self.backend.switches_only_in_waits:
            return self._call(procedure, args, kwargs, options, timeout)
        return observed(self, "call", Session._call, procedure, args, kwargs, options, timeout)

    @guarded
    def result_of(self, pending: PendingRequest, timeout: float | None) -> Any:
        """Wait for a call's result; for `PendingCall`."""
        reply = self._reply(pending, timeout, shared=True)
        return unwrapped(reply)

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
        kwargs = own(kwargs)
        if telemetry.observer is None and self.backend.switches_only_in_waits:
            return self._publish(topic, args, kwargs, options, timeout)
        publication_id: int | None = observed(
            self, "publish", Session._publish, topic, args, kwargs, options, timeout
        )
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
