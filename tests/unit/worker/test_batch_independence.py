"""What a text's neighbours are changes nothing about its vector, however batches are shaped."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.worker.goldens import GOLDEN
from worker.batching.batcher import places
from worker.engine import TokenBatch
from worker.engines.catalog import ENGINES, INT8, REFERENCE
from worker.hosting.loading import load
from worker.opening.layout import LayoutSetting, Text, batches

# Of unit vectors. In int8 a value near the middle of two integers may be rounded either way.
TOLERANCES = {"padded": 1e-5, "packed": 1e-5, "int8": 2e-2}

texts = st.lists(
    st.lists(st.integers(1, 700), min_size=1, max_size=60), min_size=1, max_size=12
).map(lambda drawn: [np.array(ids, dtype=np.int32) for ids in drawn])


@pytest.fixture(scope="module", params=TOLERANCES)
def way(request, tmp_path_factory):
    """A way to run a model, and how far its answers may lie from those of a text alone."""
    if request.param == "int8" and ENGINES[INT8].missing():
        pytest.skip(ENGINES[INT8].missing())
    engine = INT8 if request.param == "int8" else REFERENCE.name
    layout = LayoutSetting.PACKED if request.param == "packed" else LayoutSetting.PADDED
    cache = tmp_path_factory.mktemp("cache")
    model = load(GOLDEN / "bert_mean", cache, cores=1, engine=engine, layout=layout)
    return model, TOLERANCES[request.param]


def run(model, texts):
    return model.engine.run(TokenBatch.pack(texts))["dense"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(texts=texts)
def test_a_text_answers_in_company_as_it_does_alone(way, texts):
    model, tolerance = way
    together = run(model, texts)
    for row, ids in zip(together, texts, strict=True):
        np.testing.assert_allclose(row, run(model, [ids])[0], atol=tolerance, rtol=0)


def test_packed_rows_are_what_the_model_is_served_with(tmp_path):
    model = load(GOLDEN / "bert_mean", tmp_path, cores=1, layout=LayoutSetting.PACKED)
    ids = np.ones(20, dtype=np.int32)
    waiting = [Text(20, n, ids) for n in range(24)]
    assert model.choice.form.layout == "packed"
    for batch in batches(waiting, model.limits):
        computed = places([each.tokens for each in batch], model.limits)
        assert len(batch) * 20 >= 0.9 * computed
