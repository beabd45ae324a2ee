"""ONNX Runtime on the CPU.

Two sessions over one memory-mapped file of weights:

    alone   every core works on one run       a lone text is answered soonest
    busy    one core a run, a run a core      cores wait for nobody under load

A run takes the first where no other is in flight, of any model, else the second. On 2 idle
cores both give MiniLM the same throughput. With other processes on those cores the second
gives 1.3 times as much or more, since a thread that lost its core holds up no others, while the
first answers a lone text of 16 tokens in two thirds of the time. The second session costs about
45 MB.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from worker.engine import Batch, ImageBatch, engine_error

NAME = "onnxruntime-cpu"

_LOG_ERRORS_ONLY = 3
# Memory of larger batches is given back after the run: some 35 KB a token for MiniLM.
_KEPT_TOKENS = 4096
# The patches of 224 x 224 pixels, each 14 x 14.
_TOKENS_PER_IMAGE = 256


class OnnxRuntimeCpu:
    """An Engine that runs a compiled graph on the cores of this process."""

    name = NAME

    def __init__(self, model: Path, *, cores: int | None = None) -> None:
        """Open a graph.

        Args:
            model: the .onnx file, its weights beside it.
            cores: how many cores to use; those this process may run on by default.

        Raises:
            EngineError: ONNX Runtime rejects the file.

        """
        self.streams = cores or available_cores()
        self._alone = _session(model, threads=self.streams)
        self._busy = self._alone if self.streams == 1 else _session(model, threads=1)
        self._outputs = [output.name for output in self._alone.get_outputs()]
        self._inputs = {each.name for each in self._alone.get_inputs()}

    def run(self, batch: Batch, outputs: Sequence[str] = ()) -> dict[str, NDArray[np.float32]]:
        """See Engine.run."""
        wanted = list(outputs) or self._outputs
        with self._session() as session:
            try:
                results = session.run(wanted, self._feeds(batch), _run_options(batch))
            except Exception as error:  # the library's exceptions share no base of their own
                raise engine_error(self.name, error) from error
        return dict(zip(wanted, results, strict=True))

    def close(self) -> None:
        """See Engine.close."""
        del self._alone, self._busy

    def _feeds(self, batch: Batch) -> dict[str, NDArray[Any]]:
        if isinstance(batch, ImageBatch):
            return {"pixel_values": batch.pixel_values}
        feeds = {"input_ids": batch.input_ids, "lengths": batch.lengths}
        if "type_ids" in self._inputs:
            zeros = np.zeros_like(batch.input_ids)
            feeds["type_ids"] = zeros if batch.type_ids is None else batch.type_ids
        if batch.marks is not None and "marks" in self._inputs:
            feeds["marks"] = batch.marks
        return feeds

    @contextmanager
    def _session(self) -> Iterator[ort.InferenceSession]:
        with _cores.run() as is_alone:
            yield self._alone if is_alone else self._busy


class _Cores:
    """Counts the runs of this process, which all of its models share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0

    @contextmanager
    def run(self) -> Iterator[bool]:
        """Count a run, and tell whether it was the only one at its beginning."""
        with self._lock:
            is_alone = self._in_flight == 0
            self._in_flight += 1
        try:
            yield is_alone
        finally:
            with self._lock:
                self._in_flight -= 1


_cores = _Cores()


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
    if _tokens(batch) <= _KEPT_TOKENS:
        return None
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _tokens(batch: Batch) -> int:
    if isinstance(batch, ImageBatch):
        return len(batch.pixel_values) * _TOKENS_PER_IMAGE
    return batch.input_ids.size


def available_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _session(model: Path, *, threads: int) -> ort.InferenceSession:
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
