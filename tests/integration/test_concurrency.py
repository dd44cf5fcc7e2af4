"""Many calls at once: every caller gets its own answer, and callees that call each other do not starve."""

import random

import pytest

from wampy import Client, callee, subscribe


class Echo(Client):
    """Answers after a random few milliseconds, so that answers overtake each other."""

    @callee(procedure="com.example.echo", invocation_policy="roundrobin")
    def echo(self, value):
        self.message_handler.session.backend.sleep(random.uniform(0.001, 0.008))
        return value


class Chain(Client):
    """Three callees, each of which calls the next one."""

    @callee(procedure="com.example.first")
    def first(self, number):
        return ["first", *self.call("com.example.second", number)]

    @callee(procedure="com.example.second")
    def second(self, number):
        return ["second", *self.rpc.com.example.third(number)]

    @callee(procedure="com.example.third")
    def third(self, number):
        self.message_handler.session.backend.sleep(0.002)
        return ["third", number]


def test_a_thousand_calls_at_once_from_a_thousand_green_threads(join, green):
    join(Echo)
    client = join(call_timeout=60.0)
    most = 0

    def call(number):
        nonlocal most
        pending = client.rpc.com.example.echo.call_async(f"value {number}")
        most = max(most, len(client.session.pending))
        return pending.result()

    calls = [green.spawn(call, number) for number in range(1000)]
    assert [call.result(60) for call in calls] == [f"value {number}" for number in range(1000)]
    # Threads of the system begin one by one, and the first answers are there before the last has begun.
    assert green.os_threads or most == 1000, "they were not in flight at once"
    assert len(client.session.pending) == 0
    assert client.request_ids.peek() == 1001


def test_ten_clients_with_a_hundred_calls_each(join, green):
    for _ in range(3):
        join(Echo)
    clients = [join(call_timeout=60.0) for _ in range(10)]

    def call(client, *what):
        return client.call("com.example.echo", list(what))

    calls = {(n, i): green.spawn(call, c, n, i) for n, c in enumerate(clients) for i in range(100)}
    assert {key: call.result(60) for key, call in calls.items()} == {key: list(key) for key in calls}
    assert [client.request_ids.peek() for client in clients] == [101] * 10


def test_a_callee_calls_a_callee_that_calls_a_callee_in_one_client(join):
    client = join(Chain)
    assert client.call("com.example.first", 7) == ["first", "second", "third", 7]


def test_four_workers_and_forty_nested_calls_three_deep(join, green):
    client = join(Chain, max_workers=4, call_timeout=30.0)
    calls = [green.spawn(client.call, "com.example.first", n) for n in range(40)]
    assert [call.result(30) for call in calls] == [["first", "second", "third", n] for n in range(40)]


def test_nested_calls_between_clients_of_four_workers_each(join, green):
    services = [join(make_link(n), max_workers=4, call_timeout=30.0) for n in range(3)]
    caller = join(call_timeout=30.0)
    calls = [green.spawn(caller.call, "com.example.link0", n) for n in range(60)]
    assert [call.result(30) for call in calls] == [[0, 1, 2, n] for n in range(60)]
    assert all(service.session is not None for service in services)


def make_link(number):
    class Link(Client):
        @callee(procedure=f"com.example.link{number}")
        def link(self, value):
            self.message_handler.session.backend.sleep(0.002)
            return [number, *(self.call(f"com.example.link{number + 1}", value) if number < 2 else [value])]

    return Link


def test_max_workers_limits_how_many_run_at_once(join, green):
    class Service(Client):
        running = most = 0

        @callee(procedure="com.example.busy")
        def busy(self):
            type(self).running += 1
            type(self).most = max(self.most, self.running)
            green.sleep(0.01)
            type(self).running -= 1

    join(Service, max_workers=4)
    caller = join()
    calls = [green.spawn(caller.call, "com.example.busy") for _ in range(30)]
    for call in calls:
        call.result()
    assert Service.most == 4


