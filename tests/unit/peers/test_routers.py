"""Everything about `Crossbar` that needs no Crossbar: where it is, what it would run, and clear errors."""

import json
import os
import socket
import stat
import sys

import pytest

from wampy.errors import WampyError
from wampy.peers._configuration import Configuration, is_taken
from wampy.peers.routers import Crossbar, find_crossbar


def make_executable(path, text="#!/bin/sh\nexit 0\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An environment without any Crossbar: an empty PATH, and a Python with nothing beside it."""
    monkeypatch.delenv("WAMPY_CROSSBAR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "environment" / "python"))
    return tmp_path


def write_config(folder, *transports, realms=({"name": "realm1"},), **worker):
    path = folder / "config.json"
    content = {"type": "router", "realms": list(realms), "transports": list(transports), **worker}
    path.write_text(json.dumps({"version": 2, "workers": [content]}))
    return path


def tcp(port, **more):
    return {"type": "tcp", "port": port, **more}


class TestFindCrossbar:
    def test_named_by_the_environment(self, places, monkeypatch):
        named = make_executable(places / "elsewhere" / "my-crossbar")
        make_executable(places / "environment" / "crossbar")
        make_executable(places / "path" / "crossbar")
        monkeypatch.setenv("WAMPY_CROSSBAR", str(named))
        assert find_crossbar() == str(named)

    def test_named_by_the_environment_and_found_on_path(self, places, monkeypatch):
        found = make_executable(places / "path" / "crossbar-26")
        monkeypatch.setenv("WAMPY_CROSSBAR", "crossbar-26")
        assert find_crossbar() == str(found)

    def test_beside_the_running_python(self, places):
        beside = make_executable(places / "environment" / "crossbar")
        make_executable(places / "path" / "crossbar")
        assert find_crossbar() == str(beside)

    def test_on_path(self, places):
        on_path = make_executable(places / "path" / "crossbar")
        assert find_crossbar() == str(on_path)

    def test_missing(self, places):
        with pytest.raises(WampyError) as caught:
            find_crossbar()
        assert "pip install 'wampy[testing]'" in str(caught.value)
        assert "WAMPY_CROSSBAR" in str(caught.value)

    def test_named_by_the_environment_but_missing(self, places, monkeypatch):
        make_executable(places / "path" / "crossbar")
        monkeypatch.setenv("WAMPY_CROSSBAR", "/nowhere/crossbar")
        with pytest.raises(WampyError, match=r"WAMPY_CROSSBAR is set to '/nowhere/crossbar'"):
            find_crossbar()

    def test_starting_without_one(self, places):
        with pytest.raises(WampyError, match=r"wampy\[testing\]"):
            Crossbar().start()


class TestUrl:
    @pytest.mark.parametrize(
        ("transport", "url"),
        [
            ({"type": "websocket", "endpoint": tcp(8080)}, "ws://localhost:8080/"),
            (
                {"type": "websocket", "endpoint": tcp(8080, interface="127.0.0.1")},
                "ws://127.0.0.1:8080/",
            ),
            ({"type": "websocket", "endpoint": tcp(8080, interface="0.0.0.0")}, "ws://localhost:8080/"),
            ({"type": "websocket", "endpoint": tcp(8080, interface="::1")}, "ws://[::1]:8080/"),
            (
                {"type": "websocket", "endpoint": tcp(8443, interface="127.0.0.1", tls={})},
                "wss://localhost:8443/",
            ),
            (
                {
                    "type": "web",
                    "endpoint": tcp(8080),
                    "paths": {"/": {"type": "static"}, "ws": {"type": "websocket"}},
                },
                "ws://localhost:8080/ws",
            ),
            (
                {"type": "web", "endpoint": tcp(8080), "paths": {"/": {"type": "websocket"}}},
                "ws://localhost:8080/",
            ),
            (
                {"type": "universal", "endpoint": tcp(8080), "rawsocket": {}, "websocket": {"ws": {}}},
                "ws://localhost:8080/ws",
            ),
            (
                {
                    "type": "universal",
                    "endpoint": tcp(8080),
                    "web": {"paths": {"a": {"type": "json"}, "b": {"type": "websocket"}}},
                },
                "ws://localhost:8080/b",
            ),
        ],
    )
    def test_derived_from_the_configuration(self, tmp_path, transport, url):
        router = Crossbar(config_path=write_config(tmp_path, transport))
        assert router.url == url
        assert router.port == transport["endpoint"]["port"]

    def test_of_the_first_transport_that_speaks_websocket(self, tmp_path):
        path = write_config(
            tmp_path,
            {"type": "rawsocket", "endpoint": tcp(9000)},
            {"type": "web", "endpoint": tcp(9001), "paths": {"/": {"type": "nodeinfo"}}},
            {"type": "websocket", "endpoint": tcp(9002)},
            {"type": "websocket", "endpoint": tcp(9003)},
        )
        assert Crossbar(config_path=path).url == "ws://localhost:9002/"

    def test_of_a_worker_that_names_its_transports(self, tmp_path):
        path = write_config(tmp_path, transports={"one": {"type": "websocket", "endpoint": tcp(9002)}})
        assert Crossbar(config_path=path).url == "ws://localhost:9002/"

    def test_given(self, tmp_path):
        path = write_config(tmp_path, {"type": "websocket", "endpoint": tcp(8080)})
        assert Crossbar("ws://router.example:9/x", path).url == "ws://router.example:9/x"

    @pytest.mark.parametrize(
        ("url", "port"), [("rs://localhost:9001", 9001), ("rss://[::1]:9002", 9002), ("wss://localhost/", 443)]
    )
    def test_the_port_of_any_scheme(self, url, port):
        assert Crossbar(url).port == port

    @pytest.mark.parametrize("scheme", ["ws+unix", "rs+unix"])
    def test_a_unix_socket_has_no_port(self, scheme):
        with pytest.raises(WampyError, match=r"\+unix:///run/router\.sock is the URL of a Unix socket, which"):
            _ = Crossbar(f"{scheme}:///run/router.sock").port

    @pytest.mark.parametrize(
        "transport",
        [
            {"type": "rawsocket", "endpoint": tcp(8080)},
            {"type": "websocket", "endpoint": {"type": "unix", "path": "socket"}},
            {"type": "websocket", "endpoint": tcp("$PORT")},
            {"type": "websocket"},
            {"type": "universal", "websocket": [], "web": 1, "endpoint": tcp(8080)},
        ],
    )
    def test_that_cannot_be_derived(self, tmp_path, transport):
        router = Crossbar(config_path=write_config(tmp_path, transport))
        with pytest.raises(WampyError, match=r"config\.json has no WebSocket transport .* give url="):
            _ = router.url

    def test_of_a_free_port_before_the_start(self):
        with pytest.raises(WampyError, match=r"after start\(\)"):
            _ = Crossbar().url


class TestConfiguration:
    def test_realm(self, tmp_path):
        path = write_config(tmp_path, realms=[{"name": "com.example"}, {"name": "other"}])
        assert Crossbar(config_path=path).realm == "com.example"
        assert Crossbar().realm == "realm1"

    def test_a_constructor_reads_nothing(self):
        router = Crossbar(config_path="/nowhere/config.json")
        assert router.pid is None
        assert router.log == ""
        assert repr(router) == "<Crossbar /nowhere/config.json, not running>"

    def test_a_relative_path_is_of_the_moment(self, tmp_path, monkeypatch):
        write_config(tmp_path, realms=[{"name": "com.example"}])
        monkeypatch.chdir(tmp_path)
        router = Crossbar(config_path="config.json")
        monkeypatch.chdir("/")
        assert router.realm == "com.example"
        assert router.crossbar_directory == tmp_path

    def test_missing(self):
        with pytest.raises(WampyError, match=r"/nowhere/config\.json cannot be read: No such file"):
            _ = Crossbar(config_path="/nowhere/config.json").realm

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("{]", r"is no JSON: .*line 1 column 2"),
            ("[]", r"is no JSON object with a list of 'workers'"),
            ('{"workers": {}}', r"is no JSON object with a list of 'workers'"),
        ],
    )
    def test_wrong(self, tmp_path, text, what):
        path = tmp_path / "config.json"
        path.write_text(text)
        with pytest.raises(WampyError, match=what):
            _ = Crossbar(config_path=path).realm

    def test_yaml_is_told_the_way(self, tmp_path):
        path = tmp_path / "config.yaml"
        path.write_text("version: 2\n")
        with pytest.raises(WampyError, match=r"reads JSON only, which `crossbar convert"):
            _ = Crossbar(config_path=path).realm

    @pytest.mark.parametrize("content", [{}, {"workers": []}, {"workers": [1, {"realms": 2}]}])
    def test_strange_ones_are_for_crossbar_to_judge(self, tmp_path, content):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(content))
        assert Crossbar(config_path=path).realm == "realm1"


