"""Every engine there is, by name: which graphs it reads, whether it can run here, how it opens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from worker.compiler.graph_form import Dialect, GraphForm, Precision
from worker.engine import Engine, NoEngineError
from worker.engines import onnxruntime_gpu, openvino_cpu, tensorrt_plan
from worker.engines.onnxruntime_gpu import OnnxRuntimeGpu
from worker.engines.openvino_cpu import OpenVinoCpu
from worker.engines.tensorrt_plan import TensorRtPlan
from worker.machine import multiplies_int8

AUTO = "auto"
"""The setting that has engines compared."""


@dataclass(frozen=True, slots=True)
class EngineKind:
    """An engine that could be opened.

    Attributes:
        name: in settings, cache keys and metrics.
        precision: what it computes in.
        dialects: of the graphs that it reads; where nothing is measured, the first.
        missing: says why it cannot run here; empty if it can.
        open: opens `model.onnx` or `vision.onnx`, on so many cores, or all for None, for rows of
            at most so many tokens.
        compiled_as: the precision of the graph, where the engine itself converts it.
        exact: whether it computes in float32 throughout.
        on_cpu: whether its time is the CPU's, and texts may share rows.
        opt_in: whether it runs only where it is asked for.

    """

    name: str
    precision: Precision
    dialects: tuple[Dialect, ...]
    missing: Callable[[], str]
    open: Callable[[Path, int | None, int], Engine]
    compiled_as: Precision | None = None
    exact: bool = True
    on_cpu: bool = True
    opt_in: bool = False

    @property
    def forms(self) -> tuple[GraphForm, ...]:
        """Return the forms of graph that it reads, one text a row."""
        precision = self.compiled_as or self.precision
        return tuple(GraphForm(dialect, precision=precision) for dialect in self.dialects)


class Candidate(NamedTuple):
    """An engine, and a form of graph that it reads."""

    kind: EngineKind
    form: GraphForm

    def __str__(self) -> str:
        return f"{self.kind.name} {self.form.dialect}"


def candidates(kinds: Sequence[EngineKind]) -> list[Candidate]:
    """Return every way to run a model on some engines."""
    return [Candidate(kind, form) for kind in kinds for form in kind.forms]


def _onnxruntime_cpu(model: Path, cores: int | None, _: int) -> Engine:
    # Libraries are imported by those who use them: each takes half a second.
    from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu  # noqa: PLC0415

    return OnnxRuntimeCpu(model, cores=cores)


def _onnxruntime_cpu_int8(model: Path, cores: int | None, _: int) -> Engine:
    from worker.engines.onnxruntime_cpu import OnnxRuntimeCpu  # noqa: PLC0415 - as above

    return OnnxRuntimeCpu(model, cores=cores, name=INT8)


def _without_int8_products() -> str:
    return "" if multiplies_int8() else "the CPU has no VNNI"


def _openvino_cpu(model: Path, cores: int | None, _: int) -> Engine:
    return OpenVinoCpu(model, cores=cores)


def _openvino_cpu_bf16(model: Path, cores: int | None, _: int) -> Engine:
    return OpenVinoCpu(model, cores=cores, bf16=True)


def _onnxruntime_gpu(name: str, model: Path, _: int | None, max_length: int) -> Engine:
    return OnnxRuntimeGpu(model, name, max_length=max_length)


def _tensorrt(name: str, model: Path, _: int | None, max_length: int) -> Engine:
    return TensorRtPlan(model, name, max_length=max_length)


INT8 = "onnxruntime-cpu-int8"
PUBLISHED = "onnxruntime-cpu-published"
"""The engine of a graph that a repository ships: for models that are not compiled here."""

_FUSED, _STANDARD = (Dialect.FUSED,), (Dialect.STANDARD,)

REFERENCE = EngineKind(
    "onnxruntime-cpu",
    Precision.FLOAT32,
    (Dialect.FUSED, Dialect.STANDARD),
    lambda: "",
    _onnxruntime_cpu,
)
"""Runs everywhere, in float32: what the others are held to."""

ENGINES: dict[str, EngineKind] = {
    kind.name: kind
    for kind in (
        REFERENCE,
        EngineKind(
            INT8,
            Precision.INT8,
            _STANDARD,
            _without_int8_products,
            _onnxruntime_cpu_int8,
            exact=False,
            opt_in=True,
        ),
        EngineKind(
            openvino_cpu.NAME,
            Precision.FLOAT32,
            _STANDARD,
            openvino_cpu.missing,
            _openvino_cpu,
        ),
        EngineKind(
            openvino_cpu.NAME_BF16,
            Precision.BFLOAT16,
            _STANDARD,
            lambda: openvino_cpu.missing(bf16=True),
            _openvino_cpu_bf16,
            compiled_as=Precision.FLOAT32,
            exact=False,
        ),
        EngineKind(
            onnxruntime_gpu.CUDA,
            Precision.FLOAT32,
            _FUSED,
            partial(onnxruntime_gpu.missing, onnxruntime_gpu.CUDA),
            partial(_onnxruntime_gpu, onnxruntime_gpu.CUDA),
            # Products may be rounded to TF32.
            exact=False,
            on_cpu=False,
        ),
        EngineKind(
            onnxruntime_gpu.CUDA_FP16,
            Precision.FLOAT16,
            _FUSED,
            partial(onnxruntime_gpu.missing, onnxruntime_gpu.CUDA_FP16),
            partial(_onnxruntime_gpu, onnxruntime_gpu.CUDA_FP16),
            exact=False,
            on_cpu=False,
        ),
        EngineKind(
            onnxruntime_gpu.TENSORRT_FP16,
            Precision.FLOAT16,
            _STANDARD,
            partial(onnxruntime_gpu.missing, onnxruntime_gpu.TENSORRT_FP16),
            partial(_onnxruntime_gpu, onnxruntime_gpu.TENSORRT_FP16),
            exact=False,
            on_cpu=False,
        ),
        EngineKind(
            tensorrt_plan.NAME_FP16,
            Precision.FLOAT16,
            _STANDARD,
            tensorrt_plan.missing,
            partial(_tensorrt, tensorrt_plan.NAME_FP16),
            exact=False,
            on_cpu=False,
        ),
        EngineKind(
            tensorrt_plan.NAME_BF16,
            Precision.BFLOAT16,
            _STANDARD,
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
        NoEngineError: there is none, or it cannot run here.

    """
    kind = ENGINES.get(name)
    if kind is None:
        raise NoEngineError(f"there is no engine {name}; there are {', '.join(ENGINES)}")
    reason = kind.missing()
    if reason:
        raise NoEngineError(f"{name}: {reason}")
    return kind


def at_hand() -> list[EngineKind]:
    """Return the engines that can run here unasked, the reference first."""
    return [kind for kind in ENGINES.values() if not kind.opt_in and not kind.missing()]


def engines_for(setting: str, precision: Precision | None = None) -> list[EngineKind]:
    """Return the engines among which to choose.

    Args:
        setting: an engine's name, or AUTO.
        precision: what they must compute in; None where that does not matter.

    Raises:
        NoEngineError: none of them can run here, or the named one computes in something else.

    """
    if setting != AUTO:
        kind = engine_kind(setting)
        if precision not in {None, kind.precision}:
            raise NoEngineError(
                f"precision {precision} is asked for, and this worker's engine, {setting}, "
                f"computes in {kind.precision}"
            )
        return [kind]
    if precision is None:
        return at_hand()
    alike = [kind for kind in ENGINES.values() if kind.precision == precision]
    usable = [kind for kind in alike if not kind.missing()]
    if not usable:
        reasons = "; ".join(f"{kind.name}: {kind.missing()}" for kind in alike)
        raise NoEngineError(f"no engine here computes in {precision}: {reasons}")
    return usable
