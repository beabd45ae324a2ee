"""Sound requests, from which the others are made."""

from typing import Any

from google.protobuf import json_format

from sie.registry.v1.model_pb2 import Model

YAML = "application/yaml"

MODEL = json_format.ParseDict(
    {
        "model_id": "m",
        "inputs": ["INPUT_TYPE_TEXT", "INPUT_TYPE_IMAGE"],
        "tasks": {
            "encode": {"dense": {"dims": 4}, "sparse": {"dims": 9}, "multivector": {"dims": 2}},
            "score": {},
            "extract": {},
        },
        "profiles": {"fast": {}},
    },
    Model(),
)

_ITEM = {"id": "a", "text": "Hello", "metadata": {"k": [1, {"b": None}]}}
_VECTORS = {"num_tokens": 2, "token_dims": 2, "dtype": "float32", "values": [[1, 2], [3, 4.5]]}
_PARAMS = {
    "output_types": ["dense", "sparse"],
    "output_dtype": "float16",
    "instruction": "find: ",
    "dimensions": 2,
    "truncate": "left",
    "profile": "fast",
    "options": {"is_query": True},
}
_LABELS = {
    "labels": ["person", "place"],
    "threshold": 0.5,
    "options": {"aggregation": "max", "flat_ner": True},
}

# By path.
BODIES: dict[str, Any] = {
    "/v1/encode/m": {
        "items": [
            _ITEM,
            {"images": [{"data": "aGVsbG8=", "format": "png"}]},
            {"token_ids": [1, 2]},
        ],
        "params": _PARAMS,
    },
    "/v1/score/m": {
        "query": {"id": "q", "multivector": _VECTORS},
        "items": [_ITEM, {"multivector": _VECTORS}],
        "instruction": "",
        "options": {"profile": "fast"},
    },
    "/v1/extract/m": {"items": [_ITEM], "params": _LABELS},
    "/v1/tokenize": {"model": "m", "items": [_ITEM], "params": {"details": True}},
    "/v1/embeddings": {
        "model": "m",
        "input": ["a", [1, 2], "b"],
        "encoding_format": "base64",
        "dimensions": 2,
        "user": "u",
    },
    "/v2/rerank": {
        "model": "m",
        "query": "q",
        "documents": ["a", {"text": "b", "title": "c"}],
        "top_n": 1,
        "return_documents": True,
    },
    "/embed": {"inputs": [1, 2, 3], "truncate": True, "prompt_name": "query"},
    "/embed_sparse": {"inputs": ["a"], "truncation_direction": "Left"},
    "/similarity": {"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": {}},
    "/predict": {"inputs": [["a"], ["b"]], "raw_scores": False},
    "/tokenize": {"inputs": "a", "add_special_tokens": False},
    "/decode": {"ids": [[1, 2], [3]], "skip_special_tokens": True},
    "/v1/pools": {"name": "p", "gpus": {"l4": 2}, "minimum_worker_count": 1},
    "/v1/configs/models": {
        "model_id": "org/model",
        "sources": [{"hugging_face": {"repo": "org/model"}}],
        "tasks": {"encode": {"dense": {"dims": 4}}},
        "profiles": {"default": {"normalize": True}},
    },
    # Of the open inference protocol, whose REST form has a reader of its own.
    "/infer": {
        "id": "1",
        "inputs": [
            {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": [["a"], ["b"]]},
            {
                "name": "query",
                "shape": [1],
                "datatype": "BYTES",
                "parameters": {"content_type": "base64"},
                "data": ["aGk="],
            },
        ],
        "outputs": [{"name": "embedding", "parameters": {"binary_data": True}}],
        "parameters": {"timeout": 5, "truncate": "left"},
    },
}
