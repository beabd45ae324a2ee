"""ONNX Runtime on an NVIDIA GPU, by its CUDA or its TensorRT execution provider.

Batches are padded to buckets (`buckets.py`). Inputs and outputs are bound to device memory, so
that the runtime does not copy what a following node reads. TensorRT's engines and timings are
kept beside the graph. Not verified: it has not been run on a GPU.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine import Batch, EngineError, engine_error
from worker.engines.buckets import MAX_TOKENS, bucketed, profiles, trimmed
from worker.engines.feeds import feeds_of
from worker.machine import has_nvidia_gpu

CUDA = "onnxruntime-cuda"
CUDA_FP16 = "onnxruntime-cuda-fp16"
TENSORRT_FP16 = "onnxruntime-tensorrt-fp16"

Provider = tuple[str, dict[str, str]]
"""An execution provider and its options."""

_PROVIDERS = {
    CUDA: "CUDAExecutionProvider",
    CUDA_FP16: "CUDAExecutionProvider",
    TENSORRT_FP16: "TensorrtExecutionProvider",
}
# One copies while another computes.
_STREAMS = 2
_LOG_ERRORS_ONLY = 3


class OnnxRuntimeGpu:
    """An Engine on one GPU."""

    streams = _STREAMS

    def __init__(self, model: Path, name: str, *, max_length: int) -> None:
        """Open a graph.

        Args:
            model: the .onnx file, in the precision that the engine's name says.
            name: CUDA, CUDA_FP16 or TENSORRT_FP16.
            max_length: the longest row that the graph takes.

        Raises:
            EngineError: the provider is missing, or rejects the graph.

        """
        reason = missing(name)
        if reason:
            raise EngineError(f"{name}: {reason}")
        self.name = name
        self._max_length = max_length
        self._session = _session(model, providers_of(name, model.parent, max_length))
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._outputs = [each.name for each in self._session.get_outputs()]

    def run(self, batch: Batch, outputs: Sequence[str] = ()) -> dict[str, NDArray[np.float32]]:
        """See Engine.run."""
        larger, shape = bucketed(batch, self._max_length)
        wanted = list(outputs) or self._outputs
        try:
            answers = self._bound(feeds_of(larger, self._inputs), wanted)
        except Exception as error:  # the library's exceptions share no base of their own
            raise engine_error(self.name, error) from error
        return trimmed(dict(zip(wanted, answers, strict=True)), shape)

    def close(self) -> None:
        """See Engine.close."""
        del self._session

    def _bound(self, feeds: dict[str, NDArray[Any]], wanted: Sequence[str]) -> list[Any]:
        binding = self._session.io_binding()
        for name, values in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(values))
        for name in wanted:
            binding.bind_output(name, "cuda", 0)
        self._session.run_with_iobinding(binding)
        found: list[Any] = binding.copy_outputs_to_cpu()
        return found


def missing(name: str) -> str:
    """Why this engine cannot run here; empty if it can."""
    if not has_nvidia_gpu():
        return "there is no NVIDIA GPU"
    if importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime-gpu is not installed"
    import onnxruntime  # noqa: PLC0415 - half a second, for those who use it

    if _PROVIDERS[name] not in onnxruntime.get_available_providers():
        return f"this build of onnxruntime has no {_PROVIDERS[name]}"
    return ""


def providers_of(name: str, directory: Path, max_length: int) -> list[Provider]:
    """Return execution providers with their options, the preferred first.

    See onnxruntime.ai/docs/execution-providers for what the options mean.
    """
    cuda = {"arena_extend_strategy": "kSameAsRequested"}
    fallback = ("CUDAExecutionProvider", cuda)
    if name != TENSORRT_FP16:
        return [fallback]
    tensorrt = {
        # The graph says what is computed in float16; TensorRT keeps to it.
        "trt_fp16_enable": "True",
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(directory / "tensorrt"),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(directory / "tensorrt"),
        **_profile_options(max_length),
    }
    return [("TensorrtExecutionProvider", tensorrt), fallback]


def _profile_options(max_length: int) -> dict[str, str]:
    """Return the shapes of every optimisation profile, `name:rowsxtokens` for each input."""
    ranges = profiles(max_length, MAX_TOKENS)
    options = {}
    for key, index in (("min", 0), ("opt", 1), ("max", 2)):
        shapes = [each[index] for each in ranges]
        options[f"trt_profile_{key}_shapes"] = ",".join(
            f"input_ids:{shape.rows}x{shape.tokens},lengths:{shape.rows}" for shape in shapes
        )
    return options


def _session(model: Path, providers: list[Provider]) -> Any:
    import onnxruntime  # noqa: PLC0415 - as above

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # as in run
        raise engine_error(model, error) from error
