"""Models in one file, for machines that reach no network.

    manifest.json               format, and size and sha256 of every other file
    models/<slug>.yaml          the definition as its author wrote it
    checkpoints/<slug>/...      its files

Unpacked, a definition's sources are the one directory beside it, so that a config service whose
SIE_MODELS_DIR is `<directory>/models` serves it, and so do workers that see the same path.

An archive comes from elsewhere: nothing is written that the manifest does not announce, or
outside of the target, and no more bytes than announced.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import yaml

from cli.errors import CommandError

_FORMAT = 1
_MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 16 << 20
_MAX_ENTRIES = 100_000
_CHUNK_BYTES = 1 << 20
_SHA256_DIGITS = 64


@dataclass(frozen=True)
class Exported:
    """A model on its way into an archive.

    Args:
        model_id: its id.
        definition: its definition file.
        directory: its checkpoint.
        names: the files of the checkpoint that are needed.
    """

    model_id: str
    definition: Path
    directory: Path
    names: tuple[str, ...]

    @property
    def slug(self) -> str:
        """The id as a file name; what is unsafe in one becomes `--`, as on the hub."""
        return self.model_id.replace("/", "--")


def write_archive(target: Path, models: Iterable[Exported]) -> int:
    """Writes an archive, whole or not at all; returns its size in bytes."""
    files = dict(_files(models))
    manifest = {
        "format": _FORMAT,
        "files": {name: _facts(path) for name, path in files.items()},
    }
    part = target.with_name(f"{target.name}.part")
    try:
        with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, _MANIFEST, io.BytesIO(json.dumps(manifest, indent=1).encode()))
            for name, path in files.items():
                with path.open("rb") as opened:
                    _add(archive, name, opened)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def read_archive(archive: Path, target: Path) -> list[str]:
    """Checks an archive and unpacks it; returns the ids of its models.

    Raises:
        CommandError: it is damaged, or not what it says; nothing of it is left then.
    """
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".importing-") as name:
        work = Path(name)
        try:
            with tarfile.open(archive, "r:") as opened:
                _unpack(opened, work, archive.stat().st_size)
        except (tarfile.TarError, EOFError) as error:
            raise CommandError(f"{archive} is no archive of models: {error}") from error
        return [_install(file, work, target) for file in sorted((work / "models").glob("*.yaml"))]


def _files(models: Iterable[Exported]) -> Iterator[tuple[str, Path]]:
    for model in models:
        yield f"models/{model.slug}.yaml", model.definition
        for name in model.names:
            yield f"checkpoints/{model.slug}/{name}", model.directory / name


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": digest}


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    # No owner, no time: the same models make the same archive.
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, io.SEEK_END)
    content.seek(0)
    archive.addfile(info, content)


def _unpack(archive: tarfile.TarFile, target: Path, size_bytes: int) -> None:
    first = archive.next()
    if first is None or first.name != _MANIFEST or first.size > _MAX_MANIFEST_BYTES:
        raise CommandError(f"it does not begin with {_MANIFEST}")
    missing = _announced(archive, first)
    if sum(facts["size"] for facts in missing.values()) > size_bytes:
        raise CommandError("the manifest announces more than there is")
    while (entry := archive.next()) is not None:
        facts = missing.pop(entry.name, None)
        if facts is None:
            raise CommandError(f"the manifest does not announce {entry.name!r}, or only once")
        # A sparse file of a few bytes may claim to be a disk full of zeros.
        if not entry.isreg() or entry.issparse() or entry.size != facts["size"]:
            raise CommandError(f"{entry.name} is no plain file of {facts['size']} bytes")
        _write(archive, entry, target / entry.name, facts["sha256"])
    if missing:
        raise CommandError(f"{next(iter(missing))} is missing")


def _announced(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> dict[str, Mapping[str, Any]]:
    """The manifest's files; raises CommandError where it is not one."""
    content = archive.extractfile(entry)
    manifest: Any = None
    with suppress(ValueError, RecursionError):
        manifest = json.loads(content.read()) if content is not None else None
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise CommandError(f"{_MANIFEST} is not of format {_FORMAT}")
    files = manifest.get("files")
    if not isinstance(files, dict) or len(files) > _MAX_ENTRIES:
        raise CommandError(f"{_MANIFEST} lists no files")
    for name, facts in files.items():
        _check_announced(name, facts)
    return files


def _check_announced(name: str, facts: Any) -> None:
    path = PurePosixPath(name)
    is_safe = not path.is_absolute() and ".." not in path.parts and str(path) == name
    if not is_safe or "\0" in name or path.parts[0] not in {"models", "checkpoints"}:
        raise CommandError(f"{name!r} is no place for a file of a model")
    sizes = isinstance(facts, dict) and isinstance(facts.get("size"), int) and facts["size"] >= 0
    if not sizes or len(str(facts.get("sha256"))) != _SHA256_DIGITS:
        raise CommandError(f"{_MANIFEST} states no size and sha256 of {name}")


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: Path, sha256: str) -> None:
    content = archive.extractfile(entry)
    assert content is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("xb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != sha256:
        raise CommandError(f"{entry.name} has sha256 {digest.hexdigest()}, not {sha256}")


def _install(definition: Path, work: Path, target: Path) -> str:
    """Moves one model into place, its files before the definition that speaks of them."""
    slug = definition.stem
    content = yaml.safe_load(definition.read_bytes())
    if not isinstance(content, dict) or not (work / "checkpoints" / slug).is_dir():
        raise CommandError(f"{definition.name} defines no model, or its files are missing")
    checkpoint = target / "checkpoints" / slug
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)
    (work / "checkpoints" / slug).rename(checkpoint)
    content["sources"] = [{"directory": str(checkpoint.resolve())}]
    placed = target / "models" / definition.name
    placed.parent.mkdir(parents=True, exist_ok=True)
    written = definition.with_suffix(".new")
    written.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    written.rename(placed)
    return str(content.get("model_id", slug))
