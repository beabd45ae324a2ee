from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from sie.registry.v1 import bundle_pb2 as _bundle_pb2
from sie.registry.v1 import machine_profile_pb2 as _machine_profile_pb2
from sie.registry.v1 import model_pb2 as _model_pb2
from sie.registry.v1 import registry_document_pb2 as _registry_document_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApplyModelRequest(_message.Message):
    __slots__ = ("model", "expected_revision", "dry_run")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    expected_revision: int
    dry_run: bool
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ApplyModelResponse(_message.Message):
    __slots__ = ("model", "revision", "changed")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    revision: int
    changed: bool
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., revision: _Optional[int] = ..., changed: _Optional[bool] = ...) -> None: ...

class DeleteModelRequest(_message.Message):
    __slots__ = ("model_id", "expected_revision", "dry_run", "allow_missing")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    expected_revision: int
    dry_run: bool
    allow_missing: bool
    def __init__(self, model_id: _Optional[str] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ..., allow_missing: _Optional[bool] = ...) -> None: ...

class DeleteModelResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ApplyBundleRequest(_message.Message):
    __slots__ = ("bundle", "expected_revision", "dry_run")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.Bundle
    expected_revision: int
    dry_run: bool
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.Bundle, _Mapping]] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ApplyBundleResponse(_message.Message):
    __slots__ = ("bundle", "revision", "changed")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    bundle: _bundle_pb2.Bundle
    revision: int
    changed: bool
    def __init__(self, bundle: _Optional[_Union[_bundle_pb2.Bundle, _Mapping]] = ..., revision: _Optional[int] = ..., changed: _Optional[bool] = ...) -> None: ...

class DeleteBundleRequest(_message.Message):
    __slots__ = ("bundle_id", "expected_revision", "dry_run", "allow_missing")
    BUNDLE_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    bundle_id: str
    expected_revision: int
    dry_run: bool
    allow_missing: bool
    def __init__(self, bundle_id: _Optional[str] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ..., allow_missing: _Optional[bool] = ...) -> None: ...

class DeleteBundleResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ApplyMachineProfileRequest(_message.Message):
    __slots__ = ("machine_profile", "expected_revision", "dry_run")
    MACHINE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    machine_profile: _machine_profile_pb2.MachineProfile
    expected_revision: int
    dry_run: bool
    def __init__(self, machine_profile: _Optional[_Union[_machine_profile_pb2.MachineProfile, _Mapping]] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ApplyMachineProfileResponse(_message.Message):
    __slots__ = ("machine_profile", "revision", "changed")
    MACHINE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    machine_profile: _machine_profile_pb2.MachineProfile
    revision: int
    changed: bool
    def __init__(self, machine_profile: _Optional[_Union[_machine_profile_pb2.MachineProfile, _Mapping]] = ..., revision: _Optional[int] = ..., changed: _Optional[bool] = ...) -> None: ...

class DeleteMachineProfileRequest(_message.Message):
    __slots__ = ("machine_profile_id", "expected_revision", "dry_run", "allow_missing")
    MACHINE_PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    machine_profile_id: str
    expected_revision: int
    dry_run: bool
    allow_missing: bool
    def __init__(self, machine_profile_id: _Optional[str] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ..., allow_missing: _Optional[bool] = ...) -> None: ...

class DeleteMachineProfileResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ImportRegistryRequest(_message.Message):
    __slots__ = ("registry", "prune", "expected_revision", "dry_run")
    REGISTRY_FIELD_NUMBER: _ClassVar[int]
    PRUNE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    registry: _registry_document_pb2.RegistryDocument
    prune: _containers.RepeatedScalarFieldContainer[_registry_document_pb2.ResourceType]
    expected_revision: int
    dry_run: bool
    def __init__(self, registry: _Optional[_Union[_registry_document_pb2.RegistryDocument, _Mapping]] = ..., prune: _Optional[_Iterable[_Union[_registry_document_pb2.ResourceType, str]]] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ImportRegistryResponse(_message.Message):
    __slots__ = ("revision", "changes")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    revision: int
    changes: _containers.RepeatedCompositeFieldContainer[_registry_document_pb2.ResourceChange]
    def __init__(self, revision: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[_registry_document_pb2.ResourceChange, _Mapping]]] = ...) -> None: ...

class RollbackRegistryRequest(_message.Message):
    __slots__ = ("to_revision", "resource_type", "id", "expected_revision", "dry_run")
    TO_REVISION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    to_revision: int
    resource_type: _registry_document_pb2.ResourceType
    id: str
    expected_revision: int
    dry_run: bool
    def __init__(self, to_revision: _Optional[int] = ..., resource_type: _Optional[_Union[_registry_document_pb2.ResourceType, str]] = ..., id: _Optional[str] = ..., expected_revision: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class RollbackRegistryResponse(_message.Message):
    __slots__ = ("revision", "changes")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    revision: int
    changes: _containers.RepeatedCompositeFieldContainer[_registry_document_pb2.ResourceChange]
    def __init__(self, revision: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[_registry_document_pb2.ResourceChange, _Mapping]]] = ...) -> None: ...
