"""Documents of too many containers are told apart from texts of many brackets."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcoder import json_bounds
from gateway.transcoder.json_bounds import MOST_CONTAINERS, within_bounds


@pytest.mark.parametrize("unit", [b"[]", b"{}", b'{"a":[]}'])
def test_too_many_containers_are_out_of_bounds(unit):
    assert not within_bounds(b"[" + b",".join([unit] * MOST_CONTAINERS) + b"]")


@pytest.mark.parametrize(
    "text", ["[" * 600_000, '{"[' * 400_000, '\\"[{' * 300_000, "\\\\[" * 600_000]
)
def test_brackets_in_texts_do_not_count(text):
    assert within_bounds(orjson.dumps({"items": [{"text": text}, {"text": "\\"}]}))


@given(
    st.recursive(
        st.none() | st.text(alphabet='ab[]{}"\\,:'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='[{"\\'), inner),
    )
)
def test_containers_are_counted_exactly(value):
    body = orjson.dumps(value)
    count = _containers(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bounds, "MOST_CONTAINERS", count)
        assert within_bounds(body)
        if count:
            patch.setattr(json_bounds, "MOST_CONTAINERS", count - 1)
            assert not within_bounds(body)


def _containers(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(_containers, value)) if isinstance(value, list) else 0
