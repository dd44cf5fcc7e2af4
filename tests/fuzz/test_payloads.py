"""Spoilt payloads: only the documented errors come of them, and quickly."""

import random
import time
from pathlib import Path

import pytest

from wampy.errors import SerializationError, WampProtocolError
from wampy.messages import MESSAGE_TYPE_MAP, Message, parse

#: How many payloads all serializers get together.
PAYLOADS = 100_000

#: Seconds of processor time after which one of these, a few kilobytes at most, hangs. They take some microseconds.
HANGS = 5.0

SEED = 20240229

CORPUS = Path(__file__).with_name("corpus")


def test_the_examples_are_valid_and_complete(payloads):
    assert {wire[0] for wire in payloads.EXAMPLES} == set(MESSAGE_TYPE_MAP)
    for wire in payloads.EXAMPLES:
        assert parse(wire).message == wire


def test_the_examples_survive_the_serializer(payloads, serializer):
    for payload, wire in zip(payloads.seeds_for(serializer), payloads.EXAMPLES, strict=False):
        assert payloads.consume(serializer, payload) == [parse(wire)]


def test_spoilt_payloads_give_the_documented_errors_only(payloads, serializer):
    # A seed for each, or all formats would be spoilt at the same places.
    seed = f"{SEED} {serializer.name}"
    chance = random.Random(seed)
    mutator = payloads.mutator_for(serializer, chance)
    outcomes = {SerializationError: 0, WampProtocolError: 0, Message: 0}
    for number in range(PAYLOADS // len(payloads.SERIALIZERS)):
        payload = mutator.payload()
        if not serializer.binary and chance.random() < 0.5:
            # A text frame comes decoded.
            payload = payload.decode(errors="replace")
        started = time.process_time()
        try:
            found = payloads.consume(serializer, payload)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            pytest.fail(
                f"{type(error).__name__}: {error} (in {_place(error)}) came of payload {number} of "
                f"random.Random({seed!r}):\nget_serializer({serializer.name!r}), {payload!r}"
            )
        took = time.process_time() - started
        assert took < HANGS, f"{took:.2f} s for payload {number} of random.Random({seed!r}): {payload!r}"
        for one in found:
            outcomes[Message if isinstance(one, Message) else type(one)] += 1
    # A fuzzer that gets nowhere finds nothing.
    assert min(outcomes.values()) > sum(outcomes.values()) * 0.05, outcomes


def _place(error):
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"


def test_the_corpus_gives_the_documented_errors_only(payloads, serializer):
    """Among it is what fuzzers found once."""
    found = sorted((CORPUS / serializer.name.removesuffix(".batched")).iterdir())
    assert found
    for path in found:
        payloads.consume(serializer, path.read_bytes())
