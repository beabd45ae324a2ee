"""Where a model's files come from; one module for each kind of source."""

from worker.sources.cluster_cache import ClusterCache
from worker.sources.errors import SourceError
from worker.sources.hub import HubSettings
from worker.sources.locator import Locator
from worker.sources.progress import FetchCancelledError, Progress

__all__ = [
    "ClusterCache",
    "FetchCancelledError",
    "HubSettings",
    "Locator",
    "Progress",
    "SourceError",
]
