"""The benchmarks run, with next to nothing to do: their figures mean nothing here, but that they are there does."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Without autobahn, as where wampy and Crossbar share an environment, the others are still measured.
HAS_AUTOBAHN = importlib.util.find_spec("autobahn") is not None
PEERS = ["wampy", "autobahn", "sockets"] if HAS_AUTOBAHN else ["wampy", "sockets"]

EVERYWHERE = {"seq", "conc", "green", "big", "event", "invocation", "publish"}
ONCE = {"session", "import", "first_answer", "idle"}
SCALING = {"scaling_pending", "scaling_registrations", "scaling_clients"}


@pytest.fixture
def measure(tmp_path):
    """Measure a part, and give the figures by row, transport, serializer and peer, and what was printed."""

    def measure(**options):
        path = tmp_path / "results.json"
        options = {"rounds": 1, "scale": 0.002, "peers": ",".join(PEERS), "output": path} | options
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        finished = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "benchmarks", *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "WAMPY_ASYNC_NAME"},
            timeout=300,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        found = {}
        for row in json.loads(path.read_text())["rows"]:
            key = row["row"], row["transport"], row["serializer"], row["peer"]
            found.setdefault(key, []).append(row["figures"])
        return found, finished.stdout

    return measure


def test_every_row_is_measured(measure):
    found, printed = measure(transports="websocket", serializers="json")
    assert {row for row, *_ in found} == EVERYWHERE | ONCE | SCALING
    for (row, *_, peer), levels in found.items():
        for figures in levels:
            assert {"cpu", "wall"} <= set(figures), (row, peer)
            # Whoever does next to nothing for a moment may have been measured at nothing.
            assert row in ("idle", "import") or figures["cpu"][0] > 0, (row, peer)
            assert ("median" in figures) == (row not in {"publish", *ONCE}), (row, peer)
    assert ("session", "websocket", "json", "wampy") in found
    for peer in PEERS:
        assert found["idle", "websocket", "json", peer][0]["wakeups"][0] > 0
    for row in (*EVERYWHERE, "session_cpu", "session_kib", "idle_wakeups"):
        assert f"\n{row} " in printed
    if HAS_AUTOBAHN:
        assert "wampy : autobahn" in printed


@pytest.mark.parametrize(("transport", "serializer"), [("rawsocket", "msgpack"), ("websocket", "msgpack")])
def test_the_other_ways_are_measured(measure, transport, serializer):
    found, _ = measure(transports=transport, serializers=serializer, rows="seq,event")
    assert set(found) == {(row, transport, serializer, peer) for row in ("seq", "event") for peer in PEERS}


def test_another_source_tree_can_be_measured(measure, tmp_path):
    (tmp_path / "wampy").mkdir()
    (tmp_path / "wampy" / "__init__.py").write_text("raise SystemExit('this is the other tree')\n")
    with pytest.raises(AssertionError, match="this is the other tree"):
        measure(rows="seq", transports="websocket", serializers="json", peers=f"wampy@{tmp_path}")


def test_a_folder_without_wampy_is_refused(measure, tmp_path):
    with pytest.raises(AssertionError, match="has no wampy"):
        measure(rows="seq", transports="websocket", serializers="json", peers=f"wampy@{tmp_path}")


@pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="there is no numpy to be hidden")
def test_autobahn_does_not_find_the_numpy_of_the_plot(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.run import _HIDE_NUMPY

    (tmp_path / "sitecustomize.py").write_text(_HIDE_NUMPY)
    program = "import importlib.machinery as m; print([m.PathFinder.find_spec(n) is None for n in ('numpy', 'wampy')])"
    for extra, hidden in (({}, "[False, False]"), ({"PYTHONPATH": str(tmp_path)}, "[True, False]")):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **extra}
        )
        assert done.stdout.strip() == hidden, done.stderr


def test_the_page_is_made_of_the_results(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.docs import FOLDER, tables
    from benchmarks.results import LATEST, Results

    assert (FOLDER / "results.inc").read_text() == tables(Results.read(LATEST)), "run `make bench-docs`"
    assert (FOLDER / "results.svg").stat().st_size > 1000


def test_what_comes_in_pieces_is_put_together(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.wire import RawSocket, WebSocket

    sizes = (0, 125, 126, 65_535, 65_536)
    payloads = [bytes([65 + place]) * size for place, size in enumerate(sizes)]
    raw = RawSocket.__new__(RawSocket)
    stream = b"".join(map(raw.frame, payloads))
    assert raw.split(stream) == (payloads, len(stream))
    assert raw.split(stream[:-1]) == (payloads[:-1], len(stream) - len(raw.frame(payloads[-1])))
    web = WebSocket.__new__(WebSocket)
    web._first = 0x81
    heads = [
        b"\x81\x00",
        b"\x81\x7d",
        b"\x81\x7e\x00\x7e",
        b"\x81\x7e\xff\xff",
        b"\x81\x7f" + (1 << 16).to_bytes(8, "big"),
    ]
    frames = [head + payload for head, payload in zip(heads, payloads, strict=True)]
    stream = b"".join(frames)
    assert web.split(stream) == (payloads, len(stream))
    assert web.split(stream[:-1]) == (payloads[:-1], len(stream) - len(frames[-1]))
    ends = [sum(map(len, frames[:place])) for place in range(len(frames))]
    for end in (*(end + 1 for end in ends), *(end + 2 for end in ends[1:])):
        whole = sum(end >= each + len(frame) for each, frame in zip(ends, frames, strict=True))
        assert len(web.split(stream[:end])[0]) == whole
