"""ONNX Runtime on the CPU: two sessions (`sessions.py`) over one memory-mapped file of weights.

The second session costs about 45 MB for MiniLM.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from worker.engine import Batch, engine_error
from worker.engines.feeds import feeds_of, tokens_in
from worker.engines.sessions import AloneOrBusy
from worker.machine import available_cores

NAME = "onnxruntime-cpu"

_LOG_ERRORS_ONLY = 3
# Memory of larger batches is given back after the run: some 35 KB a token for MiniLM.
_KEPT_TOKENS = 4096


class OnnxRuntimeCpu:
    """An Engine that runs a compiled graph on the cores of this process."""

    def __init__(self, model: Path, *, cores: int | None = None, name: str = NAME) -> None:
        """Open a graph.

        Args:
            model: the .onnx file, its weights beside it.
            cores: how many cores to use; those this process may run on by default.
            name: says what the graph computes in.

        Raises:
            EngineError: ONNX Runtime rejects the file.

        """
        self.name = name
        self.streams = cores or available_cores()
        alone = open_session(model, threads=self.streams)
        one = self.streams == 1
        self._sessions = AloneOrBusy(
            alone, lambda: alone if one else open_session(model, threads=1)
        )
        self._outputs = [output.name for output in alone.get_outputs()]
        self._inputs = {each.name for each in alone.get_inputs()}

    def run(self, batch: Batch, outputs: Sequence[str] = ()) -> dict[str, NDArray[np.float32]]:
        """See Engine.run."""
        wanted = list(outputs) or self._outputs
        with self._sessions.lend() as session:
            try:
                results = session.run(wanted, feeds_of(batch, self._inputs), _run_options(batch))
            except Exception as error:  # the library's exceptions share no base of their own
                raise engine_error(self.name, error) from error
        return dict(zip(wanted, results, strict=True))

    def close(self) -> None:
        """See Engine.close."""
        self._sessions.close()
        del self._sessions


@functools.cache
def _share_one_arena() -> None:
    """Let all sessions of the process, of every model, take turns with the same memory.

    After batches of 1024 MiniLM tokens on two sessions the process held 283 MB; with an arena
    a session 345 MB, with malloc 339 MB and growing by the thread. Speed was the same.
    """
    kind, use = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, ort.OrtMemType.DEFAULT
    defaults = ort.OrtArenaCfg(0, -1, -1, -1)
    ort.create_and_register_allocator(ort.OrtMemoryInfo("Cpu", kind, 0, use), defaults)


def _run_options(batch: Batch) -> ort.RunOptions | None:
    if tokens_in(batch) <= _KEPT_TOKENS:
        return None
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def open_session(model: Path, *, threads: int) -> ort.InferenceSession:
    """Open a graph for runs of so many threads; raise EngineError if it is rejected."""
    _share_one_arena()
    options = ort.SessionOptions()
    options.log_severity_level = _LOG_ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads that spin take the cores the rest of the machine's processes need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Plans made for one batch shape do not fit the next.
    options.enable_mem_pattern = False
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's exceptions share no base of their own
        raise engine_error(model, error) from error
