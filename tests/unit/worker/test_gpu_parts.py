"""What of the GPU engines can be held to something without a GPU."""

import itertools
import json

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.worker.goldens import ALL, GOLDEN, Rows
from worker.checkpoint.checkpoint import Checkpoint
from worker.compiler.compile import compile_checkpoint
from worker.compiler.graph_form import Dialect, GraphForm, Precision
from worker.engine import EngineError, TokenBatch
from worker.engines.buckets import Shape, bucket_of, bucketed, padded, profiles, trimmed
from worker.engines.choose import lowest_cosine
from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu
from worker.engines.onnxruntime_gpu import CUDA, TENSORRT_FP16, OnnxRuntimeGpu, providers_of
from worker.engines.plan_file import PlanTarget, plan_path, read_plan, save_plan
from worker.engines.tensorrt_plan import NAME_FP16, TensorRtPlan

L4 = PlanTarget("NVIDIA L4", "8.9", "10.9.0", "fp16")
shapes = st.builds(Shape, st.integers(1, 300), st.integers(1, 512))


@given(shapes)
def test_a_bucket_holds_the_batch_and_not_much_more(shape):
    bucket = bucket_of(shape, 512)
    assert shape.rows <= bucket.rows < 2 * shape.rows
    assert shape.tokens <= bucket.tokens <= max(32, 1.5 * shape.tokens)


def test_buckets_are_few():
    buckets = {bucket_of(Shape(1, tokens), 512).tokens for tokens in range(1, 513)}
    assert sorted(buckets) == [16, 32, 48, 64, 96, 128, 192, 256, 384, 512]


def test_no_bucket_is_longer_than_the_model():
    assert bucket_of(Shape(3, 60), 62) == Shape(4, 62)


@pytest.mark.parametrize("golden", ALL, ids=str)
def test_a_batch_answers_the_same_in_its_bucket(tmp_path, golden):
    checkpoint = Checkpoint.open(golden.directory)
    compile_checkpoint(checkpoint, tmp_path)
    engine = OnnxRuntimeCpu(tmp_path / "model.onnx", cores=1)
    batch = Rows.of(golden).batch(0, 1, 2)
    larger, shape = bucketed(batch, checkpoint.max_length)
    answers = trimmed(engine.run(larger), shape)
    for name, expected in engine.run(batch).items():
        for row, length in enumerate(batch.lengths):
            tokens = length if answers[name].ndim > 2 or name == "token_weights" else None
            np.testing.assert_allclose(
                answers[name][row][:tokens], expected[row][:tokens], atol=2e-4, rtol=0
            )


def test_rows_that_are_added_hold_one_token():
    batch = padded(TokenBatch.pack([np.array([5, 6], np.int32)]), Shape(2, 4))
    assert batch.input_ids.tolist() == [[5, 6, 0, 0], [0, 0, 0, 0]]
    assert batch.lengths.tolist() == [2, 1]


@given(st.integers(1, 8192), st.integers(256, 65_536))
def test_profiles_cover_every_length_in_order(max_length, max_tokens):
    ranges = profiles(max_length, max_tokens)
    assert ranges[0].least == Shape(1, 1)
    assert ranges[-1].most.tokens == max_length
    for one, other in itertools.pairwise(ranges):
        assert other.least.tokens == one.most.tokens + 1
    for each in ranges:
        assert each.covers(each.least)
        assert each.covers(each.best)
        assert each.covers(each.most)


def test_a_profile_is_given_for_each_input():
    ((name, options), (fallback, _)) = providers_of(TENSORRT_FP16, GOLDEN, 512)
    assert (name, fallback) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert options["trt_profile_max_shapes"].startswith("input_ids:32768x32,lengths:32768,")


def test_a_plan_is_found_by_what_it_fits(tmp_path):
    path = plan_path(tmp_path, L4)
    save_plan(path, L4, b"plan")
    assert read_plan(path, L4) == b"plan"
    for other in ("NVIDIA A100", "8.0"), ("NVIDIA L4", "8.9"):
        assert plan_path(tmp_path, PlanTarget(*other, "10.10.0", "fp16")) != path


def test_a_plan_built_elsewhere_is_refused_with_both_targets(tmp_path):
    save_plan(tmp_path / "a.plan", L4, b"plan")
    here = PlanTarget("NVIDIA A100", "8.0", "10.9.0", "fp16")
    with pytest.raises(EngineError, match=r"built for NVIDIA L4 .*this is NVIDIA A100 \(8\.0\)"):
        read_plan(tmp_path / "a.plan", here)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"gpu": "NVIDIA L4"})])
def test_a_plan_that_does_not_say_what_it_fits_is_refused(tmp_path, content):
    save_plan(tmp_path / "a.plan", L4, b"plan")
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(EngineError, match="does not say"):
        read_plan(tmp_path / "a.plan", L4)


def test_a_missing_plan_is_a_clear_error(tmp_path):
    with pytest.raises(EngineError, match="is missing"):
        read_plan(tmp_path / "a.plan", L4)


@pytest.mark.parametrize("golden", ALL, ids=str)
@pytest.mark.parametrize("dialect", Dialect)
def test_half_precision_graphs_keep_the_error_budget(tmp_path, golden, dialect):
    batch, answers = Rows.of(golden).batch(), []
    for precision in (Precision.FLOAT32, Precision.FLOAT16):
        directory = tmp_path / precision
        directory.mkdir()
        form = GraphForm(dialect, precision=precision)
        compile_checkpoint(Checkpoint.open(golden.directory), directory, form=form)
        engine = OnnxRuntimeCpu(directory / "model.onnx", cores=1)
        answers.append(engine.run(batch, list(golden.outputs)))
    assert lowest_cosine(answers[1], answers[0]) >= 0.9995


def test_bfloat16_graphs_are_valid(tmp_path):
    form = GraphForm(Dialect.STANDARD, precision=Precision.BFLOAT16)
    compile_checkpoint(Checkpoint.open(GOLDEN / "bert_mean"), tmp_path, form=form)
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)


@pytest.mark.parametrize(
    "open_engine",
    [
        lambda model: OnnxRuntimeGpu(model, CUDA, max_length=64),
        lambda model: TensorRtPlan(model, NAME_FP16, max_length=64),
    ],
)
def test_without_a_gpu_or_its_library_the_error_says_so(tmp_path, open_engine, monkeypatch):
    monkeypatch.setattr("pathlib.Path.glob", lambda *_: iter(()))
    with pytest.raises(EngineError, match=r"no NVIDIA GPU|is not installed"):
        open_engine(tmp_path / "model.onnx")
