"""What the packed twins save: a reply of 32 vectors of 384 floats, written, joined and rendered.

python benchmarks/wire.py
"""

import timeit
from collections.abc import Callable

import numpy as np
import orjson
from google.protobuf import json_format

from gateway.transcoder.json_out import ResponseWriter
from servicekit.packed import packed_twin
from sie.inference.v1.inference_service_pb2 import EncodeResponse

_ROWS, _DIMS = 32, 384
Packed = packed_twin(EncodeResponse)


def main() -> None:
    vectors = np.random.default_rng(0).standard_normal((_ROWS, _DIMS)).astype("<f4")
    plain, packed = _write_floats(vectors), _write_bytes(vectors)
    assert plain == packed
    writer = ResponseWriter(EncodeResponse, "")
    halves = [_write_bytes(half) for half in np.split(vectors, 2)]
    _row("write, a float at a time", lambda: _write_floats(vectors))
    _row("write, bytes of the array", lambda: _write_bytes(vectors))
    _row("join two parts, as messages", lambda: _join_messages(halves))
    _row("join two parts, as bytes", lambda: b"".join(halves))
    _row("JSON, json_format", lambda: _json_format(plain))
    _row("JSON, lists of floats", lambda: _json_lists(plain))
    _row("JSON, from the bytes", lambda: writer.write(packed))


def _write_floats(vectors: np.ndarray) -> bytes:
    response = EncodeResponse()
    for row in vectors:
        response.items.add().dense.values.extend(row.tolist())
    return response.SerializeToString()


def _write_bytes(vectors: np.ndarray) -> bytes:
    response = Packed()
    for row in vectors:
        response.items.add().dense.values = row.tobytes()
    return bytes(response.SerializeToString())


def _join_messages(parts: list[bytes]) -> bytes:
    response = EncodeResponse()
    for part in parts:
        response.MergeFromString(part)
    return response.SerializeToString()


def _json_format(body: bytes) -> bytes:
    return json_format.MessageToJson(EncodeResponse.FromString(body)).encode()


def _json_lists(body: bytes) -> bytes:
    items = EncodeResponse.FromString(body).items
    return orjson.dumps({"items": [{"dense": {"values": list(i.dense.values)}} for i in items]})


def _row(name: str, work: Callable[[], object]) -> None:
    loops = 20
    best = min(timeit.repeat(work, number=loops, repeat=5)) / loops
    print(f"  {name:32}{best * 1e3:10.3f} ms")


if __name__ == "__main__":
    print(f"a reply of {_ROWS} x {_DIMS} floats")
    main()
