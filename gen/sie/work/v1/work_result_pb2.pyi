from sie.errors.v1 import error_pb2 as _error_pb2
from sie.inference.v1 import inference_service_pb2 as _inference_service_pb2
from sie.inference.v1 import result_pb2 as _result_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkResult(_message.Message):
    __slots__ = ("request_id", "first_item", "item_count", "worker_id", "timing", "input_tokens", "encode", "score", "extract", "tokenize", "error", "part")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_ITEM_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ENCODE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    EXTRACT_FIELD_NUMBER: _ClassVar[int]
    TOKENIZE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    first_item: int
    item_count: int
    worker_id: str
    timing: _result_pb2.Timing
    input_tokens: int
    encode: _inference_service_pb2.EncodeResponse
    score: _inference_service_pb2.ScoreResponse
    extract: _inference_service_pb2.ExtractResponse
    tokenize: _inference_service_pb2.TokenizeResponse
    error: _error_pb2.Error
    part: ResultPart
    def __init__(self, request_id: _Optional[str] = ..., first_item: _Optional[int] = ..., item_count: _Optional[int] = ..., worker_id: _Optional[str] = ..., timing: _Optional[_Union[_result_pb2.Timing, _Mapping]] = ..., input_tokens: _Optional[int] = ..., encode: _Optional[_Union[_inference_service_pb2.EncodeResponse, _Mapping]] = ..., score: _Optional[_Union[_inference_service_pb2.ScoreResponse, _Mapping]] = ..., extract: _Optional[_Union[_inference_service_pb2.ExtractResponse, _Mapping]] = ..., tokenize: _Optional[_Union[_inference_service_pb2.TokenizeResponse, _Mapping]] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., part: _Optional[_Union[ResultPart, _Mapping]] = ...) -> None: ...

class ResultPart(_message.Message):
    __slots__ = ("reply_id", "number", "count", "data")
    REPLY_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    reply_id: str
    number: int
    count: int
    data: bytes
    def __init__(self, reply_id: _Optional[str] = ..., number: _Optional[int] = ..., count: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...
