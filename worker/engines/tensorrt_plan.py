"""TensorRT alone: our graph built to a plan, one execution context for each stream.

The graph is of the standard dialect and says itself what is computed in half precision, so the
network is strongly typed. One optimisation profile covers a range of lengths (`buckets.py`). Not
verified: it has not been run on a GPU.
"""

from __future__ import annotations

import importlib.util
import logging
import queue
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine import Batch, EngineError, engine_error
from worker.engines.buckets import MAX_TOKENS, ProfileRange, Shape, bucketed, profiles, trimmed
from worker.engines.cuda_memory import CudaStream, device_name
from worker.engines.feeds import feeds_of
from worker.engines.plan_file import PlanTarget, plan_path, read_plan, save_plan
from worker.machine import has_nvidia_gpu

log = logging.getLogger(__name__)

NAME_FP16 = "tensorrt-fp16"
NAME_BF16 = "tensorrt-bf16"

_STREAMS = 2
_WORKSPACE_BYTES = 2 << 30


class TensorRtPlan:
    """An Engine that runs a plan on one GPU."""

    streams = _STREAMS

    def __init__(self, model: Path, name: str, *, max_length: int) -> None:
        """Open the plan of a graph, building it first where there is none: minutes.

        Args:
            model: the .onnx file, or a .plan file built elsewhere.
            name: NAME_FP16 or NAME_BF16.
            max_length: the longest row that the plan takes.

        Raises:
            EngineError: TensorRT is missing, rejects the graph, or the plan does not fit.

        """
        reason = missing()
        if reason:
            raise EngineError(f"{name}: {reason}")
        self.name = name
        self._max_length = max_length
        self._ranges = profiles(max_length, MAX_TOKENS)
        self._engine = _deserialized(_plan(model, name, self._ranges), model)
        self._contexts: queue.SimpleQueue[_Context] = queue.SimpleQueue()
        for _ in range(_STREAMS):
            self._contexts.put(_Context(self._engine, self._ranges))

    def run(self, batch: Batch, outputs: Sequence[str] = ()) -> dict[str, NDArray[np.float32]]:
        """See Engine.run."""
        larger, shape = bucketed(batch, self._max_length)
        context = self._contexts.get()
        try:
            answers = context.run(larger)
        except Exception as error:  # the bindings raise RuntimeErrors and their own
            raise engine_error(self.name, error) from error
        finally:
            self._contexts.put(context)
        found = trimmed(answers, shape)
        return {name: found[name] for name in outputs or found}

    def close(self) -> None:
        """See Engine.close."""
        while not self._contexts.empty():
            self._contexts.get().close()
        del self._engine


class _Context:
    """An execution context with its stream and its memory on the device."""

    def __init__(self, engine: Any, ranges: Sequence[ProfileRange]) -> None:
        self._context = engine.create_execution_context()
        self._ranges = ranges
        self._stream = CudaStream()
        import tensorrt  # noqa: PLC0415 - a gigabyte, for those who have it

        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        is_input = {n: engine.get_tensor_mode(n) == tensorrt.TensorIOMode.INPUT for n in names}
        self._inputs = {name for name in names if is_input[name]}
        self._outputs = [name for name in names if not is_input[name]]

    def run(self, batch: Batch) -> dict[str, NDArray[np.float32]]:
        feeds = feeds_of(batch, self._inputs)
        self._select(feeds["input_ids"].shape)
        for name, values in feeds.items():
            self._context.set_input_shape(name, values.shape)
            self._context.set_tensor_address(name, self._stream.upload(name, values))
        answers = {name: self._output(name) for name in self._outputs}
        if not self._context.execute_async_v3(self._stream.handle):
            raise RuntimeError("the run was not accepted")
        for name, values in answers.items():
            self._stream.download(name, values)
        self._stream.synchronize()
        return answers

    def close(self) -> None:
        self._stream.close()

    def _select(self, shape: Sequence[int]) -> None:
        """Take the profile that covers a shape."""
        chosen = Shape(*shape)
        for number, each in enumerate(self._ranges):
            if each.covers(chosen):
                self._context.set_optimization_profile_async(number, self._stream.handle)
                return
        raise RuntimeError(f"no profile covers {chosen.rows} rows of {chosen.tokens} tokens")

    def _output(self, name: str) -> NDArray[np.float32]:
        values = np.empty(tuple(self._context.get_tensor_shape(name)), dtype=np.float32)
        self._context.set_tensor_address(name, self._stream.allocate(name, values.nbytes))
        return values


def missing() -> str:
    """Why this engine cannot run here; empty if it can."""
    for module, package in (("tensorrt", "tensorrt"), ("cuda", "cuda-python")):
        if importlib.util.find_spec(module) is None:
            return f"{package} is not installed"
    return "" if has_nvidia_gpu() else "there is no NVIDIA GPU"


def _plan(model: Path, name: str, ranges: Sequence[ProfileRange]) -> bytes:
    """Read the plan of a graph for this GPU and version, or build and keep it."""
    import tensorrt  # noqa: PLC0415 - as above

    gpu, capability = device_name()
    target = PlanTarget(gpu, capability, tensorrt.__version__, name.rpartition("-")[2])
    if model.suffix == ".plan":
        return read_plan(model, target)
    path = plan_path(model.parent, target)
    if not path.exists():
        save_plan(path, target, _built(model, ranges))
    return read_plan(path, target)


def _built(model: Path, ranges: Sequence[ProfileRange]) -> bytes:
    import tensorrt  # noqa: PLC0415 - as above

    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    builder = tensorrt.Builder(logger)
    typed = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(model)):
        problems = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise EngineError(f"{model}: TensorRT cannot read the graph: {problems}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    timings = model.parent / "plans" / "timing.cache"
    known = timings.read_bytes() if timings.exists() else b""
    cache = config.create_timing_cache(known)
    config.set_timing_cache(cache, ignore_mismatch=False)
    for each in ranges:
        config.add_optimization_profile(_profile(builder, network, each))
    log.info("building a TensorRT plan", extra={"fields": {"model": str(model)}})
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"{model}: TensorRT built no plan; its log says why")
    timings.parent.mkdir(exist_ok=True)
    timings.write_bytes(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def _profile(builder: Any, network: Any, each: ProfileRange) -> Any:
    """Give every input its shapes: (rows, tokens), and (rows,) for `lengths`."""
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        dims = len(tensor.shape)
        profile.set_shape(tensor.name, *(tuple(shape[:dims]) for shape in each))
    return profile


def _deserialized(plan: bytes, model: Path) -> Any:
    import tensorrt  # noqa: PLC0415 - as above

    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING))
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(f"{model}: TensorRT cannot read the plan; delete it to have it built")
    return engine
