"""The standard dialect answers as the fused one does, and holds no foreign operator."""

import onnx
import pytest

from tests.unit.worker.goldens import ALL, GOLDEN, Rows, assert_agrees
from worker.checkpoint.checkpoint import Checkpoint
from worker.compiler.compile import compile_checkpoint
from worker.compiler.graph_form import Dialect, GraphForm
from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu

STANDARD = GraphForm(Dialect.STANDARD)


@pytest.mark.parametrize("golden", ALL, ids=str)
def test_every_family_agrees_in_plain_operators(tmp_path, golden):
    compile_checkpoint(Checkpoint.open(golden.directory), tmp_path, form=STANDARD)
    assert not foreign(tmp_path / "model.onnx")
    rows = Rows.of(golden)
    answers = OnnxRuntimeCpu(tmp_path / "model.onnx", cores=1).run(rows.batch())
    for index, ids in enumerate(rows.ids):
        assert_agrees(golden, answers, index, index, len(ids))


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_both_towers_are_plain(tmp_path, name):
    compile_checkpoint(Checkpoint.open(GOLDEN / name), tmp_path, form=STANDARD)
    for file in ("model.onnx", "vision.onnx"):
        onnx.checker.check_model(tmp_path / file)
        assert not foreign(tmp_path / file)


def foreign(path):
    """Return the domains that are not the standard's."""
    model = onnx.load(path, load_external_data=False)
    return {each.domain for each in (*model.graph.node, *model.opset_import)} - {""}
