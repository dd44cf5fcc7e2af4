"""Values of every kind between wampy and autobahn-python, whatever each of them speaks with the router.

`foreigner` speaks JSON, MessagePack and CBOR in turn; of UBJSON it speaks only what needs numpy.
"""

import pytest

from wampy import Client, callee, subscribe
from wampy.serializers import NAMES

VALUES = [
    None, True, False, 0, -1, 255, -256, 2**31, 2**53, -(2**53), 2**63 - 1, 0.0, 0.1, -1.5, 1e300, "", "text",
    "größer", "日本語", "\U0001f600", "line\nbreak\t\"quotes\" \\ / \x18\x1e\x7f", "x" * 70_000,
    b"", b"\0\xff\x18\x1e", bytes(range(256)) * 100, [], {}, [[], {}, ""], [1, [2, [3, [None]]]],
    {"a": {"b": [None, {"größer": b"deep"}]}, "": 0}, list(range(10_000)), [{"n": n} for n in range(1000)],
]  # fmt: skip


class Ours(Client):
    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.heard = []

    @callee(procedure="ours.echo")
    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    @subscribe(topic="topic.values")
    def on_values(self, *args, meta, **kwargs):
        self.heard.append([list(args), kwargs])


@pytest.fixture(params=NAMES)
def ours(request, join, foreigner):
    ours = join(Ours, serializers=request.param)
    assert ours.session.serializer.name == request.param
    return ours


def same(ours, theirs):
    assert ours == theirs
    assert list(map(type, ours)) == list(map(type, theirs))


def test_values_of_every_kind_arrive_equal(ours, foreigner, green):
    for number, value in enumerate(VALUES):
        same([ours.call("foreign.echo", value)], [value])
        same(foreigner.call("ours.echo", value, value, k=value)["result"][0], [value, value])
        if number == 0:
            ours.session.publish("topic.values", VALUES, {"k": VALUES}, {"acknowledge": True})
            heard = []
            green.wait_until(lambda: heard.extend(foreigner.ask("heard")["heard"]) or heard)  # noqa: B023
            same(heard[0]["args"], VALUES)
            same(heard[0]["kwargs"]["k"], VALUES)
            foreigner.publish("topic.values", *VALUES, k=VALUES)
            green.wait_until(lambda: ours.heard)
            same(ours.heard[0][0], VALUES)
            same(ours.heard[0][1]["k"], VALUES)