def test_a_worker_that_sleeps_does_not_lend_its_place_but_one_that_calls_does(join, green):
    order = []

    class Service(Client):
        @callee(procedure="com.example.outer")
        def outer(self, number):
            order.append(("in", number))
            self.call("com.example.inner", number)
            order.append(("out", number))

        @callee(procedure="com.example.inner")
        def inner(self, number):
            green.sleep(0.05)

    client = join(Service, max_workers=1)
    calls = [client.rpc.com.example.outer.call_async(n) for n in range(3)]
    for call in calls:
        call.result()
    assert [what for what, _ in order[:3]] == ["in", "in", "in"]
    assert {number for what, number in order if what == "out"} == {0, 1, 2}


def test_events_of_one_publisher_reach_a_handler_in_order_and_one_at_a_time(join, green):
    class Listener(Client):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            self.seen, self.inside = [], 0

        @subscribe(topic="com.example.count")
        def on_count(self, number, **_):
            assert self.inside == 0
            self.inside += 1
            if number % 10 == 0:
                green.sleep(0.005)
            self.seen.append(number)
            self.inside -= 1

    listener, publisher = join(Listener), join()
    for number in range(300):
        publisher.publish(topic="com.example.count", number=number)
    green.wait_until(lambda: len(listener.seen) == 300)
    assert listener.seen == list(range(300))


def test_a_slow_handler_does_not_hold_up_another(join, green):
    class Listener(Client):
        slow = fast = 0

        @subscribe(topic="com.example.tick")
        def on_tick_slowly(self, **_):
            self.slow += 1
            green.sleep(60)

        @subscribe(topic="com.example.tick")
        def on_tick(self, **_):
            self.fast += 1

    listener, publisher = join(Listener), join()
    for _ in range(20):
        publisher.publish(topic="com.example.tick", n=1)
    green.wait_until(lambda: listener.fast == 20)
    assert listener.slow == 1


def test_calls_and_events_in_both_directions_at_once(join, green):
    class Busy(Client):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            self.heard = 0

        @callee(procedure="com.example.work", invocation_policy="roundrobin")
        def work(self, number):
            self.publish(topic="com.example.worked", number=number)
            green.sleep(random.uniform(0, 0.003))
            return number

        @subscribe(topic="com.example.worked")
        def on_worked(self, **_):
            self.heard += 1

    clients = [join(Busy, call_timeout=30.0) for _ in range(2)]
    calls = [(n, green.spawn(clients[n % 2].call, "com.example.work", n)) for n in range(200)]
    assert all(call.result(30) == number for number, call in calls)
    # A publisher does not hear itself, so each event is heard by the other one.
    green.wait_until(lambda: sum(client.heard for client in clients) == 200)


def test_a_caller_killed_while_it_waits_disturbs_nobody(join, green):
    join(Echo)
    client = join()

    class Slow(Client):
        @callee(procedure="com.example.slow")
        def slow(self):
            green.sleep(60)

    join(Slow)
    waiting = green.spawn(client.call, "com.example.slow")
    green.wait_until(lambda: len(client.session.pending) == 1)
    waiting.kill()
    assert waiting.error() is not None
    green.wait_until(lambda: len(client.session.pending) == 0)
    assert client.call("com.example.echo", 1) == 1


@pytest.mark.parametrize("workers", [1, 64])
def test_invocations_of_one_caller_start_in_order(join, green, workers):
    if green.os_threads and workers > 1:
        pytest.skip("threads of the system begin as it likes")
    started = []

    class Service(Client):
        @callee(procedure="com.example.start")
        def start_(self, number):
            started.append(number)
            green.sleep(0.001)

    join(Service, max_workers=workers)
    caller = join()
    calls = [caller.rpc.com.example.start.call_async(n) for n in range(50)]
    for call in calls:
        call.result()
    assert started == list(range(50))
