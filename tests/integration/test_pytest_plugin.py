"""The pytest plugin: in this very test run, in runs of its own, and in projects that do not want it."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import textwrap
import time
import venv
from configparser import ConfigParser
from pathlib import Path

import psutil
import pytest

from wampy import Client
from wampy.peers._configuration import free_port
from wampy.peers.routers import Crossbar

ROOT = Path(__file__).resolve().parents[2]
OURS = ("-p", "wampy.testing.pytest_plugin")


class Run:
    """A pytest run that has ended.

    Attributes:
        output: What it printed.
        notes: What its tests wrote with the `note` fixture.
    """

    def __init__(self, done, notes):
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        self.notes = notes

    def must_have(self, **outcomes):
        last = self.output.rstrip().splitlines()[-1]
        found = {kind: int(number) for number, kind in re.findall(r"(\d+) (\w+)", last.partition(" in ")[0])}
        assert found == outcomes, self.output


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


class Project:
    """A folder of tests, run by a pytest of its own that sees no plugin but those that are asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.paths = [ROOT]
        self.autoload = False
        folder.mkdir()
        (folder / "pytest.ini").write_text("[pytest]\naddopts = -q -W error -p no:cacheprovider\n")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def install(self, package, text):
        """Make a distribution with one package, which is a pytest plugin, importable."""
        place = self.folder.parent / f"site-{package}"
        place.mkdir()
        (place / f"{package}.py").write_text(textwrap.dedent(text))
        write_dist_info(place, package, f"{package} = {package}")
        self.paths.append(place)

    def run(self, *arguments, python=sys.executable, **environment):
        notes = self.folder / "notes.jsonl"
        notes.unlink(missing_ok=True)
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, self.paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NOTES": str(notes),
            **environment,
        }
        if not self.autoload:
            variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        done = subprocess.run(
            [python, "-m", "pytest", *arguments],
            cwd=self.folder,
            env={name: value for name, value in variables.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=120,
        )
        lines = notes.read_text().splitlines() if notes.exists() else []
        return Run(done, [json.loads(line) for line in lines])


def write_dist_info(place, name, entry_point, version="1.0"):
    folder = place / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / "entry_points.txt").write_text(f"[pytest11]\n{entry_point}\n")
    (folder / "RECORD").write_text("")


# What tests of a project write down for us to read.
NOTE = """
    import json, os

    def note(**values):
        with open(os.environ["NOTES"], "a") as file:
            print(json.dumps(values), file=file)
"""

WITHOUT_CROSSBAR = {"WAMPY_CROSSBAR": None, "PATH": "/nowhere"}


def write_configuration(path, port=0, realm="realm1"):
    permission = {
        "uri": "",
        "match": "prefix",
        "allow": dict.fromkeys(("call", "register", "publish", "subscribe"), True),
    }
    content = json.loads((ROOT / "wampy" / "testing" / "configs" / "crossbar.json").read_text())
    worker = content["workers"][0]
    worker["realms"] = [{"name": realm, "roles": [{"name": "anonymous", "permissions": [permission]}]}]
    worker["transports"][0]["endpoint"]["port"] = port
    path.write_text(json.dumps(content))
    return str(path)


class TestInThisTestRun:
    """The plugin as it is loaded for our own tests."""

    def test_the_router_is_a_crossbar_that_runs(self, router):
        assert isinstance(router, Crossbar)
        assert psutil.Process(router.pid).is_running()

    def test_the_client_has_joined_it(self, client, router):
        assert type(client) is Client
        assert client.url == router.url
        assert client.session.id

    def test_short_and_long_names_are_the_same(self, router, wampy_router, client, wampy_client):
        assert router is wampy_router
        assert client is wampy_client

    def test_nobody_has_given_a_configuration_or_url(self, config_path, url, wampy_config_path, wampy_url):
        assert config_path is url is wampy_config_path is wampy_url is None

    def test_the_client_calls_and_is_called(self, client):
        client.session.register("plugin.double", lambda number: 2 * number)
        assert client.rpc.plugin.double(21) == 42

    def test_a_fixture_of_a_wider_scope_gets_the_same_router(self, wampy_routers, router):
        assert wampy_routers.get() is router

    class TestAUsersClass:
        @pytest.fixture
        def client(self, client):
            client.name = "the user's"
            return client

        def test_overrides_and_extends(self, client):
            assert client.name == "the user's"
            assert client.session.id


