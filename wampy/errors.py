"""Everything that wampy raises on purpose.

``except WampyError`` is always enough::

    WampyError
    ├── ConnectionError            also the built-in one; errors
    │   ├── HandshakeError         status, headers
    │   └── ConnectionClosed       reason, clean
    │       └── SessionClosed      uri (the router said GOODBYE)
    ├── AddressError               also ValueError
    ├── AbortError                 uri, details
    ├── WampProtocolError          uri, message
    ├── WampyTimeOutError          also the built-in TimeoutError
    ├── SerializationError         value_type, where
    └── RemoteError                uri, args, kwargs, details, procedure, request_id
        └── by URI: NotAuthorized, NoSuchProcedure, ProcedureAlreadyExists, …

Errors carry fields; their text is built in ``__str__``. Each can be copied and pickled.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from wampy.texts import redact_anything, shown


class WampyError(Exception):
    """The root of every error that wampy raises.

    Args:
        message: What went wrong, and where it can be told, what would mend it.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Some children are also built-in errors or shadow ``args``, for which the default would call the
        # constructor with the wrong arguments; rebuilding from the fields is right for all of them.
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(cls: type[WampyError], fields: dict[str, Any]) -> WampyError:
    error = cls.__new__(cls)
    Exception.__init__(error, fields.get("message", ""))
    error.__dict__.update(fields)
    if "args" in fields:
        error.args = fields["args"]
    return error