WEBSOCKET = {"type": "websocket"}
RAWSOCKET = {"type": "rawsocket"}
SECURE_WEBSOCKET = WEBSOCKET | {"endpoint": tcp(0, tls={})}
SECURE_RAWSOCKET = RAWSOCKET | {"endpoint": tcp(0, tls={})}
UNIVERSAL = {"type": "universal", "rawsocket": {}, "websocket": {"ws": {}}}
WEB = {"type": "universal", "web": {"paths": {"ws": {"type": "websocket"}}}}


class TestPorts:
    """A port of 0 gets the URL's, or a free one."""

    def fill(self, tmp_path, url, *transports):
        configuration = Configuration(write_config(tmp_path, *transports))
        looked = configuration.fill_ports(url)
        assert not configuration.needs_port
        (worker,) = configuration.content["workers"]
        return looked, [transport["endpoint"].get("port") for transport in worker["transports"]]

    @pytest.mark.parametrize("url", [None, "rs+unix:///run/router.sock", "ws+unix:///run/router.sock:/ws"])
    def test_without_a_port_in_the_url_all_are_free_ones(self, tmp_path, url):
        unix = RAWSOCKET | {"endpoint": {"type": "unix", "path": "/run/router.sock"}}
        transports = [WEBSOCKET | {"endpoint": tcp(0)}, unix, RAWSOCKET | {"endpoint": tcp(0)}]
        looked, (one, two, three) = self.fill(tmp_path, url, *transports)
        assert looked
        assert two is None
        assert one != three
        assert all(not is_taken(("127.0.0.1", port)) for port in (one, three))

    @pytest.mark.parametrize(
        ("url", "transports", "which"),
        [
            ("ws://localhost:9/", [WEBSOCKET, RAWSOCKET], 0),
            ("rs://localhost:9", [WEBSOCKET, RAWSOCKET], 1),
            ("rs://localhost:9", [WEBSOCKET, UNIVERSAL], 1),
            ("rs://localhost:9", [WEB, RAWSOCKET], 1),
            ("ws://localhost:9/", [RAWSOCKET, WEB], 1),
            ("rss://localhost:9", [RAWSOCKET, SECURE_RAWSOCKET], 1),
            ("rs://localhost:9", [SECURE_RAWSOCKET, RAWSOCKET], 1),
            ("rss://localhost:9", [SECURE_WEBSOCKET, RAWSOCKET], 1),
            ("rs://localhost:9", [WEBSOCKET, WEBSOCKET], 0),
        ],
    )
    def test_the_url_s_port_goes_to_the_transport_that_speaks_what_it_says(self, tmp_path, url, transports, which):
        looked, ports = self.fill(tmp_path, url, *({"endpoint": tcp(0)} | transport for transport in transports))
        assert looked
        assert ports[which] == 9
        assert ports.count(9) == 1

    def test_a_port_that_a_transport_has_already_is_given_to_no_other(self, tmp_path):
        transports = [RAWSOCKET | {"endpoint": tcp(0)}, RAWSOCKET | {"endpoint": tcp(9)}]
        looked, ports = self.fill(tmp_path, "rs://localhost:9", *transports)
        assert looked
        assert ports[0] not in (0, 9)
        assert ports[1] == 9

    def test_no_free_port_is_looked_for_without_need(self, tmp_path):
        assert self.fill(tmp_path, "rs://localhost:9", RAWSOCKET | {"endpoint": tcp(0)}) == (False, [9])
        assert self.fill(tmp_path, None, RAWSOCKET | {"endpoint": tcp(8)}) == (False, [8])

    def test_places(self, tmp_path, monkeypatch):
        monkeypatch.setenv("WHERE", "deep")
        path = write_config(
            tmp_path,
            WEBSOCKET | {"endpoint": tcp(8080)},
            WEBSOCKET | {"endpoint": tcp(8081, interface="::")},
            RAWSOCKET | {"endpoint": tcp(8443, interface="127.0.0.1", tls={})},
            RAWSOCKET | {"endpoint": {"type": "unix", "path": "$WHERE/router.sock"}},
            RAWSOCKET | {"endpoint": {"type": "unix", "path": "/run/router.sock"}},
            # What says nothing of where.
            RAWSOCKET | {"endpoint": {"type": "unix", "path": 1}},
            RAWSOCKET | {"endpoint": tcp(0)},
            RAWSOCKET | {"endpoint": tcp("$PORT")},
            RAWSOCKET | {"endpoint": tcp(True)},
            RAWSOCKET,
        )
        assert Configuration(path).places(tmp_path) == [
            ("localhost", 8080),
            ("localhost", 8081),
            ("127.0.0.1", 8443),
            str(tmp_path / "deep" / "router.sock"),
            "/run/router.sock",
        ]


