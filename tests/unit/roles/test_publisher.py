"""What `Client.publish` takes."""

import pytest

from wampy.roles.publisher import check_publication


def test_a_topic_and_keywords():
    check_publication("com.example.t", (), {"x": None})


@pytest.mark.parametrize(
    ("topic", "args", "kwargs", "text"),
    [
        ("a.b", ("payload",), {"x": 1}, "keyword arguments only"),
        (None, (), {"x": 1}, "needs a topic"),
        (5, (), {"x": 1}, "needs a topic"),
        ("a.b", (), {}, "at least one keyword"),
    ],
)
def test_anything_else_says_how_to_write_it(topic, args, kwargs, text):
    with pytest.raises(TypeError, match=text) as caught:
        check_publication(topic, args, kwargs)
    assert "publish(topic" in str(caught.value)
