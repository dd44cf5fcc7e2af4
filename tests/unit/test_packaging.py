"""What setup.cfg promises, and what the tree around it must agree with."""

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

import wampy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def setup_cfg():
    parser = ConfigParser()
    parser.read_string((ROOT / "setup.cfg").read_text())
    return parser


def requirements(text):
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_requirements_txt_repeats_the_base_dependencies(setup_cfg):
    declared = requirements(setup_cfg["options"]["install_requires"])
    assert requirements((ROOT / "requirements.txt").read_text()) == declared
    assert {re.split(r"\W", line)[0] for line in declared} == {"eventlet", "simplejson", "six", "websockets"}


def test_there_are_floors_and_no_pins(setup_cfg):
    texts = [setup_cfg["options"]["install_requires"], *setup_cfg["options.extras_require"].values()]
    for line in [one for text in texts for one in requirements(text)]:
        requirement, _, _ = line.partition(";")  # behind it, where it is wanted
        assert re.fullmatch(r"[a-z][a-z0-9-]*(>=[\d.]+)?", requirement), line
    assert "==" not in (ROOT / "pyproject.toml").read_text()


def test_the_floor_of_websockets_lets_crossbar_have_its_own(setup_cfg):
    (line,) = [one for one in requirements(setup_cfg["options"]["install_requires"]) if "websockets" in one]
    assert int(re.search(r">=(\d+)", line)[1]) <= 15


def test_the_testing_extra_has_what_the_fixtures_need(setup_cfg):
    lines = requirements(setup_cfg["options.extras_require"]["testing"])
    assert "crossbar>=26.10" in lines
    assert any(line.startswith("pytest>=") for line in lines)


def test_our_own_environment_has_no_crossbar(setup_cfg):
    assert "crossbar" not in setup_cfg["options.extras_require"]["dev"]


@pytest.mark.parametrize(
    ("group", "entry"),
    [
        ("console_scripts", "wampy = wampy.cli.main:main"),
        ("pytest11", "wampy = wampy.testing.pytest_plugin"),
    ],
)
def test_entry_points(setup_cfg, group, entry):
    assert requirements(setup_cfg["options.entry_points"][group]) == [entry]


def test_the_supported_pythons_are_the_same_everywhere(setup_cfg):
    classifiers = re.findall(r":: (3\.\d+)$", setup_cfg["metadata"]["classifiers"], re.MULTILINE)
    tox = ConfigParser()
    tox.read_string((ROOT / "tox.ini").read_text())
    environments = re.findall(r"\bpy3(\d+)\b(?!-)", tox["tox"]["env_list"])
    assert classifiers == [f"3.{minor}" for minor in environments] == ["3.11", "3.12", "3.13"]
    assert setup_cfg["options"]["python_requires"] == ">=3.11"


def test_pyproject_holds_nothing_that_setup_cfg_can():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(content) == {"build-system", "tool"}
    assert set(content["tool"]) == {"ruff"}


def test_setup_py_is_two_lines():
    assert [line for line in (ROOT / "setup.py").read_text().splitlines() if line] == [
        "from setuptools import setup",
        "setup()",
    ]


def test_the_version_can_be_read_without_importing(setup_cfg):
    assert setup_cfg["metadata"]["version"] == "attr: wampy.__version__"
    source = (ROOT / "wampy" / "__init__.py").read_text()
    assert f'\n__version__ = "{wampy.__version__}"\n' in source


def test_every_file_that_is_no_code_is_packaged(setup_cfg):
    packaged = set()
    for package, patterns in setup_cfg["options.package_data"].items():
        folder = ROOT.joinpath(*package.split("."))
        packaged.update(path for pattern in requirements(patterns) for path in folder.glob(pattern))
    files = {path for path in (ROOT / "wampy").rglob("*") if path.is_file()}
    assert packaged == {path for path in files if path.suffix not in (".py", ".pyc")}
    assert {"py.typed", "crossbar.json", "ca.pem"} <= {path.name for path in packaged}
