"""Calls that are not answered in time."""

import contextlib
import time

import pytest

from wampy import Client, callee
from wampy.errors import Canceled, WampyError, WampyTimeOutError


class Slow(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.interrupted = []
        self.begun = []

    @callee(procedure="com.example.slow")
    def slow(self, seconds):
        try:
            self.begun.append(seconds)
            self._session.backend.sleep(seconds)
        except BaseException as error:
            self.interrupted.append(type(error).__name__)
            raise
        return f"slept {seconds}"

    @callee(procedure="com.example.quick")
    def quick(self, value):
        return value


@pytest.fixture
def service(join):
    return join(Slow)


def test_a_call_that_times_out(service, join, green):
    client = join(call_timeout=0.2)
    started = time.monotonic()
    with pytest.raises(WampyTimeOutError) as caught:
        client.call("com.example.slow", 60)
    assert 0.15 < time.monotonic() - started < 3
    error = caught.value
    assert (error.procedure, error.seconds) == ("com.example.slow", 0.2)
    assert isinstance(error, TimeoutError) and isinstance(error, WampyError)
    assert "com.example.slow" in str(error) and "0.2" in str(error)
    # CANCEL was sent, and the router interrupted the callee.
    green.wait_until(lambda: service.interrupted == [green.backend.kill_error.__name__])
    assert client.call("com.example.quick", 1) == 1
    assert len(client.session.pending) == 0
    assert not service.session.invocations


def test_many_that_time_out_among_many_that_do_not(service, join, green):
    client = join(call_timeout=10.0)
    late = [green.spawn(client.options(timeout=0.1 + n / 500).call, "com.example.slow", 60) for n in range(50)]
    quick = [green.spawn(client.call, "com.example.quick", n) for n in range(200)]
    assert [call.result() for call in quick] == list(range(200))
    errors = [call.error() for call in late]
    assert {type(error) for error in errors} == {WampyTimeOutError}
    assert [error.seconds for error in errors] == [0.1 + n / 500 for n in range(50)]
    assert len(client.session.pending) == 0


def test_a_late_answer_never_lands_in_the_next_wait(service, join):
    """Answers that come at the very time when their callers give up."""
    client = join()
    outcomes = []
    for number in range(60):
        try:
            outcomes.append(client.options(timeout=0.02).call("com.example.slow", 0.0195))
        except WampyTimeOutError:
            outcomes.append(None)
        assert client.call("com.example.quick", number) == number
    assert set(outcomes) <= {"slept 0.0195", None}


def test_the_clients_own_timeout_and_none(service, join):
    client = join(call_timeout=None)
    assert client.call("com.example.slow", 0.2) == "slept 0.2"
    strict = join(call_timeout=0.1)
    with pytest.raises(WampyTimeOutError):
        strict.call("com.example.slow", 0.5)
    assert strict.options(timeout=None).call("com.example.slow", 0.2) == "slept 0.2"
    assert strict.options(timeout=5.0).rpc.com.example.slow(0.2) == "slept 0.2"
    assert strict.session.call("com.example.slow", [0.2], timeout=5.0) == "slept 0.2"
    with pytest.raises(WampyTimeOutError) as caught:
        strict.options(timeout=0.05).call("com.example.slow", 0.5)
    assert caught.value.seconds == 0.05


def test_a_call_async_that_nobody_awaits_is_expired_too(service, join, green):
    client = join(call_timeout=0.1)
    call = client.rpc.com.example.slow.call_async(60)
    green.wait_until(call.done, 5)
    assert len(client.session.pending) == 0
    green.wait_until(lambda: service.interrupted)
    with pytest.raises(WampyTimeOutError):
        call.result()


def test_a_timeout_of_result_does_not_end_the_call(service, join):
    client = join()
    call = client.rpc.com.example.slow.call_async(0.3)
    with pytest.raises(WampyTimeOutError) as caught:
        call.result(timeout=0.05)
    assert caught.value.seconds == 0.05
    assert not call.done()
    assert call.result() == "slept 0.3"
    assert call.result() == "slept 0.3"
    assert service.interrupted == []


def test_a_timeout_inside_a_callee_reaches_the_outer_caller_as_an_error(service, join):
    class Middle(Client):
        @callee(procedure="com.example.middle")
        def middle(self):
            return self.options(timeout=0.1).call("com.example.slow", 60)

    join(Middle)
    with pytest.raises(WampyError) as caught:
        join().call("com.example.middle")
    assert caught.value.uri == "wamp.error.runtime_error"
    assert caught.value.kwargs["exc_type"] == "WampyTimeOutError"


@pytest.mark.parametrize("timeout", [0, -1, "1", True, float("nan"), float("inf")])
def test_a_timeout_that_is_none(join, timeout):
    client = join()
    with pytest.raises(WampyError, match="timeout"):
        client.options(timeout=timeout).call("com.example.quick", 1)
    with pytest.raises(WampyError, match="call_timeout"):
        Client(call_timeout=timeout)


def test_waiting_takes_under_one_percent_of_a_core(service, join, green):
    client = join(call_timeout=5.0)
    calls = [green.spawn(client.call, "com.example.slow", 60) for _ in range(20)]
    green.sleep(0.2)  # until everybody waits
    wall, cpu = time.monotonic(), time.process_time()
    with pytest.raises(WampyTimeOutError):
        client.call("com.example.slow", 60)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    assert wall > 4.5
    assert cpu < 0.01 * wall, f"{cpu:.3f} seconds of processor in {wall:.1f}"
    for call in calls:
        assert isinstance(call.error(), WampyTimeOutError)


@pytest.mark.parametrize("mode", ["kill", "killnowait", "skip"])
def test_cancel(service, join, green, mode):
    client = join()
    call = client.rpc.com.example.slow.call_async(60)
    green.wait_until(lambda: service.begun)
    assert not call.done()
    call.cancel(mode)
    with pytest.raises(Canceled) as caught:
        call.result(timeout=5)
    assert caught.value.uri == "wamp.error.canceled"
    assert caught.value.procedure == "com.example.slow"
    assert call.done()
    call.cancel(mode)
    if mode != "skip":
        green.wait_until(lambda: service.interrupted == [green.backend.kill_error.__name__])
    assert client.call("com.example.quick", 1) == 1
    assert len(client.session.pending) == 0


def test_cancel_of_an_answered_call_changes_nothing(service, join):
    client = join()
    call = client.rpc.com.example.quick.call_async(5)
    assert call.result() == 5
    call.cancel()
    assert call.result() == 5
    with pytest.raises(ValueError, match="kill"):
        call.cancel("gently")


def test_a_cancelled_call_interrupts_only_its_own_invocation(service, join, green):
    client = join()
    calls = [client.rpc.com.example.slow.call_async(0.3) for _ in range(10)]
    green.wait_until(lambda: len(service.begun) == 10)
    calls[3].cancel()
    for number, call in enumerate(calls):
        if number == 3:
            with pytest.raises(Canceled):
                call.result()
        else:
            assert call.result() == "slept 0.3"
    assert len(service.interrupted) == 1


def test_a_cancelled_call_that_has_not_started_never_starts(join, green):
    class Service(Client):
        started = 0

        @callee(procedure="com.example.one")
        def one(self):
            type(self).started += 1
            green.sleep(0.2)

    service = join(Service, max_workers=1)
    client = join()
    first, second = (client.rpc.com.example.one.call_async() for _ in range(2))
    green.wait_until(lambda: len(service.session.invocations) == 2)
    second.cancel()
    with pytest.raises(Canceled):
        second.result(5)
    first.result(5)
    green.sleep(0.02)
    assert Service.started == 1


def test_a_callee_may_survive_its_interruption(join, green):
    class Stubborn(Client):
        @callee(procedure="com.example.stubborn")
        def stubborn(self):
            try:
                green.sleep(60)
            except BaseException:
                return "I went on"

    service = join(Stubborn)
    client = join()
    call = client.rpc.com.example.stubborn.call_async()
    green.wait_until(lambda: service.session.invocations)
    call.cancel("kill")
    # What the router makes of the late answer is its business; one outcome comes, and the session lives on.
    with contextlib.suppress(Canceled):
        assert call.result(5) == "I went on"
    assert service.session.call("wamp.session.count") >= 2
