"""Compiled graphs on disk, by content.

    <root>/digests/<digest of a path>.json      what ContentDigests remembers
    <root>/engines/<key>/                       model.onnx, model.weights, manifest.json
    <root>/engines/<key>.lock                   held while an entry is built

An entry appears by renaming a finished directory. Processes that want the same entry at the
same time wait for the one that builds it. A key covers all that decides the bytes, the
compiler's own source included, so nothing is ever invalidated, only never asked for again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.files.content import ContentDigests, digest_of, digest_of_file, sync
from worker.files.lock import locked

_MANIFEST = "manifest.json"
_WORKER = Path(__file__).parents[1]
# What decides a graph: how a checkpoint's files are read, and the compiler itself.
_DECIDING = ("checkpoint", "compiler")


class EngineCache:
    """Finds the compiled graph of a checkpoint, or has it built."""

    def __init__(self, root: Path) -> None:
        self._engines = root / "engines"
        self._digests = ContentDigests(root / "digests")

    def key(self, checkpoint: Checkpoint, *, form: str) -> str:
        """Return what names the graph of this checkpoint, compiled in that form.

        Raises:
            CheckpointError: a weights file is missing.

        """
        parts = {
            "weights": [self.digest(path) for path in checkpoint.weight_files()],
            "recipe": checkpoint.recipe(),
            # Some graphs know single tokens by their id.
            "tokenizer": [self.digest(path) for path in checkpoint.tokenizer_files()],
            "compiler": _compiler_digest(),
            "form": form,
        }
        return digest_of(json.dumps(parts, sort_keys=True).encode())

    def find(self, key: str) -> Path | None:
        """Return the entry's directory, or None where it is absent or damaged."""
        entry = self._engines / key
        try:
            manifest = json.loads((entry / _MANIFEST).read_bytes())
            intact = all(self._digests.of(entry / name) == manifest[name] for name in manifest)
        except (OSError, ValueError, TypeError):
            return None
        return entry if intact and manifest else None

    def build(self, key: str, build: Callable[[Path], None]) -> Path:
        """Return the entry's directory; `build` fills an empty one where there is none."""
        with locked(self._engines / f"{key}.lock"):
            return self.find(key) or self._build(key, build)

    def _build(self, key: str, build: Callable[[Path], None]) -> Path:
        entry = self._engines / key
        with tempfile.TemporaryDirectory(dir=self._engines, prefix="building-") as name:
            work = Path(name) / "entry"
            work.mkdir()
            build(work)
            manifest = {}
            for path in sorted(work.iterdir()):
                sync(path)
                manifest[path.name] = digest_of_file(path)
            (work / _MANIFEST).write_text(json.dumps(manifest))
            shutil.rmtree(entry, ignore_errors=True)
            work.rename(entry)
        for file, digest in manifest.items():
            self._digests.remember(entry / file, digest)
        return entry

    def digest(self, path: Path) -> str:
        """Return the digest of a checkpoint's file; raise CheckpointError if it is missing."""
        try:
            return self._digests.of(path)
        except OSError as error:
            problem = "is missing" if isinstance(error, FileNotFoundError) else str(error)
            raise CheckpointError(path, problem) from error


def _compiler_digest() -> str:
    """Digest the sources that decide a graph, so that no change to them can meet an old one."""
    sources = [path for name in _DECIDING for path in sorted((_WORKER / name).glob("*.py"))]
    return digest_of(b"\0".join(path.read_bytes() for path in sources))
