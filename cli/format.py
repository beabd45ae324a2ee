"""How results look on a terminal, and as JSON."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format

from sie.batch.v1 import batch_pb2
from sie.inference.v1 import inference_service_pb2 as inference
from sie.inference.v1 import model_service_pb2 as models
from sie.inference.v1 import result_pb2, tensor_pb2
from sie.pool.v1 import pool_pb2

_SHOWN = 5
_LABEL_WIDTH = 32
_ENUM_PREFIXES = (
    "OUTPUT_TYPE_",
    "INPUT_TYPE_",
    "DATA_TYPE_",
    "MODEL_STATE_",
    "SCORE_KIND_",
    "TASK_",
    "POOL_STATE_",
    "RESOURCE_TYPE_",
    "CHANGE_ACTION_",
    "BATCH_STATUS_",
    "FILE_STATUS_",
)


def numbers(values: Sequence[float], shown: int = _SHOWN) -> str:
    """The first components: `[0.0123, -0.0456, ...]`."""
    head = ", ".join(f"{value:.4f}" for value in values[:shown])
    return f"[{head}{', ...' if len(values) > shown else ''}]"


def shorten(text: str, width: int = _LABEL_WIDTH) -> str:
    """A text on one line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 3] + "..."


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with the columns aligned."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def encoded(texts: Sequence[str], results: Sequence[result_pb2.EncodeResult]) -> list[str]:
    """A paragraph for each text, and a table of similarities when there are several vectors."""
    lines: list[str] = []
    for text, result in zip(texts, results, strict=True):
        lines.append(f'"{shorten(text, 70)}"')
        lines.extend(f"  {line}" for line in _result(result))
    vectors = [list(result.dense.values) for result in results]
    if len(vectors) > 1 and all(vectors):
        lines += ["", "cosine similarity", *similarities(texts, vectors)]
    return lines


def ranking(documents: Sequence[str], response: inference.ScoreResponse) -> list[str]:
    """A table of the documents, most relevant first."""
    kind = lower_name(result_pb2.ScoreKind.Name(response.kind))
    header = ("RANK", kind.upper(), "TOKENS", "DOCUMENT")
    return table([header, *(_ranked(documents, entry) for entry in response.scores)])


