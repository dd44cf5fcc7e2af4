"""What workers do with invocations and events: they call the user's functions, and answer.

Hot, together with `wampy.workers`: so nothing here is asked for twice, and on green threads, where it is nothing but
the call, `Backend.outside` is left out.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from wampy import telemetry
from wampy.constants import CANCELED, RUNTIME_ERROR
from wampy.errors import ConnectionClosed, RemoteError, SerializationError, WampProtocolError
from wampy.messages import Error, Event, Interrupt, Invocation, Yield, positional
from wampy.roles.handles import Registration, Subscription
from wampy.texts import text_of
from wampy.worker import worker_of_context

if TYPE_CHECKING:
    from wampy.peers.clients import Client

logger = logging.getLogger("wampy.message_handler")  # whose part this is


class UserCode:
    """The part of the message handler that runs in workers.

    Args:
        client: The client that it works for; its `session` is the one whose messages come in.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    @property
    def session(self) -> Any:
        """The session whose messages come in; in a worker the one that the worker works for."""
        # A job may outlive its session, and its answer must not go to the next one.
        worker = worker_of_context()  # hot: only who is asked about is looked at more closely
        if worker is not None and worker.pool.owner.handler is self and worker.task.is_current:
            return worker.pool.owner
        return self.client._keeper.session  # `Client._session`, which would be one step more for each message

    def _run_event_handler(self, session: Any, subscription: Subscription, message_obj: Event) -> None:
        """Call the user's function with one event."""
        try:
            function = subscription.function_of(self.client)
            kwargs = message_obj.kwargs
            if subscription.takes_meta(function):
                # Ours wins over a payload's own "meta": a publisher must not be able to forge it.
                topic = message_obj.details.get("topic", subscription.topic)
                kwargs = {**kwargs, "meta": {"topic": topic, "subscription_id": message_obj.subscription_id}}
            if subscription.details_arg is not None:
                kwargs = {**kwargs, subscription.details_arg: dict(message_obj.details)}
            observer = telemetry.observer
            if observer is not None:
                function = observer.event(session, subscription, message_obj, function)
            args = message_obj.args if type(message_obj.args) is list else positional(message_obj.args)
            backend = session.backend
            if backend.switches_only_in_waits:
                function(*args, **kwargs)
            else:
                backend.outside(function, *args, **kwargs)
        except Exception as error:
            topic = message_obj.details.get("topic", subscription.topic)
            _log_failure(session, f"the handler of {topic}", error)

    def _run_callee(self, session: Any, registration: Registration, message_obj: Invocation) -> None:
        """Call the user's function and send one answer."""
        if message_obj.request_id not in session.invocations:
            return
        backend = session.backend
        is_green = backend.switches_only_in_waits
        result: Any = None
        exc: BaseException | None = None
        try:
            function = registration.function_of(self.client)
            kwargs = message_obj.kwargs
            if registration.details_arg is not None:
                kwargs = {**kwargs, registration.details_arg: dict(message_obj.details)}
            observer = telemetry.observer
            if observer is not None:
                function = observer.invocation(session, registration, message_obj, function)
            args = message_obj.args if type(message_obj.args) is list else positional(message_obj.args)
            result = function(*args, **kwargs) if is_green else backend.outside(function, *args, **kwargs)
        except backend.kill_error:
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
            if is_green:
                self.process_result(message_obj, result, exc)
            else:
                backend.outside(self.process_result, message_obj, result, exc)
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


def _log_failure(session: Any, what: str, error: BaseException) -> None:
    # What only passes on that the session is over is no news: of that there is one record, and it is the Keeper's.
    over = session.reason is not None and isinstance(error, (ConnectionClosed, type(session.reason)))
    logger.log(logging.DEBUG if over else logging.ERROR, "%s failed", what, exc_info=error)
