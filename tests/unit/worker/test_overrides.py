"""What the registry says of a model is done, or the load is refused with the reason."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from google.protobuf import json_format

from sie.registry.v1.model_pb2 import Model
from worker.batching.batcher import BatchLimits
from worker.batching.runners import batch_limits
from worker.checkpoint.heads import Pooling
from worker.engine import TokenBatch
from worker.hosting.loading import load
from worker.hosting.overrides import Overrides, overrides_of
from worker.load_errors import ErrorClass, LoadError

GOLDEN = Path(__file__).parents[2] / "golden"


def model(**fields) -> Model:
    return json_format.ParseDict({"model_id": "m", **fields}, Model())


def dense(name: str, cache: Path, overrides: Overrides) -> np.ndarray:
    loaded = load(GOLDEN / name, cache, cores=1, overrides=overrides)
    (text,) = loaded.tokenizer.encode(["How do I reset my password?"])
    return loaded.engine.run(TokenBatch.pack([text.ids]), ["dense"])["dense"][0]


def test_a_definition_says_what_to_override():
    default = {"pooling": "POOLING_CLS", "normalize": False, "max_batch_tokens": 99}
    found = overrides_of(model(max_sequence_length=64, profiles={"default": default}))
    assert found == Overrides(64, Pooling.CLS, False, 99)
    assert overrides_of(model()) == Overrides()


@pytest.mark.parametrize(
    "other",
    [
        {"pooling": "POOLING_CLS"},
        {"normalize": False},
        {"normalize": True},
        {"max_batch_tokens": 9},
    ],
)
def test_profiles_share_one_graph(other):
    default = {} if other.get("normalize") is False else {"normalize": False}
    with pytest.raises(LoadError, match="profile 'other' has") as caught:
        overrides_of(model(profiles={"default": default, "other": other}))
    assert caught.value.error_class is ErrorClass.UNSUPPORTED


def test_profiles_may_repeat_what_the_default_says():
    same = {"pooling": "POOLING_MEAN", "normalize": True}
    found = overrides_of(model(profiles={"default": same, "other": same}))
    assert found.pooling is Pooling.MEAN


def test_pooling_and_scaling_are_the_registrys(tmp_path):
    mean = dense("bert_mean", tmp_path, Overrides())
    cls = dense("bert_mean", tmp_path, Overrides(pooling=Pooling.CLS))
    assert not np.allclose(mean, cls, atol=1e-3)
    scaled = dense("bert_mean", tmp_path, Overrides(normalize=True))
    raw = dense("bert_mean", tmp_path, Overrides(normalize=False))
    np.testing.assert_allclose(np.linalg.norm(scaled), 1, atol=1e-5)
    np.testing.assert_allclose(raw / np.linalg.norm(raw), scaled, atol=1e-5)


def test_a_shorter_limit_truncates(tmp_path):
    loaded = load(GOLDEN / "bert_mean", tmp_path, cores=1, overrides=Overrides(max_length=8))
    assert loaded.max_length == 8
    (text,) = loaded.tokenizer.encode(["water " * 50])
    assert (len(text.ids), text.truncated) == (8, True)


def test_more_tokens_than_the_checkpoint_has_places_for_are_refused(tmp_path):
    with pytest.raises(LoadError, match="max_sequence_length 100000") as caught:
        load(GOLDEN / "bert_mean", tmp_path, overrides=Overrides(max_length=100_000))
    assert caught.value.error_class is ErrorClass.UNSUPPORTED


def test_pooling_without_a_dense_vector_is_refused(tmp_path):
    with pytest.raises(LoadError, match="no dense vector"):
        load(GOLDEN / "splade_bert", tmp_path, overrides=Overrides(pooling=Pooling.CLS))


def test_batches_hold_as_many_tokens_as_the_registry_allows():
    loaded = SimpleNamespace(limits=BatchLimits(512, 64, 6))
    assert (
        batch_limits(model(profiles={"default": {"max_batch_tokens": 77}}), loaded).max_tokens == 77
    )
    assert batch_limits(model(), loaded) == loaded.limits
