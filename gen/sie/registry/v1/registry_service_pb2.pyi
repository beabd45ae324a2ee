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

class GetBundleRequest(_message.Message):
    __slots__ = ("bundle_id",)
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    def __init__(self, bundle_id: _Optional[str] = ...) -> None: ...

class GetBundleResponse(_message.Message):
    __slots__ = ("bundle", "revision")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.Bundle
    revision: int
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.Bundle, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class GetMachineProfileRequest(_message.Message):
    __slots__ = ("machine_profile_id",)
    MACHINE_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    machine_profile_id: str
    def __init__(self, machine_profile_id: _Optional[str] = ...) -> None: ...

class GetMachineProfileResponse(_message.Message):
    __slots__ = ("machine_profile", "revision")
    MACHINE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    machine_profile: _machine_profile_pb2.MachineProfile
    revision: int
    def __init__(self, machine_profile: _Optional[_Union[_machine_profile_pb2.MachineProfile, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class ListMachineProfilesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListMachineProfilesResponse(_message.Message):
    __slots__ = ("machine_profiles", "revision")
    MACHINE_PROFILES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    machine_profiles: _containers.RepeatedCompositeFieldContainer[_machine_profile_pb2.MachineProfile]
    revision: int
    def __init__(self, machine_profiles: _Optional[_Iterable[_Union[_machine_profile_pb2.MachineProfile, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class ResolveModelRequest(_message.Message):
    __slots__ = ("model", "bundle")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    model: str
    bundle: str
    def __init__(self, model: _Optional[str] = ..., bundle: _Optional[str] = ...) -> None: ...

class ResolveModelResponse(_message.Message):
    __slots__ = ("model", "resolved_bundle", "compatible_bundles", "profiles", "revision")
    class ProfilesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _model_pb2.Profile
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_model_pb2.Profile, _Mapping]] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    COMPATIBLE_BUNDLES_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    model: str
    resolved_bundle: str
    compatible_bundles: _containers.RepeatedScalarFieldContainer[str]
    profiles: _containers.MessageMap[str, _model_pb2.Profile]
    revision: int
    def __init__(self, model: _Optional[str] = ..., resolved_bundle: _Optional[str] = ..., compatible_bundles: _Optional[_Iterable[str]] = ..., profiles: _Optional[_Mapping[str, _model_pb2.Profile]] = ..., revision: _Optional[int] = ...) -> None: ...

class GetRevisionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRevisionResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class WatchRegistryRequest(_message.Message):
    __slots__ = ("from_revision", "watcher_id")
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    WATCHER_ID_FIELD_NUMBER: _ClassVar[int]
    from_revision: int
    watcher_id: str
    def __init__(self, from_revision: _Optional[int] = ..., watcher_id: _Optional[str] = ...) -> None: ...

class WatchRegistryResponse(_message.Message):
    __slots__ = ("snapshot", "event", "progress", "compacted", "events")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    COMPACTED_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    event: Event
    progress: Progress
    compacted: Compacted
    events: Events
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., compacted: _Optional[_Union[Compacted, _Mapping]] = ..., events: _Optional[_Union[Events, _Mapping]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("revision", "models", "bundles", "machine_profiles", "pools", "model_revisions", "bundle_revisions", "machine_profile_revisions", "pool_revisions")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILES_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    MODEL_REVISIONS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_REVISIONS_FIELD_NUMBER: _ClassVar[int]
    MACHINE_PROFILE_REVISIONS_FIELD_NUMBER: _ClassVar[int]
    POOL_REVISIONS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    bundles: _containers.RepeatedCompositeFieldContainer[_bundle_pb2.Bundle]
    machine_profiles: _containers.RepeatedCompositeFieldContainer[_machine_profile_pb2.MachineProfile]
    pools: _containers.RepeatedCompositeFieldContainer[_pool_pb2.Pool]
    model_revisions: _containers.RepeatedScalarFieldContainer[int]
    bundle_revisions: _containers.RepeatedScalarFieldContainer[int]
    machine_profile_revisions: _containers.RepeatedScalarFieldContainer[int]
    pool_revisions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, revision: _Optional[int] = ..., models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ..., bundles: _Optional[_Iterable[_Union[_bundle_pb2.Bundle, _Mapping]]] = ..., machine_profiles: _Optional[_Iterable[_Union[_machine_profile_pb2.MachineProfile, _Mapping]]] = ..., pools: _Optional[_Iterable[_Union[_pool_pb2.Pool, _Mapping]]] = ..., model_revisions: _Optional[_Iterable[int]] = ..., bundle_revisions: _Optional[_Iterable[int]] = ..., machine_profile_revisions: _Optional[_Iterable[int]] = ..., pool_revisions: _Optional[_Iterable[int]] = ...) -> None: ...

class Events(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("revision", "commit_time", "model_applied", "model_deleted", "bundle_applied", "bundle_deleted", "machine_profile_applied", "machine_profile_deleted", "pool_applied", "pool_deleted", "receipt")
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
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
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
    receipt: Receipt
    def __init__(self, revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model_applied: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., model_deleted: _Optional[str] = ..., bundle_applied: _Optional[_Union[_bundle_pb2.Bundle, _Mapping]] = ..., bundle_deleted: _Optional[str] = ..., machine_profile_applied: _Optional[_Union[_machine_profile_pb2.MachineProfile, _Mapping]] = ..., machine_profile_deleted: _Optional[str] = ..., pool_applied: _Optional[_Union[_pool_pb2.Pool, _Mapping]] = ..., pool_deleted: _Optional[str] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("key_sha256", "request_sha256", "first_revision", "revision")
    KEY_SHA256_FIELD_NUMBER: _ClassVar[int]
    REQUEST_SHA256_FIELD_NUMBER: _ClassVar[int]
    FIRST_REVISION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    key_sha256: bytes
    request_sha256: bytes
    first_revision: int
    revision: int
    def __init__(self, key_sha256: _Optional[bytes] = ..., request_sha256: _Optional[bytes] = ..., first_revision: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

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
