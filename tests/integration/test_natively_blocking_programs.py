"""What was sent is on its way before a program blocks natively: a prompt, an unpatched `time.sleep`."""

import threading

import pytest

from wampy import Client, callee, subscribe

PATIENCE = 10.0  # seconds


class Listener(Client):
    """Notes events; it runs in an OS thread, and so in a hub, of its own."""

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = threading.Event()

    @subscribe(topic="com.example.native")
    def on_event(self, **kwargs):
        self.heard.set()


@pytest.fixture
def listener(wampy_router):
    listening, done = threading.Event(), threading.Event()
    made = Listener(url=wampy_router.url)

    def run():
        with made:
            listening.set()
            while not done.is_set():
                made._keeper.backend.sleep(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    assert listening.wait(PATIENCE)
    yield made
    done.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_publication_right_after_start(wampy_router, listener):
    with Client(url=wampy_router.url) as client:
        client.publish(topic="com.example.native", x=1)
        assert listener.heard.wait(PATIENCE)


def test_a_publication_right_after_start_with_many_roles(wampy_router, listener):
    class Many(Client):
        first = callee(procedure="com.example.native.first")(lambda self: 1)
        second = callee(procedure="com.example.native.second")(lambda self: 2)
        third = subscribe(topic="com.example.native.topic")(lambda self: 3)

    with Many(url=wampy_router.url) as client:
        client.publish(topic="com.example.native", x=1)
        assert listener.heard.wait(PATIENCE)


def test_a_publication_right_after_many_answers_at_once(wampy_router, listener):
    class Service(Client):
        @callee(procedure="com.example.native.echo")
        def echo(self, value):
            return value

    with Service(url=wampy_router.url), Client(url=wampy_router.url) as client:
        calls = [client.rpc.com.example.native.echo.call_async(number) for number in range(50)]
        assert calls[-1].result() == 49
        client.publish(topic="com.example.native", x=1)
        assert listener.heard.wait(PATIENCE)


def test_a_callee_that_publishes_and_goes_on_without_waiting(wampy_router, listener):
    class Busy(Client):
        @callee(procedure="com.example.native.work")
        def work(self):
            self.publish(topic="com.example.native", done="half")
            return listener.heard.wait(PATIENCE)

    with Busy(url=wampy_router.url), Client(url=wampy_router.url) as client:
        assert client.options(timeout=2 * PATIENCE).call("com.example.native.work") is True
