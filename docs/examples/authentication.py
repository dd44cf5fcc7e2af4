"""Say who you are: with a ticket, or with a secret that never travels."""

import os

from wampy import Client
from wampy.auth import Ticket, WampCRA
from wampy.errors import AbortError

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


def who(client):
    details = client.session.details
    return f"{details['authid']} is a {details['authrole']} by {details['authmethod']}"


with Client(url=URL, auth=Ticket("tom", "ticket-of-tom")) as client:
    print(who(client))

with Client(url=URL, auth=WampCRA("ann", "secret-of-ann")) as client:
    print(who(client))

try:
    Client(url=URL, auth=WampCRA("ann", "a wrong secret")).start()
except AbortError as error:
    print("refused:", error.uri)
