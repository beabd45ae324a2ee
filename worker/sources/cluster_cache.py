"""A bucket between workers and the hub: one worker fetches, the others copy.

<url>/<key>/<file>    the files of a commit
<url>/<key>.json      their sizes and digests; written last, so that what it names is there

Only commits of the hub are kept, because what a key names never changes.
"""

from __future__ import annotations

import json
import logging
import threading
from functools import partial
from pathlib import Path
from typing import Any

import fsspec

from servicekit.file_systems import make_parent
from worker.files.content import digest_of_file
from worker.sources.transfer import RemoteFile
from worker.sources.urls import open_in

log = logging.getLogger(__name__)


class ClusterCache:
    """Fetched commits in a bucket. Its failures are logged and cost nobody a model.

    Args:
        url: a directory under `gs://`, `s3://` or `file://`.

    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def files_of(self, key: str) -> list[RemoteFile]:
        """Return the files of a key; none where the bucket has not all of them."""
        try:
            system, root = fsspec.core.url_to_fs(self._url)
            listing = json.loads(system.cat_file(f"{root}/{key}.json"))
            return [
                RemoteFile(
                    name,
                    entry["size"],
                    entry["sha256"],
                    partial(open_in, system, f"{root}/{key}/{name}"),
                )
                for name, entry in listing.items()
            ]
        except FileNotFoundError:
            return []
        except Exception as error:  # noqa: BLE001 - each file system has failures of its own
            log.warning("cluster cache cannot be read: %s", error)
            return []

    def keep(self, key: str, directory: Path) -> threading.Thread:
        """Copy a fetched commit into the bucket, beside its first use."""
        thread = threading.Thread(
            target=self._keep, args=(key, directory), name="cluster-cache", daemon=True
        )
        thread.start()
        return thread

    def _keep(self, key: str, directory: Path) -> None:
        files = {
            path.relative_to(directory).as_posix(): path
            for path in directory.rglob("*")
            if path.is_file()
        }
        try:
            system, root = fsspec.core.url_to_fs(self._url)
            for name, path in files.items():
                target = f"{root}/{key}/{name}"
                make_parent(system, target)
                system.put_file(str(path), target)
            listing = {name: _entry(path) for name, path in files.items()}
            system.pipe_file(f"{root}/{key}.json", json.dumps(listing).encode())
        except Exception as error:  # noqa: BLE001 - each file system has failures of its own
            log.warning("cluster cache cannot be written: %s", error)
            return
        log.info("kept in the cluster cache", extra={"fields": {"key": key, "files": len(files)}})


def _entry(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": digest_of_file(path)}
