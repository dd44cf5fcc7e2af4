"""The README says what is so: its programs are those in docs/examples, and what it names is there."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
README = (ROOT / "README.md").read_text()
PAGES = sorted((ROOT / "docs").rglob("*.rst"))


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)\n```$", README, re.DOTALL | re.MULTILINE)


def test_its_programs_are_the_examples():
    examples = {path.read_text().strip(): path.name for path in EXAMPLES.glob("*.py")}
    assert [examples.get(block.strip(), block) for block in blocks("python")] == [
        "router.py",
        "service.py",
        "call.py",
        "test_greeter.py",
    ]


@pytest.mark.parametrize("name", ["service.py", "call.py"])
def test_a_first_program_has_ten_lines_at_most(name):
    assert len([line for line in (EXAMPLES / name).read_text().splitlines() if line.strip()]) <= 10


def test_the_two_commands_come_first_and_are_there():
    commands = re.findall(r"^    (\S.*)$", README, re.MULTILINE)
    assert [command.partition("#")[0].strip() for command in commands[:2]] == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE) or target == "sure", target


def test_it_says_how_to_install_and_what_the_extra_brings():
    extras = (ROOT / "setup.cfg").read_text()
    assert "pip install .\n" in README and "pip install '.[testing]'" in README
    (floor,) = set(re.findall(r"crossbar>=[\d.]+", extras))
    assert set(re.findall(r"crossbar>=[\d.]+", README)) == {floor}
    assert "WAMPY_CROSSBAR" in README


def test_it_names_the_fixtures_and_how_eventlet_stands():
    for word in ("router", "client", "wampy_router", "wampy_client", "config_path", "url"):
        assert f"`{word}`" in README, word
    for word in ("bug-fix mode", "eventlet.sleep", "wampy run", "wampy.configure_async()", "time.sleep"):
        assert word in README, word


def test_its_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_the_pages_show_every_example():
    pages = "".join(page.read_text() for page in PAGES)
    shown = set(re.findall(r"literalinclude:: \S*examples/(\S+)", pages))
    assert shown == {path.name for path in EXAMPLES.glob("*.py")}


# The diagram of the session's states.


@pytest.fixture
def drawing():
    pytest.importorskip("sphinx")
    path = ROOT / "docs" / "_ext" / "session_states.py"
    spec = importlib.util.spec_from_file_location("session_states", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_diagram_has_every_state_and_every_move_between_two(drawing):
    from wampy.protocol.states import MOVES, State

    svg = drawing.draw(MOVES)
    assert all(f">{state.name}</text>" in svg for state in State)
    between = {(source, target) for (source, _, _), target in MOVES.items() if source is not target}
    assert svg.count("<polyline") == len(between)
    for (source, direction, name), target in MOVES.items():
        assert source is target or drawing.label(direction, name) in svg


def test_a_table_that_the_diagram_has_no_place_for_is_an_error(drawing):
    from wampy.protocol.states import MOVES, SENT, State

    with pytest.raises(drawing.MovesError):
        drawing.draw({**MOVES, (State.CLOSING, SENT, "hello"): State.JOINING})
    with pytest.raises(drawing.MovesError):
        drawing.draw({move: to for move, to in MOVES.items() if State.DISMISSED not in (move[0], to)})
