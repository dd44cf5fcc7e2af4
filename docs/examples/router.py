"""Run a router for development: everybody may do everything in realm "realm1". Enter stops it."""

import os

from wampy import Crossbar

url = os.environ.get("WAMPY_URL", "ws://localhost:8080/")
with Crossbar(url):
    input(f"a router is ready at {url}, Enter stops it\n")
