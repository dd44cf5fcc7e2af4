"""What a process costs before it does anything: programs of a few lines, run from outside."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.work import Job, WrongError

IMPORTS: Final = {"wampy": "import wampy", "autobahn": "import autobahn.asyncio.wamp"}

# What was used up to here goes to standard output, then they end as they are: the rest is not asked for.
_TELL: Final = """
    import os, resource
    usage = resource.getrusage(resource.RUSAGE_SELF)
    os.write(1, b"answer %s %f" % (repr(answer).encode(), usage.ru_utime + usage.ru_stime))
    os._exit(0)
"""

_PROGRAMS: Final = {
    "wampy": """
from wampy import Client

with Client(url=URL, serializers=(SERIALIZER,)) as client:
    answer = client.call(PROCEDURE, 7)
"""
    + _TELL,
    "autobahn": """
from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.serializer import JsonSerializer, MsgPackSerializer

class Session(ApplicationSession):
    async def onJoin(self, details):
        answer = await self.call(PROCEDURE, 7)
"""
    + _TELL.replace("\n    ", "\n        ")
    + """
serializer = {"json": JsonSerializer, "msgpack": MsgPackSerializer}[SERIALIZER]()
ApplicationRunner(URL, "realm1", serializers=[serializer]).run(Session, log_level="warn")
""",
    "sockets": """
from benchmarks.peers.sockets_ import call
from benchmarks.wire import Wire

if True:
    answer = call(Wire(URL, SERIALIZER), PROCEDURE, 7)
"""
    + _TELL,
}


def run_program(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float, str]:
    """Run a program to its end.

    Returns:
        The seconds of processor time that it used, its seconds from start to end, and its output.

    Raises:
        WrongError: It failed.
    """
    begun = time.monotonic()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**os.environ, **environment}
    )
    assert process.stdout is not None
    with process.stdout as stdout:
        output = stdout.read().decode()
    # By hand, because nobody else says what this one child has used.
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise WrongError(f"{command} has ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, wall, output


def measure_import(job: Job, python: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Measure ``import`` of a library, less what the interpreter takes without."""
    bare, bare_wall, _ = run_program([*python, "-c", "pass"], environment)
    cpu, wall, _ = run_program([*python, "-c", IMPORTS[job.library]], environment)
    return {"cpu": cpu - bare, "wall": wall - bare_wall}


def measure_first_answer(job: Job, python: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Measure a whole process up to the answer to its first call."""
    names = {"URL": job.url, "SERIALIZER": job.serializer, "PROCEDURE": job.uri("echo")}
    program = "".join(f"{name} = {value!r}\n" for name, value in names.items()) + _PROGRAMS[job.library]
    _, wall, output = run_program([*python, "-c", program], environment)
    found = output.rpartition("answer ")[2].split()
    if len(found) != 2 or found[0] != "7":
        raise WrongError(f"the first answer of {job.peer} is {output!r}")
    return {"cpu": float(found[1]), "wall": wall}
