from sie.batch.v1 import batch_pb2 as _batch_pb2
from sie.batch.v1 import file_pb2 as _file_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Piece(_message.Message):
    __slots__ = ("epoch", "size_bytes")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    size_bytes: int
    def __init__(self, epoch: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class FileRecord(_message.Message):
    __slots__ = ("file", "pieces")
    FILE_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    file: _file_pb2.File
    pieces: _containers.RepeatedCompositeFieldContainer[Piece]
    def __init__(self, file: _Optional[_Union[_file_pb2.File, _Mapping]] = ..., pieces: _Optional[_Iterable[_Union[Piece, _Mapping]]] = ...) -> None: ...

class Owner(_message.Message):
    __slots__ = ("tenant", "pools", "models", "tokens_per_minute")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    pools: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    tokens_per_minute: int
    def __init__(self, tenant: _Optional[str] = ..., pools: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., tokens_per_minute: _Optional[int] = ...) -> None: ...

class BatchRecord(_message.Message):
    __slots__ = ("batch", "owner", "headers", "runner", "beat", "epoch", "lines_done", "bytes_done", "output", "errors")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    BATCH_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    RUNNER_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LINES_DONE_FIELD_NUMBER: _ClassVar[int]
    BYTES_DONE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    batch: _batch_pb2.Batch
    owner: Owner
    headers: _containers.ScalarMap[str, str]
    runner: str
    beat: int
    epoch: int
    lines_done: int
    bytes_done: int
    output: _containers.RepeatedCompositeFieldContainer[Piece]
    errors: _containers.RepeatedCompositeFieldContainer[Piece]
    def __init__(self, batch: _Optional[_Union[_batch_pb2.Batch, _Mapping]] = ..., owner: _Optional[_Union[Owner, _Mapping]] = ..., headers: _Optional[_Mapping[str, str]] = ..., runner: _Optional[str] = ..., beat: _Optional[int] = ..., epoch: _Optional[int] = ..., lines_done: _Optional[int] = ..., bytes_done: _Optional[int] = ..., output: _Optional[_Iterable[_Union[Piece, _Mapping]]] = ..., errors: _Optional[_Iterable[_Union[Piece, _Mapping]]] = ...) -> None: ...