def similarities(texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> list[str]:
    """Every text against every other, as rows of a table."""
    header = ["", *(str(number) for number in range(1, len(texts) + 1))]
    rows = [
        [f"{number} {shorten(text)}", *(f"{cosine(vector, other):.3f}" for other in vectors)]
        for number, (text, vector) in enumerate(zip(texts, vectors, strict=True), 1)
    ]
    return [f"  {line}" for line in table([header, *rows])]


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """0 when either vector is 0."""
    product = sum(a * b for a, b in zip(left, right, strict=True))
    return product / (math.hypot(*left) * math.hypot(*right) or 1.0)


def model_table(found: Sequence[models.ModelInfo]) -> list[str]:
    """A line for each model: what it gives, and where it stands."""
    if not found:
        return ["no models are registered"]
    header = ("MODEL", "TASKS", "OUTPUTS", "TOKENS", "STATE", "WORKERS")
    return table([header, *(_model_row(model) for model in found)])


def pool_table(found: Sequence[pool_pb2.Pool]) -> list[str]:
    """A line for each pool: what it wants, what it has, and where it stands."""
    header = ("POOL", "BUNDLE", "WANTED", "STATE", "WORKERS", "REASON")
    return table([header, *(_pool_row(pool) for pool in found)])


def batch_table(found: Sequence[batch_pb2.Batch]) -> list[str]:
    """A line for each batch: how far it is."""
    header = ("BATCH", "STATUS", "DONE", "FAILED", "TOTAL", "CREATED", "ENDPOINT")
    return table([header, *(_batch_row(batch) for batch in found)])


def _batch_row(batch: batch_pb2.Batch) -> Sequence[str]:
    counts = batch.request_counts
    created = datetime.fromtimestamp(batch.created_at, UTC)
    return (
        batch.id,
        lower_name(batch_pb2.BatchStatus.Name(batch.status)),
        str(counts.completed),
        str(counts.failed),
        str(counts.total),
        f"{created:%Y-%m-%d %H:%M:%S}",
        batch.endpoint,
    )


def as_json(message: Any) -> Any:
    """A message in the words of the HTTP face: snake_case names, lower-case enum values."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return _lower_enums(fields)


def lower_name(value: str) -> str:
    """`OUTPUT_TYPE_DENSE` as `dense`."""
    for prefix in _ENUM_PREFIXES:
        if value.startswith(prefix):
            return value.removeprefix(prefix).lower()
    return value


def _result(result: result_pb2.EncodeResult) -> Iterable[str]:
    if result.HasField("error"):
        yield f"failed: {result.error.message}"
        return
    tokens = f"{result.input_tokens} tokens" + (", truncated" if result.truncated else "")
    if result.HasField("dense"):
        yield f"dense        {result.dense.dims} dims  {numbers(result.dense.values)}  ({tokens})"
    if result.HasField("sparse"):
        yield f"sparse       {_sparse(result.sparse)}  ({tokens})"
    if result.HasField("multivector"):
        yield f"multivector  {_multivector(result.multivector)}  ({tokens})"


def _ranked(documents: Sequence[str], entry: result_pb2.ScoreEntry) -> tuple[str, ...]:
    document = shorten(documents[entry.index], 70)
    if entry.HasField("error"):
        return "-", "failed", "-", f"{document}: {entry.error.message}"
    tokens = f"{entry.input_tokens}{', truncated' if entry.truncated else ''}"
    return str(entry.rank + 1), f"{entry.score:.4f}", tokens, document


def _sparse(vector: tensor_pb2.SparseVector) -> str:
    heaviest = sorted(zip(vector.indices, vector.values, strict=True), key=lambda pair: -pair[1])
    head = ", ".join(f"{index}: {weight:.3f}" for index, weight in heaviest[:_SHOWN])
    dots = ", ..." if len(heaviest) > _SHOWN else ""
    return f"{len(heaviest)} of {vector.dims} weights  {{{head}{dots}}}"


def _multivector(vector: tensor_pb2.MultiVector) -> str:
    return f"{vector.num_tokens} x {vector.token_dims}  {numbers(vector.values)}"


def _model_row(model: models.ModelInfo) -> tuple[str, ...]:
    outputs = ", ".join(
        f"{name} {model.dims[name]}" if name in model.dims else name
        for name in (lower_name(tensor_pb2.OutputType.Name(output)) for output in model.outputs)
    )
    state = lower_name(models.ModelState.Name(model.state))
    if model.HasField("last_error"):
        state += f" ({model.last_error.message})"
    tokens = str(model.max_sequence_length or "-")
    tasks = ", ".join(lower_name(models.Task.Name(task)) for task in model.tasks)
    return model.name, tasks or "-", outputs or "-", tokens, state, ", ".join(model.workers) or "-"


def _pool_row(pool: pool_pb2.Pool) -> Sequence[str]:
    wanted = ", ".join(f"{profile}={pool.spec.gpus[profile]}" for profile in sorted(pool.spec.gpus))
    state = lower_name(pool_pb2.PoolState.Name(pool.status.state))
    workers = ", ".join(worker.name for worker in pool.status.assigned_workers)
    return (
        pool.spec.name,
        pool.spec.bundle,
        wanted or "-",
        state,
        workers or "-",
        pool.status.reason,
    )


def _lower_enums(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lower_enums(entry) for key, entry in value.items()}
    if isinstance(value, list):
        # Long runs of floats are left as they are.
        return value if value and isinstance(value[0], float) else [_lower_enums(v) for v in value]
    return lower_name(value) if isinstance(value, str) else value
