"""OpenVINO on an x86 CPU: the standard graph, in float32 or, where the CPU multiplies it, bfloat16.

OpenVINO converts the weights to layouts of its own, so each of the two compiled models
(`sessions.py`) holds a copy of them; what it compiled for shapes it has seen is kept.
"""

from __future__ import annotations

import functools
import importlib.util
import queue
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine import Batch, EngineError, engine_error
from worker.engines.feeds import feeds_of
from worker.engines.sessions import AloneOrBusy
from worker.machine import available_cores, multiplies_bf16

NAME = "openvino-cpu"
NAME_BF16 = "openvino-cpu-bf16"


class OpenVinoCpu:
    """An Engine that runs a compiled graph of the standard dialect."""

    def __init__(self, model: Path, *, cores: int | None = None, bf16: bool = False) -> None:
        """Open a graph.

        Args:
            model: the .onnx file, its weights beside it.
            cores: how many cores to use; those this process may run on by default.
            bf16: whether products are computed in bfloat16.

        Raises:
            EngineError: OpenVINO is not installed or rejects the file.

        """
        self.name = NAME_BF16 if bf16 else NAME
        self.streams = cores or available_cores()
        precision = "bf16" if bf16 else "f32"
        alone = _Compiled(model, precision, streams=1, threads=self.streams)
        self._sessions = AloneOrBusy(alone, lambda: self._busy(model, precision, alone))

    def _busy(self, model: Path, precision: str, alone: _Compiled) -> _Compiled:
        if self.streams == 1:
            return alone
        return _Compiled(model, precision, streams=self.streams, threads=self.streams)

    def run(self, batch: Batch, outputs: Sequence[str] = ()) -> dict[str, NDArray[np.float32]]:
        """See Engine.run."""
        with self._sessions.lend() as compiled:
            try:
                return compiled.run(batch, outputs)
            except Exception as error:  # the library raises bare RuntimeErrors and others
                raise engine_error(self.name, error) from error

    def close(self) -> None:
        """See Engine.close."""
        self._sessions.close()
        del self._sessions


class _Compiled:
    """A compiled model with as many requests as may run at once; a request is no thread's own."""

    def __init__(self, model: Path, precision: str, *, streams: int, threads: int) -> None:
        config = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            # The scheduler knows better which core is free than we do at start.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            compiled = _core().compile_model(str(model), "CPU", config)
        except Exception as error:  # as in run
            raise engine_error(model, error) from error
        self._inputs = {_name(each) for each in compiled.inputs}
        self._outputs = [_name(each) for each in compiled.outputs]
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(streams):
            self._free.put(compiled.create_infer_request())

    def run(self, batch: Batch, outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        request = self._free.get()
        try:
            results = request.infer(feeds_of(batch, self._inputs), share_inputs=True)
            return {name: results[name] for name in outputs or self._outputs}
        finally:
            self._free.put(request)


def _name(port: Any) -> str:
    """Return the name that the graph declares, of those that OpenVINO knows a value by.

    An output has the names of the nodes before it too, which hold a colon.
    """
    return str(min(port.names, key=lambda name: (":" in name, name)))


def missing(*, bf16: bool = False) -> str:
    """Why this engine cannot run here; empty if it can."""
    if importlib.util.find_spec("openvino") is None:
        return "openvino is not installed"
    if bf16 and not multiplies_bf16():
        return "the CPU has neither AMX nor AVX512-BF16"
    return ""


@functools.cache
def _core() -> Any:
    try:
        import openvino  # noqa: PLC0415 - a fifth of a second, for those who use it
    except ImportError as error:
        raise EngineError(f"{NAME}: openvino is not installed") from error
    return openvino.Core()
