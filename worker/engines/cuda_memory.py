"""A CUDA stream and the device memory that its runs use again and again, by cuda-python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine import EngineError


class CudaStream:
    """Buffers by name that grow to the largest that was asked for; one thread at a time."""

    def __init__(self) -> None:
        self.handle = _checked("cudaStreamCreate")
        self._buffers: dict[str, tuple[int, int]] = {}

    def allocate(self, name: str, size_bytes: int) -> int:
        """Return the address of a buffer of at least that size."""
        address, size = self._buffers.get(name, (0, 0))
        if size < size_bytes:
            if address:
                _checked("cudaFree", address)
            address = int(_checked("cudaMalloc", size_bytes))
            self._buffers[name] = (address, size_bytes)
        return address

    def upload(self, name: str, values: NDArray[Any]) -> int:
        """Copy an array into a buffer and return its address."""
        values = np.ascontiguousarray(values)
        address = self.allocate(name, values.nbytes)
        self._copy(address, values.ctypes.data, values.nbytes, "cudaMemcpyHostToDevice")
        return address

    def download(self, name: str, values: NDArray[Any]) -> None:
        """Copy a buffer into an array; it is there after `synchronize`."""
        address, _ = self._buffers[name]
        self._copy(values.ctypes.data, address, values.nbytes, "cudaMemcpyDeviceToHost")

    def synchronize(self) -> None:
        """Wait for all that was asked of the stream."""
        _checked("cudaStreamSynchronize", self.handle)

    def close(self) -> None:
        """Free the buffers and the stream."""
        for address, _ in self._buffers.values():
            _checked("cudaFree", address)
        self._buffers.clear()
        _checked("cudaStreamDestroy", self.handle)

    def _copy(self, to: int, source: int, size_bytes: int, kind: str) -> None:
        direction = getattr(_runtime().cudaMemcpyKind, kind)
        _checked("cudaMemcpyAsync", to, source, size_bytes, direction, self.handle)


def device_name() -> tuple[str, str]:
    """Return the GPU's name and its compute capability, such as `8.9`."""
    properties = _checked("cudaGetDeviceProperties", 0)
    name = properties.name
    name = name.decode() if isinstance(name, bytes) else str(name)
    return name.rstrip("\0"), f"{properties.major}.{properties.minor}"


def _checked(function: str, *arguments: Any) -> Any:
    """Call the CUDA runtime; raise EngineError with the error's name unless it succeeds."""
    error, *values = getattr(_runtime(), function)(*arguments)
    if int(error) != 0:
        raise EngineError(f"{function}: {error.name}")
    return values[0] if values else None


def _runtime() -> Any:
    try:
        from cuda.bindings import runtime  # noqa: PLC0415 - for those who have it
    except ImportError as error:
        raise EngineError("cuda-python is not installed") from error
    return runtime