def test_routers_are_reused_replaced_and_stopped(project):
    """One long run, as each router takes seconds to start."""
    port = free_port()
    fixed = write_configuration(project.folder / "fixed.json", port, "fixed")
    write_configuration(project.folder / "same.json", port, "same")
    project.write("noting.py", NOTE)
    project.write(
        "test_1_packaged.py",
        """
        import os, signal
        from noting import note

        def test_first(client, router):
            note(test="first", pid=router.pid, url=router.url, session=client.session.id)

        def test_second(router, client):
            note(test="second", pid=router.pid, url=router.url, session=client.session.id)

        def test_under_its_long_name(wampy_router):
            note(test="third", pid=wampy_router.pid, url=wampy_router.url)
            os.killpg(wampy_router.pid, signal.SIGKILL)

        def test_after_it_was_killed(client, router):
            note(test="killed", pid=router.pid, url=router.url, session=client.session.id)
        """,
    )
    project.write(
        "test_2_mine.py",
        f"""
        import pathlib, pytest
        from noting import note

        @pytest.fixture(scope="session")
        def config_path():
            return pathlib.Path({fixed!r})

        class TestOwn:
            def test_own(self, client, router):
                note(test="own", pid=router.pid, url=router.url, realm=client.session.realm)

            def test_own_again(self, router):
                note(test="own again", pid=router.pid)

        class TestOther:
            @pytest.fixture(params=["same.json"])
            def config_path(self, request):
                return request.param

            @pytest.fixture
            def url(self):
                return "ws://localhost:{port}/"

            def test_parametrized(self, client, router):
                assert client.url == router.url
                note(test="other", pid=router.pid, url=router.url, realm=client.session.realm)

        class TestPackagedAgain:
            @pytest.fixture
            def config_path(self):
                return None

            def test_packaged(self, router):
                note(test="packaged", pid=router.pid, url=router.url)
        """,
    )
    run = project.run(*OURS)
    run.must_have(passed=8)
    first, second, third, killed, own, again, other, packaged = run.notes

    assert first["pid"] == second["pid"] == third["pid"] != killed["pid"]
    assert first["url"] == second["url"] == third["url"]
    assert first["session"] != second["session"]
    # Each configuration has its own, and the others go on.
    assert own["pid"] == again["pid"] != killed["pid"]
    assert own["url"] == f"ws://127.0.0.1:{port}/"
    assert own["realm"] == "fixed"
    assert packaged["pid"] == killed["pid"]
    # `url` is over what the configuration says.
    assert other["url"] == f"ws://localhost:{port}/"
    # At one port there can be one of them only.
    assert other["realm"] == "same"
    assert other["pid"] != own["pid"]
    assert not any(psutil.pid_exists(each["pid"]) for each in run.notes)


def test_url_and_configuration_in_conftest(project):
    port = free_port()
    write_configuration(project.folder / "mine.json", realm="mine")
    project.write("noting.py", NOTE)
    project.write(
        "conftest.py",
        f"""
        import pytest
        from wampy import Client, callee

        class Service(Client):
            @callee
            def double(self, number):
                return 2 * number

        @pytest.fixture
        def config_path():
            return "mine.json"

        @pytest.fixture(scope="session")
        def url():
            return "ws://127.0.0.1:{port}/"

        @pytest.fixture
        def client(client, router):
            with Service(url=router.url, realm=router.realm):
                yield client
        """,
    )
    project.write(
        "below/test_it.py",
        f"""
        import sys
        from noting import note

        def test_extended(client, router, wampy_client):
            assert client is wampy_client
            assert client.rpc.double(2) == 4
            assert client.url == router.url == "ws://127.0.0.1:{port}/"
            assert client.session.realm == "mine"
            note(pid=router.pid)
            raise KeyboardInterrupt
        """,
    )
    run = project.run(*OURS, PYTHONPATH=os.pathsep.join([str(ROOT), str(project.folder)]))
    # Ctrl-C: the fixtures are torn down all the same.
    assert run.code == pytest.ExitCode.INTERRUPTED, run.output
    assert not psutil.pid_exists(run.notes[0]["pid"])