class ConnectionError(WampyError, builtins.ConnectionError):
    """A router cannot be reached, or the way to it is gone.

    Args:
        message: What was tried, and why it failed.
        errors: When several URLs were tried, why each of them failed, in their order.
    """

    def __init__(self, message: str = "", errors: Sequence[Exception] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class HandshakeError(ConnectionError):
    """Say that the server refused to become a WAMP transport.

    Args:
        message: What was refused, and the likely cause.
        status: The HTTP status, or ``None`` when the answer was not HTTP.
        headers: The answer's headers, names in lower case.
    """

    def __init__(self, message: str, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class ConnectionClosed(ConnectionError):
    """Say that the transport is gone, and every request on it with it.

    Args:
        reason: Why, in words.
        clean: Whether both sides agreed to it.
    """

    def __init__(self, reason: str = "", clean: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.clean = clean

    def __str__(self) -> str:
        return f"the connection is closed: {self.reason}" if self.reason else "the connection is closed"


class SessionClosed(ConnectionClosed):
    """Say that the session ended with a GOODBYE (WAMP, "Session Closing").

    Args:
        uri: The reason URI of the GOODBYE.
        reason: What the router said beside it.
    """

    def __init__(self, uri: str = "wamp.close.normal", reason: str = "") -> None:
        super().__init__(reason, clean=True)
        self.uri = uri

    def __str__(self) -> str:
        return f"the session is closed: {shown(self.uri)}" + (f" ({shown(self.reason)})" if self.reason else "")


class AddressError(WampyError, ValueError):
    """Say that a router URL cannot be used.

    Args:
        url: The URL as it was given.
        problem: What is wrong with it.
        remedy: What would do instead.
    """

    def __init__(self, url: object, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.url = url
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        shown = redact_anything(self.url) if isinstance(self.url, str) else self.url
        return f"{shown!r}: {self.problem}" + (f"; {self.remedy}" if self.remedy else "")


class AbortError(WampyError):
    """Say that the router refused or broke off the session with ABORT.

    Args:
        uri: The reason URI.
        details: The ABORT's details; its ``message`` is part of the text.
    """

    def __init__(self, uri: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(uri)
        self.uri = uri
        self.details = dict(details or {})

    def __str__(self) -> str:
        text = self.details.get("message")
        return f"the router aborted the session: {shown(self.uri)}" + (f" ({shown(str(text))})" if text else "")


class WampProtocolError(WampyError):
    """Say that a message broke the rules of WAMP.

    Args:
        message: Which message and field, and what was there.
        uri: The reason URI for the ABORT.
    """

    def __init__(self, message: str, uri: str = "wamp.error.protocol_violation") -> None:
        super().__init__(message)
        self.uri = uri


class WampyTimeOutError(WampyError, TimeoutError):
    """Say that something did not happen in time.

    Args:
        what: What was waited for, for example ``"the answer to the call of com.example.add"``.
        seconds: How long.
        procedure: The procedure, when it was a call that had no answer.
    """

    def __init__(self, what: str, seconds: float | None = None, procedure: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.seconds = seconds
        self.procedure = procedure

    def __str__(self) -> str:
        within = "" if self.seconds is None else f" within {round(self.seconds, 3):g} seconds"
        return f"no {self.what}{within}"


class SerializationError(WampyError):
    """Say that a value cannot travel, or that bytes cannot be read.

    Args:
        message: What was wrong.
        value_type: The type of the offending value.
        where: Its place in the message, for example ``"kwargs['when']"``.
    """

    def __init__(self, message: str, value_type: str | None = None, where: str | None = None) -> None:
        super().__init__(message)
        self.value_type = value_type
        self.where = where


class RemoteError(WampyError):
    """An ERROR message: what a callee raised, or why the router refused a request.

    Raise it in a callee to choose the URI. A subclass can be tied to a URI with a class attribute; it is
    then raised at the caller for that URI as well, wherever the class has been defined::

        class OutOfStock(RemoteError):
            uri = "com.example.out_of_stock"

        raise OutOfStock("apples", left=0)      # in the callee

    Args:
        uri: The error URI; left out by a subclass tied to one.
        *args: Positional payload.
        **kwargs: Keyword payload.

    Attributes:
        uri: The error URI.
        args: Positional payload, a tuple.
        kwargs: Keyword payload.
        details: The ERROR's details.
        procedure: What was called, registered or subscribed to, when known.
        request_id: The request that failed, when known.
    """

    uri: str
    kwargs: dict[str, Any]
    details: dict[str, Any]
    procedure: str | None
    request_id: int | None
    by_uri: ClassVar[dict[str, type[RemoteError]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        uri = cls.__dict__.get("uri")
        if isinstance(uri, str):
            RemoteError.by_uri[uri] = cls

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # Here, because a subclass with a constructor of its own need not call ours.
        error = super().__new__(cls, *args)
        error.kwargs = {}
        error.details = {}
        error.procedure = None
        error.request_id = None
        return error

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if getattr(type(self), "uri", None) is None:
            if not args or not isinstance(args[0], str):
                raise TypeError("RemoteError needs the error URI as its first argument")
            self.uri, args = args[0], args[1:]
        self.kwargs = kwargs
        super().__init__(self.uri)
        self.args = args

    @classmethod
    def from_reply(
        cls,
        uri: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        procedure: str | None = None,
        request_id: int | None = None,
    ) -> RemoteError:
        """Build the error that an ERROR message stands for.

        Args:
            uri: The error URI; it chooses the class.
            args: Positional payload.
            kwargs: Keyword payload.
            details: The ERROR's details.
            procedure: What the request was about.
            request_id: The request's id.

        Returns:
            An instance of the class tied to the URI, or of `RemoteError`.
        """
        kind = cls.by_uri.get(uri, RemoteError)
        # Not through the constructor: a subclass may have given it a signature of its own, and what a peer
        # sends must not decide whether the error can be raised.
        error: RemoteError = RemoteError.__new__(kind)
        WampyError.__init__(error, uri)
        error.uri = uri
        error.args = tuple(args)
        error.kwargs = dict(kwargs or {})
        error.details = dict(details or {})
        error.procedure = procedure
        error.request_id = request_id
        return error

    def __str__(self) -> str:
        about = f" for {self.procedure}" if self.procedure else ""
        words = [str(arg) if isinstance(arg, str) else repr(arg) for arg in self.args]
        words += [f"{key}={value!r}" for key, value in self.kwargs.items()]
        return f"{self.uri}{about}" + (f": {', '.join(words)}" if words else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__, args=self.args))


class NotAuthorized(RemoteError):
    """The peer may not do this."""

    uri = "wamp.error.not_authorized"


class AuthorizationFailed(RemoteError):
    """The router could not decide whether the peer may do this."""

    uri = "wamp.error.authorization_failed"


class NoSuchProcedure(RemoteError):
    """Nothing is registered under this procedure."""

    uri = "wamp.error.no_such_procedure"


class ProcedureAlreadyExists(RemoteError):
    """The procedure is registered already."""

    uri = "wamp.error.procedure_already_exists"


class InvocationPolicyConflict(RemoteError):
    """The procedure is registered already, under another invocation policy (Crossbar's own URI)."""

    uri = "wamp.error.procedure_exists_with_different_invocation_policy"


class NoSuchRegistration(RemoteError):
    """The registration to remove is not there."""

    uri = "wamp.error.no_such_registration"


class NoSuchSubscription(RemoteError):
    """The subscription to remove is not there."""

    uri = "wamp.error.no_such_subscription"


class InvalidArgument(RemoteError):
    """The callee does not accept the arguments."""

    uri = "wamp.error.invalid_argument"


class InvalidUri(RemoteError):
    """The router does not accept the URI."""

    uri = "wamp.error.invalid_uri"


class Canceled(RemoteError):
    """The call was cancelled."""

    uri = "wamp.error.canceled"


class Unavailable(RemoteError):
    """The callee has no room for another invocation."""

    uri = "wamp.error.unavailable"


class NoEligibleCallee(RemoteError):
    """No callee can take the call."""

    uri = "wamp.error.no_eligible_callee"


class OptionNotAllowed(RemoteError):
    """An option of the request is not allowed."""

    uri = "wamp.error.option_not_allowed"


class RemoteRuntimeError(RemoteError):
    """The callee raised something that has no URI of its own."""

    uri = "wamp.error.runtime_error"
