"""``wampy demo``: a service and a client on a real router, with a transcript that a newcomer understands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from wampy import __version__
from wampy.cli.console import complain, say

if TYPE_CHECKING:
    from wampy.peers.clients import Client

__all__ = ["add_parser", "demo"]

#: What everything in the demonstration is called, so that it is recognized on a router that others use too.
PREFIX: Final = "com.example.demo"

CALLS_AT_ONCE: Final = 100

# Columns: where a step's time begins, and how wide it is.
_TEXT: Final = 84
_TIME: Final = 9


class DemoError(Exception):
    """Say that a step had another result than it should have."""


def add_parser(commands: Any) -> None:
    """Describe the command to argparse.

    Args:
        commands: What ``add_subparsers`` gave.
    """
    parser = commands.add_parser(
        "demo",
        help="see wampy at work on a real router",
        description="Start a router, a service and a client, and show what they say to each other.",
        epilog="Exit code 0: every step had the right result; 1: one had not; 2: wrong use, or no Crossbar.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--url", help="use the router that runs at this URL, for example ws://localhost:8080/, and start none"
    )
    parser.add_argument("--realm", help="the realm to join at --url (default: $WAMPY_REALM, else realm1)")
    parser.set_defaults(execute=lambda args: demo(args.url, args.realm))


def demo(url: str | None = None, realm: str | None = None) -> int:
    """Run the demonstration.

    Args:
        url: The router's URL; left out, a Crossbar is started, and stopped in the end.
        realm: The realm at that URL; left out, ``WAMPY_REALM`` decides.

    Returns:
        0 when each step had the right result, 1 when one failed, 2 when it could not begin.
    """
    from wampy.config import settings
    from wampy.errors import AddressError, WampyError
    from wampy.peers.routers import find_crossbar
    from wampy.urls import parse_url

    if url is None and realm is not None:
        complain("demo", "--realm goes with --url; the router that the demo starts has a realm of its own")
        return 2
    try:
        if url is None:
            find_crossbar()
        else:
            parse_url(url)
            realm = settings().realm if realm is None else realm
    except WampyError as error:
        complain("demo", f"the URL {error}" if isinstance(error, AddressError) else str(error))
        return 2
    transcript = Transcript()
    try:
        _run(transcript, url, realm)
    except BrokenPipeError:
        raise  # nobody reads the transcript any more
    except Exception as error:
        transcript.break_off("failed")
        is_ours = isinstance(error, (WampyError, DemoError))
        complain("demo", f"it failed: {error}" if is_ours else f"it failed: {type(error).__name__}: {error}")
        return 1
    except BaseException:
        transcript.break_off("broken off")
        raise
    return 0


class Transcript:
    """Prints numbered steps, each with the time that it took."""

    def __init__(self) -> None:
        self._number = 0
        self._in_line = False

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Print what is done, do it (the ``with`` block), and add how long that took.

        Args:
            text: What is done; it is printed before.
        """
        self._number += 1
        say(f"{self._number:2}. {text}".ljust(_TEXT), end="")
        self._in_line = True
        started = time.perf_counter()
        yield
        milliseconds = (time.perf_counter() - started) * 1000
        self._in_line = False
        say(f"{milliseconds:{_TIME},.1f} ms")

    def note(self, text: str) -> None:
        """Print what came of a step, or what it looks like in Python."""
        say(f"      {text}")

    def break_off(self, why: str) -> None:
        """End the line of a step that did not come to its end.

        Args:
            why: A word that stands where its time would.
        """
        if self._in_line:
            self._in_line = False
            say(why.rjust(_TIME + 3))


def _run(transcript: Transcript, url: str | None, realm: str | None) -> None:
    from wampy.peers.clients import Client
    from wampy.peers.routers import Crossbar

    step, note = transcript.step, transcript.note
    say(f"wampy {__version__}, a demonstration\n")
    say("In WAMP, programs meet at a router. One offers procedures, and others call them; one subscribes")
    say("to a topic, and others publish events to it. None needs to know where the others are.\n")
    # Whatever fails, and wherever: what was started is stopped, the last one first.
    with ExitStack() as started:
        if url is None:
            with step("Start a router, Crossbar, as a child process. It takes a few seconds."):
                router = started.enter_context(Crossbar())
            url, realm = router.url, router.realm
            note(f'It listens at {url} and has one realm, "{realm}".')
        assert realm is not None
        service = make_service(url, realm)
        with step("Start a service that offers three procedures and subscribes to a topic."):
            started.enter_context(service)
        note(f"{PREFIX}.add, .divide and .slow_square are now known to the router.")
        client = Client(url, realm=realm)
        with step("Start a client. It has a connection of its own to the router."):
            started.enter_context(client)
        _call(transcript, client)
        _publish(transcript, client, service)
        _call_many(transcript, client)
        _fail(transcript, client)
        with step("Stop everything."):
            started.close()
    say("\nAll of it worked, and nothing is left running.")


