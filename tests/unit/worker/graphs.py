"""Compiled graphs to test with, and their references."""

import json
from pathlib import Path

import numpy as np

from worker.checkpoint.checkpoint import Checkpoint
from worker.compiler.compile import compile_checkpoint
from worker.engine import TokenBatch
from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu

GOLDEN = Path(__file__).parents[2] / "golden"
HIDDEN_TOLERANCE = 1e-4


def reference(name):
    return np.load(GOLDEN / name / "reference.npz")


def golden_ids(name):
    """Return the ids of each row, (tokens,) int32."""
    arrays = reference(name)
    rows = zip(arrays["input_ids"], arrays["attention_mask"], strict=True)
    return [ids[mask == 1].astype(np.int32) for ids, mask in rows]


def compiled(directory, out, **options):
    out.mkdir(exist_ok=True)
    compile_checkpoint(Checkpoint.open(directory), out, **options)
    return OnnxRuntimeCpu(out / "model.onnx")


def run(engine, rows, output):
    return engine.run(TokenBatch.pack(rows))[output]


def edit(path, **values):
    """Change entries of a JSON file; `...` removes one."""
    merged = json.loads(path.read_bytes()) | values
    path.write_text(json.dumps({key: value for key, value in merged.items() if value is not ...}))


def close(actual, expected, tolerance=HIDDEN_TOLERANCE):
    np.testing.assert_allclose(actual, expected, atol=tolerance, rtol=0)
