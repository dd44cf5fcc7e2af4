"""Constants: nothing mutable gets out, and only what works is announced."""

import pytest

from wampy import constants
from wampy.messages.checks import LARGEST_ID, is_uri
from wampy.messages.fields import ROLES


def test_the_default_roles_are_fresh_each_time():
    first, second = constants.default_roles(), constants.default_roles()
    first["roles"]["caller"]["features"].clear()
    del first["roles"]["callee"]
    assert second == constants.default_roles()
    assert second["roles"]["caller"]["features"]


def test_the_default_roles_are_a_valid_hello():
    details = constants.default_roles()
    assert set(details["roles"]) == {"caller", "callee", "publisher", "subscriber"}
    assert ROLES.__call__(details["roles"], None) is None
    assert all(
        value is True for role in details["roles"].values() for value in role["features"].values()
    )


def test_nothing_is_mutable():
    for name, value in vars(constants).items():
        if name.isupper():
            assert not isinstance(value, (list, dict, set)), name
    with pytest.raises(TypeError):
        constants.DEFAULT_ROLES["caller"] = ()


def test_the_uris_are_uris():
    uris = [value for name, value in vars(constants).items() if isinstance(value, str) and value.startswith("wamp.")]
    assert len(uris) >= 8
    assert all(is_uri(uri) for uri in uris)


def test_the_largest_id_is_the_specifications():
    assert constants.MAX_ID == LARGEST_ID == 2**53
