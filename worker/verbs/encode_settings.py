"""What a request, its profile and the checkpoint decide together about Encode."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from servicekit.errors import SieError, invalid
from servicekit.profiles import resolve
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeParams
from sie.inference.v1.tensor_pb2 import DataType, OutputType
from sie.registry.v1.model_pb2 import Model, Profile
from worker.checkpoint.heads import Output
from worker.hosting.loading import LoadedModel
from worker.texts.prompts import document_prompt, query_prompt

_ANSWERS = {
    "dense": (Output.DENSE,),
    "sparse": (Output.SPARSE, Output.TOKEN_WEIGHTS),
    "multivector": (Output.MULTIVECTOR,),
}
_NAMES: dict[int, str] = {
    OutputType.OUTPUT_TYPE_DENSE: "dense",
    OutputType.OUTPUT_TYPE_SPARSE: "sparse",
    OutputType.OUTPUT_TYPE_MULTIVECTOR: "multivector",
}
_SPARSE = frozenset(_ANSWERS["sparse"])
_SPARSE_TYPES = {
    DataType.DATA_TYPE_UNSPECIFIED,
    DataType.DATA_TYPE_FLOAT32,
    DataType.DATA_TYPE_FLOAT16,
}


class EncodeSettings(NamedTuple):
    """How to encode the items of a request.

    Attributes:
        outputs: the engine's outputs that the answer is made from.
        prompt: text before each item.
        is_query: whether items are queries, for models that read them differently.
        truncate: what happens to items that are too long, a Truncate.
        dtype: element type, a DataType.
        dimensions: leading components of a dense vector to keep; 0 for all.

    """

    outputs: frozenset[Output]
    prompt: str
    is_query: bool
    truncate: int
    dtype: int
    dimensions: int


def settings_of(params: EncodeParams, model: Model, loaded: LoadedModel) -> EncodeSettings:
    """Merge a request's parameters over its profile's, and those over the checkpoint's.

    Raises:
        SieError: the request asks for what the model does not give.

    """
    profile = resolve(model, params.profile)
    outputs = _outputs(params, profile, model, loaded)
    if params.output_dtype not in _SPARSE_TYPES and outputs & _SPARSE:
        raise invalid("params.output_dtype", "sparse vectors are float32 or float16")
    return EncodeSettings(
        outputs=outputs,
        prompt=params.instruction or _prompt(params, profile, loaded),
        is_query=params.is_query,
        truncate=params.truncate or profile.truncate,
        dtype=params.output_dtype or profile.output_dtype,
        dimensions=params.dimensions,
    )


def output_for(name: str, given: Collection[Output]) -> Output | None:
    """Return which of the outputs `given` answers `dense`, `sparse` or `multivector`."""
    return next((output for output in _ANSWERS.get(name, ()) if output in given), None)


def _outputs(
    params: EncodeParams, profile: Profile, model: Model, loaded: LoadedModel
) -> frozenset[Output]:
    asked = [_NAMES.get(kind, "") for kind in params.output_types or profile.output_types]
    return frozenset(_output(name, model, loaded) for name in asked or [_default(model, loaded)])


def _output(name: str, model: Model, loaded: LoadedModel) -> Output:
    output = output_for(name, loaded.sizes)
    if output is None:
        raise SieError(
            ErrorReason.ERROR_REASON_UNSUPPORTED_OUTPUT,
            f"params.output_types: model '{model.model_id}' gives no {name or 'such'} vectors",
            model=model.model_id,
            field="params.output_types",
            supported=",".join(_given(loaded)),
        )
    return output


def _default(model: Model, loaded: LoadedModel) -> str:
    """Return the first output that the registry declares, else the checkpoint's first."""
    declared = (name for name in _ANSWERS if model.tasks.encode.HasField(name))
    return next(declared, next(iter(_given(loaded)), ""))


def _given(loaded: LoadedModel) -> list[str]:
    return [name for name in _ANSWERS if output_for(name, loaded.sizes) is not None]


def _prompt(params: EncodeParams, profile: Profile, loaded: LoadedModel) -> str:
    if not params.HasField("is_query"):
        return loaded.default_prompt
    side = query_prompt if params.is_query else document_prompt
    return side(profile, loaded)
