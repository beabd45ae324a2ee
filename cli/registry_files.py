"""Definitions on disk as one document, with the file and line behind each of its fields."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from servicekit.definitions import Source, source_of
from servicekit.errors import SieError
from servicekit.registry_state import Key, key_of
from servicekit.yaml_nodes import WHOLE_REGISTRY, DefinitionError, entries, read_mapping
from servicekit.yaml_nodes import Place as YamlPlace
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_document_pb2 import RegistryDocument

_SUFFIXES = {".yaml", ".yml"}
_KINDS = {
    "model_id": Model,
    "bundle_id": Bundle,
    "machine_profile_id": MachineProfile,
}
KINDS = ("machine_profile", "bundle", "model")
_LISTS = tuple(f"{kind}s" for kind in KINDS)
_FIELD = re.compile(r"registry\.(\w+\[\d+\])\.?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Definitions:
    """What was read.

    Args:
        document: every definition.
        places: source of each by its path in the document, with its path in that source.
    """

    document: RegistryDocument = field(default_factory=RegistryDocument)
    places: dict[str, tuple[Source, str]] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """Kinds of which there is a definition."""
        return [kind for kind in KINDS if getattr(self.document, f"{kind}s")]

    def explain(self, error: SieError) -> str | None:
        """A refusal of the document as `file:line: field: problem`; None: of something else."""
        named = error.metadata.get("field", "")
        found = _FIELD.fullmatch(named)
        if found is None or found[1] not in self.places:
            return None
        source, prefix = self.places[found[1]]
        path = ".".join(part for part in (prefix, found[2]) if part)
        return str(source.error(path, error.message.removeprefix(f"{named}: ")))


def read_definitions(path: Path) -> Definitions:
    """Every definition of a file, or of the `*.yaml` and `*.yml` below a directory.

    A file holds one model, bundle or machine profile, or a document of many.

    Raises:
        DefinitionError: a file cannot be taken, two define the same id, or there is none.
    """
    read, defined = Definitions(), dict[Key, Path]()
    for file in _files(path):
        source = _read(file)
        for name, prefix, definition in _definitions_of(source):
            other = defined.setdefault(key_of(definition), file)
            if other is not file:
                raise source.error(prefix, f"defines the same id as {other}")
            held = getattr(read.document, name)
            read.places[f"{name}[{len(held)}]"] = (source, prefix)
            held.append(definition)
    if not defined:
        raise DefinitionError(path, 0, "", "holds no definition")
    return read


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise DefinitionError(path, 0, "", "is not there")
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())


def _read(file: Path) -> Source:
    node = read_mapping(file, WHOLE_REGISTRY)
    names = {name for name, *_ in entries(node, YamlPlace(file))}
    kinds = [kind for name, kind in _KINDS.items() if name in names]
    if len(kinds) == 1:
        return source_of(node, file, kinds[0])
    if kinds or not names & set(_LISTS):
        ids, lists = ", ".join(_KINDS), ", ".join(_LISTS)
        raise DefinitionError(file, 1, "", f"must hold one of {ids}, or some of {lists}")
    return source_of(node, file, RegistryDocument)


def _definitions_of(source: Source) -> "Iterator[tuple[str, str, Model]]":
    if isinstance(source.message, RegistryDocument):
        for name in _LISTS:
            for index, definition in enumerate(getattr(source.message, name)):
                yield name, f"{name}[{index}]", definition
    else:
        yield f"{key_of(source.message).kind}s", "", source.message
