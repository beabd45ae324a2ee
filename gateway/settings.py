"""What a gateway is told by its environment."""

from dataclasses import dataclass
from pathlib import Path

from servicekit.payloads import JETSTREAM
from servicekit.settings import setting
from servicekit.tracing import TracingSettings


@dataclass(frozen=True)
class Settings(TracingSettings):
    """Read from SIE_* variables, once, when the process starts."""

    nats_url: str = setting("SIE_NATS_URL", "nats://127.0.0.1:4222")
    config_address: str = setting("SIE_CONFIG_ADDRESS", "127.0.0.1:9091")
    host: str = setting("SIE_HOST", "127.0.0.1")
    http_port: int = setting("SIE_HTTP_PORT", 8080)
    grpc_port: int = setting("SIE_GRPC_PORT", 9090)
    # Several gateways on one machine may listen on the same two ports, each on its own core.
    share_ports: bool = setting("SIE_SHARE_PORTS", False)
    state_dir: Path = setting("SIE_STATE_DIR", Path("~/.cache/sie/state").expanduser())
    max_request_bytes: int = setting("SIE_MAX_REQUEST_BYTES", 16 * 1024 * 1024)
    max_items: int = setting("SIE_MAX_ITEMS", 4096)
    default_models: tuple[str, ...] = setting("SIE_DEFAULT_MODEL", ())
    request_timeout_s: float = setting("SIE_REQUEST_TIMEOUT_S", 30.0)
    max_request_timeout_s: float = setting("SIE_MAX_REQUEST_TIMEOUT_S", 600.0)
    auth_mode: str = setting("SIE_AUTH_MODE", "none")
    auth_tokens: tuple[str, ...] = setting("SIE_AUTH_TOKEN", (), secret=True)
    admin_token: str = setting("SIE_ADMIN_TOKEN", "", secret=True)
    auth_file: Path | None = setting("SIE_AUTH_FILE", None)
    auth_exempt_operational: bool = setting("SIE_AUTH_EXEMPT_OPERATIONAL", False)
    metrics_token: str = setting("SIE_METRICS_TOKEN", "", secret=True)
    tls_cert: Path | None = setting("SIE_TLS_CERT", None)
    tls_key: Path | None = setting("SIE_TLS_KEY", None)
    tls_client_ca: Path | None = setting("SIE_TLS_CLIENT_CA", None)
    # Where requests are kept that are too large for the broker: jetstream, s3://, gs:// or file://.
    payload_store: str = setting("SIE_PAYLOAD_STORE", JETSTREAM)
    # Where the files of batches are kept: as above.
    file_store: str = setting("SIE_FILE_STORE", JETSTREAM)
    max_file_bytes: int = setting("SIE_MAX_FILE_BYTES", 200 * 1024 * 1024)
    # Of all files of a tenant, those of results included; uploads beyond are refused. 0: no bound.
    max_tenant_file_bytes: int = setting("SIE_MAX_TENANT_FILE_BYTES", 512 * 1024 * 1024)
    # Where batches may read and write beside: URLs that end in /, with {tenant} for the caller's.
    batch_places: tuple[str, ...] = setting("SIE_BATCH_PLACES", ())
    batch_max_requests: int = setting("SIE_BATCH_MAX_REQUESTS", 50_000)
    # How many batches this gateway runs at a time; 0: none.
    batch_jobs: int = setting("SIE_BATCH_JOBS", 2)
    # After which a batch whose gateway is silent goes to another.
    batch_lease_s: float = setting("SIE_BATCH_LEASE_S", 10.0)
    # Interactive work that would wait longer is refused; 0: only what would miss its deadline is.
    max_wait_s: float = setting("SIE_MAX_WAIT_S", 10.0)
    # After which callers come back that find no worker: about half of what a machine takes to come.
    retry_after_s: float = setting("SIE_RETRY_AFTER_S", 120.0)
    # For how long a request keeps a worker of its lane.
    recent_use_s: float = setting("SIE_RECENT_USE_S", 60.0)
    drain_s: float = setting("SIE_DRAIN_S", 25.0)
    log_level: str = setting("SIE_LOG_LEVEL", "info")
    log_json: bool = setting("SIE_LOG_JSON", False)
    # A line for each request, without what was asked.
    access_log: bool = setting("SIE_ACCESS_LOG", True)
