"""The peers: clients, and a router to test against."""

from wampy.peers.clients import Client
from wampy.peers.routers import Crossbar

__all__ = ["Client", "Crossbar"]
