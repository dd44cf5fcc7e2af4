"""The peers: clients, and a router to test against."""

from typing import TYPE_CHECKING, Any

from wampy.peers.clients import Client

if TYPE_CHECKING:
    from wampy.peers.routers import Crossbar

__all__ = ["Client", "Crossbar"]


def __getattr__(name: str) -> Any:
    # Lazy: a program that is no test needs no router of its own, nor what it is run with.
    if name != "Crossbar":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wampy.peers.routers import Crossbar

    globals()[name] = Crossbar
    return Crossbar
