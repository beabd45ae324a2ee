import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PoolState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POOL_STATE_UNSPECIFIED: _ClassVar[PoolState]
    POOL_STATE_PENDING: _ClassVar[PoolState]
    POOL_STATE_ACTIVE: _ClassVar[PoolState]
    POOL_STATE_EXPIRED: _ClassVar[PoolState]
POOL_STATE_UNSPECIFIED: PoolState
POOL_STATE_PENDING: PoolState
POOL_STATE_ACTIVE: PoolState
POOL_STATE_EXPIRED: PoolState

class Pool(_message.Message):
    __slots__ = ("spec", "status")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    spec: PoolSpec
    status: PoolStatus
    def __init__(self, spec: _Optional[_Union[PoolSpec, _Mapping]] = ..., status: _Optional[_Union[PoolStatus, _Mapping]] = ...) -> None: ...

class PoolSpec(_message.Message):
    __slots__ = ("name", "bundle", "gpus", "ttl_seconds", "minimum_worker_count")
    class GpusEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_WORKER_COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    bundle: str
    gpus: _containers.ScalarMap[str, int]
    ttl_seconds: int
    minimum_worker_count: int
    def __init__(self, name: _Optional[str] = ..., bundle: _Optional[str] = ..., gpus: _Optional[_Mapping[str, int]] = ..., ttl_seconds: _Optional[int] = ..., minimum_worker_count: _Optional[int] = ...) -> None: ...

class AssignedWorker(_message.Message):
    __slots__ = ("name", "gpu")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    name: str
    gpu: str
    def __init__(self, name: _Optional[str] = ..., gpu: _Optional[str] = ...) -> None: ...

class PoolStatus(_message.Message):
    __slots__ = ("state", "reason", "assigned_workers", "created_at", "last_renewed")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_WORKERS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_RENEWED_FIELD_NUMBER: _ClassVar[int]
    state: PoolState
    reason: str
    assigned_workers: _containers.RepeatedCompositeFieldContainer[AssignedWorker]
    created_at: _timestamp_pb2.Timestamp
    last_renewed: _timestamp_pb2.Timestamp
    def __init__(self, state: _Optional[_Union[PoolState, str]] = ..., reason: _Optional[str] = ..., assigned_workers: _Optional[_Iterable[_Union[AssignedWorker, _Mapping]]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_renewed: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
