"""The 25 messages of WAMP v2, one class a module, and the way from a wire list to a message.

Each class declares its fields; what `Message` offers is derived from them.
"""

from typing import Any

from wampy.errors import WampProtocolError
from wampy.messages.abort import Abort
from wampy.messages.authenticate import Authenticate
from wampy.messages.base import Message, positional
from wampy.messages.call import Call
from wampy.messages.cancel import Cancel
from wampy.messages.challenge import Challenge
from wampy.messages.checks import elide
from wampy.messages.error import Error
from wampy.messages.event import Event
from wampy.messages.event_received import EventReceived
from wampy.messages.goodbye import Goodbye
from wampy.messages.hello import Hello
from wampy.messages.interrupt import Interrupt
from wampy.messages.invocation import Invocation
from wampy.messages.publish import Publish
from wampy.messages.published import Published
from wampy.messages.register import Register
from wampy.messages.registered import Registered
from wampy.messages.result import Result
from wampy.messages.subscribe import Subscribe
from wampy.messages.subscribed import Subscribed
from wampy.messages.unregister import Unregister
from wampy.messages.unregistered import Unregistered
from wampy.messages.unsubscribe import Unsubscribe
from wampy.messages.unsubscribed import Unsubscribed
from wampy.messages.welcome import Welcome
from wampy.messages.yield_ import Yield

__all__ = [
    "MESSAGE_TYPE_MAP",
    "Abort",
    "Authenticate",
    "Call",
    "Cancel",
    "Challenge",
    "Error",
    "Event",
    "EventReceived",
    "Goodbye",
    "Hello",
    "Interrupt",
    "Invocation",
    "Message",
    "Publish",
    "Published",
    "Register",
    "Registered",
    "Result",
    "Subscribe",
    "Subscribed",
    "Unregister",
    "Unregistered",
    "Unsubscribe",
    "Unsubscribed",
    "Welcome",
    "Yield",
    "parse",
    "positional",
]

#: Every message class by its WAMP code.
MESSAGE_TYPE_MAP: dict[int, type[Message]] = {
    cls.WAMP_CODE: cls
    for cls in (
        Hello,
        Welcome,
        Abort,
        Challenge,
        Authenticate,
        Goodbye,
        Error,
        Publish,
        Published,
        Subscribe,
        Subscribed,
        Unsubscribe,
        Unsubscribed,
        Event,
        Call,
        Cancel,
        Result,
        Register,
        Registered,
        Unregister,
        Unregistered,
        Invocation,
        Interrupt,
        Yield,
        EventReceived,
    )
}


def parse(wire: list[Any]) -> Message:
    """Turn a wire list into a message (WAMP, "Messages").

    Args:
        wire: What the serializer read.

    Returns:
        The message, every field of it checked.

    Raises:
        WampProtocolError: It is no list, no message that exists, or a field holds what it must not.
    """
    if not isinstance(wire, list) or not wire:
        raise WampProtocolError(f"a message must be a list that is not empty, not {elide(wire)}")
    code = wire[0]
    # A boolean or a float would find its integer in the map.
    cls = MESSAGE_TYPE_MAP.get(code) if type(code) is int else None
    if cls is None:
        raise WampProtocolError(f"no message has the code {elide(code)}")
    return cls.from_wire(wire)
