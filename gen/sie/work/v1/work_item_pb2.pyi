from sie.inference.v1 import inference_service_pb2 as _inference_service_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkItem(_message.Message):
    __slots__ = ("request_id", "first_item", "item_count", "model_id", "registry_revision", "reply_subject", "deadline_unix_ms", "published_unix_us", "encode", "score", "extract", "tokenize")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_ITEM_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_REVISION_FIELD_NUMBER: _ClassVar[int]
    REPLY_SUBJECT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    ENCODE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    EXTRACT_FIELD_NUMBER: _ClassVar[int]
    TOKENIZE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    first_item: int
    item_count: int
    model_id: str
    registry_revision: int
    reply_subject: str
    deadline_unix_ms: int
    published_unix_us: int
    encode: _inference_service_pb2.EncodeRequest
    score: _inference_service_pb2.ScoreRequest
    extract: _inference_service_pb2.ExtractRequest
    tokenize: _inference_service_pb2.TokenizeRequest
    def __init__(self, request_id: _Optional[str] = ..., first_item: _Optional[int] = ..., item_count: _Optional[int] = ..., model_id: _Optional[str] = ..., registry_revision: _Optional[int] = ..., reply_subject: _Optional[str] = ..., deadline_unix_ms: _Optional[int] = ..., published_unix_us: _Optional[int] = ..., encode: _Optional[_Union[_inference_service_pb2.EncodeRequest, _Mapping]] = ..., score: _Optional[_Union[_inference_service_pb2.ScoreRequest, _Mapping]] = ..., extract: _Optional[_Union[_inference_service_pb2.ExtractRequest, _Mapping]] = ..., tokenize: _Optional[_Union[_inference_service_pb2.TokenizeRequest, _Mapping]] = ...) -> None: ...
