"""Encode: the reply is never parsed here.

Protobuf messages that are written one after the other merge, and repeated fields append: the
reply is the workers' fragments in order, followed by one of our own with the model and the
timing.
"""

from collections.abc import Sequence
from typing import Any

from gateway.validation import (
    check_enum,
    check_items,
    check_options,
    check_profile,
    lower,
    outputs_of,
    settle_options,
    unsupported,
)
from gateway.verbs.fragments import joined
from servicekit.errors import invalid
from sie.errors.v1.error_pb2 import Error
from sie.inference.v1.inference_service_pb2 import (
    EncodeParams,
    EncodeRequest,
    EncodeResponse,
    Truncate,
)
from sie.inference.v1.result_pb2 import EncodeResult, Timing
from sie.inference.v1.tensor_pb2 import DataType, OutputType
from sie.registry.v1.model_pb2 import Model

NAME = "encode"


def answers(model: Model) -> bool:
    return bool(outputs_of(model))


def check(request: EncodeRequest, model: Model, max_items: int) -> None:
    """Checks a request against the contract and against what the model can do.

    Raises:
        SieError: INVALID_INPUT or UNSUPPORTED_OUTPUT.
    """
    check_items(request.items, model, max_items, token_ids=True)
    params = request.params
    settle_options(params, "params.")
    check_options(params.options, "params.options")
    check_profile(params.profile, model, "params.profile")
    check_enum(params.truncate, Truncate, "params.truncate")
    _check_outputs(params, model)
    _check_dimensions(params, model)


def part(request: EncodeRequest, first: int, last: int) -> EncodeRequest:
    return EncodeRequest(items=request.items[first:last], params=request.params)


def join(request: EncodeRequest, results: Sequence[Any], timing: Timing) -> bytes:
    def failed(index: int, error: Error) -> EncodeResponse:
        result = EncodeResult(id=request.items[index].id, error=error)
        return EncodeResponse(items=[result])

    tail = EncodeResponse(model=request.model, timing=timing)
    return joined(NAME, results, failed, tail)


def _check_outputs(params: EncodeParams, model: Model) -> None:
    supported = outputs_of(model)
    if not supported:
        raise unsupported(model, "model", f"model '{model.model_id}' does not encode", [])
    for index, output in enumerate(params.output_types):
        path = f"params.output_types[{index}]"
        if output not in OutputType.values() or not output:
            raise invalid(path, f"unknown output type {output}")
        if output not in supported:
            names = [lower(OutputType, kind) for kind in supported]
            message = (
                f"{path}: model '{model.model_id}' has no {lower(OutputType, output)} output; "
                f"it gives {', '.join(names)}"
            )
            raise unsupported(model, path, message, names)
    check_enum(params.output_dtype, DataType, "params.output_dtype")


def _check_dimensions(params: EncodeParams, model: Model) -> None:
    if not params.dimensions:
        return
    task = model.tasks.encode
    if not task.HasField("dense"):
        raise invalid("params.dimensions", "only dense vectors can be shortened")
    if params.dimensions > task.dense.dims:
        raise invalid(
            "params.dimensions", f"the model has {task.dense.dims}, got {params.dimensions}"
        )