class TestIsTaken:
    def test_a_port(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            place = server.getsockname()
            assert is_taken(place)
        assert not is_taken(place)

    def test_a_unix_socket(self, tmp_path):
        place = str(tmp_path / "s")
        assert not is_taken(place)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place)
            assert not is_taken(place)
            server.listen()
            assert is_taken(place)
        assert not is_taken(place)  # the file is still there

    def test_a_unix_socket_at_which_nobody_more_may_wait(self, tmp_path):
        place = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
            server.bind(place)
            server.listen(0)
            waiting.connect(place)
            assert is_taken(place)


class TestStart:
    """With an executable that is no Crossbar at all."""

    @pytest.fixture(autouse=True)
    def temporary_folders(self, tmp_path, monkeypatch):
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        yield
        assert list(folder.iterdir()) == [], "left behind"

    def use(self, monkeypatch, path, text):
        monkeypatch.setenv("WAMPY_CROSSBAR", str(make_executable(path / "fake", text)))

    def test_a_port_that_is_taken(self, tmp_path, monkeypatch):
        self.use(monkeypatch, tmp_path, "#!/bin/sh\nexit 0\n")
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            path = write_config(tmp_path, {"type": "websocket", "endpoint": tcp(port)})
            with pytest.raises(WampyError, match=f"somebody listens at port {port} of localhost already"):
                Crossbar(config_path=path).start()

    def test_a_port_that_is_taken_and_is_not_the_url_s(self, tmp_path, monkeypatch):
        self.use(monkeypatch, tmp_path, "#!/bin/sh\nexit 0\n")
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            endpoint = tcp(port, interface="127.0.0.1")
            path = write_config(tmp_path, WEBSOCKET | {"endpoint": tcp(0)}, RAWSOCKET | {"endpoint": endpoint})
            with pytest.raises(WampyError, match=rf"somebody listens at port {port} of 127\.0\.0\.1 already"):
                Crossbar(config_path=path).start()

    def test_a_unix_socket_that_is_taken_stays_its_owner_s(self, tmp_path, monkeypatch):
        self.use(monkeypatch, tmp_path, "#!/bin/sh\nexit 0\n")
        path = write_config(tmp_path, RAWSOCKET | {"endpoint": {"type": "unix", "path": "s"}})
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "s"))
            server.listen()
            with pytest.raises(WampyError, match=f"somebody listens at {tmp_path}/s already"):
                Crossbar(f"rs+unix://{tmp_path}/s", path).start()

    def test_one_that_ends_at_once_shows_its_log(self, tmp_path, monkeypatch):
        self.use(
            monkeypatch, tmp_path, "#!/bin/sh\nseq 1000 1099\necho it is broken >&2\necho $@\nexit 3\n"
        )
        router = Crossbar()
        with pytest.raises(WampyError) as caught:
            router.start()
        text = str(caught.value)
        assert "it ended with exit code 3" in text
        assert "it is broken" in text
        assert "start --cbdir" in text
        assert "1099" in text
        assert "1050" not in text
        assert router.pid is None

    def test_one_that_cannot_be_executed(self, tmp_path, monkeypatch):
        self.use(monkeypatch, tmp_path, "#!/nowhere/python\n")
        with pytest.raises(WampyError, match=r"cannot be run: .*No such file"):
            Crossbar().start()

    def test_one_that_never_gets_ready(self, tmp_path, monkeypatch):
        note = tmp_path / "pid"
        self.use(monkeypatch, tmp_path, f"#!/bin/sh\necho $$ > {note}\necho waiting\nsleep 60\n")
        router = Crossbar(start_timeout=0.5)
        with pytest.raises(WampyError, match=r"(?s)after 0\.5 seconds no session can be joined.*waiting"):
            router.start()
        with pytest.raises(ProcessLookupError):
            os.killpg(int(note.read_text()), 0)

    def test_one_that_loses_its_port_is_tried_again_on_another(self, tmp_path, monkeypatch):
        note = tmp_path / "ports"
        text = f"#!/bin/sh\ngrep -o '\"port\": [0-9]*' $5 >> {note}\necho cannot_listen\nexit 1\n"
        self.use(monkeypatch, tmp_path, text)
        with pytest.raises(WampyError, match="cannot_listen"):
            Crossbar().start()
        assert len(set(note.read_text().split("\n")) - {""}) == 3

    def test_one_that_loses_a_port_is_tried_again_when_the_url_has_none(self, tmp_path, monkeypatch):
        note = tmp_path / "ports"
        text = f"#!/bin/sh\ngrep -o '\"port\": [0-9]*' $5 >> {note}\necho cannot_listen\nexit 1\n"
        self.use(monkeypatch, tmp_path, text)
        path = write_config(tmp_path, WEBSOCKET | {"endpoint": tcp(0)})
        with pytest.raises(WampyError, match="cannot_listen"):
            Crossbar("rs+unix:///run/router.sock", path).start()
        assert len(set(note.read_text().split("\n")) - {""}) == 3

    def test_a_node_folder_that_does_not_exist(self, tmp_path, monkeypatch):
        self.use(monkeypatch, tmp_path, "#!/bin/sh\nexit 0\n")
        with pytest.raises(WampyError, match="node folder /nowhere does not exist"):
            Crossbar(crossbar_directory="/nowhere").start()

    def test_filters_for_warnings_stay_here(self, tmp_path, monkeypatch):
        self.use(monkeypatch, tmp_path, '#!/bin/sh\necho "[$PYTHONWARNINGS]"\n')
        monkeypatch.setenv("PYTHONWARNINGS", "error")
        with pytest.raises(WampyError, match=r"\[\]"):
            Crossbar().start()


def test_stop_before_start_does_nothing():
    router = Crossbar()
    router.stop()
    router.kill()
    router.stop()


@pytest.mark.parametrize("url", ["wss://localhost:9/", "rss://localhost:9", "rs+unix:///tmp/x.sock", "ws+unix:///tmp/x.sock"])
def test_a_url_at_which_the_packaged_configuration_does_not_listen_is_refused_at_once(url):
    router = Crossbar(url=url)
    with pytest.raises(WampyError, match="listens on TCP without TLS; give config_path="):
        router.start()
    assert router.pid is None
