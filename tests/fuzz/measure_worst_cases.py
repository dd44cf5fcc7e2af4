"""Measure what the payloads of `worst_cases.py` cost: ``python measure_worst_cases.py cbor "a bignum"``.

A process of its own, because what hangs, crashes or takes all memory shall not take the test run with it.
"""

import gc
import json
import resource
import sys
import time
from pathlib import Path

#: Bytes of address space that a case may ask for, beyond what the process has, whether it uses them or not.
SPACE = 1 << 30

#: Seconds of processor time after which a case is given up.
GIVEN_UP = 6


def _status(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) << 10
    raise KeyError(key)


def measure(serializer, payload, consume):
    """Consume a payload and say what it cost.

    Returns:
        Seconds of processor time, bytes of memory at the worst moment, and what came of it.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + SPACE, -1))
    started = time.process_time()
    try:
        found = consume(serializer, payload)
        took = time.process_time() - started
        outcome = str(found[-1]) if isinstance(found[-1], Exception) else repr(found[-1])
    except BaseException as error:
        took = time.process_time() - started
        return took, _status("VmHWM") - before, f"UNDOCUMENTED {type(error).__name__}: {error}"[:200]
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    return took, _status("VmHWM") - before, outcome[:200]


def main(name, *cases):
    """Measure the cases of a serializer, and print a line of JSON for each; the last line of a crash is its name."""
    sys.path.insert(0, str(Path(__file__).parent))
    from payloads import consume
    from worst_cases import CASES, MIB

    from wampy.serializers import get_serializer

    serializer = get_serializer(name)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for case, make in CASES[name].items():
        if cases and case not in cases:
            continue
        print(json.dumps([case]), flush=True)
        payload = make()
        assert len(payload) <= MIB, case
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + GIVEN_UP, -1))
        print(json.dumps([case, *measure(serializer, payload, consume)]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
