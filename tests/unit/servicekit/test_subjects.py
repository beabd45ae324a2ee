"""Names on the broker."""

import re

from hypothesis import given
from hypothesis import strategies as st

from servicekit import subjects
from servicekit.subjects import Lane

ids = st.text(min_size=1, max_size=40)


@given(ids)
def test_a_model_id_survives_its_subject_token(model_id):
    assert subjects.model_id_of(subjects.model_token(model_id)) == model_id


@given(ids)
def test_a_model_token_holds_nothing_that_means_something_to_the_broker(model_id):
    assert re.fullmatch(r"[A-Za-z0-9_-]+", subjects.model_token(model_id))


@given(ids, ids)
def test_two_models_never_share_a_token(one, other):
    assert (subjects.model_token(one) == subjects.model_token(other)) == (one == other)


def test_a_work_subject_lies_under_the_stream_of_its_pool():
    lane = Lane("tenant-a", "l4-spot", "default")
    subject = subjects.work_subject(lane, "BAAI/bge-m3")
    assert subject == "sie.work.tenant-a.l4-spot.default.BAAI_2fbge-m3.interactive"
    assert subjects.work_wildcard("tenant-a") == "sie.work.tenant-a.>"
