from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from sie.errors.v1 import error_pb2 as _error_pb2
from sie.inference.v1 import item_pb2 as _item_pb2
from sie.inference.v1 import result_pb2 as _result_pb2
from sie.inference.v1 import tensor_pb2 as _tensor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Truncate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRUNCATE_UNSPECIFIED: _ClassVar[Truncate]
    TRUNCATE_RIGHT: _ClassVar[Truncate]
    TRUNCATE_LEFT: _ClassVar[Truncate]
    TRUNCATE_NONE: _ClassVar[Truncate]

class StreamOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_ORDER_UNSPECIFIED: _ClassVar[StreamOrder]
    STREAM_ORDER_SENT: _ClassVar[StreamOrder]
    STREAM_ORDER_READY: _ClassVar[StreamOrder]
TRUNCATE_UNSPECIFIED: Truncate
TRUNCATE_RIGHT: Truncate
TRUNCATE_LEFT: Truncate
TRUNCATE_NONE: Truncate
STREAM_ORDER_UNSPECIFIED: StreamOrder
STREAM_ORDER_SENT: StreamOrder
STREAM_ORDER_READY: StreamOrder

class EncodeParams(_message.Message):
    __slots__ = ("output_types", "output_dtype", "instruction", "is_query", "dimensions", "truncate", "profile", "options")
    OUTPUT_TYPES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DTYPE_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    IS_QUERY_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    output_types: _containers.RepeatedScalarFieldContainer[_tensor_pb2.OutputType]
    output_dtype: _tensor_pb2.DataType
    instruction: str
    is_query: bool
    dimensions: int
    truncate: Truncate
    profile: str
    options: _struct_pb2.Struct
    def __init__(self, output_types: _Optional[_Iterable[_Union[_tensor_pb2.OutputType, str]]] = ..., output_dtype: _Optional[_Union[_tensor_pb2.DataType, str]] = ..., instruction: _Optional[str] = ..., is_query: _Optional[bool] = ..., dimensions: _Optional[int] = ..., truncate: _Optional[_Union[Truncate, str]] = ..., profile: _Optional[str] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class EncodeRequest(_message.Message):
    __slots__ = ("model", "items", "params")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    model: str
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    params: EncodeParams
    def __init__(self, model: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., params: _Optional[_Union[EncodeParams, _Mapping]] = ...) -> None: ...

class EncodeResponse(_message.Message):
    __slots__ = ("model", "items", "timing")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    model: str
    items: _containers.RepeatedCompositeFieldContainer[_result_pb2.EncodeResult]
    timing: _result_pb2.Timing
    def __init__(self, model: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_result_pb2.EncodeResult, _Mapping]]] = ..., timing: _Optional[_Union[_result_pb2.Timing, _Mapping]] = ...) -> None: ...

class EncodeStreamRequest(_message.Message):
    __slots__ = ("key", "request", "order")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    key: str
    request: EncodeRequest
    order: StreamOrder
    def __init__(self, key: _Optional[str] = ..., request: _Optional[_Union[EncodeRequest, _Mapping]] = ..., order: _Optional[_Union[StreamOrder, str]] = ...) -> None: ...

class EncodeStreamResponse(_message.Message):
    __slots__ = ("key", "response", "error")
    KEY_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    key: str
    response: EncodeResponse
    error: _error_pb2.Error
    def __init__(self, key: _Optional[str] = ..., response: _Optional[_Union[EncodeResponse, _Mapping]] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ...) -> None: ...

class ScoreRequest(_message.Message):
    __slots__ = ("model", "query", "items", "instruction", "truncate", "profile", "options", "raw_scores")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    RAW_SCORES_FIELD_NUMBER: _ClassVar[int]
    model: str
    query: _item_pb2.Item
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    instruction: str
    truncate: Truncate
    profile: str
    options: _struct_pb2.Struct
    raw_scores: bool
    def __init__(self, model: _Optional[str] = ..., query: _Optional[_Union[_item_pb2.Item, _Mapping]] = ..., items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., instruction: _Optional[str] = ..., truncate: _Optional[_Union[Truncate, str]] = ..., profile: _Optional[str] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., raw_scores: _Optional[bool] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("model", "query_id", "scores", "kind", "timing")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    model: str
    query_id: str
    scores: _containers.RepeatedCompositeFieldContainer[_result_pb2.ScoreEntry]
    kind: _result_pb2.ScoreKind
    timing: _result_pb2.Timing
    def __init__(self, model: _Optional[str] = ..., query_id: _Optional[str] = ..., scores: _Optional[_Iterable[_Union[_result_pb2.ScoreEntry, _Mapping]]] = ..., kind: _Optional[_Union[_result_pb2.ScoreKind, str]] = ..., timing: _Optional[_Union[_result_pb2.Timing, _Mapping]] = ...) -> None: ...

class ExtractParams(_message.Message):
    __slots__ = ("labels", "output_schema", "instruction", "threshold", "profile", "options", "raw_scores")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    RAW_SCORES_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    output_schema: _struct_pb2.Struct
    instruction: str
    threshold: float
    profile: str
    options: _struct_pb2.Struct
    raw_scores: bool
    def __init__(self, labels: _Optional[_Iterable[str]] = ..., output_schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., instruction: _Optional[str] = ..., threshold: _Optional[float] = ..., profile: _Optional[str] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., raw_scores: _Optional[bool] = ...) -> None: ...

class ExtractRequest(_message.Message):
    __slots__ = ("model", "items", "params")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    model: str
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    params: ExtractParams
    def __init__(self, model: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., params: _Optional[_Union[ExtractParams, _Mapping]] = ...) -> None: ...

class ExtractResponse(_message.Message):
    __slots__ = ("model", "items", "timing")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    model: str
    items: _containers.RepeatedCompositeFieldContainer[_result_pb2.ExtractResult]
    timing: _result_pb2.Timing
    def __init__(self, model: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_result_pb2.ExtractResult, _Mapping]]] = ..., timing: _Optional[_Union[_result_pb2.Timing, _Mapping]] = ...) -> None: ...

class TokenizeParams(_message.Message):
    __slots__ = ("add_special_tokens", "skip_special_tokens", "details")
    ADD_SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SKIP_SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    add_special_tokens: bool
    skip_special_tokens: bool
    details: bool
    def __init__(self, add_special_tokens: _Optional[bool] = ..., skip_special_tokens: _Optional[bool] = ..., details: _Optional[bool] = ...) -> None: ...

class TokenizeRequest(_message.Message):
    __slots__ = ("model", "items", "params")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    model: str
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    params: TokenizeParams
    def __init__(self, model: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., params: _Optional[_Union[TokenizeParams, _Mapping]] = ...) -> None: ...

class TokenizeResponse(_message.Message):
    __slots__ = ("model", "items", "timing")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    model: str
    items: _containers.RepeatedCompositeFieldContainer[_result_pb2.TokenizeResult]
    timing: _result_pb2.Timing
    def __init__(self, model: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_result_pb2.TokenizeResult, _Mapping]]] = ..., timing: _Optional[_Union[_result_pb2.Timing, _Mapping]] = ...) -> None: ...
