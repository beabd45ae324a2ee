import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from sie.errors.v1 import error_pb2 as _error_pb2
from sie.inference.v1 import model_service_pb2 as _model_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_STATE_UNSPECIFIED: _ClassVar[WorkerState]
    WORKER_STATE_STARTING: _ClassVar[WorkerState]
    WORKER_STATE_READY: _ClassVar[WorkerState]
    WORKER_STATE_DRAINING: _ClassVar[WorkerState]
    WORKER_STATE_FAILED: _ClassVar[WorkerState]

class LoadPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOAD_PHASE_UNSPECIFIED: _ClassVar[LoadPhase]
    LOAD_PHASE_FETCHING: _ClassVar[LoadPhase]
    LOAD_PHASE_WAITING: _ClassVar[LoadPhase]
    LOAD_PHASE_OPENING: _ClassVar[LoadPhase]
WORKER_STATE_UNSPECIFIED: WorkerState
WORKER_STATE_STARTING: WorkerState
WORKER_STATE_READY: WorkerState
WORKER_STATE_DRAINING: WorkerState
WORKER_STATE_FAILED: WorkerState
LOAD_PHASE_UNSPECIFIED: LoadPhase
LOAD_PHASE_FETCHING: LoadPhase
LOAD_PHASE_WAITING: LoadPhase
LOAD_PHASE_OPENING: LoadPhase

class WorkerStatus(_message.Message):
    __slots__ = ("worker_id", "pool", "machine_profile", "bundle", "state", "version", "started_at", "registry_revision", "models", "devices", "dedicated", "busy")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_REVISION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    DEDICATED_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    pool: str
    machine_profile: str
    bundle: str
    state: WorkerState
    version: str
    started_at: _timestamp_pb2.Timestamp
    registry_revision: int
    models: _containers.RepeatedCompositeFieldContainer[HostedModel]
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    dedicated: bool
    busy: float
    def __init__(self, worker_id: _Optional[str] = ..., pool: _Optional[str] = ..., machine_profile: _Optional[str] = ..., bundle: _Optional[str] = ..., state: _Optional[_Union[WorkerState, str]] = ..., version: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., registry_revision: _Optional[int] = ..., models: _Optional[_Iterable[_Union[HostedModel, _Mapping]]] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., dedicated: _Optional[bool] = ..., busy: _Optional[float] = ...) -> None: ...

class HostedModel(_message.Message):
    __slots__ = ("model_id", "state", "memory_bytes", "queued_items", "queued_tokens", "tokens_per_second", "engine", "last_error", "progress")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUEUED_ITEMS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    state: _model_service_pb2.ModelState
    memory_bytes: int
    queued_items: int
    queued_tokens: int
    tokens_per_second: float
    engine: str
    last_error: _error_pb2.Error
    progress: LoadProgress
    def __init__(self, model_id: _Optional[str] = ..., state: _Optional[_Union[_model_service_pb2.ModelState, str]] = ..., memory_bytes: _Optional[int] = ..., queued_items: _Optional[int] = ..., queued_tokens: _Optional[int] = ..., tokens_per_second: _Optional[float] = ..., engine: _Optional[str] = ..., last_error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., progress: _Optional[_Union[LoadProgress, _Mapping]] = ...) -> None: ...

class LoadProgress(_message.Message):
    __slots__ = ("phase", "fetched_bytes", "total_bytes")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    FETCHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    phase: LoadPhase
    fetched_bytes: int
    total_bytes: int
    def __init__(self, phase: _Optional[_Union[LoadPhase, str]] = ..., fetched_bytes: _Optional[int] = ..., total_bytes: _Optional[int] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("name", "memory_used_bytes", "memory_total_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    memory_used_bytes: int
    memory_total_bytes: int
    def __init__(self, name: _Optional[str] = ..., memory_used_bytes: _Optional[int] = ..., memory_total_bytes: _Optional[int] = ...) -> None: ...
