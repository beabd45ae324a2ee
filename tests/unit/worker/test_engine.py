"""The CPU engine keeps the rows of a batch apart and serves threads at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.engine import EngineError, OutOfMemoryError, TokenBatch
from worker.engines.catalog import at_hand
from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu
from worker.hosting.loading import load

TOLERANCE = 1e-5
token_ids = st.lists(st.integers(0, 899), min_size=1, max_size=48).map(
    lambda ids: np.array(ids, dtype=np.int32)
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    from pathlib import Path

    directory = Path(__file__).parents[2] / "golden" / "bert_mean"
    return load(directory, tmp_path_factory.mktemp("cache"), cores=2).engine


def test_a_batch_is_padded_on_the_right():
    batch = TokenBatch.pack([np.array([5], np.int32), np.array([6, 7, 8], np.int32)])
    assert batch.input_ids.dtype == batch.lengths.dtype == np.int32
    assert batch.input_ids.tolist() == [[5, 0, 0], [6, 7, 8]]
    assert batch.lengths.tolist() == [1, 3]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(token_ids, min_size=1, max_size=9))
def test_batch_neighbours_do_not_change_a_row(engine, rows):
    together = engine.run(TokenBatch.pack(rows))["dense"]
    for row, ids in enumerate(rows):
        alone = engine.run(TokenBatch.pack([ids]))["dense"][0]
        np.testing.assert_allclose(together[row], alone, atol=TOLERANCE, rtol=0)


@given(filler=st.integers(0, 899))
@settings(max_examples=20)
def test_what_stands_in_the_padding_does_not_matter(engine, filler):
    batch = TokenBatch.pack([np.array([1, 2], np.int32), np.arange(9, dtype=np.int32)])
    expected = engine.run(batch)["dense"]
    batch.input_ids[0, 2:] = filler
    np.testing.assert_allclose(engine.run(batch)["dense"], expected, atol=TOLERANCE, rtol=0)


def test_runs_in_flight_together_answer_as_runs_alone(engine):
    rng = np.random.default_rng(0)
    batches = [
        TokenBatch.pack([rng.integers(0, 900, size, dtype=np.int32) for size in sizes])
        for sizes in rng.integers(1, 49, (40, 6))
    ]
    alone = [engine.run(batch)["dense"] for batch in batches]
    with ThreadPoolExecutor(engine.streams * 2) as threads:
        together = list(threads.map(lambda batch: engine.run(batch)["dense"], batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE, rtol=0)


def test_streams_follow_the_cores(tmp_path, golden):
    directory = golden("bert_mean").directory
    assert load(directory, tmp_path, cores=3).engine.streams == 3
    assert load(directory, tmp_path, cores=1).engine.streams == 1


def test_an_id_outside_the_vocabulary_is_an_engine_error(engine):
    with pytest.raises(EngineError, match="onnxruntime-cpu"):
        engine.run(TokenBatch.pack([np.array([900], np.int32)]))


def test_a_file_that_is_no_graph_is_an_engine_error(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"model\.onnx"):
        OnnxRuntimeCpu(tmp_path / "model.onnx")


@pytest.mark.parametrize("name", [kind.name for kind in at_hand()])
def test_a_library_without_memory_is_out_of_memory(golden, tmp_path, monkeypatch, name):
    def fails(*_):
        raise RuntimeError("std::bad_alloc")

    engine = load(golden("bert_mean").directory, tmp_path, engine=name).engine
    monkeypatch.setattr(f"worker.engines.{name.replace('-', '_')}.feeds_of", fails)
    with pytest.raises(OutOfMemoryError):
        engine.run(TokenBatch.pack([np.array([1], np.int32)]))
