"""What is gevent's alone; the verbs are tested in test_verbs.py, on each backend."""

import pytest

from wampy.errors import WampyError


@pytest.fixture
def backend(green):
    if green.backend.name != "gevent":
        pytest.skip("this run is for another backend")
    return green.backend


def test_waiting_in_the_hub_is_an_error_and_no_endless_loop(backend, green):
    slot, errors = backend.slot(), []

    def waits():
        try:
            slot.wait()
        except WampyError as error:
            errors.append(str(error))

    backend.call_later(0, waits)
    backend.call_later(0.001, waits)
    green.wait_until(lambda: len(errors) == 2)
    assert all("gevent.spawn" in error for error in errors)


def test_its_own_waiting_and_killing_get_on_with_ours(backend, green):
    gevent = green.library
    slot = backend.slot()
    greenlet = gevent.spawn(slot.wait)
    gevent.sleep(0.01)
    greenlet.kill()
    assert isinstance(greenlet.value, gevent.GreenletExit)
    with gevent.Timeout(0.02, False):
        slot.wait()
    greenlet = gevent.spawn(slot.wait)
    backend.call_later(0.01, slot.set)
    assert greenlet.get(timeout=5) is True


def test_a_timer_that_is_called_off_after_it_was_due_is_not_called(backend, green):
    called = []
    timers = []

    def first():
        timers[1].cancel()

    timers.append(backend.call_later(0.01, first))
    timers.append(backend.call_later(0.01, called.append, 1))
    green.sleep(0.03)
    assert called == []
