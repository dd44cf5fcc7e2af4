"""``make bench``, or ``python -m benchmarks``: measure, print a table, and keep it.

A whole run goes to ``benchmarks/results/latest.json`` and into the documentation, a part of one to ``build/``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from benchmarks.plan import DEFAULT_PEERS, PEERS, ROWS, SERIALIZERS, TOGETHER, TRANSPORTS
from benchmarks.report import text_of
from benchmarks.results import LATEST, Results, describe
from benchmarks.run import ROOT, Options, Run
from benchmarks.work import WrongError


def _chosen(text: str, known: list[str], what: str) -> tuple[str, ...]:
    """Take a list apart; what begins with a name that ends in ``_`` is meant by it too."""
    chosen: list[str] = []
    for name in text.split(","):
        plain = TOGETHER.get(name, name)
        found = [each for each in known if each == plain.partition("@")[0] or each.startswith(f"{plain}_")]
        if not found:
            raise SystemExit(f"there is no {what} {name!r}; there are {', '.join(known)}")
        chosen += [plain] if "@" in plain else [each for each in found if each not in chosen]
    return tuple(chosen)


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure wampy and autobahn-python side by side.")
    parser.add_argument("--rounds", type=int, default=5, help="how often (5)")
    parser.add_argument("--rows", default=",".join(ROWS), help="which rows, as in seq,conc (all)")
    parser.add_argument("--transports", default=",".join(TRANSPORTS), help="which transports (all)")
    parser.add_argument("--serializers", default=",".join(SERIALIZERS), help="which serializers (all)")
    parser.add_argument(
        "--peers",
        default=",".join(DEFAULT_PEERS),
        help=f"who, of {', '.join(PEERS)}; wampy@FOLDER is the wampy of another source tree",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="multiply the number of operations (1)")
    parser.add_argument("--output", type=Path, help="where to write the results")
    given = parser.parse_args()
    options = Options(
        rounds=given.rounds,
        rows=_chosen(given.rows, list(ROWS), "row"),
        transports=_chosen(given.transports, list(TRANSPORTS), "transport"),
        serializers=_chosen(given.serializers, list(SERIALIZERS), "serializer"),
        peers=_chosen(given.peers, list(PEERS), "peer"),
        scale=given.scale,
    )
    whole = Options(5, tuple(ROWS), tuple(TRANSPORTS), SERIALIZERS, DEFAULT_PEERS)
    is_whole = options.rounds >= 5 and options == Options(**{**vars(whole), "rounds": options.rounds})
    run, begun, load, failed = Run(options), time.monotonic(), os.getloadavg()[0], ""
    try:
        run.run()
    except WrongError as error:
        is_whole, failed = False, f"FAILED: {error}"
    results = Results(describe(options.rounds, time.monotonic() - begun, load), run.series)
    path = given.output or (LATEST if is_whole else ROOT / "build" / "bench.json")
    results.write(path)
    print(f"\n{text_of(results)}\n\nin {path}")
    if failed:
        raise SystemExit(failed)
    if path == LATEST:
        from benchmarks.docs import write

        write(Results.read(path))  # with the figures as they are kept


if __name__ == "__main__":
    main()
