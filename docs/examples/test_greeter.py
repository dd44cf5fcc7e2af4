"""A test with wampy's fixtures: `router` is a real Crossbar, `client` is a client that has joined it."""

import pytest
from service import Greeter

from wampy import RemoteError


@pytest.fixture
def greeter(router):
    with Greeter(url=router.url) as greeter:
        yield greeter


def test_it_greets(greeter, client):
    assert client.rpc.com.example.greet("Ada") == "Hello, Ada!"


def test_it_wants_a_name(greeter, client):
    with pytest.raises(RemoteError) as caught:
        client.rpc.com.example.greet()
    assert caught.value.kwargs["exc_type"] == "TypeError"
