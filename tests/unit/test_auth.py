"""Answers to a CHALLENGE."""

import base64
import hashlib
import hmac

import pytest
from autobahn.wamp import auth as autobahn_auth

from wampy.auth import Ticket, WampCRA, compute_wcs, derive_key, for_method
from wampy.errors import WampyError

CHALLENGE = '{"session": 5, "authid": "joe", "nonce": "ä"}'


def test_the_signature_is_a_known_one():
    # RFC 4231, test case 2.
    digest = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    assert compute_wcs("Jefe", "what do ya want for nothing?") == base64.b64encode(digest).decode()


@pytest.mark.parametrize("key", ["secret", b"\x00\xff" * 70, "ü"])
def test_the_signature_is_hmac_sha256_as_autobahn_has_it(key):
    raw = key.encode() if isinstance(key, str) else key
    expected = base64.b64encode(hmac.new(raw, CHALLENGE.encode(), hashlib.sha256).digest()).decode()
    assert compute_wcs(key, CHALLENGE) == compute_wcs(raw, CHALLENGE.encode()) == expected
    assert autobahn_auth.compute_wcs(raw, CHALLENGE.encode()) == expected.encode()


@pytest.mark.parametrize(
    ("salt", "iterations", "keylen"), [("salt123", 100, 16), ("s", 1, 32), (b"\xff\x00", 7, 33)]
)
def test_the_derived_key_is_pbkdf2_as_autobahn_has_it(salt, iterations, keylen):
    key = derive_key("prq7+YkJ1/KlW1X0YczMHw==", salt, iterations, keylen)
    assert isinstance(key, str)
    assert len(base64.b64decode(key)) == keylen
    assert key.encode() == autobahn_auth.derive_key("prq7+YkJ1/KlW1X0YczMHw==", salt, iterations, keylen)


def test_the_derived_key_is_a_known_one():
    # PBKDF2-HMAC-SHA256 of RFC 7914, section 11, first 32 octets.
    raw = bytes.fromhex("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc")
    assert derive_key("passwd", "salt", 1, 32) == base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("iterations", "keylen"),
    [
        (0, 32),
        (-1, 32),
        (10_000_001, 32),
        (1, 0),
        (1, 1025),
        (True, 32),
        (1000, True),
        (1.0, 32),
        (10_000_000, 33),
    ],
)
def test_absurd_costs_are_refused(iterations, keylen):
    with pytest.raises(WampyError, match=r"iterations|keylen"):
        derive_key("secret", "salt", iterations, keylen)
    extra = {"challenge": "c", "salt": "salt", "iterations": iterations, "keylen": keylen}
    with pytest.raises(WampyError, match=r"iterations|keylen"):
        WampCRA("joe", "secret").sign("wampcra", extra)


def test_wampcra_signs_with_the_secret():
    authenticator = WampCRA("joe", "secret")
    assert authenticator.hello_details() == {"authid": "joe"}
    assert authenticator.sign("wampcra", {"challenge": CHALLENGE}) == (compute_wcs("secret", CHALLENGE), {})
    assert authenticator.sign("wampcra", {"challenge": CHALLENGE, "salt": None})[0] == compute_wcs(
        "secret", CHALLENGE
    )


def test_wampcra_signs_with_the_text_of_the_derived_key():
    extra = {"challenge": CHALLENGE, "salt": "salt123", "iterations": 100, "keylen": 16}
    key = base64.b64encode(hashlib.pbkdf2_hmac("sha256", b"secret", b"salt123", 100, 16))
    expected = base64.b64encode(hmac.new(key, CHALLENGE.encode(), hashlib.sha256).digest()).decode()
    assert WampCRA("joe", "secret").sign("wampcra", extra) == (expected, {})


@pytest.mark.parametrize("missing", ["challenge", "iterations", "keylen"])
def test_a_challenge_that_lacks_something_is_refused(missing):
    extra = {"challenge": CHALLENGE, "salt": "salt123", "iterations": 100, "keylen": 16}
    del extra[missing]
    with pytest.raises(WampyError, match=f"has no '{missing}'"):
        WampCRA("joe", "secret").sign("wampcra", extra)


@pytest.mark.parametrize(
    ("key", "value"), [("challenge", 5), ("salt", 5), ("iterations", "100"), ("keylen", 16.0)]
)
def test_a_challenge_of_the_wrong_type_is_refused(key, value):
    extra = {"challenge": CHALLENGE, "salt": "salt123", "iterations": 100, "keylen": 16, key: value}
    with pytest.raises(WampyError, match=f"'{key}' of the router's challenge is of type"):
        WampCRA("joe", "secret").sign("wampcra", extra)


def test_a_ticket_goes_as_it_is():
    authenticator = Ticket("joe", "geheim")
    assert authenticator.hello_details() == {"authid": "joe"}
    assert authenticator.sign("ticket", {}) == ("geheim", {})
    assert Ticket(None, b"geheim").sign("ticket", {}) == ("geheim", {})
    assert Ticket(None, "geheim").hello_details() == {}


@pytest.mark.parametrize("authenticator", [Ticket("joe", "hunter2"), WampCRA("joe", "hunter2")])
def test_secrets_are_not_shown_and_methods_not_mixed_up(authenticator):
    assert "hunter2" not in f"{authenticator!r} {authenticator}"
    assert "joe" in repr(authenticator)
    with pytest.raises(WampyError, match="the router chose 'scram', but only"):
        authenticator.sign("scram", {"challenge": "c"})


def test_authenticators_are_made_by_method():
    assert isinstance(for_method("ticket", "joe", "x"), Ticket)
    made = for_method("wampcra", "joe", "secret")
    assert made.sign("wampcra", {"challenge": "c"}) == (compute_wcs("secret", "c"), {})
    assert made.authid == "joe"
    with pytest.raises(WampyError, match="'magic' is not known; known: 'ticket', 'wampcra'"):
        for_method("magic", "joe", "x")
