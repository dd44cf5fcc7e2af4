"""``make soak``, or ``PYTHONPATH=tests python -m soak``: load, with faults, for minutes or hours.

It ends with 0 if everything held, with 1 if not, and the report says what.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import time
from pathlib import Path

from soak.orchestrator import Run
from soak.report import plot, write

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run, report, and return the exit code."""
    parser = argparse.ArgumentParser(prog="soak", description="Load wampy with random faults, and account for it all.")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long (180)")
    parser.add_argument("--seed", type=int, help="repeat the faults of another run")
    parser.add_argument("--each", type=int, default=2, help="processes for each role (2)")
    parser.add_argument("--folder", type=Path, help="where to report (build/soak-TIME)")
    parser.add_argument("--keep", action="store_true", help="keep the journals even if everything held")
    parser.add_argument("--no-plot", action="store_true", help="do without matplotlib")
    options = parser.parse_args()
    if not options.no_plot and importlib.util.find_spec("matplotlib") is None:
        parser.error("the plot needs matplotlib: pip install -e '.[soak]', or use --no-plot")
    seed = random.randrange(2**32) if options.seed is None else options.seed
    folder = options.folder or ROOT / "build" / time.strftime("soak-%Y%m%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}, {options.seconds:g} seconds, in {folder}", flush=True)
    run = Run(options.seconds, seed, folder.resolve(), options.each)
    run.run()
    text, holds = write(run)
    print(text)
    if not options.no_plot:
        plot(run)
    if holds and not options.keep:
        for journal in folder.glob("*.jsonl"):
            journal.unlink()  # they are long, and nobody will look for anything in them
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