def test_a_project_with_a_router_of_its_own(project):
    """Whatever is called `router` and has a URL is what `client` goes to."""
    project.write(
        "test_it.py",
        """
        import pytest

        class Elsewhere:
            url = "ws://127.0.0.1:1/"

        @pytest.fixture
        def router():
            return Elsewhere()

        def test_it(client):
            pass
        """,
    )
    run = project.run(*OURS)
    run.must_have(error=1)
    assert "ws://127.0.0.1:1/" in run.output


FOREIGN = """
    import pytest

    @pytest.fixture
    def client():
        return "theirs"
"""

USES_FOREIGN = """
    def test_it(client):
        assert client == "theirs"
"""


class TestAnotherPluginsClient:
    @pytest.mark.parametrize("order", [("foreign", OURS[1]), (OURS[1], "foreign")], ids=["before", "after"])
    def test_is_left_alone_whatever_the_order(self, project, order):
        project.install("foreign", FOREIGN)
        project.write("test_it.py", USES_FOREIGN)
        project.run("-p", order[0], "-p", order[1]).must_have(passed=1)

    @pytest.mark.parametrize("name", ["aaaa", "zzzz"])
    def test_is_left_alone_when_it_is_installed(self, project, name):
        project.autoload = True
        project.install(name, FOREIGN)
        project.write("test_it.py", USES_FOREIGN)
        project.run(*OURS).must_have(passed=1)

    def test_is_left_alone_in_the_projects_own_plugin_module(self, project):
        project.write("own_fixtures.py", FOREIGN)
        project.write("conftest.py", "pytest_plugins = ['own_fixtures', 'wampy.testing.pytest_plugin']")
        project.write("test_it.py", USES_FOREIGN)
        project.paths.append(project.folder)
        project.run().must_have(passed=1)

    def test_can_be_extended_by_the_project(self, project):
        project.install("foreign", FOREIGN)
        project.write(
            "conftest.py",
            """
            import pytest

            @pytest.fixture
            def client(client):
                return client + " and mine"
            """,
        )
        project.write("test_it.py", "def test_it(client): assert client == 'theirs and mine'")
        project.run(*OURS, "-p", "foreign").must_have(passed=1)

    def test_does_not_take_the_other_names(self, project):
        project.install("foreign", FOREIGN)
        project.write("test_it.py", "def test_it(config_path, url): assert config_path is url is None")
        project.run("-p", "foreign", *OURS).must_have(passed=1)

    def test_wampys_client_is_there_under_its_long_name(self, project):
        project.install("foreign", FOREIGN)
        project.write(
            "test_it.py",
            """
            def test_it(client, wampy_client, router):
                assert client == "theirs"
                assert wampy_client.url == router.url
                assert wampy_client.session.id
            """,
        )
        project.run(*OURS, "-p", "foreign").must_have(passed=1)


