"""Foreign peers as child processes."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("foreign.py")


def pack(value):
    if isinstance(value, bytes):
        return {"__binary__": value.hex()}
    if isinstance(value, dict):
        return {key: pack(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(each) for each in value]
    return value


def unpack(value):
    if isinstance(value, dict):
        if value.keys() == {"__binary__"}:
            return bytes.fromhex(value["__binary__"])
        return {key: unpack(each) for key, each in value.items()}
    if isinstance(value, list):
        return [unpack(each) for each in value]
    return value


class Foreigner:
    """The foreign process; its answers are read in an OS thread, so that our green threads run meanwhile."""

    def __init__(self, url, serializer, green):
        self._green = green
        self._answers = {}
        self._number = 0
        self.session_id = None
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", SCRIPT, url, serializer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait_until(lambda: self.session_id)

    def _wait_until(self, condition):
        self._green.wait_until(lambda: condition() or not self._reader.is_alive(), 20, "a word of autobahn")
        if not condition():
            pytest.fail(f"autobahn has ended: {self.close()}")

    def _read(self):
        for line in self._process.stdout:
            answer = unpack(json.loads(line))
            if "joined" in answer:
                self.session_id = answer["joined"]
            else:
                self._answers[answer.pop("id")] = answer

    def order(self, do, **what):
        """Give an order; return its number for `answer`."""
        self._number += 1
        self._process.stdin.write(json.dumps(pack({"id": self._number, "do": do, **what})) + "\n")
        self._process.stdin.flush()
        return self._number

    def answer(self, number):
        self._wait_until(lambda: number in self._answers)
        return self._answers.pop(number)

    def ask(self, do, **what):
        return self.answer(self.order(do, **what))

    def call(self, procedure, *args, **kwargs):
        return self.ask("call", procedure=procedure, args=args, kwargs=kwargs)

    def publish(self, topic, *args, **kwargs):
        return self.ask("publish", topic=topic, args=args, kwargs=kwargs)

    def close(self):
        """End the process; return what it has logged."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        self._log.seek(0)
        with self._log:
            return self._log.read()


@pytest.fixture(scope="module")
def foreign_url(wampy_routers):
    """Where the foreigner joins."""
    return wampy_routers.get().url


@pytest.fixture(scope="module", params=["json", "msgpack", "cbor"])
def foreigner_of_module(request, foreign_url, green):
    pytest.importorskip("autobahn", reason="autobahn-python is not installed")
    foreigner = Foreigner(foreign_url, request.param, green)
    yield foreigner
    foreigner.close()


@pytest.fixture
def foreigner(foreigner_of_module):
    """autobahn-python, joined to the shared router under one serializer after the other."""
    foreigner_of_module.ask("heard")
    return foreigner_of_module
