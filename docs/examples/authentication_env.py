"""Say who you are with the secret in the environment variable WAMPYSECRET."""

import os

from wampy import Client

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")

roles = {
    "roles": {"caller": {}, "callee": {}, "publisher": {}, "subscriber": {}},
    "authmethods": ["wampcra"],
    "authid": "ann",
}

with Client(url=URL, roles=roles) as client:
    print("hello", client.session.details["authid"])
