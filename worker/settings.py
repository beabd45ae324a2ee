"""What a worker is told by its environment."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from servicekit.payloads import JETSTREAM
from servicekit.settings import setting
from servicekit.tracing import TracingSettings
from worker.opening.layout import LayoutSetting


@dataclass(frozen=True)
class Settings(TracingSettings):
    """Read from SIE_* variables, once, when the process starts."""

    nats_url: str = setting("SIE_NATS_URL", "nats://127.0.0.1:4222")
    config_address: str = setting("SIE_CONFIG_ADDRESS", "127.0.0.1:9091")
    worker_id: str = setting("SIE_WORKER_ID", f"{socket.gethostname()}-{os.getpid()}")
    # A worker with a pool of its own stays there; others go where the registry assigns them.
    pool: str = setting("SIE_POOL", "")
    machine_profile: str = setting("SIE_MACHINE_PROFILE", "cpu")
    bundle: str = setting("SIE_BUNDLE", "default")
    preload_models: tuple[str, ...] = setting("SIE_PRELOAD_MODELS", ())
    engine: str = setting("SIE_ENGINE", "auto")
    # Whether texts share rows: auto, padded or packed.
    layout: LayoutSetting = setting("SIE_LAYOUT", LayoutSetting.AUTO)
    cache_dir: Path = setting("SIE_CACHE_DIR", Path("~/.cache/sie").expanduser())
    # What all models together may take. 0: a share of what is available.
    memory_bytes: int = setting("SIE_MEMORY_BYTES", 0)
    # A model in demand is not evicted earlier.
    min_residence_s: float = setting("SIE_MIN_RESIDENCE_S", 10.0)
    # A model that nobody used for so long is let go. 0: never.
    idle_evict_s: float = setting("SIE_IDLE_EVICT_S", 0.0)
    # Over how many seconds a worker says how busy it was.
    busy_over_s: float = setting("SIE_BUSY_OVER_S", 15.0)
    hub_endpoint: str = setting("HF_ENDPOINT", "https://huggingface.co")
    hub_token: str = setting("HF_TOKEN", "", secret=True)
    hub_offline: bool = setting("HF_HUB_OFFLINE", False)
    # A directory under gs:// or s3:// that workers share: asked before the hub. Empty: none.
    cluster_cache: str = setting("SIE_CLUSTER_CACHE", "")
    state_dir: Path = setting("SIE_STATE_DIR", Path("~/.cache/sie/state").expanduser())
    # Where requests are that are too large for the broker: jetstream, s3://, gs:// or file://.
    payload_store: str = setting("SIE_PAYLOAD_STORE", JETSTREAM)
    host: str = setting("SIE_HOST", "127.0.0.1")
    http_port: int = setting("SIE_WORKER_HTTP_PORT", 9100)
    log_level: str = setting("SIE_LOG_LEVEL", "info")
    log_json: bool = setting("SIE_LOG_JSON", False)
