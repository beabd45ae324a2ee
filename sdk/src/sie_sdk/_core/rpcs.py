"""The calls of the contract that a client makes, with their two addresses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Rpc:
    """One call.

    Args:
        method: over HTTP.
        path: over HTTP; `{field}` is a field of the request, and everything else is the body.
        service: full name over gRPC; empty: there is none.
        name: over gRPC.
        response_field: field of the gRPC response that is the whole body over HTTP.
        is_binary: MessagePack over HTTP, for vectors; JSON otherwise.
    """

    method: str
    path: str
    service: str = ""
    name: str = ""
    response_field: str = ""
    is_binary: bool = False


_INFERENCE = "sie.inference.v1.InferenceService"
_MODELS = "sie.inference.v1.ModelService"
_POOLS = "sie.pool.v1.PoolService"
_BATCHES = "sie.batch.v1.BatchService"
_FILES = "sie.batch.v1.FileService"

ENCODE = Rpc("POST", "/v1/encode/{model}", _INFERENCE, "Encode", is_binary=True)
SCORE = Rpc("POST", "/v1/score/{model}", _INFERENCE, "Score", is_binary=True)
EXTRACT = Rpc("POST", "/v1/extract/{model}", _INFERENCE, "Extract", is_binary=True)
LIST_MODELS = Rpc("GET", "/v1/models", _MODELS, "ListModels")
GET_MODEL = Rpc("GET", "/v1/models/{model}", _MODELS, "GetModel", "model")
CREATE_POOL = Rpc("POST", "/v1/pools", _POOLS, "CreatePool", "pool")
GET_POOL = Rpc("GET", "/v1/pools/{name}", _POOLS, "GetPool", "pool")
LIST_POOLS = Rpc("GET", "/v1/pools", _POOLS, "ListPools")
RENEW_POOL = Rpc("POST", "/v1/pools/{name}/renew", _POOLS, "RenewPool")
DELETE_POOL = Rpc("DELETE", "/v1/pools/{name}", _POOLS, "DeletePool")
CREATE_BATCH = Rpc("POST", "/v1/batches", _BATCHES, "CreateBatch", "batch")
GET_BATCH = Rpc("GET", "/v1/batches/{batch_id}", _BATCHES, "GetBatch", "batch")
LIST_BATCHES = Rpc("GET", "/v1/batches", _BATCHES, "ListBatches")
CANCEL_BATCH = Rpc("POST", "/v1/batches/{batch_id}/cancel", _BATCHES, "CancelBatch", "batch")
DELETE_BATCH = Rpc("DELETE", "/v1/batches/{batch_id}", _BATCHES, "DeleteBatch")
CREATE_FILE = Rpc("POST", "/v1/files", _FILES, "CreateFile", "file", is_binary=True)
APPEND_FILE = Rpc(
    "POST", "/v1/files/{file_id}:append", _FILES, "AppendFile", "file", is_binary=True
)
READ_FILE = Rpc("GET", "/v1/files/{file_id}:read", _FILES, "ReadFile")
DELETE_FILE = Rpc("DELETE", "/v1/files/{file_id}", _FILES, "DeleteFile")
HEALTH = Rpc("GET", "/health")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that can be sent, also more than once: none of them does harm twice.

    Args:
        rpc: which.
        message: the request's fields, as JSON names them; vectors are arrays, files are bytes.
        headers: HTTP headers or gRPC metadata, keys in lower case.
    """

    rpc: Rpc
    message: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call, in the form that JSON has; vectors are arrays.

    Args:
        value: the body.
        headers: keys in lower case.
    """

    value: Any
    headers: Mapping[str, str]
