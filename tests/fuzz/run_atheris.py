"""Run the coverage-guided fuzzer on every serializer: ``python run_atheris.py SECONDS [NAME ...]``.

Two run at a time, and all of them together take the seconds given. What they find is kept in ``build/fuzz``, where the
corpus grows from run to run.
"""

import importlib.util
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "fuzz"
TARGET = HERE / "atheris_payloads.py"

sys.path[:0] = [str(ROOT), str(HERE)]

import payloads  # noqa: E402

from wampy.serializers import get_serializer  # noqa: E402

#: How many run at a time.
JOBS = min(2, os.cpu_count() or 1)

#: The largest input, in bytes: `test_worst_cases.py` has the large ones, and small ones are tried more often.
LONGEST = 4096

#: Longer words are not allowed in libFuzzer's dictionaries.
LONGEST_WORD = 64

#: Seconds that one input may take, and mebibytes of memory.
PATIENCE, MEMORY = 5, 1024

#: Seconds that the fuzzer may need to start and to end, beside those that it fuzzes.
GRACE = 120


def prepare(name):
    """Write corpus and dictionary of a serializer; the corpus of earlier runs stays."""
    folder = BUILD / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    serializer = get_serializer(name)
    for number, payload in enumerate(payloads.seeds_for(serializer)):
        (corpus / f"example-{number}").write_bytes(payload)
    keys = {key for wire in payloads.EXAMPLES for part in wire if isinstance(part, dict) for key in part if key}
    tokens = [*map(str.encode, sorted(keys)), *payloads.tokens_for(serializer)]
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in token) + '"' for token in tokens if len(token) <= LONGEST_WORD]
    (folder / "dictionary").write_text("\n".join(lines) + "\n")
    return folder


def fuzz(name, seconds):
    """Fuzz a serializer.

    Returns:
        Whether nothing was found, and what to print.
    """
    folder = prepare(name)
    command = [
        *(sys.executable, str(TARGET), name, f"-max_total_time={seconds}", f"-max_len={LONGEST}"),
        *(f"-timeout={PATIENCE}", f"-rss_limit_mb={MEMORY}", f"-dict={folder / 'dictionary'}"),
        *(f"-artifact_prefix={folder}/", "-print_final_stats=1"),
        *(str(folder / "corpus"), str(HERE / "corpus" / name.removesuffix(".batched"))),
    ]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path},
            timeout=seconds + GRACE,
        )
        output, code = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as error:
        output, code = (error.stdout or b"").decode(errors="replace"), "no end"
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    covered = re.findall(r"cov: (\d+)", output)
    if code == 0 and runs and covered:
        return True, f"{name}: {int(runs[1]):,} payloads in {seconds} s, {covered[-1]} places reached, nothing found"
    kept = re.search(r"Test unit written to (\S+)", output)
    shown = "\n".join(f"    {line}" for line in output.splitlines()[-40:] if "Instrumenting" not in line)
    if not kept:
        return False, f"{name}: THE FUZZER FAILED (exit code {code})\n{shown}"
    again = " ".join([os.path.relpath(sys.executable, ROOT), os.path.relpath(TARGET, ROOT), name, kept[1]])
    return False, f"{name}: FOUND SOMETHING (exit code {code})\n{shown}\n    reproduce: {again}"


def main(seconds, *names):
    if importlib.util.find_spec("atheris") is None:
        return (
            "make fuzz: the package atheris is not here, so nothing was fuzzed. It has wheels for Linux and "
            "CPython 3.11 to 3.13: pip install 'wampy[fuzz]'"
        )
    names = names or payloads.SERIALIZERS
    each = max(1, round(float(seconds) * JOBS / len(names)))
    fine = True
    with ThreadPoolExecutor(JOBS) as pool:
        for nothing_found, text in pool.map(lambda name: fuzz(name, each), names):
            print(text, flush=True)
            fine = fine and nothing_found
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
