"""Reads of the registry as it is now: the same answers from its writer and from every view.

RegistryService.GetModel ── config service ──┐
GET /v1/configs/models/… ── gateway ─────────┴─► RegistryReads over a RegistryState
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from servicekit import profiles
from servicekit.defaults import DEFAULT_BUNDLE, DEFAULT_BUNDLE_PRIORITY, DEFAULT_PROFILE
from servicekit.errors import SieError, invalid
from servicekit.paging import page_of
from servicekit.registry_state import Definition, Key, RegistryState
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_service_pb2 import (
    GetBundleRequest,
    GetBundleResponse,
    GetMachineProfileRequest,
    GetMachineProfileResponse,
    GetModelRequest,
    GetModelResponse,
    GetRevisionRequest,
    GetRevisionResponse,
    ListBundlesRequest,
    ListBundlesResponse,
    ListMachineProfilesRequest,
    ListMachineProfilesResponse,
    ListModelsRequest,
    ListModelsResponse,
    ResolveModelRequest,
    ResolveModelResponse,
)

# Names that callers give are shown to that length.
MAX_SHOWN = 128

_NOT_FOUND = {
    "model": ErrorReason.ERROR_REASON_MODEL_NOT_FOUND,
    "bundle": ErrorReason.ERROR_REASON_BUNDLE_NOT_FOUND,
    "machine_profile": ErrorReason.ERROR_REASON_MACHINE_PROFILE_NOT_FOUND,
    "pool": ErrorReason.ERROR_REASON_POOL_NOT_FOUND,
}


class RegistryReads:
    """The unary methods of RegistryService.

    Args:
        state: gives the state to read.
    """

    def __init__(self, state: Callable[[], RegistryState]) -> None:
        self._state = state

    def get_model(self, request: GetModelRequest) -> GetModelResponse:
        key = Key("model", request.model_id)
        model = self._get(key)
        return GetModelResponse(model=model, revision=self._written(key))  # type: ignore[arg-type]

    def list_models(self, request: ListModelsRequest) -> ListModelsResponse:
        state = self._state()
        last = _last_of(request.page_token) if request.page_token else ""
        page = page_of(state.models, last, request.page_size)
        following = page.next_page_token
        return ListModelsResponse(
            models=(state.models[name] for name in page.names),
            next_page_token=token_after(following) if following else "",
            revision=state.revision,
        )

    def get_bundle(self, request: GetBundleRequest) -> GetBundleResponse:
        key = Key("bundle", request.bundle_id)
        bundle = self._get(key)
        return GetBundleResponse(bundle=bundle, revision=self._written(key))  # type: ignore[arg-type]

    def list_bundles(self, request: ListBundlesRequest) -> ListBundlesResponse:
        state = self._state()
        names = by_priority(state.bundles, state.bundles)
        bundles = [state.bundles[name] for name in names]
        return ListBundlesResponse(bundles=bundles, revision=state.revision)

    def get_machine_profile(self, request: GetMachineProfileRequest) -> GetMachineProfileResponse:
        key = Key("machine_profile", request.machine_profile_id)
        return GetMachineProfileResponse(
            machine_profile=self._get(key),  # type: ignore[arg-type]
            revision=self._written(key),
        )

    def list_machine_profiles(
        self, request: ListMachineProfilesRequest
    ) -> ListMachineProfilesResponse:
        state = self._state()
        held = state.machine_profiles
        return ListMachineProfilesResponse(
            machine_profiles=(held[name] for name in sorted(held)), revision=state.revision
        )

    def resolve_model(self, request: ResolveModelRequest) -> ResolveModelResponse:
        state = self._state()
        named, model_id = split_model(request.model)
        if named and request.bundle not in ("", named):
            raise invalid("bundle", f"is {request.bundle!r}, and the model says {named!r}")
        bundle = request.bundle or named
        model = state.models.get(model_id)
        if model is None:
            raise not_found(Key("model", model_id))
        compatible = bundles_of(model, state.bundles)
        if bundle and bundle not in compatible:
            raise _incompatible(model_id, bundle, compatible)
        names = sorted(model.profiles) or [DEFAULT_PROFILE]
        return ResolveModelResponse(
            model=model_id,
            resolved_bundle=bundle or compatible[0],
            compatible_bundles=compatible,
            profiles={name: profiles.resolve(model, name) for name in names},
            revision=state.revision,
        )

    def get_revision(self, request: GetRevisionRequest) -> GetRevisionResponse:
        return GetRevisionResponse(revision=self._state().revision)

    def _get(self, key: Key) -> Definition:
        definition = self._state().get(key)
        if definition is None:
            raise not_found(key)
        return definition

    def _written(self, key: Key) -> int:
        return self._state().written.get(key, 0)


def split_model(spec: str) -> tuple[str, str]:
    """Bundle (empty: none named) and model id of `[bundle:/]model`."""
    bundle, separator, model_id = spec.partition(":/")
    return (bundle.strip().lower(), model_id) if separator else ("", spec)


def bundles_of(model: Model, bundles: Mapping[str, Bundle]) -> list[str]:
    """Bundles that serve the model, best priority first."""
    return by_priority(list(model.bundles) or [DEFAULT_BUNDLE], bundles)


def by_priority(names: Iterable[str], bundles: Mapping[str, Bundle]) -> list[str]:
    """Bundle ids, the one that is taken first in front."""

    def place(name: str) -> tuple[int, str]:
        bundle = bundles.get(name)
        return (bundle.priority if bundle else 0) or DEFAULT_BUNDLE_PRIORITY, name

    return sorted(names, key=place)


def not_found(key: Key) -> SieError:
    """The registry holds no such definition."""
    name = key.id[:MAX_SHOWN]
    problem = f"the registry holds no {key.kind.replace('_', ' ')} {name!r}"
    metadata: dict[str, Any] = {key.kind: name}
    return SieError(_NOT_FOUND[key.kind], problem, **metadata)


def token_after(name: str) -> str:
    """The page token of what comes behind `name`."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def _last_of(page_token: str) -> str:
    try:
        return base64.b64decode(page_token, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise invalid("page_token", "is no token of an earlier reply") from None


def _incompatible(model_id: str, bundle: str, compatible: list[str]) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_BUNDLE_INCOMPATIBLE,
        f"bundle {bundle[:MAX_SHOWN]!r} does not serve model {model_id!r}",
        model=model_id,
        bundle=bundle[:MAX_SHOWN],
        compatible_bundles=",".join(compatible),
    )
