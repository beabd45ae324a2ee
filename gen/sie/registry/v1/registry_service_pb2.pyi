import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from sie.pool.v1 import pool_pb2 as _pool_pb2
from sie.registry.v1 import bundle_pb2 as _bundle_pb2
from sie.registry.v1 import machine_profile_pb2 as _machine_profile_pb2
from sie.registry.v1 import model_pb2 as _model_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetModelRequest(_message.Message):
    __slots__ = ("model_id",)
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    def __init__(self, model_id: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model", "revision")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    revision: int
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token", "revision")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    next_page_token: str
    revision: int
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class ListBundlesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBundlesResponse(_message.Message):
    __slots__ = ("bundles", "revision")
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    bundles: _containers.RepeatedCompositeFieldContainer[_bundle_pb2.Bundle]
    revision: int
    def __init__(self, bundles: _Optional[_Iterable[_Union[_bundle_pb2.Bundle, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class WatchRegistryRequest(_message.Message):
    __slots__ = ("from_revision", "watcher_id")
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    WATCHER_ID_FIELD_NUMBER: _ClassVar[int]
    from_revision: int
    watcher_id: str
    def __init__(self, from_revision: _Optional[int] = ..., watcher_id: _Optional[str] = ...) -> None: ...

class WatchRegistryResponse(_message.Message):
    __slots__ = ("snapshot", "event", "progress", "compacted")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    COMPACTED_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    event: Event
    progress: Progress
    compacted: Compacted
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., compacted: _Optional[_Union[Compacted, _Mapping]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("revision", "models", "bundles", "machine_profiles", "pools")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILES_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    bundles: _containers.RepeatedCompositeFieldContainer[_bundle_pb2.Bundle]
    machine_profiles: _containers.RepeatedCompositeFieldContainer[_machine_profile_pb2.MachineProfile]
    pools: _containers.RepeatedCompositeFieldContainer[_pool_pb2.Pool]
    def __init__(self, revision: _Optional[int] = ..., models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ..., bundles: _Optional[_Iterable[_Union[_bundle_pb2.Bundle, _Mapping]]] = ..., machine_profiles: _Optional[_Iterable[_Union[_machine_profile_pb2.MachineProfile, _Mapping]]] = ..., pools: _Optional[_Iterable[_Union[_pool_pb2.Pool, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("revision", "commit_time", "model_applied", "model_deleted", "bundle_applied", "bundle_deleted", "machine_profile_applied", "machine_profile_deleted", "pool_applied", "pool_deleted")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    MODEL_APPLIED_FIELD_NUMBER: _ClassVar[int]
    MODEL_DELETED_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_APPLIED_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DELETED_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILE_APPLIED_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILE_DELETED_FIELD_NUMBER: _ClassVar[int]
    POOL_APPLIED_FIELD_NUMBER: _ClassVar[int]
    POOL_DELETED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    model_applied: _model_pb2.Model
    model_deleted: str
    bundle_applied: _bundle_pb2.Bundle
    bundle_deleted: str
    machine_profile_applied: _machine_profile_pb2.MachineProfile
    machine_profile_deleted: str
    pool_applied: _pool_pb2.Pool
    pool_deleted: str
    def __init__(self, revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model_applied: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., model_deleted: _Optional[str] = ..., bundle_applied: _Optional[_Union[_bundle_pb2.Bundle, _Mapping]] = ..., bundle_deleted: _Optional[str] = ..., machine_profile_applied: _Optional[_Union[_machine_profile_pb2.MachineProfile, _Mapping]] = ..., machine_profile_deleted: _Optional[str] = ..., pool_applied: _Optional[_Union[_pool_pb2.Pool, _Mapping]] = ..., pool_deleted: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class Compacted(_message.Message):
    __slots__ = ("oldest_revision",)
    OLDEST_REVISION_FIELD_NUMBER: _ClassVar[int]
    oldest_revision: int
    def __init__(self, oldest_revision: _Optional[int] = ...) -> None: ...
