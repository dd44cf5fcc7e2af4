"""Options of a message, and the details that the router adds on the other side."""

import os

from wampy import Client, callee

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class Files(Client):
    # One method for all procedures that begin like this.
    @callee(procedure="com.example.files", match="prefix", details_arg="details")
    def serve(self, *args, details):
        return {"procedure": details["procedure"], "by": details.get("caller")}


with Files(url=URL), Client(url=URL) as client:
    quick = client.options(timeout=2.0, disclose_me=True)
    answer = quick.call("com.example.files.read", "a.txt")
    print(answer["procedure"])
    print("the caller is known:", answer["by"] == client.session.id)