def make_service(url: str, realm: str) -> Any:
    """Make the service, not started yet.

    Args:
        url: The router's URL.
        realm: Its realm.

    Returns:
        A client; its ``news`` is a slot that the subscriber fills with the first event.
    """
    # The class is made here, because importing the command line must not import a green-thread library.
    from wampy import Client, callee, subscribe
    from wampy.backends import get_backend

    backend = get_backend()

    class Service(Client):
        """Three procedures, and one topic that is listened to."""

        news = backend.slot()

        @callee(procedure=f"{PREFIX}.add")
        def add(self, a: int, b: int) -> int:
            return a + b

        @callee(procedure=f"{PREFIX}.divide")
        def divide(self, a: int, b: int) -> float:
            return a / b

        @callee(procedure=f"{PREFIX}.slow_square")
        def slow_square(self, number: int, seconds: float) -> int:
            backend.sleep(seconds)
            return number * number

        @subscribe(topic=f"{PREFIX}.news")
        def on_news(self, headline: str) -> None:
            self.news.set(headline)

    return Service(url, realm=realm, max_workers=CALLS_AT_ONCE)


def _call(transcript: Transcript, client: Client) -> None:
    with transcript.step("The client calls a procedure of the service:"):
        answer = client.rpc.com.example.demo.add(2, 3)
        _check(answer, 5)
    transcript.note(f"client.rpc.{PREFIX}.add(2, 3) returned {answer!r}")


def _publish(transcript: Transcript, client: Client, service: Any) -> None:
    headline = "Green threads are quick"
    with transcript.step("The client publishes an event, and the service gets it:"):
        client.publish(topic=f"{PREFIX}.news", headline=headline)
        if not service.news.wait(10.0):
            raise DemoError(f"the event on {PREFIX}.news did not reach the service within 10 seconds")
        _check(service.news.value, headline)
    transcript.note(f'client.publish(topic="{PREFIX}.news", headline="{headline}")')
    transcript.note(f'the service heard "{service.news.value}"')


def _call_many(transcript: Transcript, client: Client) -> None:
    # 50 to 149 ms, the first call the slowest: the answers come in another order than the calls.
    naps = [0.05 + (CALLS_AT_ONCE - 1 - number) / 1000 for number in range(CALLS_AT_ONCE)]
    slow_square = client.rpc.com.example.demo.slow_square
    with transcript.step(f"The client makes {CALLS_AT_ONCE} calls at once, and each gets its own answer:"):
        calls = [slow_square.call_async(number, nap) for number, nap in enumerate(naps)]
        for number, call in enumerate(calls):
            _check(call.result(), number * number)
    transcript.note(f"the service takes 50 to 149 ms for each: one by one that is {sum(naps):,.1f} seconds")


def _fail(transcript: Transcript, client: Client) -> None:
    from wampy.errors import RemoteError

    with transcript.step("The client calls a procedure that fails, and the error is raised in the client:"):
        try:
            answer = client.rpc.com.example.demo.divide(1, 0)
        except RemoteError as error:
            caught = error
        else:
            raise DemoError(f"dividing by zero gave {answer!r} and no error")
        kind, text = caught.kwargs.get("exc_type"), caught.kwargs.get("message")
        _check((caught.uri, kind), ("wamp.error.runtime_error", "ZeroDivisionError"))
    transcript.note(f"client.rpc.{PREFIX}.divide(1, 0) raised {type(caught).__name__}:")
    transcript.note(f'{kind}, "{text}"')


def _check(value: Any, wanted: Any) -> None:
    if value != wanted:
        raise DemoError(f"the result is wrong: {value!r} instead of {wanted!r}")
