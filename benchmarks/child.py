"""A process under test: do one job, and tell what was measured in one line on standard output.

    python -m benchmarks.child JOB

where JOB is a `Job` in JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys

from benchmarks.meter import Meter
from benchmarks.work import Job


def allow_many_descriptors() -> None:
    """Allow as many descriptors as the system lets us have; there are rows with a thousand sessions."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Do the job."""
    # Libraries print; that is not for whoever reads our figures.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    allow_many_descriptors()
    job = Job(**json.loads(sys.argv[1]))
    peer = importlib.import_module(f"benchmarks.peers.{job.library}_")
    meter = Meter(job.operations)
    peer.measure(job, meter)
    print(json.dumps(meter.figures), file=answers, flush=True)
    # How a library ends is not what is measured; the router sees to the rest.
    os._exit(0)


if __name__ == "__main__":
    main()
