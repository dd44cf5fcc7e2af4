"""What each incoming message means. Subclass it and hand it to `Client(message_handler_cls=…)` to change that.

The methods run in the reader, one message at a time: they may send, but a blocking request raises at once. Work
that blocks goes to ``self.session.spawn_worker(function, …)``. The user's own functions run in workers.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import Any

from wampy.constants import (
    CANCELED,
    CANNOT_AUTHENTICATE,
    GOODBYE_AND_OUT,
    NO_SUCH_REGISTRATION,
    NO_SUCH_SUBSCRIPTION,
    UNAVAILABLE,
)
from wampy.errors import (
    AbortError,
    ConnectionClosed,
    SessionClosed,
    WampProtocolError,
    WampyError,
)
from wampy.jobs import Job
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
)
from wampy.roles.handles import Registration
from wampy.texts import shown
from wampy.user_code import UserCode

logger = logging.getLogger(__name__)

_METHODS: dict[str, str] = {}


class MessageHandler(UserCode):
    """The meaning of the messages.

    Args:
        client: The client that it works for; its `session` is the one whose messages come in.
    """

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

    def handle_result(self, message_obj: Result) -> None:
        """A call has its answer."""
        pending = self.session.take(message_obj)
        if pending is not None:
            pending.settle(message_obj)

    def handle_published(self, message_obj: Published) -> None:
        """A publication is acknowledged."""
        pending = self.session.take(message_obj)
        if pending is not None:
            pending.settle(message_obj)

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
            deliver = partial(self._run_event_handler, session, pending.subject)
            pending.subject.mailbox = Mailbox(session.workers, deliver, name)
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
        size = session.message_size
        for subscription in [*sharing]:
            subscription.mailbox.put(message_obj, size)

    def handle_event_received(self, message_obj: EventReceived) -> None:
        """An extension that needs no reaction."""

    # Invocations.

    def handle_invocation(self, message_obj: Invocation) -> None:
        """An invocation goes to a worker, in the order of arrival."""
        session = self.session
        registration = session.registration_map.get(message_obj.registration_id)
        if registration is None:
            self._unknown(message_obj, message_obj.registration_id, Register.WAMP_CODE)
            self._refuse(message_obj, NO_SUCH_REGISTRATION, "this procedure is not registered here any more")
            return

        def refuse() -> None:
            self._refuse(message_obj, UNAVAILABLE, "the callee has no room for another invocation")

        # Hot, and so not by `spawn_worker`, which is a longer way to the same.
        what = session, registration, message_obj
        job = Job(self._run_callee, what, refuse, session.message_size, name=registration.procedure)
        if session.backend.switches_only_in_waits:
            self._submit(session, job, message_obj)
        else:  # in a worker too, to which a handler of the user's may have handed this
            session.backend.inside(self._submit, session, job, message_obj)

    def _submit(self, session: Any, job: Job, message_obj: Invocation) -> None:
        if not session.workers.submit(job):
            if job.refuse is not None:
                job.refuse()
        elif not job.refused:
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

    def _unknown(self, message_obj: Any, role_id: int, request_code: int) -> None:
        """Let a late or early delivery pass; one for what never was is a violation."""
        session = self.session
        under_way = any(pending.code == request_code for pending in session.pending)
        if role_id not in session.removed and not under_way:
            raise WampProtocolError(f"{message_obj.name.upper()} for {role_id}, which was never acknowledged")
        logger.debug("dropped %s for %s, which is not in use", message_obj.name.upper(), role_id)


def _revoked(details: Any, key: str) -> int:
    role_id: int = details.get(key, 0) if isinstance(details, dict) else 0
    return role_id
