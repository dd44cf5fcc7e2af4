"""Which transport a URL chooses, and what that brings in."""

import pytest

from wampy import transports
from wampy.serializers import JsonSerializer


@pytest.mark.parametrize("scheme", transports.TRANSPORTS)
def test_a_url_chooses_the_class(backend, scheme):
    place = "/nowhere" if scheme.endswith("+unix") else "localhost:8080"
    made = transports.transport_for(f"{scheme}://{place}", backend, [JsonSerializer()])
    assert type(made) is getattr(transports, transports.TRANSPORTS[scheme])


def test_there_is_nothing_else():
    with pytest.raises(AttributeError, match="has no attribute 'Pigeon'"):
        _ = transports.Pigeon


@pytest.mark.parametrize(("url", "brought"), [("rs://localhost:8080", False), ("ws://localhost:8080", True)])
def test_who_speaks_rawsocket_does_without_the_library_for_websocket(run_python, url, brought):
    done = run_python(
        f"""
        import sys
        from wampy import Client
        Client(url={url!r})
        print("websockets" in sys.modules)
        """
    )
    assert (done.stdout, done.returncode) == (f"{brought}\n", 0), done.stderr
