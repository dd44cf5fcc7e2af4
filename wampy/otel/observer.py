"""What stands round calls, publications, invocations and events, and makes spans and metrics of them.

Names and attributes are those of OpenTelemetry's semantic conventions for RPC and for messaging; nothing of a payload
is among them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import context as contexts
from opentelemetry.trace import SpanKind

from wampy.constants import CANCELED, RUNTIME_ERROR
from wampy.deadlines import DEFAULT
from wampy.errors import RemoteError
from wampy.messages import Error, positional
from wampy.otel.carriers import Carriers
from wampy.otel.figures import Figures
from wampy.otel.operations import Ends, Operation, Operations, now
from wampy.protocol.pending import PendingRequest
from wampy.telemetry import Observer

SYSTEM = "wamp"


class Telemetry(Observer):
    """Observes by OpenTelemetry.

    Args:
        operations: Makes spans and measures.
        carriers: Hands the trace on.
        figures: The counters.
    """

    def __init__(self, operations: Operations, carriers: Carriers, figures: Figures) -> None:
        self.figures = figures
        self._operations = operations
        self._carriers = carriers
        self._ends = Ends()

    # Who asks: in the caller's own thread.

    def call(
        self,
        method: Callable[..., Any],
        session: Any,
        /,
        procedure: Any,
        args: Any = (),
        kwargs: Any = None,
        options: Any = None,
        timeout: Any = DEFAULT,
    ) -> Any:
        operation, options = self._begin_request(SpanKind.CLIENT, session, procedure, options)
        try:
            result = method(session, procedure, args, kwargs, options, timeout)
        except BaseException as error:
            self._operations.end(operation, error)
            raise
        self._operations.end(operation)
        return result

    def call_async(
        self,
        method: Callable[..., Any],
        session: Any,
        /,
        procedure: Any,
        args: Any = (),
        kwargs: Any = None,
        options: Any = None,
        timeout: Any = DEFAULT,
    ) -> Any:
        operation, options = self._begin_request(SpanKind.CLIENT, session, procedure, options)
        try:
            call = method(session, procedure, args, kwargs, options, timeout)
        except BaseException as error:
            self._operations.end(operation, error)
            raise
        if operation is not None:
            ends, backend = self._ends, session.backend
            session.when_done(call, lambda done: ends.put(backend, self._end_call, operation, done, now()))
        return call

    def _end_call(self, operation: Operation, done: PendingRequest, when: tuple[float, int]) -> None:
        error = done.error
        reply = None if error is not None else done.reply
        if isinstance(reply, Error):
            error = RemoteError.from_reply(reply.error, positional(reply.args), reply.kwargs, procedure=done.about)
        self._operations.end(operation, error, ended=when)

    def publish(
        self,
        method: Callable[..., Any],
        session: Any,
        /,
        topic: Any,
        args: Any = (),
        kwargs: Any = None,
        options: Any = None,
        timeout: Any = DEFAULT,
    ) -> Any:
        operation, options = self._begin_request(SpanKind.PRODUCER, session, topic, options)
        try:
            publication_id = method(session, topic, args, kwargs, options, timeout)
        except BaseException as error:
            self._operations.end(operation, error)
            raise
        more = None if publication_id is None else {"messaging.message.id": str(publication_id)}
        self._operations.end(operation, more=more)
        return publication_id

    def waiting(self, operation: str, name: str, wait: Callable[[], Any]) -> Any:
        began = now()
        try:
            return wait()
        except BaseException as error:
            kind = SpanKind.PRODUCER if operation == "publish" else SpanKind.CLIENT
            begun, _ = self._begin_request(kind, None, name, None, began)
            self._operations.end(begun, error)
            raise

    def _begin_request(
        self, kind: SpanKind, session: Any, name: Any, options: Any, began: tuple[float, int] | None = None
    ) -> tuple[Operation | None, Any]:
        """Begin a span, and write it into a copy of the options."""
        if not isinstance(name, str):
            return None, options  # for the session to refuse
        operation = None
        try:
            if kind is SpanKind.CLIENT:
                title, bounded = name, {"rpc.system.name": SYSTEM, "rpc.method": name}
            else:
                title, bounded = f"publish {name}", _messaging("publish", "send", name)
            if session is not None:
                bounded |= _place(session)
            operation = self._operations.begin(kind, title, bounded, began=began)
            return operation, self._carriers.write(options, operation.context)
        except Exception:
            self._operations.failed()
            return operation, options

    # Who serves: in a worker, with the span as the current one while the user's function runs.

    def invocation(self, session: Any, registration: Any, message: Any, function: Callable[..., Any]) -> Any:
        def begin() -> Operation:
            # The one that is registered, as there may be no end to the names that fit a pattern.
            bounded = {"rpc.system.name": SYSTEM, "rpc.method": registration.procedure, "wamp.realm": session.realm}
            called = message.details.get("procedure")
            more = {"rpc.method_original": called} if called not in (None, registration.procedure) else None
            parent = self._carriers.read(message.details)
            return self._operations.begin(SpanKind.SERVER, registration.procedure, bounded, more, parent)

        canceled = (session.backend.kill_error, KeyboardInterrupt)
        return self._serving(begin, function, lambda error: CANCELED if isinstance(error, canceled) else RUNTIME_ERROR)

    def event(self, session: Any, subscription: Any, message: Any, function: Callable[..., Any]) -> Any:
        def begin() -> Operation:
            topic = message.details.get("topic") or subscription.topic
            bounded = _messaging("process", "process", subscription.topic) | _place(session)
            more = {"messaging.message.id": str(message.publication_id)}
            if topic != subscription.topic:  # a pattern's, of which there may be no end
                bounded["messaging.destination.template"] = bounded.pop("messaging.destination.name")
                more["messaging.destination.name"] = topic
            parent = self._carriers.read(message.details)
            return self._operations.begin(SpanKind.CONSUMER, f"process {subscription.topic}", bounded, more, parent)

        return self._serving(begin, function, lambda error: None)

    def _serving(
        self,
        begin: Callable[[], Operation],
        function: Callable[..., Any],
        uri_of: Callable[[BaseException], str | None],
    ) -> Callable[..., Any]:
        operations = self._operations

        def serve(*args: Any, **kwargs: Any) -> Any:
            try:
                operation = begin()
                token = contexts.attach(operation.context)
            except Exception:
                operations.failed()
                return function(*args, **kwargs)
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                operations.end(operation, error, uri_of(error))
                raise
            else:
                operations.end(operation)
                return result
            finally:
                contexts.detach(token)

        return serve

    def stopped(self, keeper: Any) -> None:
        try:
            self.figures.look(keeper)
        except Exception:
            self._operations.failed()


def _messaging(name: str, kind: str, topic: str) -> dict[str, Any]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": topic,
    }


def _place(session: Any) -> dict[str, Any]:
    """Say which realm of which router it is."""
    router = session.router
    if router is None:
        return {"wamp.realm": session.realm}
    if router.socket_path is not None:
        return {"wamp.realm": session.realm, "server.address": router.socket_path}
    return {"wamp.realm": session.realm, "server.address": router.host, "server.port": router.port}
