from sie.inference.v1 import inference_service_pb2 as _inference_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORK_CLASS_UNSPECIFIED: _ClassVar[WorkClass]
    WORK_CLASS_INTERACTIVE: _ClassVar[WorkClass]
    WORK_CLASS_BULK: _ClassVar[WorkClass]
WORK_CLASS_UNSPECIFIED: WorkClass
WORK_CLASS_INTERACTIVE: WorkClass
WORK_CLASS_BULK: WorkClass

class WorkItem(_message.Message):
    __slots__ = ("request_id", "first_item", "item_count", "model_id", "registry_revision", "reply_subject", "deadline_unix_ms", "published_unix_us", "work_class", "tenant", "payload", "encode", "score", "extract", "tokenize")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_ITEM_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_REVISION_FIELD_NUMBER: _ClassVar[int]
    REPLY_SUBJECT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    WORK_CLASS_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
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
    work_class: WorkClass
    tenant: str
    payload: PayloadReference
    encode: _inference_service_pb2.EncodeRequest
    score: _inference_service_pb2.ScoreRequest
    extract: _inference_service_pb2.ExtractRequest
    tokenize: _inference_service_pb2.TokenizeRequest
    def __init__(self, request_id: _Optional[str] = ..., first_item: _Optional[int] = ..., item_count: _Optional[int] = ..., model_id: _Optional[str] = ..., registry_revision: _Optional[int] = ..., reply_subject: _Optional[str] = ..., deadline_unix_ms: _Optional[int] = ..., published_unix_us: _Optional[int] = ..., work_class: _Optional[_Union[WorkClass, str]] = ..., tenant: _Optional[str] = ..., payload: _Optional[_Union[PayloadReference, _Mapping]] = ..., encode: _Optional[_Union[_inference_service_pb2.EncodeRequest, _Mapping]] = ..., score: _Optional[_Union[_inference_service_pb2.ScoreRequest, _Mapping]] = ..., extract: _Optional[_Union[_inference_service_pb2.ExtractRequest, _Mapping]] = ..., tokenize: _Optional[_Union[_inference_service_pb2.TokenizeRequest, _Mapping]] = ...) -> None: ...

class PayloadReference(_message.Message):
    __slots__ = ("key", "size_bytes", "first_item")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_ITEM_FIELD_NUMBER: _ClassVar[int]
    key: str
    size_bytes: int
    first_item: int
    def __init__(self, key: _Optional[str] = ..., size_bytes: _Optional[int] = ..., first_item: _Optional[int] = ...) -> None: ...

class CancelNotice(_message.Message):
    __slots__ = ("reply_subjects",)
    REPLY_SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    reply_subjects: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, reply_subjects: _Optional[_Iterable[str]] = ...) -> None: ...
