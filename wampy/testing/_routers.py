"""The routers of a test run: started when asked for, reused, stopped at last. Only fixtures import it."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from wampy.errors import WampyError
from wampy.peers._configuration import Configuration
from wampy.peers._probe import is_answering
from wampy.peers.routers import Crossbar
from wampy.urls import parse_url

# Seconds that a router has to answer before it counts as dead.
_PATIENCE: Final = 5.0

_Key = tuple[str | None, str | None]


class _Running(NamedTuple):
    router: Crossbar
    places: frozenset[int | str]  # the ports and Unix sockets that no other may have


class Routers:
    """One Crossbar for each configuration and URL.

    They belong to this process: with pytest-xdist each worker process has its own, so a configuration of
    yours should leave its port open there (0).
    """

    def __init__(self) -> None:
        self._running: dict[_Key, _Running] = {}
        self._failed: dict[_Key, str] = {}

    def get(self, config_path: str | os.PathLike[str] | None = None, url: str | None = None) -> Crossbar:
        """Return the router for a configuration; start it when it does not run, or not any more.

        Two configurations with the same port or Unix socket cannot run at once: the one that is asked for does.

        Args:
            config_path: A Crossbar configuration, JSON; without it, the one that comes with wampy.
            url: What `Crossbar.url` is to be, instead of what the configuration says.

        Returns:
            The router, running.

        Raises:
            WampyError: It does not start. It is not tried twice: a start that fails may take a minute.
        """
        key = (None if config_path is None else os.path.abspath(config_path), url)
        found = self._running.get(key)
        if found is not None:
            if _is_alive(found.router):
                return found.router
            del self._running[key]
            found.router.stop()
        if key in self._failed:
            raise WampyError(self._failed[key])
        router = Crossbar(url=url, config_path=config_path)
        try:
            places = _fixed_places(router, url)
            self._free(places)
            router.start()
        except WampyError as error:
            self._failed[key] = str(error)
            raise
        self._running[key] = _Running(router, places)
        return router

    def stop(self) -> None:
        """Stop them all."""
        while self._running:
            self._running.popitem()[1].router.stop()

    def _free(self, places: frozenset[int | str]) -> None:
        """Stop the routers that have one of these."""
        for key, running in list(self._running.items()):
            if places & running.places:
                del self._running[key]
                running.router.stop()


def _is_alive(router: Crossbar) -> bool:
    """Tell whether a router that we have started still answers; a test may have killed it."""
    # Not by joining, as a session that comes and goes is something that a test may look at.
    return router.pid is not None and is_answering(router.url, _PATIENCE)


def _fixed_places(router: Crossbar, url: str | None) -> frozenset[int | str]:
    configuration = Configuration(router.config_path)
    folder = router.crossbar_directory or router.config_path.parent
    # A port counts whatever its interface is: all of them include each.
    fixed = {place if isinstance(place, str) else place[1] for place in configuration.places(folder)}
    if url is not None and configuration.needs_port:
        fixed.add(parse_url(url).port)
    return frozenset(fixed - {0})
