"""What fuzz tests share: `payloads.py`, which the atheris target uses as well, and the names of the serializers."""

import importlib.util
import sys
from pathlib import Path

import pytest


def _load(name):
    # There are no packages in tests/, so a module beside this file cannot be imported by name.
    full_name = f"wampy_fuzz_tests_{name}"
    if full_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(full_name, Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module
        spec.loader.exec_module(module)
    return sys.modules[full_name]


def pytest_generate_tests(metafunc):
    if "serializer_name" in metafunc.fixturenames:
        metafunc.parametrize("serializer_name", _load("payloads").SERIALIZERS, scope="session")


@pytest.fixture(scope="session")
def payloads():
    return _load("payloads")


@pytest.fixture(scope="session")
def serializer(serializer_name):
    from wampy.serializers import get_serializer

    return get_serializer(serializer_name)