class TestAnotherPluginsUrl:
    """What an installed plugin calls `url` is none of our router's business; a project's own module's is."""

    FOREIGN = """
        import pytest

        @pytest.fixture
        def url():
            return "https://theirs.example/"

        @pytest.fixture
        def config_path():
            return "/theirs"

        @pytest.fixture
        def router():
            return "theirs"
    """
    TESTS = "def test_it(wampy_client): pass"

    def planned(self, project, *arguments):
        run = project.run(*OURS, *arguments, "--setup-plan")
        assert run.code == 0, run.output
        return set(re.findall(r"SETUP +\w +(\w+)", run.output))

    def test_it_is_not_ours_when_it_is_installed(self, project):
        project.autoload = True
        project.install("foreign", self.FOREIGN)
        project.write("test_it.py", self.TESTS)
        planned = self.planned(project)
        assert {"wampy_url", "wampy_config_path", "wampy_router"} <= planned
        assert not {"url", "config_path", "router"} & planned

    def test_it_is_ours_when_the_project_loads_it(self, project):
        project.write("own_fixtures.py", self.FOREIGN)
        project.write("conftest.py", "pytest_plugins = ['own_fixtures']")
        project.write("test_it.py", self.TESTS)
        project.paths.append(project.folder)
        planned = self.planned(project)
        assert {"router", "wampy_client"} <= planned
        assert "wampy_router" not in planned

    def test_without_any_other(self, project):
        project.write("test_it.py", self.TESTS)
        assert {"url", "config_path", "router", "wampy_url", "wampy_router"} <= self.planned(project)


@pytest.mark.parametrize("autoload", [False, True])
def test_being_loaded_by_several_names_at_once(project, autoload):
    """Projects name the module in conftest.py or on the command line, and it is installed as well."""
    project.autoload = autoload
    place = project.folder.parent / "site"
    place.mkdir()
    write_dist_info(place, "wampy", "wampy = wampy.testing.pytest_plugin")
    project.paths.append(place)
    project.write("test_it.py", "def test_it(config_path, wampy_url): pass")
    project.run(*OURS).must_have(passed=1)
    project.write("conftest.py", "pytest_plugins = ['wampy.testing.pytest_plugin']")
    project.run(*OURS).must_have(passed=1)
    project.run().must_have(passed=1)


def test_it_can_be_turned_off(project):
    project.autoload = True
    place = project.folder.parent / "site"
    place.mkdir()
    write_dist_info(place, "wampy", "wampy = wampy.testing.pytest_plugin")
    project.paths.append(place)
    project.write("test_it.py", "def test_it(wampy_url): pass")
    run = project.run("-p", "no:wampy")
    run.must_have(error=1)
    assert "fixture 'wampy_url' not found" in run.output


class TestWithoutCrossbar:
    def test_the_error_names_the_extra(self, project):
        project.write(
            "test_it.py",
            """
            def test_router(router): pass
            def test_client(wampy_client): pass
            def test_neither(url, config_path): pass
            """,
        )
        # A Python with no `crossbar` beside it.
        venv.create(project.folder / "bare", symlinks=True)
        python = project.folder / "bare" / "bin" / "python"
        project.paths += [Path(path) for path in sys.path if path.endswith("-packages")]
        run = project.run(*OURS, python=str(python), **WITHOUT_CROSSBAR)
        run.must_have(passed=1, errors=2)
        assert "pip install 'wampy[testing]'" in run.output

    def test_a_start_that_fails_is_not_tried_for_every_test(self, project):
        program = project.write(
            "failing-crossbar",
            f"""\
            #!{sys.executable}
            import pathlib
            with open({str(project.folder / "starts")!r}, "a") as file:
                file.write("start\\n")
            raise SystemExit("it does not work on purpose")
            """,
        )
        program.chmod(0o755)
        project.write(
            "test_it.py",
            """
            def test_one(router): pass
            def test_two(router): pass
            def test_three(client): pass
            """,
        )
        run = project.run(*OURS, WAMPY_CROSSBAR=str(program))
        run.must_have(errors=3)
        assert run.output.count("    it does not work on purpose") >= 3
        assert (project.folder / "starts").read_text() == "start\n"


# Other people's projects.

UNRELATED = """
    import logging
    import sys

    def test_unrelated():
        loaded = {name for name in sys.modules if name.partition(".")[0] in (
            "crossbar", "eventlet", "greenlet", "simplejson", "six", "wampy", "websockets"
        )}
        assert loaded == {
            "wampy",
            "wampy.testing",
            "wampy.testing._short_names",
            "wampy.testing._waiting",
            "wampy.testing.pytest_plugin",
        }
        ours = logging.getLogger("wampy")
        assert [type(handler) for handler in ours.handlers] == [logging.NullHandler]
        assert (ours.level, ours.propagate) == (logging.NOTSET, True)
        assert logging.getLogger().level == logging.WARNING
"""


