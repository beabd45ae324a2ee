"""From a model's sources to a directory: the first that is at hand, fetched if need be.

<cache>/checkpoints/    what was fetched; see worker.sources.snapshots
<cache>/digests/        digests of files that were checked; see worker.files.content
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from sie.registry.v1.model_pb2 import HuggingFace, ModelSource
from worker.checkpoint.config import CheckpointError
from worker.files.content import ContentDigests
from worker.load_errors import ErrorClass
from worker.sources import hub, urls
from worker.sources.cluster_cache import ClusterCache
from worker.sources.errors import SourceError, joined
from worker.sources.hub import HubSettings
from worker.sources.local import in_directory, in_package
from worker.sources.patterns import needed
from worker.sources.progress import Progress
from worker.sources.snapshots import Snapshots
from worker.sources.transfer import RemoteFile, transfer

log = logging.getLogger(__name__)


class Locator:
    """Finds models' files on this machine, or brings them here.

    Args:
        cache_dir: where fetched files are kept; shared by processes.
        settings: how the hub is reached.
        cluster_cache: asked before the hub, and given what came from there.

    """

    def __init__(
        self,
        cache_dir: Path,
        settings: HubSettings | None = None,
        cluster_cache: ClusterCache | None = None,
    ) -> None:
        self._snapshots = Snapshots(cache_dir / "checkpoints")
        self._digests = ContentDigests(cache_dir / "digests")
        self._settings = settings or HubSettings()
        self._cluster_cache = cluster_cache

    def locate(self, sources: Sequence[ModelSource], progress: Progress | None = None) -> Path:
        """Return the checkpoint directory of a model.

        Args:
            sources: tried in order.
            progress: counts what is fetched.

        Raises:
            SourceError: no source gives the model; has the reason of each.
            CheckpointError: a file's sha256 is not the one that its source names.
            FetchCancelledError: `progress` was told to stop.

        """
        progress = progress or Progress()
        errors: list[SourceError] = []
        for source in sources:
            try:
                directory = self._directory_of(source, progress)
            except SourceError as error:
                errors.append(error)
                continue
            self._check(directory, source.sha256)
            return directory
        raise joined(errors)

    def _directory_of(self, source: ModelSource, progress: Progress) -> Path:
        match source.WhichOneof("source"):
            case "directory":
                return in_directory(Path(source.directory))
            case "python_package":
                return in_package(source.python_package)
            case "hugging_face":
                return self._from_hub(source.hugging_face, source.sha256, progress)
            case "url":
                return self._from_url(source.url, source.sha256, progress)
            case kind:
                raise SourceError(
                    f"source '{kind}' cannot be read by this worker", ErrorClass.UNSUPPORTED
                )

    def _from_hub(self, source: HuggingFace, sha256: Mapping[str, str], progress: Progress) -> Path:
        key = hub.key_of(source)
        if (found := self._snapshots.find(key)) is not None:
            return found
        if self._cluster_cache and (files := self._cluster_cache.files_of(key)):
            try:
                return self._fetch(key, files, sha256, progress)
            except SourceError as error:
                log.warning("%s cannot be had of the cluster cache: %s", source.repo, error)
        if self._settings.offline:
            raise SourceError(f"{source.repo} was not fetched before, and the hub is off limits")
        directory = self._fetch(key, hub.files_of(source, self._settings), sha256, progress)
        if self._cluster_cache:
            self._cluster_cache.keep(key, directory)
        return directory

    def _from_url(self, url: str, sha256: Mapping[str, str], progress: Progress) -> Path:
        try:
            files, versions = urls.files_of(url, sha256)
        except SourceError as error:
            known = self._snapshots.newest(urls.prefix_of(url))
            if known is None or error.error_class is not ErrorClass.NETWORK:
                raise
            return known
        return self._fetch(urls.key_of(url, files, versions), files, sha256, progress)

    def _fetch(
        self,
        key: str,
        files: Sequence[RemoteFile],
        sha256: Mapping[str, str],
        progress: Progress,
    ) -> Path:
        wanted = set(needed(file.name for file in files)) | sha256.keys()
        chosen = [file for file in files if file.name in wanted]
        if missing := sha256.keys() - {file.name for file in chosen}:
            raise SourceError(f"the source has no {', '.join(sorted(missing))}")
        fill = partial(_fill, chosen, sha256, progress)
        return self._snapshots.fetch(key, fill, progress)

    def _check(self, directory: Path, sha256: Mapping[str, str]) -> None:
        for name, expected in sha256.items():
            path = directory / name
            try:
                actual = self._digests.of(path)
            except OSError as error:
                raise CheckpointError(path, f"cannot be read: {error}") from error
            if actual != expected.lower():
                raise CheckpointError(path, f"has sha256 {actual}, and {expected} was expected")


def _fill(
    files: Sequence[RemoteFile], sha256: Mapping[str, str], progress: Progress, directory: Path
) -> None:
    progress.expect(sum(file.size or 0 for file in files))
    for file in files:
        transfer(file, directory, sha256.get(file.name, ""), progress)
