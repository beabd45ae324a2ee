"""The REST paths of the open inference protocol as OpenAPI describes them."""

from typing import Any

_TAG = "inference.GRPCInferenceService"
_STRING = {"type": "string"}
_BOOLEAN = {"type": "boolean"}
_SHAPE = {"type": "array", "items": {"type": "integer"}}
_PARAMETERS = {
    "type": "object",
    "additionalProperties": {"type": ["boolean", "integer", "number", "string"]},
}


def paths() -> dict[str, Any]:
    """Operations by path and method."""
    model, versioned = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    found = {
        "/v2": {"get": _operation("ServerMetadata", "Name, version and extensions.", _SERVER)},
        "/v2/health/live": {
            "get": _operation("ServerLive", "The process answers.", _object(live=_BOOLEAN))
        },
        "/v2/health/ready": {
            "get": _operation("ServerReady", "It can take requests.", _READY, not_ready=True)
        },
        "/v2/repository/index": {"post": _index()},
    }
    for path, suffix in ((model, ""), (versioned, "OfVersion")):
        parameters = [
            _path_parameter(name) for name in ("model", "version") if f"{{{name}}}" in path
        ]
        found[path] = {"get": _metadata(suffix, parameters)}
        found[f"{path}/ready"] = {"get": _model_ready(suffix, parameters)}
        found[f"{path}/infer"] = {"post": _infer(suffix, parameters)}
    for verb in ("load", "unload"):
        found[f"/v2/repository/models/{{model}}/{verb}"] = {"post": _not_provided(verb)}
    return found


def _operation(
    name: str,
    summary: str,
    schema: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    *,
    not_ready: bool = False,
) -> dict[str, Any]:
    responses = {"200": {"description": summary, "content": _json(schema)}, "default": _ERROR}
    if not_ready:
        responses["503"] = {"description": "Not ready.", "content": _json(schema)}
    return {
        "operationId": f"GRPCInferenceService_{name}",
        "tags": [_TAG],
        "summary": summary,
        "parameters": parameters or [],
        "responses": responses,
    }


def _metadata(suffix: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    summary = "Tensors that the model takes and gives."
    return _operation(f"ModelMetadata{suffix}", summary, _MODEL, parameters)


def _model_ready(suffix: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    summary = "A worker has the model loaded."
    schema = {"anyOf": [_object(name=_STRING, ready=_BOOLEAN), _ERROR_SCHEMA]}
    name = f"ModelReady{suffix}"
    return _operation(name, summary, schema, parameters, not_ready=True)


def _infer(suffix: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    header = {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "description": "Bytes of JSON before binary tensors.",
        "schema": {"type": "integer"},
    }
    operation = _operation(f"ModelInfer{suffix}", "Runs a model.", _INFERRED, [*parameters, header])
    operation["requestBody"] = {"required": True, "content": _json(_INFER)}
    return operation


def _index() -> dict[str, Any]:
    entry = _object(name=_STRING, version=_STRING, state=_STRING, reason=_STRING)
    schema = {"type": "array", "items": entry}
    operation = _operation("RepositoryIndex", "Every model with its state.", schema)
    body = {"type": "object", "properties": {"ready": _BOOLEAN}, "additionalProperties": False}
    operation["requestBody"] = {"required": False, "content": _json(body)}
    return operation


def _not_provided(verb: str) -> dict[str, Any]:
    summary = "Not provided: models come and go with requests for them."
    parameters = [_path_parameter("model")]
    operation = _operation(f"RepositoryModel{verb.title()}", summary, {}, parameters)
    operation["responses"] = {"501": _ERROR, "default": _ERROR}
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _STRING}


def _object(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    needed = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": needed}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


_ERROR_SCHEMA = _object(error=_STRING)
_ERROR = {"description": "The reason is in X-SIE-Error-Code.", "content": _json(_ERROR_SCHEMA)}
_READY = _object(live=_BOOLEAN, ready=_BOOLEAN)
_SERVER = _object(name=_STRING, version=_STRING, extensions={"type": "array", "items": _STRING})
_TENSORS = {"type": "array", "items": _object(name=_STRING, datatype=_STRING, shape=_SHAPE)}
_MODEL = _object(
    name=_STRING,
    versions={"type": "array", "items": _STRING},
    platform=_STRING,
    inputs=_TENSORS,
    outputs=_TENSORS,
)
_INPUT = _object(
    ["name", "shape", "datatype"],
    name=_STRING,
    shape=_SHAPE,
    datatype={"enum": ["BYTES"]},
    parameters=_PARAMETERS,
    data={"type": "array"},
)
_OUTPUT = _object(["name"], name=_STRING, parameters=_PARAMETERS)
_INFER = _object(
    ["inputs"],
    id=_STRING,
    parameters=_PARAMETERS,
    inputs={"type": "array", "items": _INPUT},
    outputs={"type": "array", "items": _OUTPUT},
)
_INFERRED = _object(
    ["model_name", "outputs"],
    id=_STRING,
    model_name=_STRING,
    model_version=_STRING,
    parameters=_PARAMETERS,
    outputs={
        "type": "array",
        "items": _object(
            ["name", "shape", "datatype"],
            name=_STRING,
            shape=_SHAPE,
            datatype=_STRING,
            parameters=_PARAMETERS,
            data={"type": "array"},
        ),
    },
)
