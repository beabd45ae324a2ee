"""Every engine there is, by name: which graph it reads, whether it can run here, how it opens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from worker.engine import Engine, EngineError
from worker.engines import onnxruntime_gpu, openvino_cpu, tensorrt_plan
from worker.engines.onnxruntime_gpu import OnnxRuntimeGpu
from worker.engines.openvino_cpu import OpenVinoCpu
from worker.engines.tensorrt_plan import TensorRtPlan
from worker.graph_form import Dialect, GraphForm, Precision


@dataclass(frozen=True, slots=True)
class EngineKind:
    """An engine that could be opened.

    Attributes:
        name: in settings, cache keys and metrics.
        form: the graph it reads.
        missing: says why it cannot run here; empty if it can.
        open: opens `model.onnx` or `vision.onnx`, on so many cores, or all for None, for rows of
            at most so many tokens.
        exact: whether it computes in float32.
        on_cpu: whether its time is the CPU's.

    """

    name: str
    form: GraphForm
    missing: Callable[[], str]
    open: Callable[[Path, int | None, int], Engine]
    exact: bool = True
    on_cpu: bool = True


def _onnxruntime_cpu(model: Path, cores: int | None, _: int) -> Engine:
    # Libraries are imported by those who use them: each takes half a second.
    from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu  # noqa: PLC0415

    return OnnxRuntimeCpu(model, cores=cores)


def _openvino_cpu(model: Path, cores: int | None, _: int) -> Engine:
    return OpenVinoCpu(model, cores=cores)


def _openvino_cpu_bf16(model: Path, cores: int | None, _: int) -> Engine:
    return OpenVinoCpu(model, cores=cores, bf16=True)


def _onnxruntime_gpu(name: str, model: Path, _: int | None, max_length: int) -> Engine:
    return OnnxRuntimeGpu(model, name, max_length=max_length)


def _tensorrt(name: str, model: Path, _: int | None, max_length: int) -> Engine:
    return TensorRtPlan(model, name, max_length=max_length)


REFERENCE = EngineKind("onnxruntime-cpu", GraphForm(), lambda: "", _onnxruntime_cpu)
"""Runs everywhere, in float32: what the others are held to."""

ENGINES: dict[str, EngineKind] = {
    kind.name: kind
    for kind in (
        REFERENCE,
        EngineKind(
            openvino_cpu.NAME,
            GraphForm(Dialect.STANDARD),
            openvino_cpu.missing,
            _openvino_cpu,
        ),
        EngineKind(
            openvino_cpu.NAME_BF16,
            GraphForm(Dialect.STANDARD),
            lambda: openvino_cpu.missing(bf16=True),
            _openvino_cpu_bf16,
            exact=False,
        ),
        EngineKind(
            onnxruntime_gpu.CUDA,
            GraphForm(),
            partial(onnxruntime_gpu.missing, onnxruntime_gpu.CUDA),
            partial(_onnxruntime_gpu, onnxruntime_gpu.CUDA),
            # Products may be rounded to TF32.
            exact=False,
            on_cpu=False,
        ),
        EngineKind(
            onnxruntime_gpu.CUDA_FP16,
            GraphForm(precision=Precision.FLOAT16),
            partial(onnxruntime_gpu.missing, onnxruntime_gpu.CUDA_FP16),
            partial(_onnxruntime_gpu, onnxruntime_gpu.CUDA_FP16),
            exact=False,
            on_cpu=False,
        ),
        EngineKind(
            onnxruntime_gpu.TENSORRT_FP16,
            GraphForm(Dialect.STANDARD, precision=Precision.FLOAT16),
            partial(onnxruntime_gpu.missing, onnxruntime_gpu.TENSORRT_FP16),
            partial(_onnxruntime_gpu, onnxruntime_gpu.TENSORRT_FP16),
            exact=False,
            on_cpu=False,
        ),
        EngineKind(
            tensorrt_plan.NAME_FP16,
            GraphForm(Dialect.STANDARD, precision=Precision.FLOAT16),
            tensorrt_plan.missing,
            partial(_tensorrt, tensorrt_plan.NAME_FP16),
            exact=False,
            on_cpu=False,
        ),
        EngineKind(
            tensorrt_plan.NAME_BF16,
            GraphForm(Dialect.STANDARD, precision=Precision.BFLOAT16),
            tensorrt_plan.missing,
            partial(_tensorrt, tensorrt_plan.NAME_BF16),
            exact=False,
            on_cpu=False,
        ),
    )
}


def engine_kind(name: str) -> EngineKind:
    """Return the engine of that name.

    Raises:
        EngineError: there is none, or it cannot run here.

    """
    kind = ENGINES.get(name)
    if kind is None:
        raise EngineError(f"there is no engine {name}; there are {', '.join(ENGINES)}")
    reason = kind.missing()
    if reason:
        raise EngineError(f"{name}: {reason}")
    return kind


def at_hand() -> list[EngineKind]:
    """Return the engines that can run here, the reference first."""
    return [kind for kind in ENGINES.values() if not kind.missing()]
