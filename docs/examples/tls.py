"""Call over TLS. The first argument is the PEM file of the authority that signed the router's certificate."""

import os
import sys

from wampy import Client
from wampy.errors import HandshakeError

URL = os.environ.get("WAMPY_URL", "wss://localhost:8443/")

with Client(url=URL, cert_path=sys.argv[1]):
    print("the certificate is accepted")

# Without cert_path only the system's authorities are trusted, and this is none of theirs.
try:
    Client(url=URL).start()
except HandshakeError as error:
    print(error)
