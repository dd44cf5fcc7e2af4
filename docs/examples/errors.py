"""What a caller sees when something goes wrong, and how a callee chooses the error."""

import os

import eventlet

from wampy import Client, RemoteError, WampyTimeOutError, callee
from wampy.errors import NoSuchProcedure

URL = os.environ.get("WAMPY_URL", "ws://localhost:8080/")


class OutOfStock(RemoteError):
    uri = "com.example.out_of_stock"


class Shop(Client):
    @callee(procedure="com.example.order")
    def order(self, article):
        raise OutOfStock(article, left=0)

    @callee(procedure="com.example.refund")
    def refund(self):
        raise RemoteError("com.example.closed", "we open at nine")

    @callee(procedure="com.example.count")
    def count(self, what):
        return int(what)

    @callee(procedure="com.example.sleep")
    def sleep(self):
        eventlet.sleep(60)


with Shop(url=URL), Client(url=URL) as client:
    # A class tied to a URI comes back as itself.
    try:
        client.rpc.com.example.order("apples")
    except OutOfStock as error:
        print("out of stock:", error.args[0], error.kwargs)

    # Any other URI is a RemoteError.
    try:
        client.rpc.com.example.refund()
    except RemoteError as error:
        print(error.uri, error.args)

    # Any other exception has one URI of its own.
    try:
        client.rpc.com.example.count("a few")
    except RemoteError as error:
        print(error.uri, error.kwargs["exc_type"])

    # The router's own errors have classes too.
    try:
        client.rpc.com.example.nobody()
    except NoSuchProcedure as error:
        print("not there:", error.procedure)

    # No answer in time. The router is told to cancel the call.
    try:
        client.options(timeout=0.2).rpc.com.example.sleep()
    except WampyTimeOutError as error:
        print(error)
