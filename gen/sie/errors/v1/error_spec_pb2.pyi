from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.rpc import code_pb2 as _code_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
SPEC_FIELD_NUMBER: _ClassVar[int]
spec: _descriptor.FieldDescriptor

class ErrorSpec(_message.Message):
    __slots__ = ("code", "http_status", "retryable", "metadata_keys")
    CODE_FIELD_NUMBER: _ClassVar[int]
    HTTP_STATUS_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    METADATA_KEYS_FIELD_NUMBER: _ClassVar[int]
    code: _code_pb2.Code
    http_status: int
    retryable: bool
    metadata_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, code: _Optional[_Union[_code_pb2.Code, str]] = ..., http_status: _Optional[int] = ..., retryable: _Optional[bool] = ..., metadata_keys: _Optional[_Iterable[str]] = ...) -> None: ...
