"""The classes that ``wampy run`` is asked for are found, or it is said clearly why not."""

import sys

import pytest

from wampy.cli.loading import RunError, describe, load, make
from wampy.errors import AddressError, WampyError

SHOP = """
import time
from wampy import Client, callee

class Shop(Client):
    pass

class Till(Client):
    def __init__(self, url):
        super().__init__(url)

class Other:
    pass
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A current folder of modules that nothing knows before or after."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    (tmp_path / "wampy_test_shop.py").write_text(SHOP)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("wampy_test_"):
            del sys.modules[name]


def test_from_the_current_folder(folder):
    assert load("wampy_test_shop:Shop").__name__ == "Shop"
    assert sys.path.count(str(folder)) == 1
    assert load("wampy_test_shop:Till").__name__ == "Till"
    assert sys.path.count(str(folder)) == 1


def test_from_a_package(folder):
    package = folder / "wampy_test_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inner.py").write_text(SHOP)
    assert load("wampy_test_package.inner:Shop").__module__ == "wampy_test_package.inner"


@pytest.mark.parametrize(
    ("application", "text"),
    [
        ("shop", "'shop' is no MODULE:CLASS; try shop:CLASS"),
        ("shop:", "'shop:' is no MODULE:CLASS; try shop:CLASS"),
        (":Shop", "':Shop' is no MODULE:CLASS; write for example shop:Shop"),
        ("", "'' is no MODULE:CLASS; write for example shop:Shop"),
        ("./apps/shop.py:Shop", "'./apps/shop.py:Shop' is no MODULE:CLASS; try apps.shop:Shop"),
        ("wampy_test_none:Shop", "there is no module 'wampy_test_none', neither in "),
        ("wampy_test_none.inner:Shop", "there is no module 'wampy_test_none.inner', neither in "),
        ("wampy_test_shop.py:Shop", "; write the module's name without .py"),
        ("wampy_test_shop:Shopp", "module 'wampy_test_shop' has no class 'Shopp'; it has Shop, Till"),
        (
            "wampy_test_shop:Other",
            "'wampy_test_shop:Other' is no subclass of wampy.Client; it has Shop, Till",
        ),
        ("wampy_test_shop:time", "'wampy_test_shop:time' is no subclass of wampy.Client; it has Shop, Till"),
        ("json:JSONDecoder", "'json:JSONDecoder' is no subclass of wampy.Client; it defines no subclass"),
    ],
)
def test_what_is_not_there(application, text):
    with pytest.raises(RunError) as caught:
        load(application)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("\nimport numpyy\n", "ModuleNotFoundError: No module named 'numpyy' (wampy_test_bad.py, line 2)"),
        ("import wampy_test_bad.py\n", "ModuleNotFoundError: No module named 'wampy_test_bad.py'"),
        ("from json import nothing\n", "ImportError: cannot import name 'nothing' from 'json'"),
        ("x = (\n", "SyntaxError: '(' was never closed (wampy_test_bad.py, line 1)"),
        ("import json\njson.loads('{')\n", "JSONDecodeError: Expecting property name"),
        ("import json\njson.loads('{')\n", "(wampy_test_bad.py, line 2)"),
        ("raise SystemExit(3)\n", "SystemExit: 3 (wampy_test_bad.py, line 1)"),
    ],
)
def test_what_goes_wrong_inside_a_module(folder, code, text):
    (folder / "wampy_test_bad.py").write_text(code)
    with pytest.raises(RunError, match=r"^module 'wampy_test_bad' cannot be imported: ") as caught:
        load("wampy_test_bad:Shop")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_make():
    client = make(load("wampy_test_shop:Shop"), "ws://localhost:1/", "there")
    assert (client.url, client.realm) == ("ws://localhost:1/", "there")


def test_make_with_a_wrong_url_or_realm():
    shop = load("wampy_test_shop:Shop")
    with pytest.raises(RunError, match=r"^the URL 'localhost': it has no scheme"):
        make(shop, "localhost", "realm1")
    with pytest.raises(RunError, match=r"^Shop cannot be made: realm is a non-empty str"):
        make(shop, "ws://localhost/", "")


def test_make_a_class_that_does_not_take_url_and_realm():
    with pytest.raises(RunError, match=r"^Till\(url=..., realm=...\) failed: TypeError: .*'realm'"):
        make(load("wampy_test_shop:Till"), "ws://localhost/", "realm1")


class UnspeakableError(Exception):
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (WampyError("no\nway"), "no way"),
        (AddressError("x", "bad"), "'x': bad"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError"),
        (UnspeakableError(), "UnspeakableError"),
    ],
)
def test_describe(error, text):
    assert describe(error) == text
