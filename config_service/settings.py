"""Everything that the config service reads from its environment."""

from dataclasses import dataclass
from pathlib import Path

from config_service.pool_rules import NAME, NAME_RULE
from config_service.streams import StreamLimits
from servicekit.payloads import JETSTREAM
from servicekit.settings import setting


@dataclass(frozen=True)
class Settings:
    nats_url: str = setting("SIE_NATS_URL", "nats://127.0.0.1:4222")
    host: str = setting("SIE_HOST", "127.0.0.1")
    grpc_port: int = setting("SIE_CONFIG_GRPC_PORT", 9091)
    http_port: int = setting("SIE_CONFIG_HTTP_PORT", 9092)
    models_dir: Path = setting("SIE_MODELS_DIR", Path("models"))
    bundles_dir: Path = setting("SIE_BUNDLES_DIR", Path("bundles"))
    machine_profiles_dir: Path = setting("SIE_MACHINE_PROFILES_DIR", Path("machine_profiles"))
    stream_storage: str = setting("SIE_STREAM_STORAGE", "memory")
    stream_replicas: int = setting("SIE_STREAM_REPLICAS", 1)
    stream_max_messages: int = setting("SIE_STREAM_MAX_MESSAGES", 100_000)
    # 0: 256 MiB in memory, 1 GiB in files.
    stream_max_bytes: int = setting("SIE_STREAM_MAX_BYTES", 0)
    # Pools of workers that are started with SIE_POOL; leased ones need not be named.
    dedicated_pools: tuple[str, ...] = setting("SIE_DEDICATED_POOLS", ())
    # Its old entries are removed here: jetstream, s3://, gs:// or file://.
    payload_store: str = setting("SIE_PAYLOAD_STORE", JETSTREAM)
    file_store: str = setting("SIE_FILE_STORE", JETSTREAM)
    log_level: str = setting("SIE_LOG_LEVEL", "info")
    log_json: bool = setting("SIE_LOG_JSON", False)

    @property
    def stream_limits(self) -> StreamLimits:
        """Bounds of every pool's work.

        Raises:
            ValueError: a setting is out of its bounds.
        """
        return StreamLimits(
            self.stream_storage,
            self.stream_replicas,
            self.stream_max_messages,
            self.stream_max_bytes,
        )

    @property
    def dedicated(self) -> tuple[str, ...]:
        """Pools of dedicated workers.

        Raises:
            ValueError: one of them cannot be the name of a pool.
        """
        for name in self.dedicated_pools:
            if not NAME.fullmatch(name):
                raise ValueError(f"SIE_DEDICATED_POOLS: '{name}' must be {NAME_RULE}")
        return self.dedicated_pools
