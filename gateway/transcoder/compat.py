"""The JSON of other APIs' inputs and vectors."""

import base64
from typing import Any

import numpy as np

from gateway.transcoder.form import Form
from gateway.transcoder.reading import FieldError, expected
from sie.compat.v1.openai_service_pb2 import EncodingFormat

_TEXT = {"type": "string"}
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_IDS = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}}
_SCORE = {"type": "number"}


def _read_inputs(message: Any, value: Any) -> None:
    if type(value) is not list or _is_ids(value):
        message.single = True
        _read_input(message.values.add(), value)
        return
    for index, each in enumerate(value):
        try:
            _read_input(message.values.add(), each)
        except FieldError as error:
            error.at(index)
            raise


def _read_input(message: Any, value: Any) -> None:
    if type(value) is str:
        message.text = value
    elif _is_ids(value):
        _read_ids(message, value)
    else:
        raise expected("a text or a list of token ids", value)


def _is_ids(value: Any) -> bool:
    return type(value) is list and bool(value) and set(map(type, value)) == {int}


def _read_ids(message: Any, ids: list[int]) -> None:
    try:
        message.token_ids.extend(ids)
    except ValueError:
        outside = next(index for index, each in enumerate(ids) if not 0 <= each < 2**32)
        error = FieldError("no token id: from 0 to 4294967295")
        error.at(outside)
        raise error from None


def _render_openai(twin: Any) -> dict[str, Any]:
    vector: Any = np.frombuffer(twin.embedding, "<f4")
    if twin.encoding_format == EncodingFormat.ENCODING_FORMAT_BASE64:
        vector = base64.b64encode(twin.embedding).decode()
    return {"object": twin.object, "index": twin.index, "embedding": vector}


def _render_row(twin: Any) -> Any:
    return np.frombuffer(twin.values, "<f4")


def _render_matrix(twin: Any) -> Any:
    values = np.frombuffer(twin.values, "<f4")
    return values.reshape(-1, twin.columns) if twin.columns else []


def _render_sparse(twin: Any) -> list[dict[str, Any]]:
    # float64 prints a float32 with digits that it does not have.
    values = np.frombuffer(twin.values, "<f4")
    indices = np.frombuffer(twin.indices, "<i4").tolist()
    return [{"index": index, "value": value} for index, value in zip(indices, values, strict=True)]


def _render_predictions(twin: Any) -> list[Any]:
    texts = [[_render_class(each) for each in text.classes] for text in twin.texts]
    return texts[0] if twin.single else texts


def _render_class(twin: Any) -> dict[str, Any]:
    return {"score": np.float32(twin.score), "label": twin.label}


def _render_tokens(twin: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": token.id,
            "text": token.text,
            "special": token.special,
            "start": token.start if token.HasField("start") else None,
            "stop": token.end if token.HasField("end") else None,
        }
        for token in twin.tokens
    ]


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_CLASSES = _list(_object(score=_SCORE, label=_TEXT))
_PLACE = {"type": ["integer", "null"]}

FORMS = {
    "sie.compat.v1.Inputs": Form(
        read=_read_inputs,
        schema={"anyOf": [_TEXT, _IDS, _list({"anyOf": [_TEXT, _IDS]})]},
    ),
    "sie.compat.v1.OpenAIEmbedding": Form(
        render=_render_openai,
        schema={
            "type": "object",
            "properties": {
                "object": {"const": "embedding"},
                "index": {"type": "integer"},
                "embedding": {"oneOf": [_NUMBERS, {"type": "string", "contentEncoding": "base64"}]},
            },
        },
    ),
    "sie.compat.v1.EmbeddingRow": Form(render=_render_row, schema=_NUMBERS),
    "sie.compat.v1.EmbeddingMatrix": Form(render=_render_matrix, schema=_list(_NUMBERS)),
    "sie.compat.v1.SparseRow": Form(
        render=_render_sparse, schema=_list(_object(index={"type": "integer"}, value=_SCORE))
    ),
    "sie.compat.v1.Predictions": Form(
        render=_render_predictions, schema={"anyOf": [_CLASSES, _list(_CLASSES)]}
    ),
    "sie.compat.v1.TokenRow": Form(
        render=_render_tokens,
        schema=_list(
            _object(
                id={"type": "integer"},
                text=_TEXT,
                special={"type": "boolean"},
                start=_PLACE,
                stop=_PLACE,
            )
        ),
    ),
}