def test_an_unrelated_project_gets_nothing_but_the_plugin(project):
    project.write("test_unrelated.py", UNRELATED)
    run = project.run(*OURS)
    run.must_have(passed=1)
    assert "warning" not in run.output


def test_no_options_and_no_settings(project):
    def helps(*arguments):
        return project.run(*arguments, "--help").output

    assert helps(*OURS) == helps()


def test_importing_it_takes_no_time(project):
    """The limit is generous, for slow machines; it takes 2 ms here."""
    program = """
import pytest, time
begun = time.perf_counter()
import wampy.testing.pytest_plugin, wampy.testing._short_names
print(time.perf_counter() - begun)
"""
    command = [sys.executable, "-c", program]
    times = [
        float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout) for _ in range(3)
    ]
    assert min(times) < 0.05


def requirements_of(name, found):
    """Collect a distribution and what it requires here, all the way down."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return found  # not needed on this Python
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key not in found:
        found[key] = distribution
        for line in distribution.requires or ():
            if "extra ==" not in line:
                requirements_of(re.match(r"[\w.-]+", line)[0], found)
    return found


def link_into(place, distribution):
    """Make what a distribution has at its top importable from another place, with its metadata."""
    for top in {file.parts[0] for file in distribution.files}:
        if top not in ("..", "__pycache__") and not (place / top).exists():
            (place / top).symlink_to(distribution.locate_file(top))


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory, green):
    """Make a virtual environment with wampy, its backend, pytest, what they need, and nothing else.

    The packages are linked from the environment that runs the tests, so that no network is needed.
    """
    folder = tmp_path_factory.mktemp("fresh") / "environment"
    venv.create(folder, symlinks=True)
    (place,) = folder.glob("lib/python*/site-packages")
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    found = requirements_of(green.backend.name, requirements_of("pytest", {}))
    for line in setup["options"]["install_requires"].split():
        requirements_of(re.match(r"[\w.-]+", line)[0], found)
    for distribution in found.values():
        link_into(place, distribution)
    (place / "wampy").symlink_to(ROOT / "wampy")
    write_dist_info(place, "wampy", setup["options.entry_points"]["pytest11"].strip())
    return str(folder / "bin" / "python")


class TestAnEnvironmentWithWampyAndPytestAlone:
    @pytest.fixture(autouse=True)
    def only_what_is_installed(self, project):
        project.autoload = True
        project.paths = []

    def test_an_unrelated_suite_runs(self, project, fresh_python):
        project.write("test_unrelated.py", UNRELATED)
        begun = time.monotonic()
        run = project.run("-p", "no:cacheprovider", python=fresh_python, **WITHOUT_CROSSBAR)
        run.must_have(passed=1)
        assert "warning" not in run.output
        with_wampy = time.monotonic() - begun
        begun = time.monotonic()
        project.write("test_unrelated.py", "def test_it(): pass")
        project.run("-p", "no:wampy", python=fresh_python).must_have(passed=1)
        # Twice as long and a second would be a scandal; it is some hundredths of one.
        assert with_wampy < 2 * (time.monotonic() - begun) + 1

    def test_a_suite_that_uses_the_fixtures(self, project, fresh_python):
        project.write(
            "test_related.py",
            """
            import importlib.util

            def test_environment():
                assert importlib.util.find_spec("crossbar") is None

            def test_it(client, router):
                assert client.url == router.url
            """,
        )
        project.run(python=fresh_python).must_have(passed=2)

    def test_a_suite_that_uses_the_fixtures_without_crossbar(self, project, fresh_python):
        project.write("test_related.py", "def test_it(router): pass")
        run = project.run(python=fresh_python, **WITHOUT_CROSSBAR)
        run.must_have(error=1)
        assert "pip install 'wampy[testing]'" in run.output
