"""What a caller holds in hand: results, pending calls, and the dotted `rpc` proxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from wampy.config.transport import check_seconds
from wampy.protocol.pending import PendingRequest


class Result:
    """A result that is more than one value.

    Attributes:
        args: Positional results.
        kwargs: Keyword results.
    """

    __slots__ = ("args", "kwargs")

    def __init__(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> None:
        self.args = tuple(args)
        self.kwargs = dict(kwargs or {})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        return self.args == other.args and self.kwargs == other.kwargs

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Result(args={self.args!r}, kwargs={self.kwargs!r})"


def unwrap(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Turn a RESULT's payload into what `call` returns.

    Args:
        args: Its Arguments.
        kwargs: Its ArgumentsKw.

    Returns:
        One positional value and nothing else as itself, nothing at all as ``None``, the rest as a `Result`.
    """
    if not kwargs:
        if len(args) == 1:
            return args[0]
        if not args:
            return None
    elif not args and kwargs.keys() == {"message", "meta"}:
        return kwargs["message"]  # how a callee of wampy 1 yields its one value
    return Result(args, kwargs)


class CallingSession(Protocol):
    """The part of a session that a pending call needs."""

    def result_of(self, pending: PendingRequest, timeout: float | None) -> Any: ...
    def cancel(self, pending: PendingRequest, mode: str) -> None: ...


class PendingCall:
    """A call that is under way.

    Attributes:
        procedure: What was called.
        request_id: The CALL's request id.
        pending: The request itself, for wampy's own use.
    """

    def __init__(self, session: CallingSession, pending: PendingRequest) -> None:
        self._session = session
        self.pending = pending
        self.procedure = pending.about
        self.request_id = pending.request_id

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the answer.

        Args:
            timeout: Seconds to wait here; ``None`` waits until the call's own timeout. When it is over the call
                goes on, and `result` may be asked again.

        Returns:
            As `Client.call`.

        Raises:
            RemoteError: The answer was an ERROR.
            WampyTimeOutError: There was no answer in time.
            ConnectionClosed: The session ended before the answer.
        """
        if timeout is not None:
            check_seconds("timeout", timeout)
        return self._session.result_of(self.pending, timeout)

    def done(self) -> bool:
        """Say whether the outcome is there."""
        return self.pending.slot.done

    def cancel(self, mode: str = "kill") -> None:
        """Ask the router to cancel the call (WAMP, "Call Canceling").

        Args:
            mode: ``skip`` (forget the answer), ``kill`` (interrupt the callee and wait for its answer), or
                ``killnowait`` (interrupt the callee and do not wait).

        Raises:
            ValueError: The mode is none of these.
        """
        self._session.cancel(self.pending, mode)

    def __repr__(self) -> str:
        state = "done" if self.done() else "pending"
        return f"<PendingCall {self.request_id} of {self.procedure}: {state}>"


class RpcProxy:
    """``client.rpc``: attributes are procedures, dots and all.

    Args:
        call: What calls a procedure and waits.
        call_async: What calls a procedure and does not wait.
        name: The URI so far.
    """

    __slots__ = ("_call", "_call_async", "_name")

    def __init__(self, call: Callable[..., Any], call_async: Callable[..., PendingCall], name: str = "") -> None:
        self._call = call
        self._call_async = call_async
        self._name = name

    def __getattr__(self, name: str) -> RpcProxy:
        if name.startswith("__"):
            # Python asks objects for its own protocols this way; no procedure is called like that.
            raise AttributeError(name)
        return RpcProxy(self._call, self._call_async, f"{self._name}.{name}" if self._name else name)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the procedure and wait for its result; see `Client.call`."""
        return self._call(self._procedure(), *args, **kwargs)

    def call_async(self, /, *args: Any, **kwargs: Any) -> PendingCall:
        """Call the procedure without waiting.

        Returns:
            The pending call.
        """
        return self._call_async(self._procedure(), *args, **kwargs)

    def _procedure(self) -> str:
        if not self._name:
            raise TypeError("name a procedure: client.rpc.com.example.add(1, 2)")
        return self._name

    def __repr__(self) -> str:
        return f"<procedure {self._name!r}>" if self._name else "<rpc>"
