"""The rules of a model's definition: sources, tasks, profiles, bundles."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from servicekit import profiles
from servicekit.defaults import DEFAULT_BUNDLE, DEFAULT_PROFILE
from servicekit.errors import invalid
from sie.inference.v1.tensor_pb2 import OutputType
from sie.registry.v1.model_pb2 import (
    EncodeTask,
    ExtractTask,
    HuggingFace,
    Model,
    ModelSource,
    Profile,
    PythonPackage,
    Tasks,
)

MAX_MODEL_ID_LENGTH = 128

_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PACKAGE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"((s3|gs)://[A-Za-z0-9][A-Za-z0-9._-]*|https?://[^\s/?#@]+|file://)/[^\s?#]+")


def check_model(model: Model, bundles: Collection[str]) -> None:
    """Checks every field of a model.

    Args:
        model: the definition.
        bundles: ids of the bundles that exist.

    Raises:
        SieError: INVALID_INPUT with the path of the field at fault.
    """
    check_model_id(model.model_id, "model.model_id")
    if not model.sources:
        raise invalid("model.sources", "must name at least one source")
    for index, source in enumerate(model.sources):
        _check_source(source, f"model.sources[{index}]")
    _check_listed(model.inputs, "model.inputs")
    _check_tasks(model.tasks)
    _check_profiles(model.profiles, _outputs(model.tasks.encode))
    _check_extends(model)
    _check_bundles(model.bundles, bundles)


def check_model_id(model_id: str, field: str) -> None:
    """Checks the grammar of a model id, at most 128 characters."""
    if not 1 <= len(model_id) <= MAX_MODEL_ID_LENGTH:
        raise invalid(field, f"must have 1 to {MAX_MODEL_ID_LENGTH} characters")
    if not _MODEL_ID.fullmatch(model_id):
        rule = "letters, digits, '.', '_', '-' and '/', beginning with a letter or digit"
        raise invalid(field, f"must consist of {rule}")
    if {"", ".", ".."} & set(model_id.split("/")):
        raise invalid(field, "must not have an empty, '.' or '..' segment")


def _check_source(source: ModelSource, path: str) -> None:
    kind = source.WhichOneof("source")
    if kind is None:
        choices = "directory, python_package, hugging_face and url"
        raise invalid(path, f"must hold exactly one of {choices}")
    match getattr(source, kind):
        case PythonPackage() as package:
            _check_package(package, f"{path}.python_package")
        case HuggingFace() as hub:
            _check_hub(hub, f"{path}.hugging_face")
        case str() as directory if kind == "directory":
            if not PurePosixPath(directory).is_absolute() or ".." in directory.split("/"):
                raise invalid(f"{path}.directory", "must be an absolute path without '..'")
        case url:
            if not _URL.fullmatch(url):
                raise invalid(
                    f"{path}.url", "must be a URL of s3, gs, https, http or file with a path"
                )
    if source.url.startswith("http") and not source.sha256:
        raise invalid(f"{path}.sha256", "must name the files, which web servers do not list")
    _check_digests(source.sha256, f"{path}.sha256")


def _check_package(package: PythonPackage, path: str) -> None:
    if not _PACKAGE.fullmatch(package.package):
        raise invalid(f"{path}.package", "must be an import name")
    if package.path and not _stays_below(package.path):
        raise invalid(f"{path}.path", "must be a path below the package")


def _check_hub(hub: HuggingFace, path: str) -> None:
    if not _REPO.fullmatch(hub.repo):
        raise invalid(f"{path}.repo", "must be org/name")
    if not _COMMIT.fullmatch(hub.revision):
        raise invalid(f"{path}.revision", "must be a commit, 40 lower-case hex digits")


def _check_digests(digests: Mapping[str, str], path: str) -> None:
    for name, digest in digests.items():
        if not _stays_below(name):
            raise invalid(path, f"names {name!r}, which is no file of the checkpoint")
        if not _SHA256.fullmatch(digest):
            raise invalid(f"{path}[{name}]", "must be 64 lower-case hex digits")


def _stays_below(path: str) -> bool:
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts


def _check_tasks(tasks: Tasks) -> None:
    if not tasks.ListFields():
        raise invalid("model.tasks", "must have at least one of encode, score and extract")
    if tasks.HasField("encode"):
        _check_encode(tasks.encode)
    if tasks.HasField("extract"):
        _check_extract(tasks.extract)


def _check_encode(encode: EncodeTask) -> None:
    outputs = encode.ListFields()
    if not outputs:
        choices = "dense, sparse and multivector"
        raise invalid("model.tasks.encode", f"must have at least one of {choices}")
    for field, output in outputs:
        if output.dims == 0:
            raise invalid(f"model.tasks.encode.{field.name}.dims", "must be at least 1")


def _check_extract(extract: ExtractTask) -> None:
    path = "model.tasks.extract.labels"
    if "" in extract.labels:
        raise invalid(path, "must not hold an empty label")
    _check_unique(extract.labels, path)


def _outputs(encode: EncodeTask) -> frozenset[int]:
    return frozenset(
        OutputType.Value(f"OUTPUT_TYPE_{field.name.upper()}") for field, _ in encode.ListFields()
    )


def _check_profiles(named: Mapping[str, Profile], outputs: Collection[int]) -> None:
    if named and DEFAULT_PROFILE not in named:
        raise invalid("model.profiles", f"must have one named {DEFAULT_PROFILE!r}")
    for name, profile in named.items():
        path = f"model.profiles[{name}]"
        if not _PROFILE_NAME.fullmatch(name):
            raise invalid(path, "must be named by 1 to 63 letters, digits, '.', '_' and '-'")
        _check_listed(profile.output_types, f"{path}.output_types")
        if missing := set(profile.output_types) - set(outputs):
            word = OutputType.Name(min(missing)).removeprefix("OUTPUT_TYPE_").lower()
            raise invalid(f"{path}.output_types", f"{word} is no output of the model")


def _check_extends(model: Model) -> None:
    for name in sorted(model.profiles):
        try:
            profiles.resolve(model, name)
        except ValueError as error:
            raise invalid(f"model.profiles[{name}].extends", str(error)) from None
    if (found := profiles.conflict(model)) is not None:
        raise invalid(
            f"model.profiles[{found.profile}].{found.field}",
            f"must be what profile {DEFAULT_PROFILE!r} says: all profiles share one graph",
        )


def _check_bundles(named: Collection[str], existing: Collection[str]) -> None:
    _check_unique(named, "model.bundles")
    for index, bundle in enumerate(named):
        if bundle not in existing:
            raise invalid(f"model.bundles[{index}]", f"there is no bundle {bundle!r}")
    if not named and DEFAULT_BUNDLE not in existing:
        raise invalid("model.bundles", f"is empty, and there is no bundle {DEFAULT_BUNDLE!r}")


def _check_listed(values: Collection[int], path: str) -> None:
    if 0 in values:
        raise invalid(path, "must not hold the unspecified value")
    _check_unique(values, path)


def _check_unique(values: Iterable[object], path: str) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise invalid(path, f"holds {value!r} twice")
        seen.add(value)
