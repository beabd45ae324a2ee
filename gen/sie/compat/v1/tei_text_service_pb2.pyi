from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from sie.compat.v1 import inputs_pb2 as _inputs_pb2
from sie.inference.v1 import result_pb2 as _result_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RerankTextsRequest(_message.Message):
    __slots__ = ("query", "texts", "raw_scores", "return_text", "truncate", "truncation_direction")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    RAW_SCORES_FIELD_NUMBER: _ClassVar[int]
    RETURN_TEXT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_DIRECTION_FIELD_NUMBER: _ClassVar[int]
    query: str
    texts: _containers.RepeatedScalarFieldContainer[str]
    raw_scores: bool
    return_text: bool
    truncate: bool
    truncation_direction: str
    def __init__(self, query: _Optional[str] = ..., texts: _Optional[_Iterable[str]] = ..., raw_scores: _Optional[bool] = ..., return_text: _Optional[bool] = ..., truncate: _Optional[bool] = ..., truncation_direction: _Optional[str] = ...) -> None: ...

class TextRank(_message.Message):
    __slots__ = ("index", "score", "text")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    index: int
    score: float
    text: str
    def __init__(self, index: _Optional[int] = ..., score: _Optional[float] = ..., text: _Optional[str] = ...) -> None: ...

class RerankTextsResponse(_message.Message):
    __slots__ = ("ranks",)
    RANKS_FIELD_NUMBER: _ClassVar[int]
    ranks: _containers.RepeatedCompositeFieldContainer[TextRank]
    def __init__(self, ranks: _Optional[_Iterable[_Union[TextRank, _Mapping]]] = ...) -> None: ...

class PredictRequest(_message.Message):
    __slots__ = ("inputs", "raw_scores", "truncate")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    RAW_SCORES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    inputs: _struct_pb2.Value
    raw_scores: bool
    truncate: bool
    def __init__(self, inputs: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., raw_scores: _Optional[bool] = ..., truncate: _Optional[bool] = ...) -> None: ...

class PredictedClasses(_message.Message):
    __slots__ = ("classes",)
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    classes: _containers.RepeatedCompositeFieldContainer[_result_pb2.Classification]
    def __init__(self, classes: _Optional[_Iterable[_Union[_result_pb2.Classification, _Mapping]]] = ...) -> None: ...

class Predictions(_message.Message):
    __slots__ = ("texts", "single")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    SINGLE_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedCompositeFieldContainer[PredictedClasses]
    single: bool
    def __init__(self, texts: _Optional[_Iterable[_Union[PredictedClasses, _Mapping]]] = ..., single: _Optional[bool] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("predictions",)
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    predictions: Predictions
    def __init__(self, predictions: _Optional[_Union[Predictions, _Mapping]] = ...) -> None: ...

class TokenizeTextsRequest(_message.Message):
    __slots__ = ("inputs", "add_special_tokens")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    ADD_SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    inputs: _inputs_pb2.Inputs
    add_special_tokens: bool
    def __init__(self, inputs: _Optional[_Union[_inputs_pb2.Inputs, _Mapping]] = ..., add_special_tokens: _Optional[bool] = ...) -> None: ...

class TokenRow(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[_result_pb2.Token]
    def __init__(self, tokens: _Optional[_Iterable[_Union[_result_pb2.Token, _Mapping]]] = ...) -> None: ...

class TokenizeTextsResponse(_message.Message):
    __slots__ = ("texts",)
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedCompositeFieldContainer[TokenRow]
    def __init__(self, texts: _Optional[_Iterable[_Union[TokenRow, _Mapping]]] = ...) -> None: ...

class DecodeTokensRequest(_message.Message):
    __slots__ = ("ids", "skip_special_tokens")
    IDS_FIELD_NUMBER: _ClassVar[int]
    SKIP_SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ids: _inputs_pb2.Inputs
    skip_special_tokens: bool
    def __init__(self, ids: _Optional[_Union[_inputs_pb2.Inputs, _Mapping]] = ..., skip_special_tokens: _Optional[bool] = ...) -> None: ...

class DecodeTokensResponse(_message.Message):
    __slots__ = ("texts",)
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, texts: _Optional[_Iterable[str]] = ...) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("model_id", "max_input_length", "max_client_batch_size", "version")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_INPUT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_CLIENT_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    max_input_length: int
    max_client_batch_size: int
    version: str
    def __init__(self, model_id: _Optional[str] = ..., max_input_length: _Optional[int] = ..., max_client_batch_size: _Optional[int] = ..., version: _Optional[str] = ...) -> None: ...
