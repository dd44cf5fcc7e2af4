"""Fuzz one serializer, guided by coverage: ``python atheris_payloads.py cbor -max_total_time=60 corpus/cbor``.

`make fuzz` runs this for all of them, by way of `run_atheris.py`. What follows the name is for libFuzzer.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["wampy.messages", "wampy.serializers"]):
    import wampy.messages
    import wampy.serializers

from payloads import consume


def main(name, *arguments):
    serializer = wampy.serializers.get_serializer(name)

    def consume_one(payload):
        # libFuzzer takes any exception for a finding; `consume` returns the documented ones.
        consume(serializer, payload)
        if not serializer.binary:
            # A text frame comes decoded.
            consume(serializer, payload.decode(errors="replace"))

    atheris.Setup([sys.argv[0], *arguments], consume_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
