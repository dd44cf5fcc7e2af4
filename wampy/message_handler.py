"""What each incoming message means. Subclass it and hand it to `Client(message_handler_cls=…)` to change that.

The methods run in the reader, one message at a time: they may send, but a blocking request raises at once. Work
that blocks goes to ``self.session.spawn_worker(function, …)``. The user's own functions run in workers.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wampy import telemetry
from wampy.constants import (
    CANCELED,
    CANNOT_AUTHENTICATE,
    GOODBYE_AND_OUT,
    NO_SUCH_REGISTRATION,
    NO_SUCH_SUBSCRIPTION,
    RUNTIME_ERROR,
    UNAVAILABLE,
)
from wampy.errors import (
    AbortError,
    ConnectionClosed,
    RemoteError,
    SerializationError,
    SessionClosed,
    WampProtocolError,
    WampyError,
)
from wampy.mailbox import Mailbox
from wampy.messages import (
    Abort,
    Authenticate,
    Challenge,
    Error,
    Event,
    EventReceived,
    Goodbye,
    Interrupt,
    Invocation,
    Message,
    Published,
    Register,
    Registered,
    Result,
    Subscribe,
    Subscribed,
    Unregistered,
    Unsubscribed,
    Welcome,
    Yield,
    positional,
)
from wampy.roles.handles import Registration, Subscription, takes_keyword
from wampy.texts import shown, text_of
from wampy.workers import current_worker

if TYPE_CHECKING:
    from wampy.peers.clients import Client

logger = logging.getLogger(__name__)

_METHODS: dict[str, str] = {}


class MessageHandler:
    """The meaning of the messages.

    Args:
        client: The client that it works for; its `session` is the one whose messages come in.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    @property
    def session(self) -> Any:
        """The session whose messages come in; in a worker the one that the worker works for."""
        # A job may outlive its session, and its answer must not go to the next one.
        worker = current_worker()
        if worker is not None and worker.pool.owner.handler is self:
            return worker.pool.owner
        return self.client._session

    def handle_message(self, message: Message) -> None:
        """Pass a message to its ``handle_<name>``.

        Args:
            message: One that is legal now.
        """
        name = message.name
        method = _METHODS.get(name) or _METHODS.setdefault(name, f"handle_{name}")
        getattr(self, method)(message)

    # The session's beginning and end.

    def handle_welcome(self, message_obj: Welcome) -> None:
        """The router let us in, if it has proved who it is."""
        session = self.session
        for authenticator in session.options.authenticators:
            if authenticator.method == message_obj.details.get("authmethod"):
                authenticator.verify_welcome(message_obj.details)
        session.welcome(message_obj.session_id, message_obj.details)

    def handle_challenge(self, message_obj: Challenge) -> None:
        """The router asks who we are: sign, or give up with the reason."""
        session = self.session
        try:
            signature, extra = session.sign(message_obj.auth_method, message_obj.extra)
        except WampyError as exc:
            session.finish(exc, abort=Abort({"message": "the challenge cannot be answered"}, CANNOT_AUTHENTICATE))
            return
        session.answer(Authenticate(signature, extra))

    def handle_abort(self, message_obj: Abort) -> None:
        """The router refuses the session or breaks it off."""
        self.session.finish(AbortError(message_obj.reason, message_obj.details))

    def handle_goodbye(self, message_obj: Goodbye) -> None:
        """The router answers our GOODBYE, or says its own, which is answered in turn."""
        session = self.session
        if not session.dismissed:
            session.left()
            return
        with suppress(ConnectionClosed):  # its close frame came in the same piece
            session.answer(Goodbye({}, GOODBYE_AND_OUT))
        session.finish(SessionClosed(message_obj.reason, str(message_obj.details.get("message") or "")))

    # Replies.

    def _settle(self, message_obj: Message) -> None:
        pending = self.session.take(message_obj)
        if pending is not None:
            pending.settle(message_obj)

    def handle_result(self, message_obj: Result) -> None:
        """A call has its answer."""
        self._settle(message_obj)

    def handle_published(self, message_obj: Published) -> None:
        """A publication is acknowledged."""
        self._settle(message_obj)

    def handle_error(self, message_obj: Error) -> None:
        """A request of ours failed."""
        pending = self.session.take(message_obj)
        if pending is not None:
            if message_obj.error in (NO_SUCH_REGISTRATION, NO_SUCH_SUBSCRIPTION) and pending.subject is not None:
                self.session.forget(pending.subject)
            pending.settle(message_obj)

    def handle_registered(self, message_obj: Registered) -> None:
        """A procedure is ours; the next message may be its first invocation."""
        self._acknowledged(message_obj, message_obj.registration_id)

    def handle_subscribed(self, message_obj: Subscribed) -> None:
        """A topic is subscribed to; the next message may be its first event."""
        self._acknowledged(message_obj, message_obj.subscription_id)

    def _acknowledged(self, message_obj: Registered | Subscribed, role_id: int) -> None:
        session = self.session
        pending = session.take(message_obj)
        if pending is None or pending.subject is None:
            session.remember_removed(role_id)  # asked for by hand: the router delivers, and that is no violation
        elif pending.given_up:
            session.give_back(pending.subject, role_id)
        elif isinstance(pending.subject, Registration):
            session.add_registration(pending.subject, role_id)
        else:
            name = f"the handler of {pending.subject.topic}"
            pending.subject.mailbox = Mailbox(session.workers, self._run_event_handler, name)
            session.add_subscription(pending.subject, role_id)
        if pending is not None:
            pending.settle(message_obj)

    def handle_unregistered(self, message_obj: Unregistered) -> None:
        """A procedure is no longer ours, by our wish or, with request id 0, by the router's."""
        session = self.session
        if message_obj.request_id == 0:
            registration = session.remove_registration(_revoked(message_obj.details, "registration"))
            if registration is not None:
                why = shown(message_obj.details.get("reason") or "no reason given")
                logger.warning("the router revoked the registration of %s: %s", registration.procedure, why)
            return
        pending = session.take(message_obj)
        if pending is not None:
            if pending.subject is not None:
                session.remove_registration(pending.subject.id)
            pending.settle(message_obj)

    def handle_unsubscribed(self, message_obj: Unsubscribed) -> None:
        """A topic is no longer subscribed to, by our wish or, with request id 0, by the router's."""
        session = self.session
        if message_obj.request_id == 0:
            sharing = session.remove_subscription(_revoked(message_obj.details, "subscription"))
            if sharing:
                why = shown(message_obj.details.get("reason") or "no reason given")
                logger.warning("the router revoked the subscription to %s: %s", sharing[0].topic, why)
            return
        pending = session.take(message_obj)
        if pending is not None:
            if pending.subject is not None:
                session.remove_subscription(pending.subject.id)
            pending.settle(message_obj)

    # Events.

    def handle_event(self, message_obj: Event) -> None:
        """An event goes to the mailbox of each handler that shares the subscription."""
        session = self.session
        sharing = session.subscription_map.get(message_obj.subscription_id)
        if sharing is None:
            self._unknown(message_obj, message_obj.subscription_id, Subscribe.WAMP_CODE)
            return
        for subscription in list(sharing):
            subscription.mailbox.put(subscription, message_obj, size=session.message_size)

    def handle_event_received(self, message_obj: EventReceived) -> None:
        """An extension that needs no reaction."""

    def _run_event_handler(self, subscription: Subscription, message_obj: Event) -> None:
        """Run in a worker: call the user's function with one event."""
        topic = message_obj.details.get("topic", subscription.topic)
        try:
            function = subscription.function_of(self.client)
            kwargs = dict(message_obj.kwargs)
            if takes_keyword(function, "meta"):
                # Ours wins over a payload's own "meta": a publisher must not be able to forge it.
                kwargs["meta"] = {"topic": topic, "subscription_id": message_obj.subscription_id}
            if subscription.details_arg is not None:
                kwargs[subscription.details_arg] = dict(message_obj.details)
            observer = telemetry.observer
            if observer is not None:
                function = observer.event(self.session, subscription, message_obj, function)
            self.session.backend.outside(function, *positional(message_obj.args), **kwargs)
        except Exception as error:
            _log_failure(self.session, f"the handler of {topic}", error)

    # Invocations.

    def handle_invocation(self, message_obj: Invocation) -> None:
        """An invocation goes to a worker, in the order of arrival."""
        session = self.session
        registration = session.registration_map.get(message_obj.registration_id)
        if registration is None:
            self._unknown(message_obj, message_obj.registration_id, Register.WAMP_CODE)
            self._refuse(message_obj, NO_SUCH_REGISTRATION, "this procedure is not registered here any more")
            return
        job = session.spawn_worker(
            session.backend.inside,
            self._run_callee,
            registration,
            message_obj,
            refuse=lambda: self._refuse(message_obj, UNAVAILABLE, "the callee has no room for another invocation"),
            size=session.message_size,
        )
        if job is not None:
            job.name = registration.procedure
            session.invocations[message_obj.request_id] = job

    def handle_interrupt(self, message_obj: Interrupt) -> None:
        """The caller has cancelled: kill the worker, if it is still at that invocation."""
        session = self.session
        job = session.invocations.get(message_obj.request_id)
        if job is None:
            return  # answered already; the two messages crossed
        if job.worker is not None:
            # The throw comes later, when the worker may be at its next job or just sending the answer.
            invocations, request_id = session.invocations, message_obj.request_id
            job.worker.task.throw(session.backend.kill_error(), still=lambda: invocations.get(request_id) is job)
            return
        # Not started yet: it will find that it is not wanted any more.
        self._refuse(message_obj, CANCELED, "cancelled before it was started")

    def _run_callee(self, registration: Registration, message_obj: Invocation) -> None:
        """Run in a worker: call the user's function and send one answer."""
        session = self.session
        if message_obj.request_id not in session.invocations:
            return
        result: Any = None
        exc: BaseException | None = None
        try:
            function = registration.function_of(self.client)
            kwargs = dict(message_obj.kwargs)
            if registration.details_arg is not None:
                kwargs[registration.details_arg] = dict(message_obj.details)
            observer = telemetry.observer
            if observer is not None:
                function = observer.invocation(session, registration, message_obj, function)
            result = session.backend.outside(function, *positional(message_obj.args), **kwargs)
        except session.backend.kill_error:
            exc = RemoteError(CANCELED, "the invocation was interrupted")
        except KeyboardInterrupt:
            self._refuse(message_obj, CANCELED, "the callee's program was interrupted")
            raise  # the main program's
        except BaseException as error:  # sys.exit() in a callee must not leave its caller waiting either
            exc = error
            if not isinstance(error, RemoteError):
                _log_failure(session, registration.procedure, error)
        finally:
            session.invocations.pop(message_obj.request_id, None)
        try:
            session.backend.outside(self.process_result, message_obj, result, exc)
        except ConnectionClosed:
            logger.debug("the answer of %s came after the session's end", registration.procedure)
        except BaseException as error:  # a hook of the serializer may raise what is no Exception, too
            if message_obj.request_id in session.unanswered:
                self._refuse(message_obj, RUNTIME_ERROR, "the callee's answer could not be sent")
            if not isinstance(error, Exception):
                raise
            logger.exception("the answer of %s could not be sent", registration.procedure)

    def process_result(self, message_obj: Invocation, result: Any, exc: BaseException | None = None) -> None:
        """Answer an invocation, in its worker: one YIELD, or one ERROR and nothing after it.

        Args:
            message_obj: The invocation.
            result: What the callee returned.
            exc: What it raised instead.
        """
        if exc is None:
            try:
                self.session.send_message(Yield(message_obj.request_id, {}, [result]))
                return
            except (SerializationError, WampProtocolError) as error:
                logger.error("the result of invocation %s cannot travel: %s", message_obj.request_id, error)
                exc = error
        self._send_error(message_obj.request_id, exc)

    def _send_error(self, request_id: int, exc: BaseException) -> None:
        code = Invocation.WAMP_CODE
        if isinstance(exc, RemoteError):
            try:
                self.session.send_message(Error(code, request_id, {}, exc.uri, list(exc.args), dict(exc.kwargs)))
                return
            except (SerializationError, WampProtocolError) as error:
                logger.error("the error of invocation %s cannot travel: %s", request_id, error)
                exc = error
        text = text_of(exc)
        kwargs = {"exc_type": type(exc).__name__, "message": text}
        self.session.send_message(Error(code, request_id, {}, RUNTIME_ERROR, [text], kwargs))

    def _refuse(self, message_obj: Invocation | Interrupt, uri: str, text: str) -> None:
        # In the reader, or wherever a worker could not be had: this never waits for room.
        self.session.invocations.pop(message_obj.request_id, None)
        try:
            self.session.answer(Error(Invocation.WAMP_CODE, message_obj.request_id, {}, uri, [text]))
        except ConnectionClosed:
            logger.debug("invocation %s was refused after the session's end", message_obj.request_id)

    def _unknown(self, message_obj: Any, role_id: int, request_code: int) -> None:
        """Let a late or early delivery pass; one for what never was is a violation."""
        session = self.session
        under_way = any(pending.code == request_code for pending in session.pending)
        if role_id not in session.removed and not under_way:
            raise WampProtocolError(f"{message_obj.name.upper()} for {role_id}, which was never acknowledged")
        logger.debug("dropped %s for %s, which is not in use", message_obj.name.upper(), role_id)


def _log_failure(session: Any, what: str, error: BaseException) -> None:
    # What only passes on that the session is over is no news: of that there is one record, and it is the Keeper's.
    over = session.reason is not None and isinstance(error, (ConnectionClosed, type(session.reason)))
    logger.log(logging.DEBUG if over else logging.ERROR, "%s failed", what, exc_info=error)


def _revoked(details: Any, key: str) -> int:
    role_id: int = details.get(key, 0) if isinstance(details, dict) else 0
    return role_id
