"""When and how often a lost session is followed by another one."""

import dataclasses
import random
import statistics

import pytest

import wampy
from wampy import Client, Reconnect
from wampy.config.reconnect import INCURABLE, may_heal, policy_of
from wampy.errors import (
    AbortError,
    AddressError,
    AuthorizationFailed,
    Canceled,
    ConnectionClosed,
    ConnectionError,
    HandshakeError,
    InvalidArgument,
    InvalidUri,
    InvocationPolicyConflict,
    NotAuthorized,
    OptionNotAllowed,
    ProcedureAlreadyExists,
    RemoteError,
    SerializationError,
    SessionClosed,
    Unavailable,
    WampProtocolError,
    WampyError,
    WampyTimeOutError,
)

# The policy.


def test_the_defaults():
    policy = Reconnect()
    assert (policy.first_delay, policy.longest_delay, policy.growth, policy.jitter) == (0.25, 5.0, 2.0, 0.5)
    assert (policy.attempts, policy.first_connection, policy.force_reregister) == (None, False, False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.attempts = 3
    assert wampy.Reconnect is Reconnect


@pytest.mark.parametrize(
    "values",
    [
        {"first_delay": 5.0},
        {"first_delay": 1, "longest_delay": 1},
        {"first_delay": 1e-6},
        {"growth": 1},
        {"growth": 1e300},
        {"jitter": 0},
        {"jitter": 1},
        {"attempts": 1},
        {"attempts": None},
        {"first_connection": True},
        {"force_reregister": True},
    ],
    ids=str,
)
def test_values_that_can_be_used(values):
    policy = Reconnect(**values)
    assert {name: getattr(policy, name) for name in values} == values


NAN, INFINITE = float("nan"), float("inf")
BAD = [
    ({"first_delay": None}, "first_delay is a number of seconds above 0, not None"),
    ({"first_delay": 0}, "first_delay is a number of seconds above 0"),
    ({"first_delay": -0.5}, "not -0.5"),
    ({"first_delay": "1"}, "not '1'"),
    ({"first_delay": True}, "first_delay .*not True"),
    ({"first_delay": NAN}, "first_delay .*not nan"),
    ({"longest_delay": None}, "longest_delay is a number of seconds above 0, not None"),
    ({"longest_delay": INFINITE}, "longest_delay .*not inf"),
    ({"longest_delay": 1e12}, "longest_delay is at most"),
    ({"longest_delay": 0.1}, "longest_delay, 0.1, is below first_delay, 0.25"),
    ({"first_delay": 6.0}, "longest_delay, 5.0, is below first_delay, 6.0"),
    ({"growth": 0.99}, "growth is a number from 1, not 0.99"),
    ({"growth": NAN}, "growth .*not nan"),
    ({"growth": INFINITE}, "growth .*not inf"),
    ({"growth": True}, "growth .*not True"),
    ({"growth": None}, "growth .*not None"),
    ({"growth": 2j}, "growth .*not 2j"),
    ({"jitter": -0.1}, "jitter is a number from 0 to 1, not -0.1"),
    ({"jitter": 1.1}, "jitter .*not 1.1"),
    ({"jitter": NAN}, "jitter .*not nan"),
    ({"jitter": False}, "jitter .*not False"),
    ({"jitter": "half"}, "jitter .*not 'half'"),
    ({"attempts": 0}, "attempts is a whole number from 1, or None for no limit; not 0"),
    ({"attempts": -1}, "attempts .*not -1"),
    ({"attempts": 3.0}, "attempts .*not 3.0"),
    ({"attempts": True}, "attempts .*not True"),
    ({"attempts": "3"}, "attempts .*not '3'"),
    ({"first_connection": None}, "first_connection is True or False, not None"),
    ({"first_connection": 1}, "first_connection .*not 1"),
    ({"force_reregister": "yes"}, "force_reregister is True or False, not 'yes'"),
]


@pytest.mark.parametrize(("values", "text"), BAD, ids=[str(values) for values, _ in BAD])
def test_values_that_cannot(values, text):
    with pytest.raises(WampyError, match=text) as caught:
        Reconnect(**values)
    assert type(caught.value) is WampyError


# The delays.


@pytest.fixture
def chance(monkeypatch):
    """Say what chance gives: ``chance(0.0)`` takes nothing away, a little under 1 takes what `jitter` allows."""

    def chance(value):
        monkeypatch.setattr(random, "random", lambda: value)

    return chance


def test_delays_grow_up_to_the_longest(chance):
    chance(0.0)
    delays = [Reconnect().delay(attempt) for attempt in range(1, 8)]
    assert delays == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_growth_of_one_keeps_the_first_delay(chance):
    chance(0.0)
    policy = Reconnect(first_delay=0.3, growth=1)
    assert {policy.delay(attempt) for attempt in (1, 2, 100, 10**6)} == {0.3}


@pytest.mark.parametrize("growth", [2, 2.0, 3, 1e300, 10**200], ids=lambda growth: f"{growth:.0e}")
@pytest.mark.parametrize("attempt", [5000, 100_000])
def test_the_longest_delay_is_kept_for_ever(growth, attempt, chance):
    """Powers of floats overflow, and those of whole numbers are too great for a float."""
    chance(0.0)
    assert Reconnect(growth=growth).delay(attempt) == 5.0


def test_jitter_takes_away_and_never_adds(chance):
    policy = Reconnect(first_delay=4.0, longest_delay=4.0, jitter=0.25)
    chance(0.0)
    assert policy.delay(1) == 4.0
    chance(0.5)
    assert policy.delay(1) == 3.5
    chance(1.0)
    assert policy.delay(1) == 3.0
    assert Reconnect(jitter=1).delay(1) == 0.0
    assert Reconnect(jitter=0).delay(1) == 0.25


def test_many_clients_do_not_come_at_once():
    delays = [Reconnect().delay(6) for _ in range(2000)]
    assert 2.5 <= min(delays) < 2.6
    assert 4.9 < max(delays) <= 5.0
    assert 3.6 < statistics.mean(delays) < 3.9
    assert len(set(delays)) > 1900


# What a client is given.


def test_policy_of():
    mine = Reconnect(attempts=3)
    assert policy_of(mine) is mine
    assert policy_of(True) == Reconnect()
    assert policy_of(False) is None
    assert policy_of(None) is None


@pytest.mark.parametrize("value", [0, 1, 5.0, "yes", {"attempts": 3}, Reconnect], ids=str)
def test_what_is_no_policy(value):
    with pytest.raises(WampyError, match=r"reconnect is True, False or a wampy.Reconnect, not"):
        Client(reconnect=value)


# Which errors may heal.


def caused_by(cause):
    error = WampyError("the secret cannot be had")
    error.__cause__ = cause
    return error


NO_SUCH_REALM = AbortError("wamp.error.no_such_realm")
HEALS = [
    ConnectionError("refused"),
    ConnectionClosed("cut"),
    ConnectionClosed("cut", clean=True),
    SessionClosed("wamp.close.system_shutdown"),
    HandshakeError("HTTP 503", 503),
    WampyTimeOutError("WELCOME"),
    WampProtocolError("nonsense"),
    OSError(24, "too many open files"),
    AbortError("wamp.error.system_shutdown"),
    AbortError("wamp.close.killed"),
    AbortError("com.example.busy"),
    AbortError("wamp.error.authorization_failed"),
    ProcedureAlreadyExists(),
    AuthorizationFailed(),
    InvocationPolicyConflict(),
    Unavailable(),
    Canceled(),
    RemoteError("com.example.busy"),
    caused_by(ConnectionRefusedError()),
    caused_by(TimeoutError()),
    ConnectionError("none of 2 routers", [NO_SUCH_REALM, ConnectionError("refused")]),
    ConnectionError("none of 2 routers", [WampyTimeOutError("WELCOME"), NO_SUCH_REALM]),
]
STAYS = [
    *(AbortError(uri) for uri in sorted(INCURABLE)),
    NotAuthorized(),
    InvalidUri(),
    InvalidArgument(),
    OptionNotAllowed(),
    AddressError("ws:/", "no host"),
    SerializationError("no"),
    WampyError("there is nothing to answer the challenge with"),
    caused_by(KeyError("secret")),
    ValueError(),
    KeyboardInterrupt(),
    ConnectionError("none of 2 routers", [NO_SUCH_REALM, AbortError("wamp.error.authentication_failed")]),
]


def name_of(error):
    inner = f" of {[type(each).__name__ for each in error.errors]}" if getattr(error, "errors", ()) else ""
    return f"{type(error).__name__} {getattr(error, 'uri', '')}{error.__cause__ or ''}{inner}"


@pytest.mark.parametrize("error", HEALS, ids=name_of)
def test_may_heal(error):
    assert may_heal(error)


@pytest.mark.parametrize("error", STAYS, ids=name_of)
def test_does_not_heal(error):
    assert not may_heal(error)


def test_wamps_refusals_of_a_session_are_known():
    """Those of the specification that say that the client, as it is configured, is not wanted."""
    assert {
        "wamp.error.no_such_realm",
        "wamp.error.no_such_role",
        "wamp.error.not_authorized",
        "wamp.error.authentication_denied",
        "wamp.error.authentication_failed",
        "wamp.error.no_matching_auth_method",
    } <= INCURABLE
