"""No input of one mebibyte takes more than a second, or absurdly much memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Seconds of processor time for what comes in as one mebibyte: reading, parsing, and showing the message.
LONGEST = 1.0

#: Bytes of memory for the same; what Python makes of a mebibyte of empty lists is 90 MB.
MOST = 300 << 20

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def measure(serializer_name):
    """Run every case in a process of its own; give the figures by case, and why it ended too early, if it did."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, str(HERE / "measure_worst_cases.py"), serializer_name],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    figures = {case: rest for case, *rest in lines if rest}
    if done.returncode == 0:
        return figures, None
    begun = lines[-1][0] if lines else "the start"
    return figures, f"{begun!r} ended with {done.returncode} (-24: gave up after seconds)\n{done.stderr[-2000:]}"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc to tell how much memory it took")
def test_no_mebibyte_takes_long_or_much_memory(serializer_name):
    figures, died = measure(serializer_name)
    bad = [
        f"{case!r}: {took:.2f} s, {memory >> 20} MiB: {outcome}"
        for case, (took, memory, outcome) in figures.items()
        if took > LONGEST or memory > MOST or outcome.startswith("UNDOCUMENTED")
    ]
    if died:
        bad.append(died)
    again = f"python tests/fuzz/measure_worst_cases.py {serializer_name} 'the case'"
    assert not bad, "\n".join(["", *bad, f"again: {again}"])
    assert figures
