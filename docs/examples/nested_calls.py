"""A procedure may call other procedures, of the same client too."""

import os

from wampy import Client, callee

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class Shop(Client):
    @callee(procedure="com.example.price")
    def price(self, article):
        return {"apple": 2, "pear": 3}[article]

    @callee(procedure="com.example.total")
    def total(self, basket):
        return sum(self.rpc.com.example.price(article) for article in basket)


with Shop(url=URL), Client(url=URL) as client:
    print("the basket costs", client.rpc.com.example.total(["apple", "apple", "pear"]))
