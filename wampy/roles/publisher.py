"""What a publisher may say, checked in its own frame."""

from __future__ import annotations

from typing import Any


def check_publication(topic: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Hold `Client.publish` to wampy's convention: a topic, and a payload of keywords.

    Args:
        topic: The topic's URI.
        args: Positional arguments, of which there may be none.
        kwargs: The payload, of which there must be some.

    Raises:
        TypeError: The call breaks the convention; the text says how to write it.
    """
    if args:
        raise TypeError(
            "publish takes keyword arguments only: publish(topic='com.example.topic', message=…). For a "
            "positional payload use session.publish(topic, args=(…))"
        )
    if not isinstance(topic, str):
        raise TypeError("publish needs a topic: publish(topic='com.example.topic', message=…)")
    if not kwargs:
        raise TypeError(
            "publish needs a payload of at least one keyword argument: publish(topic=…, message=…). To publish "
            "nothing at all use session.publish(topic)"
        )
