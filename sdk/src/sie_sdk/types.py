"""What goes into a client and what comes out: plain dicts with known keys, and numpy arrays."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

OutputType: TypeAlias = Literal["dense", "sparse", "multivector"]
OutputDtype: TypeAlias = Literal["float32", "float16", "int8", "uint8", "binary", "ubinary"]
Truncate: TypeAlias = Literal["right", "left", "none"]

# The bytes of a file or its path; `{"data": bytes, "format": "png"}`; a PIL image; or an array,
# (height, width, 3) uint8 in RGB or (height, width) uint8 in grey.
Picture: TypeAlias = bytes | str | PathLike[str] | Mapping[str, Any] | NDArray[np.uint8] | Any
# The bytes of a file or its path, or `{"data": bytes, "format": "pdf"}`.
DocumentFile: TypeAlias = bytes | str | PathLike[str] | Mapping[str, Any]


class Item(TypedDict, total=False):
    """One thing to work on; which of its contents a model reads is told by the model's `inputs`."""

    # Given back with the result; at most 256 characters.
    id: str
    text: str
    images: Sequence[Picture]
    document: DocumentFile
    # Not read by models.
    metadata: Mapping[str, Any]
    # (tokens, dims) float32: token vectors computed earlier, for late interaction.
    multivector: NDArray[np.floating[Any]]


# A text alone stands for an item with that text.
ItemLike: TypeAlias = str | Item | Mapping[str, Any]


class Timing(TypedDict, total=False):
    """Where the time of a request went, in milliseconds."""

    total_ms: float
    queue_ms: float
    tokenization_ms: float
    inference_ms: float
    postprocessing_ms: float


class ItemError(TypedDict):
    """Why one item has no result while others of its request have."""

    code: str
    message: str
    metadata: NotRequired[dict[str, str]]


class SparseVector(TypedDict):
    """Non-zero weights over a vocabulary."""

    # (non-zeros,) int32, ascending.
    indices: NDArray[np.int32]
    # (non-zeros,) float32 or float16.
    values: NDArray[Any]
    # Size of the vocabulary.
    dims: NotRequired[int]


class EncodeResult(TypedDict, total=False):
    """Embeddings of one item: the outputs that were asked for, or `error`."""

    id: str
    # (dims,) of the dtype asked for; (dims / 8,) for binary and ubinary.
    dense: NDArray[Any]
    # What the smallest and the largest code of int8 and uint8 stand for.
    dense_range: tuple[float, float]
    sparse: SparseVector
    # (tokens, dims) of the dtype asked for.
    multivector: NDArray[Any]
    # Tokens that the model read, after truncation.
    input_tokens: int
    truncated: bool
    timing: Timing
    error: ItemError


class ScoreEntry(TypedDict):
    """Relevance of one item; an entry with `error` has no meaningful score."""

    item_id: str
    score: float
    # From 0, most relevant first.
    rank: int
    # Position of the item in the request.
    index: NotRequired[int]
    input_tokens: NotRequired[int]
    truncated: NotRequired[bool]
    error: NotRequired[ItemError]


class ScoreResult(TypedDict, total=False):
    """A ranking."""

    model: str
    query_id: str
    scores: list[ScoreEntry]
    # logit, probability, cosine or maxsim.
    kind: str
    timing: Timing


class Entity(TypedDict):
    """A span of the text, or a region of the picture, with a label."""

    text: str
    label: str
    score: float
    # Unicode code points; absent for pictures.
    start: NotRequired[int]
    end: NotRequired[int]
    # x0, y0, x1, y1 in pixels; empty for text.
    bbox: NotRequired[list[float]]


class Relation(TypedDict):
    """A directed relation between two entities."""

    head: str
    tail: str
    relation: str
    score: float


class Classification(TypedDict):
    """A label for the whole item."""

    label: str
    score: float


class DetectedObject(TypedDict):
    """An object seen in a picture; `bbox` is x0, y0, x1, y1 in pixels."""

    label: str
    score: float
    bbox: list[float]


class ExtractResult(TypedDict, total=False):
    """What was found in one item, or `error`. The four lists are always there."""

    id: str
    entities: list[Entity]
    relations: list[Relation]
    classifications: list[Classification]
    objects: list[DetectedObject]
    # In the form of the request's `output_schema`.
    data: dict[str, Any]
    input_tokens: int
    truncated: bool
    timing: Timing
    error: ItemError


class ModelInfo(TypedDict, total=False):
    """A model as callers see it."""

    name: str
    inputs: list[str]
    outputs: list[str]
    # Components of each output.
    dims: dict[str, int]
    max_sequence_length: int
    state: str
    loaded: bool
    worker_count: int
    workers: list[str]
    bundles: list[str]
    profiles: dict[str, dict[str, Any]]
    tasks: list[str]
    last_error: ItemError


class WorkerInfo(TypedDict, total=False):
    """One worker of the cluster."""

    name: str
    url: str
    gpu: str
    gpu_count: int
    pool: str
    bundle: str
    healthy: bool
    loaded_models: list[str]
    queue_depth: int
    memory_used_bytes: int
    memory_total_bytes: int


class CapacityInfo(TypedDict, total=False):
    """What the cluster has; with a `gpu` asked for, the workers of that machine profile."""

    status: str
    # Healthy ones only.
    worker_count: int
    gpu_count: int
    models_loaded: int
    configured_gpu_types: list[str]
    live_gpu_types: list[str]
    workers: list[WorkerInfo]


class PoolSpec(TypedDict, total=False):
    """What a pool asks for."""

    name: str
    bundle: str
    gpus: dict[str, int]
    ttl_seconds: int
    minimum_worker_count: int


class PoolStatus(TypedDict, total=False):
    """What a pool has."""

    # pending or active.
    state: str
    reason: str
    assigned_workers: list[dict[str, Any]]
    created_at: str
    last_renewed: str


class PoolInfo(TypedDict):
    """Workers reserved for one tenant."""

    name: str
    spec: PoolSpec
    status: PoolStatus


class BatchRequest(TypedDict):
    """One request of a batch."""

    custom_id: str
    # POST.
    method: str
    url: str
    body: Mapping[str, Any]


class BatchCounts(TypedDict):
    """Requests of a batch."""

    total: int
    completed: int
    failed: int


class BatchInfo(TypedDict, total=False):
    """A batch; times are seconds since 1970 UTC."""

    id: str
    # validating, in_progress, finalizing, completed, failed, expired, cancelling or cancelled.
    status: str
    endpoint: str
    input_file_id: str
    input_uri: str
    output_uri: str
    output_file_id: str
    error_file_id: str
    completion_window: str
    request_counts: BatchCounts
    created_at: int
    in_progress_at: int
    expires_at: int
    finalizing_at: int
    completed_at: int
    failed_at: int
    expired_at: int
    cancelling_at: int
    cancelled_at: int
    # `data`: code, message, param and line of each.
    errors: dict[str, Any]
    metadata: dict[str, str]


class BatchResult(TypedDict):
    """What became of one request of a batch."""

    id: str
    custom_id: str
    line: int
    # status_code, request_id and body; None: the request was never made.
    response: dict[str, Any] | None
    error: dict[str, Any] | None


class FileInfo(TypedDict, total=False):
    """A file that batches use."""

    id: str
    filename: str
    purpose: str
    bytes: int
    status: str
    created_at: int
    expires_at: int
